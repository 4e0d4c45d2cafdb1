"""Record batches in memory and in a file come back as they went in."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.errors import DataError
from twinset.formats import spool
from twinset.formats.spool import Spool, release


def batch(number: int, rows: int = 5) -> pa.RecordBatch:
    labels = pa.array(["cat", None, f"dog {number}"] * rows).dictionary_encode()
    return pa.record_batch({"number": pa.array(np.arange(3 * rows) + number), "label": labels})


@pytest.mark.parametrize("held", [0, 400, 1 << 20])
def test_batches_come_back_by_key_in_order_from_memory_and_file(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", held)
    waiting = Spool()
    for number in range(12):
        waiting.add(batch(number), number % 3)
    assert [list(waiting.taken(key)) for key in range(3)] == [[batch(n) for n in range(key, 12, 3)] for key in range(3)]
    assert not list(waiting.taken(0))
    waiting.add(batch(7), 1)
    assert list(waiting.taken(1)) == [batch(7)]


def test_batches_of_other_columns_and_slices_of_larger_ones_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    sent = [batch(1).slice(4, 3), pa.record_batch({"x": pa.array([[1.0], None, []])}), batch(2).slice(0, 0)]
    waiting = Spool()
    for one in sent:
        waiting.add(one)
    assert list(waiting.taken()) == sent


def test_no_more_is_held_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 1 << 16)
    waiting, before = Spool(), pa.total_allocated_bytes()
    for number in range(200):
        waiting.add(batch(number, 300))
    assert pa.total_allocated_bytes() - before < 2 << 16
    assert sum(map(len, waiting.taken())) == 200 * 900


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
    waiting.add(batch(1))
    (mapped,), held = waiting.taken(), batch(1)
    for one in (mapped, held):
        release(one.to_struct_array())
        assert one == batch(1)


def test_no_folder_for_temporary_files_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"got No such file or directory.*TMPDIR"):
        Spool().add(batch(0))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 0)
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: full)
        with pytest.raises(DataError, match=r"room for \d+ bytes in .*; got No space left on device.*TMPDIR"):
            Spool().add(batch(0))
