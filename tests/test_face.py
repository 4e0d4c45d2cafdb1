from __future__ import annotations

import subprocess
import sys

import twinset


def test_every_exported_name_is_there() -> None:
    for name in twinset.__all__:
        assert getattr(twinset, name) is not None


def test_importing_twinset_loads_nothing_heavy() -> None:
    code = (
        "import sys, twinset; print([m for m in ('torch', 'numpy', 'pyarrow', 'rich', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
