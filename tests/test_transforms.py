"""Objects painted in colours of their own: after any motion, boxes and masks are where their colours are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Sample
from twinset.images import ImageSpec
from twinset.joining import with_column
from twinset.masks import Mask, Polygons, Rle
from twinset.motion import Motion, clipped, enclosed
from twinset.transforms import cropped, flipped, moved, prepared, resized, warped

SIZE = (40, 60)
RECTANGLES = [(2, 3, 12, 9), (20, 1, 31, 30), (40, 25, 60, 40), (5, 20, 9, 38)]

Canvas = NDArray[np.uint8]


def painted() -> Canvas:
    """(H, W): rectangle i has the value i + 1; a corner is cut from each, so that none is symmetric."""
    canvas = np.zeros(SIZE, dtype=np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(RECTANGLES):
        canvas[y1:y2, x1:x2] = number + 1
        canvas[y1 : y1 + 2, x1 : x1 + 3] = 0
    return canvas


def outline(x1: int, y1: int, x2: int, y2: int) -> tuple[float, ...]:
    """The same rectangle without its corner."""
    return tuple(map(float, (x1 + 3, y1, x2, y1, x2, y2, x1, y2, x1, y1 + 2, x1 + 3, y1 + 2)))


def marked(kind: str) -> Instances:
    """The painted objects with run lengths, outlines, or boxes only."""
    masks: dict[str, tuple[Mask, ...] | None] = {
        "rle": tuple(Rle.of(painted() == i + 1) for i in range(len(RECTANGLES))),
        "polygons": tuple(Polygons(*SIZE, (outline(*r),)) for r in RECTANGLES),
        "boxes": None,
    }
    return Instances(SIZE, np.arange(4), np.array(RECTANGLES), masks[kind], columns={"name": ("a", "b", "c", "d")})


def extents(mask: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def after(instances: Instances, motion: Motion, *, min_visible: float = 0.0) -> Instances:
    found = moved(Annotation(instances=instances), motion, min_visible=min_visible).instances
    assert found is not None
    return found


def assert_painted(instances: Instances, canvas: Canvas) -> None:
    """Exactly the colours of the canvas are marked, each with its very pixels."""
    assert (instances.class_ids + 1).tolist() == [int(c) for c in np.unique(canvas) if c]
    for class_id, box in zip(instances.class_ids, instances.boxes.tolist(), strict=True):
        assert box == extents(canvas == class_id + 1)
    if instances.masks is not None:
        for class_id, mask in zip(instances.class_ids, instances.dense_masks(), strict=True):
            np.testing.assert_array_equal(mask, canvas == class_id + 1)
    assert instances.columns["name"] == tuple("abcd"[c] for c in instances.class_ids)


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
def test_mirrored_objects_are_where_their_colours_are(kind: str) -> None:
    mirrored = flipped(Annotation(instances=marked(kind)), SIZE).instances
    assert mirrored is not None
    assert_painted(mirrored, painted()[:, ::-1])
    assert not mirrored.is_truncated.any()


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
@pytest.mark.parametrize("factor", [2, 3])
def test_whole_factors_are_exact(kind: str, factor: int) -> None:
    size = (SIZE[0] * factor, SIZE[1] * factor)
    larger = resized(Annotation(instances=replace(marked(kind), areas=np.full(4, 10.0, np.float32))), SIZE, size)
    assert larger.instances is not None
    assert_painted(larger.instances, painted().repeat(factor, 0).repeat(factor, 1))
    np.testing.assert_allclose(larger.instances.areas, 10 * factor**2)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["rle", "polygons"])
@given(x=st.tuples(st.integers(0, 60), st.integers(0, 60)), y=st.tuples(st.integers(0, 40), st.integers(0, 40)))
@settings(max_examples=60, deadline=None)
def test_a_crop_keeps_exactly_what_is_inside(kind: str, x: tuple[int, int], y: tuple[int, int]) -> None:
    if x[0] == x[1] or y[0] == y[1]:
        return
    box = (min(x), min(y), max(x), max(y))
    before = replace(marked(kind), areas=np.full(4, 100.0, np.float32))
    cut = cropped(Annotation(instances=before), SIZE, box).instances
    assert cut is not None
    canvas = painted()[box[1] : box[3], box[0] : box[2]]
    assert_painted(cut, canvas)
    whole = np.array([(painted() == c + 1).sum() for c in cut.class_ids])
    left = np.array([(canvas == c + 1).sum() for c in cut.class_ids])
    np.testing.assert_array_equal(cut.is_truncated, left < whole)
    np.testing.assert_allclose(cut.areas if cut.areas is not None else [], 100 * left / whole, rtol=1e-6)


def test_a_box_alone_is_clipped_by_a_crop() -> None:
    cut = cropped(Annotation(instances=marked("boxes")), SIZE, (6, 5, 45, 32)).instances
    assert cut is not None
    np.testing.assert_array_equal(cut.boxes, [[0, 0, 6, 4], [14, 0, 25, 25], [34, 20, 39, 27], [0, 15, 3, 27]])
    assert cut.is_truncated.tolist() == [True, True, True, True]


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
def test_an_object_goes_when_less_than_the_asked_share_is_left(kind: str) -> None:
    whole = replace(marked(kind).take([1]), masks=None)
    if kind != "boxes":
        block = np.zeros(SIZE, dtype=bool)
        block[10:30, 20:30] = True
        ring = (20.0, 10.0, 30.0, 10.0, 30.0, 30.0, 20.0, 30.0)
        whole = replace(whole, masks=(Rle.of(block) if kind == "rle" else Polygons(*SIZE, (ring,)),))
    whole = replace(whole, boxes=np.array([[20, 10, 30, 30]]))
    half = Motion.crop(SIZE, (25, 0, 60, 40))
    assert len(after(whole, half, min_visible=0.5)) == 1
    assert len(after(whole, half, min_visible=0.51)) == 0
    assert len(after(whole, Motion.crop(SIZE, (30, 0, 60, 40)))) == 0


@pytest.mark.parametrize("kind", ["rle", "polygons"])
def test_a_quarter_turn_is_that_of_the_pixels(kind: str) -> None:
    """(x, y) → (y, W − x): counterclockwise, rows become columns."""
    matrix = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, SIZE[1]]])
    turned = warped(Annotation(instances=marked(kind)), matrix, SIZE, SIZE[::-1]).instances
    assert turned is not None
    assert_painted(turned, np.rot90(painted()))
    picture = Motion(matrix, SIZE, SIZE[::-1]).picture(painted()[..., None], fill=np.zeros(1, np.uint8))
    np.testing.assert_array_equal(picture[..., 0], np.rot90(painted()))


def random_motion(seed: int) -> Motion:
    draws = np.random.default_rng(seed)
    angle, scale = draws.uniform(-math.pi, math.pi), draws.uniform(0.7, 1.8)
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = linear @ np.array([[1, draws.uniform(-0.3, 0.3)], [0, 1]])
    size = (int(draws.integers(30, 70)), int(draws.integers(30, 70)))
    shift = np.array(size[::-1]) / 2 - linear @ [30, 20] + draws.uniform(-8, 8, size=2)
    matrix = np.vstack([np.column_stack([linear, shift]), [*draws.uniform(-0.002, 0.002, size=2), 1]])
    return Motion(matrix, SIZE, size)


def fine_extents(motion: Motion, before: Canvas) -> NDArray[np.float64]:
    """The extents of a painted object after a motion, looked at through an eightfold glass."""
    size = (motion.size[0] * 8, motion.size[1] * 8)
    closer = Motion.resize(SIZE, (SIZE[0] * 8, SIZE[1] * 8))
    glass = closer.inverse().then(motion).then(Motion.resize(motion.size, size))
    large = before.repeat(8, 0).repeat(8, 1)
    return np.array(extents(glass.picture(large[..., None], fill=np.zeros(1, np.uint8))[..., 0] > 127)) / 8


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
@pytest.mark.parametrize("seed", range(12))
def test_boxes_and_masks_follow_any_motion_of_the_picture(kind: str, seed: int) -> None:
    """The reference is the interpolated picture of one object at a time, cut at half its brightness."""
    motion = random_motion(seed)
    shown = after(marked(kind), motion)
    for number in range(len(RECTANGLES)):
        before = (painted() == number + 1).astype(np.uint8) * 255
        there = motion.picture(before[..., None], fill=np.zeros(1, np.uint8))[..., 0] > 127
        row = np.flatnonzero(shown.class_ids == number)
        if not there.any():
            assert not len(row) or shown.box_areas[row] < 8
            continue
        box, reference = shown.boxes[row[0]], np.array(extents(there))
        if kind == "boxes":
            assert (box[:2] <= reference[:2] + 1).all()
            assert (box[2:] >= reference[2:] - 1).all()
            continue
        if kind == "polygons":
            reference = fine_extents(motion, before)
        np.testing.assert_allclose(box, reference, atol=0.5 if kind == "polygons" else 1.01)
        mask = shown.dense_masks()[row[0]]
        rim = 2 * (extents(there)[2] - extents(there)[0] + extents(there)[3] - extents(there)[1])
        assert (mask != there).sum() <= 0.3 * rim + 2


@given(
    corners=st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    least=st.sampled_from([0.0, 0.3, 0.9]),
)
@settings(max_examples=80, deadline=None)
def test_whatever_moves_stays_a_sound_annotation(corners: list[tuple[float, ...]], seed: int, least: float) -> None:
    """Construction checks boxes inside the picture with an area; less visible shares leave fewer objects."""
    scaled = np.array(corners) * [60, 40, 60, 40]
    boxes = np.concatenate([np.minimum(scaled[:, :2], scaled[:, 2:]), np.maximum(scaled[:, :2], scaled[:, 2:])], axis=1)
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2] > 0.01).all(1)]
    before = Instances(SIZE, np.arange(len(boxes)), boxes)
    motion = random_motion(seed)
    shown = after(before, motion, min_visible=least)
    assert set(shown.class_ids) <= set(after(before, motion).class_ids) <= set(before.class_ids)
    assert list(shown.class_ids) == sorted(shown.class_ids)
    assert shown.size == motion.size


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
def test_mirroring_twice_changes_nothing(kind: str) -> None:
    once = flipped(Annotation(instances=marked(kind)), SIZE)
    twice = flipped(once, SIZE).instances
    assert twice is not None
    assert once.instances != marked(kind)
    np.testing.assert_array_equal(twice.boxes, marked(kind).boxes)
    if kind != "boxes":
        np.testing.assert_array_equal(twice.dense_masks(), marked(kind).dense_masks())


def test_motions_compose_in_order() -> None:
    first, second = random_motion(1), Motion.flip(random_motion(1).size)
    points = np.array([[1.0, 2.0], [30.0, 7.0]])
    there = first.then(second)
    np.testing.assert_allclose(there.points(points), second.points(first.points(points)))
    np.testing.assert_allclose(there.inverse().points(there.points(points)), points)
    with pytest.raises(ValueError, match="expected a motion from"):
        second.then(first)


def test_a_concave_outline_that_falls_asunder_keeps_a_tight_box() -> None:
    """A U of which the crop keeps the two arms: nothing between them, and the box ends where they end."""
    u = (10.0, 10.0, 15.0, 10.0, 15.0, 30.0, 30.0, 30.0, 30.0, 14.0, 35.0, 14.0, 35.0, 35.0, 10.0, 35.0)
    before = Instances(SIZE, np.array([0]), np.array([[10, 10, 35, 35]]), (Polygons(*SIZE, (u,)),))
    arms = after(before, Motion.crop(SIZE, (0, 0, 60, 20)))
    canvas = np.zeros((20, 60), dtype=bool)
    canvas[10:, 10:15] = canvas[14:, 30:35] = True
    np.testing.assert_array_equal(arms.dense_masks()[0], canvas)
    np.testing.assert_array_equal(arms.boxes, [[10, 10, 35, 20]])
    one_arm = after(before, Motion.crop(SIZE, (0, 0, 60, 12)))
    np.testing.assert_array_equal(one_arm.boxes, [[10, 10, 15, 12]])


def bars(*sides: tuple[float, float, float, float]) -> Instances:
    """One object in a picture of 40 × 40: rectangles x1, y1, x2, y2."""
    rings = tuple((x1, y1, x2, y1, x2, y2, x1, y2) for x1, y1, x2, y2 in sides)
    whole = np.array(sides, dtype=np.float32)
    box = np.concatenate([whole[:, :2].min(0), whole[:, 2:].max(0)])[None]
    return Instances((40, 40), np.array([0]), box, (Polygons(40, 40, rings),))


@pytest.mark.parametrize("rise", [10.0, 11.7, 12.0, 20.0])
def test_a_part_that_the_border_cuts_down_to_no_pixel_is_not_in_the_box(rise: float) -> None:
    motion = Motion(np.array([[1, 0, 0], [0, 1, -rise]]), (40, 40), (40, 40))
    found = after(bars((5, 10, 25, 12), (5, 24, 25, 30)), motion)
    assert found.masks is not None
    (mask,) = found.masks
    assert isinstance(mask, Polygons)
    assert len(mask.rings) == (2 if rise == 10 else 1)
    assert np.abs(found.boxes[0] - extents(mask.dense())).max() < 1
    assert found.is_truncated.tolist() == [rise > 10]


def test_what_is_left_counts_parts_without_a_pixel() -> None:
    motion = Motion(np.array([[1, 0, 0], [0, 1, -11.7]]), (40, 40), (40, 40))
    stated = replace(bars((5, 10, 25, 12), (5, 24, 25, 26)), areas=np.array([80], dtype=np.float32))
    found = after(stated, motion, min_visible=0.574)
    assert found.areas is not None
    assert found.areas.tolist() == pytest.approx([80 * 2.3 / 4])
    assert len(after(stated, motion, min_visible=0.576)) == 0


@pytest.mark.parametrize("matrix", [[[-1, 0, 40], [0, 1, 0]], [[1, 0, 1], [0, 1, 0.5]], [[0.5, 0, 3], [0, 0.5, 2]]])
def test_a_thin_part_that_nothing_cuts_stays_however_few_pixels_it_covers(matrix: list[list[float]]) -> None:
    motion = Motion(np.array(matrix), (40, 40), (40, 40))
    before = bars((5, 5, 10, 10), (20, 12, 20.2, 36))
    found = after(before, motion)
    assert found.masks is not None
    assert isinstance(found.masks[0], Polygons)
    assert len(found.masks[0].rings) == 2
    back = after(found, motion.inverse())
    np.testing.assert_allclose(back.boxes, before.boxes, atol=1e-3)


def test_an_outline_around_a_corner_of_the_picture_has_a_tight_box() -> None:
    """A hook that leaves on the right, passes outside, and comes back from below: the corner is not part of it."""
    hook = (
        20.0,
        5.0,
        60.0,
        5.0,
        60.0,
        50.0,
        10.0,
        50.0,
        10.0,
        30.0,
        15.0,
        30.0,
        15.0,
        45.0,
        55.0,
        45.0,
        55.0,
        8.0,
        20.0,
        8.0,
    )
    before = Instances((60, 80), np.array([0]), np.array([[10, 5, 60, 50]]), (Polygons(60, 80, (hook,)),))
    cut = after(before, Motion.crop((60, 80), (0, 0, 50, 40)))
    np.testing.assert_array_equal(cut.boxes, [[10, 5, 50, 40]])
    upper = after(before, Motion.crop((60, 80), (0, 0, 50, 25)))
    np.testing.assert_array_equal(upper.boxes, [[20, 5, 50, 8]])
    lower = after(before, Motion.crop((60, 80), (0, 20, 50, 40)))
    np.testing.assert_array_equal(lower.boxes, [[10, 10, 15, 20]])
    np.testing.assert_array_equal(cut.dense_masks()[0], Polygons(60, 80, (hook,)).dense()[:40, :50])


def test_what_an_outline_says_beyond_the_border_never_comes_into_view() -> None:
    ring = (50.0, 10.0, 90.0, 10.0, 90.0, 20.0, 50.0, 20.0)
    before = Instances(SIZE, np.array([0]), np.array([[50, 10, 60, 20]]), (Polygons(*SIZE, (ring,)),))
    wider = after(before, Motion.crop(SIZE, (0, 0, 100, 40)))
    np.testing.assert_array_equal(wider.boxes, [[50, 10, 60, 20]])
    assert wider.dense_masks().sum() == 100


def test_a_mask_without_area_leaves_the_box_to_count() -> None:
    flat = (10.0, 10.0, 20.0, 10.0, 30.0, 10.0)
    for mask in (Polygons(*SIZE, (flat,)), Rle.of(np.zeros(SIZE, dtype=bool))):
        before = Instances(SIZE, np.array([0]), np.array([[10, 8, 30, 12]]), (mask,))
        np.testing.assert_array_equal(after(before, Motion.flip(SIZE)).boxes, [[30, 8, 50, 12]])


def test_keypoints_lie_at_pixel_centres_and_fade_outside() -> None:
    points = np.array([[[2, 3, 2], [50, 3, 1], [0, 0, 0]]], dtype=np.float32)
    before = replace(marked("boxes").take([0]), keypoints=points)
    mirrored = flipped(Annotation(instances=before), SIZE, keypoint_pairs=((0, 1),)).instances
    assert mirrored is not None
    np.testing.assert_array_equal(mirrored.keypoints, [[[9, 3, 1], [57, 3, 2], [0, 0, 0]]])
    cut = cropped(Annotation(instances=before), SIZE, (1, 1, 40, 40)).instances
    assert cut is not None
    np.testing.assert_array_equal(cut.keypoints, [[[1, 2, 2], [0, 0, 0], [0, 0, 0]]])


def test_amodal_boxes_may_leave_the_picture_and_amodal_masks_are_cut() -> None:
    whole = np.zeros(SIZE, dtype=bool)
    whole[0:10, 0:20] = True
    before = replace(
        marked("rle").take([0]), amodal_boxes=np.array([[-5, 0, 20, 10]], np.float32), amodal_masks=(Rle.of(whole),)
    )
    cut = after(before, Motion.crop(SIZE, (4, 4, 30, 30)))
    np.testing.assert_array_equal(cut.amodal_boxes, [[-9, -4, 16, 6]])
    assert cut.amodal_masks is not None
    assert cut.amodal_masks[0] == Rle.of(whole[4:30, 4:30])


def test_semantic_maps_move_and_new_pixels_are_ignored() -> None:
    ids = painted().astype(np.int64)
    ids[0, 0] = -1
    annotation = Annotation(semantic=SemanticMap.of(ids))
    mirrored, shifted = flipped(annotation, SIZE), cropped(annotation, SIZE, (-2, 0, 30, 45))
    assert mirrored.semantic is not None
    assert shifted.semantic is not None
    np.testing.assert_array_equal(mirrored.semantic.dense(), ids[:, ::-1])
    expected = np.full((45, 32), -1)
    expected[:40, 2:] = ids[:, :30]
    np.testing.assert_array_equal(shifted.semantic.dense(), expected)


def test_flags_confidences_and_whole_picture_labels_are_kept() -> None:
    before = replace(
        marked("boxes"),
        crowd=np.array([False, True, False, False]),
        truncated=np.array([False, False, True, False]),
        confidences=np.array([0.1, 0.2, 0.3, 0.4], np.float32),
    )
    cut = cropped(Annotation(class_id=1, caption="x", attributes={"a": 1}, instances=before), SIZE, (15, 0, 60, 40))
    assert (cut.class_id, cut.caption, dict(cut.attributes)) == (1, "x", {"a": 1})
    assert cut.instances is not None
    assert cut.instances.class_ids.tolist() == [1, 2]
    assert cut.instances.is_crowd.tolist() == [True, False]
    assert cut.instances.is_truncated.tolist() == [False, True]
    np.testing.assert_allclose(cut.instances.confidences, [0.2, 0.3])  # type: ignore[arg-type]


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("height", "width"), [(20, 20), (40, 31), (90, 33), (37, 120)])
def test_prepared_samples_have_their_objects_where_the_picture_shows_them(fit: str, height: int, width: int) -> None:
    spec = ImageSpec(height, width, 3, fit)  # type: ignore[arg-type]
    for number in range(4):
        canvas = ((painted() == number + 1) * 255).astype(np.uint8)
        annotation = Annotation(
            instances=marked("polygons").take([number]), semantic=SemanticMap.of((canvas > 0).astype(int))
        )
        made = prepared(Sample("s", annotation, image=canvas[..., None]), spec)
        assert made.pixels().shape == spec.shape
        shown = made.pixels()[..., 0] > 127
        assert made.annotation is not None
        instances, semantic = made.annotation.instances, made.annotation.semantic
        assert instances is not None
        assert semantic is not None
        if not shown.any():
            assert not len(instances) or instances.boxes.size
            continue
        inside = semantic.dense() >= 0
        np.testing.assert_allclose(instances.boxes[0], extents(shown & inside), atol=1.01)
        rim = 2 * sum(np.ptp(np.reshape(extents(shown), (2, 2)), axis=0))
        assert ((semantic.dense() == 1) != shown)[inside].sum() <= 0.5 * rim + 2
        assert inside.all() or fit == "pad"


def test_a_sample_of_the_right_size_is_left_as_it_is() -> None:
    sample = Sample("s", Annotation(class_id=0), image=painted()[..., None])
    assert prepared(sample, ImageSpec(*SIZE, 1)) is sample
    grown = prepared(replace(sample, annotation=None), ImageSpec(80, 120, 1))
    assert grown.pixels().shape == (80, 120, 1)


def test_clipping_a_triangle_by_hand() -> None:
    """The right half of (0, 0), (8, 0), (8, 8) in a picture of 8 × 4 has 16 of its 32 − 8 pixels above y = 4."""
    triangle = np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 8.0]])
    assert enclosed(clipped(triangle, (4, 8))) == pytest.approx(24)
    assert enclosed(clipped(triangle - [4, 0], (8, 8))) == pytest.approx(24)
    assert enclosed(clipped(triangle + 1, (20, 20))) == pytest.approx(32)
    assert len(clipped(triangle + 30, (8, 8))) == 0


def test_bad_arguments_are_told() -> None:
    annotation = Annotation(instances=marked("boxes"))
    with pytest.raises(ValueError, match="expected objects of a picture of"):
        flipped(annotation, (41, 60))
    with pytest.raises(ValueError, match="min_visible"):
        cropped(annotation, SIZE, (0, 0, 9, 9), min_visible=1.5)
    with pytest.raises(ValueError, match="invertible"):
        warped(annotation, np.zeros((2, 3)), SIZE, SIZE)
    with pytest.raises(ValueError, match="horizon"):
        warped(annotation, np.array([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1.0]]), SIZE, SIZE)


def test_visible_fractions_fall_with_what_a_crop_leaves() -> None:
    boxes = np.array([[0, 0, 20, 10], [30, 20, 40, 30]])
    stated = with_column(Instances(SIZE, np.array([0, 1]), boxes), "visible_fraction", (0.8, 0.4))
    found = cropped(Annotation(instances=stated), SIZE, (10, 0, 60, 40)).instances
    assert found is not None
    assert found.is_truncated.tolist() == [True, False]
    np.testing.assert_allclose(found.visible_fractions, [0.4, 0.4])
