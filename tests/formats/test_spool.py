"""Record batches in memory and in a file come back as they went in."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.formats.mapped import mapped_kib, wants_proc

from twinset.errors import DataError
from twinset.formats import spool
from twinset.formats.spool import Spool, release


def batch(number: int, rows: int = 5) -> pa.RecordBatch:
    labels = pa.array(["cat", None, f"dog {number}"] * rows).dictionary_encode()
    return pa.record_batch({"number": pa.array(np.arange(3 * rows) + number), "label": labels})


@pytest.mark.parametrize("held", [0, 400, 1 << 20])
def test_batches_come_back_in_order_from_memory_and_file(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", held)
    waiting = Spool()
    for number in range(12):
        waiting.add(batch(number))
    assert list(waiting.taken()) == [batch(number) for number in range(12)]
    assert not list(waiting.taken())
    waiting.add(batch(7))
    assert list(waiting.taken()) == [batch(7)]


def test_batches_of_other_columns_and_slices_of_larger_ones_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    sent = [batch(1).slice(4, 3), pa.record_batch({"x": pa.array([[1.0], None, []])}), batch(2).slice(0, 0)]
    waiting = Spool()
    for one in sent:
        waiting.add(one)
    assert list(waiting.taken()) == sent


@pytest.mark.parametrize("sliced", [False, True])
def test_no_more_is_held_than_the_bound(sliced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 1 << 16)
    waiting, before = Spool(), pa.total_allocated_bytes()
    for number in range(200):
        waiting.add(batch(number, 300).slice(5, 3) if sliced else batch(number, 300))
    assert pa.total_allocated_bytes() - before < 1 << 16
    assert sum(map(len, waiting.taken())) == 200 * (3 if sliced else 900)


def test_room_in_memory_that_was_given_back_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", batch(0).get_total_buffer_size())
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: pytest.fail("went to the disk"))
    waiting = Spool()
    for number in range(3):
        waiting.add(batch(number))
        assert list(waiting.taken()) == [batch(number)]


def test_the_file_has_no_name_and_what_came_from_it_outlives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    waiting = Spool()
    waiting.add(batch(3))
    assert os.name == "nt" or not list(tmp_path.iterdir())
    (back,) = waiting.taken()
    del waiting
    gc.collect()
    assert back == batch(3)


def test_released_pages_are_read_again_and_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    waiting = Spool()
    for number in range(3):
        waiting.add(batch(number))
    back = list(waiting.taken())
    for one in (*back, batch(1)):
        release(one.to_struct_array())
    assert back == [batch(number) for number in range(3)]


@wants_proc
def test_released_pages_no_longer_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    waiting = Spool()
    for number in range(2):
        waiting.add(pa.record_batch({"x": np.full(2 << 20, number)}))
    first, second = waiting.taken()
    assert first.column("x").to_numpy().sum() == 0
    assert second.column("x").to_numpy().sum() == 2 << 20
    before = mapped_kib()
    release(first.to_struct_array())
    assert 15 << 10 < before - mapped_kib() < 20 << 10


@wants_proc
def test_what_was_taken_and_looked_at_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    waiting = Spool()
    for number in range(4):
        waiting.add(pa.record_batch({"x": np.full(2 << 20, number)}))
    before = mapped_kib()
    assert sum(int(one.column("x").to_numpy().sum()) for one in waiting.taken()) == 6 * (2 << 20)
    assert mapped_kib() - before < 20 << 10


@wants_proc
def test_what_was_looked_at_only_after_the_next_came_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    waiting = Spool()
    for number in range(40):
        waiting.add(pa.record_batch({"x": np.full(1 << 17, number)}))
    before, last, most = mapped_kib(), None, 0
    for one in waiting.taken():
        if last is not None:
            assert last.column("x").to_numpy().sum() >= 0
        last, most = one, max(most, mapped_kib() - before)
    assert most < 8 << 10


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
def test_any_number_of_batches_takes_one_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    waiting, before = Spool(), len(list(Path("/proc/self/fd").iterdir()))
    for number in range(50):
        waiting.add(batch(number))
    back = list(waiting.taken())
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 2
    assert back == [batch(number) for number in range(50)]


def test_no_folder_for_temporary_files_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"expected to write a file in .*got No such file.*TMPDIR to another"):
        Spool().add(batch(0))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(spool, "HELD", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: Path("/dev/full").open("r+b"))  # noqa: SIM115
    waiting = Spool()
    with pytest.raises(DataError, match=r"room for \d+ bytes in .*; got No space left on device.*TMPDIR"):
        waiting.add(batch(0))
    del waiting
    gc.collect()  # what the file still holds is refused again when it is closed: nobody is told twice
    assert not told
