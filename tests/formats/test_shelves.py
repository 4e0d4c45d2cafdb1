"""Columns of instances as they are put at the rows of a dataset."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.mapped import mapped_kib, wants_proc

from twinset.formats.objects import Objects, Stated
from twinset.formats.shelves import Rows, placed
from twinset.instances import INSTANCES


def column(pictures: int, shelf: int) -> pa.ChunkedArray:
    """Pictures of as many objects as their number, and one more of a kind of their own each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twinset.formats.objects.SHELF", shelf)
        objects = Objects()
        for number in range(pictures):
            stated = [Stated("cat", (0, 0, 1 + one, 5), keypoints=(1, 2, 2)) for one in range(number % 4)]
            objects.picture(stated, keypoint_names=(f"k{number}",))
        sizes = {number: (20 + number, 30) for number in range(pictures)}
        _, found, _ = objects.settle(sizes, ["cat"])
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.integers(1, 5))
def test_rows_without_objects_are_null_and_the_others_in_order(there: list[bool], shelf: int) -> None:
    found = column(sum(there), shelf)
    places = np.where(there, np.cumsum(there) - 1, -1)
    got = placed(found, places)
    got.validate(full=True)
    assert got.type == INSTANCES
    assert got.to_pylist() == [found[place].as_py() if place >= 0 else None for place in places.tolist()]


def test_what_comes_in_order_is_not_copied() -> None:
    found = column(9, 2)
    assert placed(found, np.arange(9)) is found
    before = found.chunk(1).field("objects").values.field("x1").buffers()[1].address
    assert (
        placed(found, np.array([-1, *range(5), -1, *range(5, 9)]))
        .chunk(1)
        .field("objects")
        .values.field("x1")
        .buffers()[1]
        .address
        == before
    )


def test_another_order_and_a_part_are_right_too() -> None:
    found = column(5, 2)
    wanted = found.to_pylist()
    assert placed(found, np.array([3, -1, 1, 0])).to_pylist() == [wanted[3], None, wanted[1], wanted[0]]
    sliced = pa.chunked_array([chunk.slice(2) for chunk in column(8, 4).chunks], INSTANCES)
    wanted = sliced.to_pylist()
    got = placed(sliced, np.array([0, -1, 1, 2, -1, 3])).to_pylist()
    assert got == [wanted[0], None, *wanted[1:3], None, wanted[3]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=15), st.integers(1, 6), st.integers(1, 9), st.integers(0, 3))
def test_some_rows_come_in_their_order_and_as_few_as_wanted(
    chosen: list[bool], shelf: int, objects: int, gap: int
) -> None:
    found, rows = column(len(chosen), shelf), np.flatnonzero(chosen)
    places = np.concatenate([np.full(gap, -1), np.arange(len(found))])
    walked = Rows(placed(found, places), rows + gap, objects)
    for _ in range(2):
        arrays = list(walked)
        assert all(len(one) > 0 for one in arrays)
        assert all(counted(one) < objects + 3 for one in arrays)
        assert [value for one in arrays for value in one.to_pylist()] == [found[row].as_py() for row in rows.tolist()]
    whole = Rows.all_of(placed(found, places))
    assert [value for one in whole for value in one.to_pylist()] == [None] * gap + found.to_pylist()


def counted(pictures: pa.StructArray) -> int:
    return sum(0 if one is None else len(one["objects"]) for one in pictures.to_pylist())


def test_rows_side_by_side_are_not_copied() -> None:
    found = column(9, 4)
    (array,) = Rows(found, np.array([1, 2]))
    addresses = [one.field("objects").values.field("x1").buffers()[1].address for one in (array, found.chunk(0))]
    assert addresses[0] == addresses[1]


def large(monkeypatch: pytest.MonkeyPatch) -> pa.ChunkedArray:
    """20 MiB of outlines on 40 shelves, all of them on the disk."""
    monkeypatch.setattr("twinset.formats.objects.SHELF", 10)
    monkeypatch.setattr("twinset.formats.spool.HELD", 0)
    objects, ring = Objects(), tuple(np.tile([1.0, 2, 8, 3, 5, 9], 2185).tolist())
    for _ in range(400):
        objects.picture([Stated("cat", rings=(ring,))])
    _, found, _ = objects.settle(dict.fromkeys(range(400), (10, 10)), ["cat"])
    return found


def test_rows_of_a_split_are_copied_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, before = large(monkeypatch), pa.total_allocated_bytes()
    held = []
    for array in Rows(found, np.arange(0, 400, 2), objects=5):
        held.append(pa.total_allocated_bytes() - before)
        assert len(array) == 5
    assert len(held) == 40
    assert max(held) < 1 << 20


@wants_proc
def test_rows_that_were_walked_no_longer_count_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = large(monkeypatch)
    before = mapped_kib()
    most = 0
    for array in Rows.all_of(found):
        assert array.field("objects").values.field("polygons").flatten().flatten().to_numpy().sum() > 0
        most = max(most, mapped_kib() - before)
    assert 256 < most < 4 << 10
    assert mapped_kib() - before < 1 << 10
