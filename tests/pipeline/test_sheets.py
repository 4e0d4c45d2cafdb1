"""Contact sheets: every picture is there, plain and labelled, under its heading; names of classes are data."""

from __future__ import annotations

import numpy as np

from twinset.annotations import Annotation
from twinset.dataset import Sample
from twinset.drawing import class_colour
from twinset.images import Pixels
from twinset.instances import Instances
from twinset.pipeline.sheets import GAP, LINE, SIDE, Row, sheet


def sample(
    colour: tuple[int, int, int], size: tuple[int, int] = (150, 300), *, boxes: int = 1, side: int = 100
) -> Sample:
    pixels = np.full((*size, 3), colour, dtype=np.uint8)
    corners = np.array([[10, 10, 10 + side, 10 + side]] * boxes, dtype=np.float32).reshape(-1, 4)
    objects = Instances(size=size, class_ids=np.arange(boxes), boxes=corners)
    return Sample(id="000000-0", image=pixels, annotation=Annotation(instances=objects))


def count(pixels: Pixels, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(-1).sum())


def test_a_marked_picture_stands_beside_the_plain_one() -> None:
    found = sheet([Row("render", (sample((7, 77, 177)),), ("#0",))], ("car",), colours=False)
    assert found.shape == (GAP + LINE + 150 + LINE + GAP, 2 * SIDE + 2 + 2 * GAP, 3)
    left, right = found[:, : GAP + SIDE], found[:, GAP + SIDE + 2 :]
    assert count(left, (7, 77, 177)) == 150 * 300
    assert count(left, class_colour(0)) == 0
    assert count(right, class_colour(0)) > 4 * 95  # the frame, and the plate of the name


def test_a_picture_of_a_class_stands_alone_and_few_pixels_are_not_blurred() -> None:
    pixels = np.zeros((8, 8, 1), dtype=np.uint8)
    pixels[::2] = 255
    one = Sample(id="000000-0", image=pixels, annotation=Annotation(class_id=0))
    found = sheet([Row("copies", (one, one), ("#0: a", "#1: a"))], ("a",), colours=False)
    assert found.shape[1] == 2 * (37 * 8 + GAP) + GAP
    tile = found[GAP + LINE : GAP + LINE + 37 * 8, GAP : GAP + 37 * 8]
    assert np.unique(tile).tolist() == [0, 255]


def test_names_stand_on_large_boxes_only() -> None:
    def marked(side: int) -> int:
        other = sheet([Row("r", (sample((0, 0, 0), side=side),), ("",))], ("a long name of a class",), colours=False)
        return count(other[GAP + LINE :, GAP + SIDE + 2 :], class_colour(0))

    assert marked(30) <= 4 * 30
    assert marked(60) > 4 * 60 + 500


def test_colours_of_all_classes_stand_above_as_many_to_a_line_as_fit() -> None:
    names = tuple(f"class {k}" for k in range(60))
    found = sheet([Row("r", (sample((1, 2, 3)),), ("",))], names, colours=True)
    plain = sheet([Row("r", (sample((1, 2, 3)),), ("",))], names, colours=False)
    high = len(found) - len(plain)
    assert high % LINE == 0
    legend = found[: GAP + high]
    assert len(legend) > LINE
    assert all(count(legend, class_colour(k)) >= 100 for k in range(40))


def test_hostile_names_are_drawn_and_nothing_more() -> None:
    names = ("\x1b[2J\n\0" * 400, "<script>", "细胞", "")
    rows = [Row("\n" * 2000, (sample((1, 2, 3), boxes=4),), ("x" * 9999,)), Row("empty", (), ())]
    found = sheet(rows, names, colours=True)
    assert found.shape[0] < 400
    assert found.shape[1] == 2 * SIDE + 2 + 2 * GAP


def test_pictures_of_other_sizes_share_a_row() -> None:
    wide, tall = sample((1, 2, 3), (60, 300), side=40), sample((1, 2, 3), (300, 100), side=40)
    found = sheet([Row("r", (wide, tall, wide, wide), ("",) * 4)], ("a",), colours=False)
    assert found.shape[0] == GAP + LINE + (300 + LINE + GAP) + (60 + LINE + GAP)
