"""One process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twinset import locks
from twinset.errors import RunFolderError
from twinset.locks import in_use, locked
from twinset.store import write_bytes, write_json


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from twinset.locks import locked\nwith locked(Path({str(tmp_path)!r})): pass"
    with locked(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another process works in" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_look_at_a_run_is_no_use_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    with locked(tmp_path):
        write_json(tmp_path / "run.json", {})
        assert in_use(tmp_path)
    with (tmp_path / "run.lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not in_use(tmp_path)
        with pytest.raises(RunFolderError, match="another process works in"), locked(tmp_path):
            pass
        monkeypatch.setattr(locks.time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with locked(tmp_path):
            assert in_use(tmp_path)


def test_a_place_that_cannot_be_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder, says in (
        (tmp_path / "file", "expected a folder; got a file"),
        (tmp_path / "file" / "sub", "got Not a directory"),
        (tmp_path / ("x" * 300), "got File name too long"),
    ):
        with pytest.raises(RunFolderError, match=says), locked(folder):
            pass
        with pytest.raises(RunFolderError):
            write_bytes(folder / "x.json", b"{}")
    (tmp_path / "run" / "run.lock").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="got Is a directory"), locked(tmp_path / "run"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "run"]


def test_a_folder_that_is_no_run_keeps_no_lock_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        write_json(tmp_path / "run.json", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.lock"]


@pytest.mark.skipif(os.name != "posix", reason="an open file keeps its name elsewhere")
def test_a_lock_on_a_file_that_was_taken_away_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = locks._lock

    def late(descriptor: int) -> None:
        (tmp_path / "run.lock").unlink()
        lock(descriptor)

    monkeypatch.setattr(locks, "_lock", late)
    with pytest.raises(RunFolderError, match="another process works in"), locked(tmp_path):
        pass


def test_a_disk_without_locks_is_told_from_a_busy_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks, "_lock", unsupported)
    with pytest.raises(RunFolderError, match="can be locked; got Operation not supported"), locked(tmp_path):
        pass
