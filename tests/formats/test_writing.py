from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twinset.errors import DatasetFormatError, UsageError
from twinset.formats.writing import whole_folder
from twinset.store import remove_temporaries


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_what_a_killed_writer_leaves_is_known_as_a_leftover(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom twinset.formats.writing import whole_folder\n"
        f"with whole_folder(Path({str(tmp_path)!r}) / 'export' / 'imagefolder') as target:\n"
        "    target.add('cat/a.png', b'half a release')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.read_bytes() for path in tmp_path.rglob("*.png")] == [b"half a release"]
    assert not (tmp_path / "export" / "imagefolder").exists()
    assert remove_temporaries(tmp_path) == 1
    assert list((tmp_path / "export").iterdir()) == []


def test_a_folder_appears_whole_and_with_the_usual_permissions(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "new") as target:
        target.add("cat/a.png", b"1")
        assert not (tmp_path / "new").exists()
    (tmp_path / "usual").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "usual"]
    assert (tmp_path / "new" / "cat" / "a.png").read_bytes() == b"1"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "new") as target:
            target.add("a.png", b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_places_where_nothing_can_be_written_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetFormatError, match="expected to write a dataset"), whole_folder(tmp_path / "file" / "x"):
        pass
    with pytest.raises(DatasetFormatError, match="File name too long"), whole_folder(tmp_path / ("x" * 300)):
        pass
    with pytest.raises(UsageError, match="expected a new or empty folder"), whole_folder(Path(tmp_path.anchor)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_datasets_are_read_and_written_without_torch() -> None:
    code = "import sys, twinset.formats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
