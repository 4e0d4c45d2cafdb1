"""How the suite is gathered: doctests where there are some, and the longest files first."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule

SLOW_SECONDS = 1.5
"""Of a test that is marked slow and does not say how slow."""

# Some machines forbid Python to keep bytecode; then every process of every test compiles house and tests anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Leaves out files without a prompt: to look through all they hold for doctests takes longer than many a test."""
    found = yield
    return [each for each in found if not isinstance(each, DoctestModule) or b">>>" in file_path.read_bytes()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the slowest tests come first, so that no process ends with a long one while the others are idle."""
    seconds: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("slow")
        if mark is not None:
            seconds[item.path] = max(seconds.get(item.path, 0.0), mark.kwargs.get("seconds", SLOW_SECONDS))
    items.sort(key=lambda item: -seconds.get(item.path, 0.0))
