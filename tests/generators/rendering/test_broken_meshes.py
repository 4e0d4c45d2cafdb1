"""Broken, lying and hostile mesh files: one clear line each, and nothing hangs (tests/cli/test_preview.py has more)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.generators.rendering.broken_meshes import TABLE

from twinset.errors import DatasetFormatError
from twinset.generators.rendering.mesh_files import read_mesh

pytestmark = pytest.mark.timeout(5)
"""Seconds, for every case by itself."""

CASES = pytest.mark.parametrize("name", list(TABLE))


def one_line(text: str) -> bool:
    return 0 < len(text) < 600 and text.isprintable()


@CASES
def test_a_broken_mesh_is_one_line(name: str, tmp_path: Path) -> None:
    write, words = TABLE[name]
    path = write(tmp_path / "meshes")
    with pytest.raises(DatasetFormatError) as refused:
        read_mesh(path, within=tmp_path / "meshes")
    assert str(path) in refused.value.message
    assert words in refused.value.message + refused.value.hint
    assert one_line(refused.value.message)
