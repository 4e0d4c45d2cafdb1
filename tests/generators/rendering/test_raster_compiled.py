"""Machine code that is kept on disk goes stale with any file that went into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="numba is not installed (extra render)")

from twinset.generators.rendering.raster import compiled, drawing
from twinset.generators.rendering.raster.compiled import STAMP, stamp_of


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package like the rasteriser: a compiled function, and the constant that it was compiled with, in two files."""
    folder = tmp_path / "kept"
    folder.mkdir()
    shutil.copy(compiled.__file__, folder / "compiled.py")
    (folder / "__init__.py").write_text("")
    (folder / "constant.py").write_text("WIDTH = 8\n")
    (folder / "function.py").write_text(
        "from kept.compiled import compiled\nfrom kept.constant import WIDTH\n"
        "@compiled\ndef wide(rows):\n    return rows * WIDTH\n"
        "print(wide(2), sum(wide.stats.cache_hits.values()))\n"
    )
    return folder


def told(package: Path) -> str:
    """What the function says in a process of its own, and how often its code was found on disk."""
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", "import kept.function"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.mark.slow
def test_a_constant_of_another_file_makes_kept_code_stale(package: Path) -> None:
    assert [told(package), told(package)] == ["16 0", "16 1"]
    (package / "constant.py").write_text("WIDTH = 160\n")
    assert told(package) == "320 0"


def test_the_rasteriser_is_kept_under_the_stamp_of_all_its_files() -> None:
    kept = [value for value in vars(drawing).values() if hasattr(value, "_cache") and hasattr(value, "py_func")]
    stamps = [one._cache._cache_file._source_stamp for one in kept if hasattr(one._cache, "_cache_file")]
    assert stamps
    assert set(stamps) == {STAMP}
    assert stamp_of(Path(compiled.__file__).parent) == STAMP
