"""Claims in any order come back by shelf, those of a picture in theirs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.formats.mapped import mapped_kib, wants_proc

from twinset.formats import claims, spool
from twinset.formats.claims import Claims


def batch(pictures: list[int], first: int = 0, **columns: pa.Array) -> pa.RecordBatch:
    numbers = pa.array(np.arange(first, first + len(pictures)))
    return pa.record_batch({"picture": pa.array(pictures, pa.int32()), "number": numbers, **columns})


def taken(waiting: Claims, shelves: int) -> list[list[tuple[int, int]]]:
    """(picture, number) of what is on each shelf."""
    batches = [list(waiting.on(number)) for number in range(shelves)]
    return [
        [pair for one in parts for pair in zip(one["picture"].to_pylist(), one["number"].to_pylist(), strict=True)]
        for parts in batches
    ]


@pytest.mark.parametrize("held", [0, 2000, 1 << 20])
@pytest.mark.parametrize("run", [0, 700, 1 << 20])
@pytest.mark.parametrize("shuffled", [False, True])
def test_they_come_back_by_shelf_in_their_order(
    shuffled: bool, run: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RUN", run)
    monkeypatch.setattr(claims, "CHUNK", 5)
    monkeypatch.setattr(spool, "HELD", held)
    pictures = np.repeat(np.arange(20), 15)
    if shuffled:
        np.random.Generator(np.random.PCG64(0)).shuffle(pictures)
    waiting = Claims(3)
    for start in range(0, 300, 40):
        waiting.add(batch(pictures[start : start + 40].tolist(), start))
    wanted = [[(int(p), n) for n, p in enumerate(pictures) if p // 3 == shelf] for shelf in range(7)]
    assert taken(waiting, 8) == [*wanted, []]
    assert all(0 < len(one) <= 5 for shelf in range(7) for one in waiting.on(shelf))


def test_batches_of_other_columns_are_joined_and_of_other_types_kept_apart() -> None:
    waiting = Claims(2)
    waiting.add(batch([3, 0], 0))
    waiting.add(batch([0, 3], 2, area=pa.array([1.0, None])))
    waiting.add(batch([3, 3], 4))
    waiting.add(batch([0, 3], 6, area=pa.array([2, 3])))
    assert taken(waiting, 2) == [[(0, 1), (0, 2), (0, 6)], [(3, 0), (3, 3), (3, 4), (3, 5), (3, 7)]]
    assert [one["area"].to_pylist() for one in waiting.on(0)] == [[None, 1.0], [2]]
    assert [one["area"].to_pylist() for one in waiting.on(1)] == [[None] * 4, [3]]


def test_columns_that_come_and_go_make_no_further_runs() -> None:
    waiting = Claims(10)
    for number in range(100):
        waiting.add(batch([number % 10], number, **({"area": pa.array([1.0])} if number % 2 else {})))
    assert [len(one) for one in waiting.on(0)] == [100]
    assert len(waiting._runs) == 1


def test_parts_in_the_order_of_the_pictures_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RUN", 1000)
    waiting = Claims(100)
    for number in range(40):
        waiting.add(batch([number * 10] * 40, number * 40))
    assert len(waiting._runs) > 8
    assert len(taken(waiting, 4)[2]) == 400
    before = pa.total_allocated_bytes()
    parts = list(waiting._pieces(2))
    assert len(parts) > claims.FEW
    assert pa.total_allocated_bytes() == before


def test_small_neighbours_come_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RUN", 0)
    waiting = Claims(10)
    for number in range(7):
        waiting.add(batch([number], number))
    assert [len(one) for one in waiting.on(0)] == [7]
    monkeypatch.setattr(claims, "CHUNK", 3)
    assert [len(one) for one in waiting.on(0)] == [3, 3, 1]


def test_slices_keep_nothing_large_alive() -> None:
    waiting, before = Claims(1024), pa.total_allocated_bytes()
    for number in range(20):
        long = pa.array([np.ones(20_000, dtype=np.float32)] * 100)
        waiting.add(batch([number] * 100, 0, outline=long).slice(number, 2))
    assert pa.total_allocated_bytes() - before < 2 * claims.RUN + spool.HELD
    assert sum(len(one["outline"][0]) for one in waiting.on(0)) >= 20_000


def test_a_shuffled_source_takes_hardly_more_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    monkeypatch.setattr(claims, "RUN", 1 << 18)
    sizes = []
    for shuffled in (False, True):
        opened = (tmp_path / str(shuffled)).open("w+b")
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix, opened=opened: opened)
        pictures = np.repeat(np.arange(20_000), 5)
        if shuffled:
            np.random.Generator(np.random.PCG64(0)).shuffle(pictures)
        waiting = Claims(100)
        for start in range(0, len(pictures), 1000):
            waiting.add(batch(pictures[start : start + 1000].tolist(), start))
        assert len(taken(waiting, 200)[199]) == 500
        sizes.append((tmp_path / str(shuffled)).stat().st_size)
    assert sizes[1] < 1.02 * sizes[0]


@wants_proc
@pytest.mark.parametrize("shuffled", [False, True])
def test_shelves_that_were_looked_at_no_longer_count_as_memory(shuffled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    pictures = np.repeat(np.arange(400), 50)
    if shuffled:
        np.random.Generator(np.random.PCG64(0)).shuffle(pictures)
    waiting = Claims(10)
    for start in range(0, len(pictures), 500):
        outlines = pa.ListArray.from_arrays(
            np.arange(501, dtype=np.int32) * 500, pa.array(np.ones(250_000, np.float32))
        )
        waiting.add(batch(pictures[start : start + 500].tolist(), start, outline=outlines))
    before, most = mapped_kib(), 0
    for number in range(40):
        for one in waiting.on(number):
            assert one["outline"].flatten().to_numpy().sum() == 500 * len(one)
        most = max(most, mapped_kib() - before)
    assert most < 8 << 10  # of 40 MiB
