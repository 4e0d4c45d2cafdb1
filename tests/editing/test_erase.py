from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.annotations import Annotation, DepthMap, Instances, NormalMap, SemanticMap
from twinset.dataset import Sample
from twinset.editing.erase import Erase, without
from twinset.joining import with_column
from twinset.masks import Mask, Polygons, Rle
from twinset.randomness import Stream

SIZE = (30, 50)
BOX = (10, 5, 30, 25)


def marked(kind: str = "rle") -> Instances:
    mask = np.zeros(SIZE, dtype=bool)
    mask[5:25, 10:30] = True
    ring = (10.0, 5.0, 30.0, 5.0, 30.0, 25.0, 10.0, 25.0)
    masks: dict[str, tuple[Mask, ...] | None] = {
        "rle": (Rle.of(mask),),
        "polygons": (Polygons(*SIZE, (ring,)),),
        "boxes": None,
    }
    return Instances(SIZE, np.array([1]), np.array([BOX]), masks[kind], areas=np.array([400], np.float32))


def hole(x1: int, y1: int, x2: int, y2: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    hidden = np.zeros(SIZE, dtype=np.bool_)
    hidden[y1:y2, x1:x2] = True
    return hidden


def left(kind: str, *holes: tuple[int, int, int, int], min_visible: float = 0.0) -> Instances:
    hidden = np.any([hole(*h) for h in holes], axis=0)
    found = without(Annotation(instances=marked(kind)), hidden, min_visible=min_visible).instances
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
def test_a_box_shrinks_to_what_can_be_seen(kind: str) -> None:
    side = left(kind, (0, 0, 18, 30))
    np.testing.assert_array_equal(side.boxes, [[18, 5, 30, 25]])
    np.testing.assert_allclose(side.areas, [240])  # type: ignore[arg-type]
    two = left(kind, (0, 0, 18, 15), (5, 15, 20, 30))
    np.testing.assert_array_equal(two.boxes, [[18, 5, 30, 25]])
    middle = left(kind, (15, 10, 20, 20))
    np.testing.assert_array_equal(middle.boxes, [BOX])
    np.testing.assert_allclose(middle.areas, [350])  # type: ignore[arg-type]
    if kind != "boxes":
        expected = marked("rle").dense_masks()[0] & ~hole(15, 10, 20, 20)
        np.testing.assert_array_equal(middle.dense_masks()[0], expected)


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
def test_an_object_goes_with_the_share_that_can_be_seen(kind: str) -> None:
    assert len(left(kind, (10, 5, 20, 25), min_visible=0.5)) == 1
    assert len(left(kind, (10, 5, 21, 25), min_visible=0.5)) == 0
    assert len(left(kind, (0, 0, 50, 30))) == 0
    assert len(left(kind, (40, 0, 50, 30), min_visible=1.0)) == 1


def test_boxes_between_pixels_stay_inside_themselves() -> None:
    instances = Instances(SIZE, np.array([0]), np.array([[10.5, 5.25, 20.5, 9.75]]))
    shown = without(Annotation(instances=instances), hole(0, 0, 15, 30)).instances
    assert shown is not None
    np.testing.assert_array_equal(shown.boxes, [[15, 5.25, 20.5, 9.75]])


def test_hidden_keypoints_are_labelled_but_not_visible_and_maps_ignore() -> None:
    keypoints = np.array([[[12, 7, 2], [25, 20, 2], [0, 0, 0]]], np.float32)
    annotation = Annotation(
        instances=replace(marked(), keypoints=keypoints), semantic=SemanticMap.of(np.ones(SIZE, dtype=int))
    )
    shown = without(annotation, hole(0, 0, 15, 30))
    assert shown.instances is not None
    assert shown.semantic is not None
    np.testing.assert_array_equal(shown.instances.keypoints, [[[12, 7, 1], [25, 20, 2], [0, 0, 0]]])
    np.testing.assert_array_equal(shown.semantic.dense() == -1, hole(0, 0, 15, 30))


def sample(kind: str = "rle") -> Sample:
    pixels = np.full((*SIZE, 3), 200, np.uint8)
    pixels[5:25, 10:30] = (255, 0, 0)
    return Sample("s", Annotation(instances=marked(kind)), image=pixels)


@pytest.mark.parametrize("target", ["picture", "objects"])
def test_the_mask_is_what_is_still_red(target: str) -> None:
    method = Erase(target=target, holes=3, side_high=0.6, min_visible=0.0)  # type: ignore[arg-type]
    changed = 0
    for seed in range(30):
        edited = method.edit(sample(), rng=Stream(seed))
        assert edited.annotation is not None
        shown = edited.annotation.instances
        assert shown is not None
        red = (edited.pixels() == (255, 0, 0)).all(2)
        if len(shown):
            np.testing.assert_array_equal(shown.dense_masks()[0], red)
        else:
            assert not red.any()
        erased = (edited.pixels() != sample().pixels()).any(2)
        assert erased.any()
        if target == "objects":
            assert not erased[~hole(*BOX)].any()
        changed += int(erased.sum())
        assert edited.origin.parents == ("s",)
    assert changed


def test_a_class_alone_is_kept_and_pictures_without_objects_stay_with_target_objects() -> None:
    plain = Sample("p", Annotation(class_id=1), image=sample().pixels())
    assert Erase().edit(plain, rng=Stream(0)).annotation == plain.annotation
    same = Erase(target="objects").edit(plain, rng=Stream(0))
    np.testing.assert_array_equal(same.pixels(), plain.pixels())
    empty = replace(plain, annotation=Annotation(instances=Instances.none(SIZE)))
    erased = Erase().edit(empty, rng=Stream(0)).annotation
    assert erased is not None
    assert erased.instances == Instances.none(SIZE)


def test_equal_streams_give_equal_edits_and_bad_settings_are_refused() -> None:
    first, again, other = (Erase().edit(sample(), rng=Stream(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pixels(), again.pixels())
    assert first.annotation == again.annotation
    assert not np.array_equal(first.pixels(), other.pixels())
    for wrong in (lambda: Erase(side_low=0), lambda: Erase(holes=0), lambda: Erase(side_low=0.5, side_high=0.4)):
        with pytest.raises(ValueError, match="expected"):
            wrong()


@pytest.mark.parametrize("kind", ["rle", "boxes"])
def test_visible_fractions_fall_and_geometry_says_nothing_where_it_is_painted(kind: str) -> None:
    normals = np.zeros((*SIZE, 3))
    normals[..., 2] = -1
    annotation = Annotation(
        instances=with_column(marked(kind), "visible_fraction", (0.5,)),
        depth_metres=DepthMap.of(np.full(SIZE, 2.0, dtype=np.float32)),
        normals=NormalMap.of(normals),
    )
    hidden = hole(10, 5, 15, 25)
    found = without(annotation, hidden)
    assert found.instances is not None
    assert found.instances.visible_fractions.tolist() == [0.5 * 0.75]
    assert found.depth_metres is not None
    assert found.normals is not None
    np.testing.assert_array_equal(np.isinf(found.depth_metres.dense()), hidden)
    np.testing.assert_array_equal((found.normals.dense() == 0).all(2), hidden)
