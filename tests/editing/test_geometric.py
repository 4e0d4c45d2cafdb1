from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydantic
import pytest

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.editing.geometric import Geometric
from twinset.masks import Rle
from twinset.methods import settings_of
from twinset.randomness import Stream
from twinset.stages import Editor

SIZE = (48, 64)
STILL = Geometric(rotate_degrees=0, scale_low=1, scale_high=1, shear_degrees=0, translate=0)
STRONG = Geometric(
    flip=True, flip_vertical=True, rotate_degrees=60, scale_low=0.7, shear_degrees=15, perspective=0.1, min_visible=0
)


def scene() -> Sample:
    """A red ellipse, a green bar and a blue triangle on black; masks, and the class of every pixel."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    shapes = [((x - 20) / 11) ** 2 + ((y - 14) / 8) ** 2 < 1, (x > 40) & (x < 60) & (y > 8) & (y < 14)]
    shapes.append((y > 28) & (x > 20) & (x + y < 85))
    pixels = np.zeros((*SIZE, 3), dtype=np.uint8)
    ids = np.zeros(SIZE, dtype=int)
    for channel, shape in enumerate(shapes):
        pixels[shape, channel] = 255
        ids[shape] = channel + 1
    masks = tuple(Rle.of(shape) for shape in shapes)
    boxes = np.array([mask.box() for mask in masks])
    instances = Instances(SIZE, np.arange(3), boxes, masks)
    return Sample("scene", Annotation(class_id=2, instances=instances, semantic=SemanticMap.of(ids)), image=pixels)


def of(sample: Sample) -> tuple[Instances, SemanticMap]:
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    assert sample.annotation.semantic is not None
    return sample.annotation.instances, sample.annotation.semantic


@pytest.mark.parametrize("seed", range(15))
def test_masks_boxes_and_map_are_where_the_colours_are(seed: int) -> None:
    edited = STRONG.edit(scene(), rng=Stream(seed))
    instances, semantic = of(edited)
    ids = semantic.dense()
    colours = edited.pixels().astype(int)
    fill = scene().pixels().mean((0, 1))
    known = ids >= 0
    for row, channel in enumerate(instances.class_ids.tolist()):
        mask = instances.dense_masks()[row]
        rim = 2 * float((instances.boxes[row, 2:] - instances.boxes[row, :2]).sum())
        seen = colours[..., channel] > (255 + fill[channel] * ~known) / 2
        assert (seen != mask).sum() <= 0.35 * rim + 4
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        np.testing.assert_array_equal(instances.boxes[row], [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        np.testing.assert_array_equal(mask, ids == channel + 1)
    assert np.abs(colours[ids == -1] - fill).mean() < 12


def test_settings_of_zero_change_nothing() -> None:
    edited = STILL.edit(scene(), rng=Stream(3))
    np.testing.assert_array_equal(edited.pixels(), scene().pixels())
    assert of(edited) == of(scene())


def test_a_flip_is_exact_and_happens_half_of_the_time() -> None:
    seen = set()
    flips = 0
    for seed in range(60):
        edited = replace(STILL, flip=True).edit(scene(), rng=Stream(seed))
        mirrored = not np.array_equal(edited.pixels(), scene().pixels())
        flips += mirrored
        expected = scene().pixels()[:, ::-1] if mirrored else scene().pixels()
        np.testing.assert_array_equal(edited.pixels(), expected)
        np.testing.assert_array_equal(of(edited)[0].dense_masks()[0], expected[..., 0] > 0)
        seen.add(mirrored)
    assert seen == {True, False}
    assert 15 <= flips <= 45
    assert np.array_equal(
        replace(STILL, flip_vertical=True).edit(scene(), rng=Stream(1)).pixels(), scene().pixels()[::-1]
    ) or np.array_equal(replace(STILL, flip_vertical=True).edit(scene(), rng=Stream(1)).pixels(), scene().pixels())


def test_keypoints_change_sides_when_mirrored_and_only_then() -> None:
    instances = replace(of(scene())[0].take([0]), keypoints=np.array([[[10, 9, 2], [30, 12, 1]]], np.float32))
    sample = Sample("k", Annotation(instances=instances), image=scene().pixels())
    for seed in range(12):
        edited = replace(STILL, flip=True, keypoint_pairs=((0, 1),)).edit(sample, rng=Stream(seed))
        mirrored = not np.array_equal(edited.pixels(), sample.pixels())
        assert edited.annotation is not None
        assert edited.annotation.instances is not None
        expected = [[[33, 12, 1], [53, 9, 2]]] if mirrored else [[[10, 9, 2], [30, 12, 1]]]
        np.testing.assert_array_equal(edited.annotation.instances.keypoints, expected)


@pytest.mark.parametrize("name", ["rotate_degrees", "shear_degrees", "translate"])
def test_draws_stay_within_their_ranges(name: str) -> None:
    limit = {"rotate_degrees": 20.0, "shear_degrees": 10.0, "translate": 0.1}[name]
    only = replace(STILL, **{name: limit})  # type: ignore[arg-type]
    found = []
    for seed in range(100):
        matrix = only.draw(SIZE, Stream(seed))[0].matrix
        turn = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
        shear = np.degrees(np.arctan(matrix[0, 1]))
        centre = matrix @ [SIZE[1] / 2, SIZE[0] / 2, 1]
        found.append({"rotate_degrees": turn, "shear_degrees": shear, "translate": centre[0] / SIZE[1] - 0.5}[name])
    assert np.abs(found).max() <= limit + 1e-9
    assert max(found) > 0.7 * limit
    assert min(found) < -0.7 * limit


def test_the_centre_stays_and_the_scale_is_as_likely_to_shrink_as_to_grow() -> None:
    only = replace(STILL, scale_low=0.5, scale_high=2.0)
    motions = [only.draw(SIZE, Stream(seed))[0] for seed in range(300)]
    scales = np.array([motion.matrix[0, 0] for motion in motions])
    assert scales.min() >= 0.5
    assert scales.max() <= 2
    assert abs(np.log(scales).mean()) < 0.1
    np.testing.assert_allclose(motions[0].points(np.array([[32.0, 24.0]])), [[32, 24]])


def test_objects_that_are_mostly_cut_off_go() -> None:
    wandering = replace(STILL, translate=0.9)
    counts: dict[float, int] = {}
    for least in (0.0, 0.5, 1.0):
        edits = [replace(wandering, min_visible=least).edit(scene(), rng=Stream(seed)) for seed in range(30)]
        counts[least] = sum(len(of(edit)[0]) for edit in edits)
        if least == 1.0:
            assert not any(of(edit)[0].is_truncated.any() for edit in edits)
    assert counts[0.0] > counts[0.5] > counts[1.0] > 0


def test_a_repeated_border_leaves_no_fill() -> None:
    white = replace(scene(), image=np.full((*SIZE, 3), 200, np.uint8))
    for fill in ("edge", "mean"):
        edited = replace(STRONG, fill=fill).edit(white, rng=Stream(2))  # type: ignore[arg-type]
        assert (edited.pixels() == 200).all()
    lit = scene().pixels().copy()
    lit[:, 0], lit[:, -1] = 255, 255
    pushed = replace(STILL, translate=0.5, fill="edge").edit(replace(scene(), image=lit), rng=Stream(5)).pixels()
    assert (pushed[:, 0] == 255).all() or (pushed[:, -1] == 255).all()


def test_a_class_alone_is_kept_and_the_parent_recorded() -> None:
    plain = Sample("p", Annotation(class_id=1), image=scene().pixels()[..., :1])
    edited = STRONG.edit(plain, rng=Stream(4))
    assert edited.annotation == plain.annotation
    assert edited.pixels().shape == (*SIZE, 1)
    assert (edited.origin.method, edited.origin.seed, edited.origin.parents) == ("geometric", 4, ("p",))
    assert isinstance(STRONG, Editor)
    assert Dataset.of([edited, STRONG.edit(replace(scene(), id="q"), rng=Stream(1))], classes=["a", "b", "c"]).digest()


def test_equal_streams_give_equal_edits() -> None:
    first, again, other = (STRONG.edit(scene(), rng=Stream(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pixels(), again.pixels())
    assert first.annotation == again.annotation
    assert not np.array_equal(first.pixels(), other.pixels())


def test_settings_can_be_written_down_and_bad_ones_are_refused() -> None:
    assert settings_of(Geometric(flip=True))["flip"] is True
    written = settings_of(replace(STRONG, keypoint_pairs=((0, 1),)))
    assert pydantic.TypeAdapter(Geometric).validate_python(written) == replace(STRONG, keypoint_pairs=((0, 1),))
    wrong: list[dict[str, float]] = [
        {"scale_low": 0},
        {"scale_low": 2, "scale_high": 1},
        {"rotate_degrees": -1},
        {"perspective": 0.5},
        {"min_visible": 2},
    ]
    for values in wrong:
        with pytest.raises(ValueError, match="expected"):
            Geometric(**values)  # type: ignore[arg-type]
