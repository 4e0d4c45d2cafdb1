from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.errors import DatasetFormatError
from twinset.masks import Polygons, Rle
from twinset.run_lengths import covered
from twinset.semantic import SemanticMap


@st.composite
def bool_masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    return np.array(bits, dtype=np.bool_).reshape(height, width)


@given(bool_masks())
@settings(max_examples=60, deadline=None)
def test_run_lengths_hold_every_pixel(mask: np.ndarray) -> None:
    rle = Rle.of(mask)
    np.testing.assert_array_equal(rle.dense(), mask)
    assert rle.area == mask.sum()
    assert Rle.of_runs(*mask.shape, rle.runs()) == rle
    if mask.any():
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert rle.box() == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_runs_go_down_the_columns_and_begin_with_background() -> None:
    assert Rle.of(np.array([[True, False], [True, True]])).runs() == [0, 2, 1, 1]
    assert Rle.of(np.array([[False, True], [False, False]])).runs() == [2, 1, 1]


@pytest.mark.parametrize("runs", [[3], [2, 3], [-1, 5], [4, 1], ["4"]])
def test_runs_that_do_not_cover_the_picture_are_refused(runs: list[int]) -> None:
    with pytest.raises(DatasetFormatError, match="expected run lengths"):
        Rle.of_runs(2, 2, runs)


@pytest.mark.parametrize("counts", [b"3", b"~~~~~~~~", b"", b"0" * 50, b"oooooooooooo", bytes([200, 3])])
def test_hostile_packed_runs_are_refused_before_anything_is_written(counts: bytes) -> None:
    with pytest.raises(DatasetFormatError, match="expected run lengths"):
        Rle(2, 2, counts).dense()


def test_a_polygon_on_pixel_borders_has_just_these_pixels() -> None:
    square = Polygons(10, 12, ((2.0, 3.0, 6.0, 3.0, 6.0, 8.0, 2.0, 8.0),))
    wanted = np.zeros((10, 12), dtype=bool)
    wanted[3:8, 2:6] = True
    np.testing.assert_array_equal(square.dense(), wanted)
    assert square.area == 20
    assert square.box() == (2.0, 3.0, 6.0, 8.0)


def test_parts_of_an_object_are_joined() -> None:
    parts = Polygons(8, 8, ((0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0), (5.0, 5.0, 8.0, 5.0, 8.0, 8.0, 5.0, 8.0)))
    assert parts.area == 4 + 9


def test_outlines_far_outside_do_not_take_the_machine_down() -> None:
    huge = Polygons(8, 8, ((-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9),))
    assert huge.area == 64


@pytest.mark.parametrize("ring", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0, 2.0), (0.0, 0.0, 1.0, 1.0, np.nan, 2.0)])
def test_outlines_without_an_area_are_refused(ring: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Polygons(4, 4, (ring,))


def test_semantic_maps_hold_every_class_and_what_is_to_be_ignored() -> None:
    classes = np.arange(-1, 255).reshape(16, 16)
    np.testing.assert_array_equal(SemanticMap.of(classes).dense(), classes)
    with pytest.raises(ValueError, match="expected class ids"):
        SemanticMap.of(np.array([[255]]))
    with pytest.raises(DatasetFormatError):
        SemanticMap(b"no picture").dense()


def test_what_many_texts_cover_is_what_each_covers() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random(shape) < share for shape in ((1, 1), (7, 3), (40, 60)) for share in (0.0, 0.02, 0.5, 1.0)]
    texts = [Rle.of(mask).counts for mask in masks]
    assert covered(texts).tolist() == [mask.size for mask in masks]
    assert [covered([text]).tolist() for text in texts] == [[mask.size] for mask in masks]


@pytest.mark.parametrize("text", [b"", b"\xff", b"o", b"ooooooooooooooooo1", b"O0"])
def test_damaged_texts_cover_nothing_and_spoil_no_others(text: bytes) -> None:
    assert covered([b"22", text, b"13"]).tolist() == [4, -1, 4]


def test_a_part_of_a_mask_has_the_runs_of_the_whole() -> None:
    draws = np.random.default_rng(0)
    for _ in range(60):
        height, width = draws.integers(1, 9, 2)
        top, left = draws.integers(0, height), draws.integers(0, width)
        part = draws.random((draws.integers(1, height - top + 1), draws.integers(1, width - left + 1))) < 0.6
        whole = np.zeros((height, width), dtype=bool)
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        assert Rle.of_part(part, (int(top), int(left)), (int(height), int(width))) == Rle.of(whole)


def test_a_part_outside_its_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a part inside"):
        Rle.of_part(np.ones((2, 2), dtype=bool), (3, 0), (4, 4))
