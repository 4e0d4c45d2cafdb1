from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Sample
from twinset.drawing import MASK_SHARE, SEMANTIC_SHARE, class_colour, overlay, overlay_small, printable
from twinset.masks import Polygons, Rle

SIZE = (60, 90)
GREY = np.full((*SIZE, 3), 90, dtype=np.uint8)


def objects() -> Instances:
    """A box with a masked ellipse, and one that lies across two pixels on each side."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    mask = ((x - 30) / 12) ** 2 + ((y - 35) / 10) ** 2 < 1
    return Instances(
        SIZE, np.array([0, 3]), np.array([Rle.of(mask).box(), (60.5, 20.25, 80.5, 50.75)]), (Rle.of(mask), None)
    )


def frame(left: int, top: int, right: int, bottom: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    ring = np.zeros(SIZE, dtype=np.bool_)
    ring[top:bottom, left:right] = True
    ring[top + width : bottom - width, left + width : right - width] = False
    return ring


def changed(
    drawn: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return np.asarray((drawn != 90).any(2))


@pytest.mark.parametrize("width", [1, 3])
def test_only_the_frames_inside_the_boxes_are_drawn(width: int) -> None:
    drawn = overlay(GREY, Annotation(instances=objects()), ["a"] * 4, line=width, masks=False, labels=False)
    first = tuple(int(value) for value in objects().boxes[0])
    one, two = frame(*first, width), frame(60, 20, 81, 51, width)  # type: ignore[call-arg]
    np.testing.assert_array_equal(changed(drawn), one | two)
    assert (drawn[one] == class_colour(0)).all()
    assert (drawn[two] == class_colour(3)).all()
    assert (GREY == 90).all()


@pytest.mark.parametrize("outlines", [False, True])
def test_masks_are_a_share_of_the_colour_on_their_pixels_only(outlines: bool) -> None:
    ring = (20.0, 20.0, 50.0, 20.0, 50.0, 45.0, 20.0, 45.0)
    instances = objects().take([0])
    if outlines:
        instances = replace(instances, masks=(Polygons(*SIZE, (ring,)),), boxes=np.array([[20, 20, 50, 45]]))
    drawn = overlay(GREY, Annotation(instances=instances), ["a"], line=1, labels=False)
    box = tuple(int(value) for value in instances.boxes[0])
    mask = instances.dense_masks()[0]
    np.testing.assert_array_equal(changed(drawn), mask | frame(*box, 1))  # type: ignore[call-arg]
    expected = np.rint(90 * (1 - MASK_SHARE) + MASK_SHARE * np.array(class_colour(0)))
    assert (drawn[35, 30] == expected).all()


def test_a_semantic_map_colours_all_but_the_ignored() -> None:
    ids = np.zeros(SIZE, dtype=int)
    ids[:, 40:] = 7
    ids[50:] = -1
    drawn = overlay(GREY, Annotation(semantic=SemanticMap.of(ids)), [str(c) for c in range(8)])
    np.testing.assert_array_equal(changed(drawn), ids >= 0)
    for class_id, x in ((0, 5), (7, 60)):
        expected = np.rint(90 * (1 - SEMANTIC_SHARE) + SEMANTIC_SHARE * np.array(class_colour(class_id)))
        assert (drawn[10, x] == expected).all()
    same = overlay(GREY, Annotation(semantic=SemanticMap.of(ids)), ["x"] * 8, masks=False)
    np.testing.assert_array_equal(same, GREY)
    nothing = overlay(GREY, Annotation(semantic=SemanticMap.of(np.full(SIZE, -1))), [])
    np.testing.assert_array_equal(nothing, GREY)


def test_a_name_stands_above_its_box_and_at_the_border_inside() -> None:
    low = Instances(SIZE, np.array([0]), np.array([[10, 40, 50, 58]]))
    high = Instances(SIZE, np.array([0]), np.array([[70, 2, 90, 40]]))
    for instances in (low, high):
        annotation = Annotation(instances=instances)
        plain = overlay(GREY, annotation, ["cell"], line=1, labels=False)
        named = overlay(GREY, annotation, ["cell"], line=1)
        rows, columns = np.nonzero((plain != named).any(2))
        x1, y1 = instances.boxes[0, :2]
        above = y1 > 20
        assert (rows.max() < y1) if above else (rows.min() >= y1)
        assert y1 - rows.min() < 20
        assert columns.max() < SIZE[1]
        assert columns.min() >= min(x1, 50)
        assert (named[rows, columns] == class_colour(0)).all(1).mean() > 0.4
    longer = overlay(GREY, Annotation(instances=replace(low, confidences=np.array([0.93], np.float32))), ["cell"])
    assert changed(longer).sum() > changed(overlay(GREY, Annotation(instances=low), ["cell"])).sum()


def test_names_that_the_font_lacks_are_escaped_and_classes_without_name_are_numbers() -> None:
    assert printable("RBC") == "RBC"
    assert printable("größe") == "gro\\xdfe"
    assert printable("细胞") == "\\u7ec6\\u80de"
    assert printable("a\nb") == "a\\x0ab"
    annotation = Annotation(instances=objects())
    foreign = overlay(GREY, annotation, ["细胞"] * 4)
    np.testing.assert_array_equal(foreign, overlay(GREY, annotation, ["\\u7ec6\\u80de"] * 4))
    np.testing.assert_array_equal(overlay(GREY, annotation, ["a"]), overlay(GREY, annotation, ["a", "x", "x", "3"]))
    long = overlay(GREY, annotation, ["n" * 500] * 4)
    assert long.shape == GREY.shape


def test_small_objects_are_drawn_over_large_ones() -> None:
    boxes = np.array([[30, 20, 40, 30], [10, 20, 60, 50]])
    annotation = Annotation(instances=Instances(SIZE, np.array([0, 1]), boxes))
    drawn = overlay(GREY, annotation, ["a", "b"], line=1, labels=False)
    assert (drawn[20, 35] == class_colour(0)).all()


def test_lines_grow_with_the_picture() -> None:
    def width(side: int) -> int:
        large = Instances((side, side), np.array([0]), np.array([[0, 0, side, side]]))
        drawn = overlay(np.zeros((side, side, 1), np.uint8), Annotation(instances=large), ["a"], labels=False)
        return int(drawn[side // 2].any(1).sum()) // 2

    assert (width(64), width(640), width(1600)) == (1, 2, 5)


def test_colours_differ_from_class_to_class() -> None:
    """As seen: in CIE L*a*b*, of which a just noticeable difference is about 2."""
    import cv2

    palette = np.array([[class_colour(class_id) for class_id in range(24)]], dtype=np.float32) / 255
    seen = cv2.cvtColor(palette, cv2.COLOR_RGB2LAB)[0]
    gaps = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 1000 * np.eye(24)
    assert gaps.min() > 22


def test_thumbnails_keep_the_aspect_and_their_boxes() -> None:
    sample = Sample("s", Annotation(instances=objects()), image=GREY)
    small = overlay_small(sample, ["a"] * 4, 45)
    assert small.shape == (30, 45, 3)
    assert (small[10:26, 30] == class_colour(3)).all()
    assert (small[5, 5] == 90).all()
    assert overlay_small(replace(sample, annotation=None), [], 9).shape == (6, 9, 3)


def test_an_annotation_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an annotation of a picture of"):
        overlay(GREY[:-1], Annotation(instances=objects()), ["a"])
    with pytest.raises(ValueError, match="expected a semantic map of"):
        overlay(GREY[:-1], Annotation(semantic=SemanticMap.of(np.zeros(SIZE, dtype=int))), ["a"])
    with pytest.raises(ValueError, match="line"):
        overlay(GREY, None, [], line=0)
