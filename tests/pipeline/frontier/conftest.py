from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinset.formats import read, write

TRAINING, HELD_OUT, OTHERS = 200, 100, 300


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real digits with their splits, and folders that play generators: one of other digits, one of training images."""
    root = tmp_path_factory.mktemp("private")
    digits, _ = read("builtin:digits")
    order = np.random.Generator(np.random.PCG64(3)).permutation(len(digits))
    parts = np.split(order, np.cumsum([TRAINING, HELD_OUT, HELD_OUT, OTHERS]))
    splits = ["train"] * TRAINING + ["validation"] * HELD_OUT + ["test"] * HELD_OUT
    real = digits.take(np.concatenate(parts[:3])).with_splits(splits)
    write(real, root / "real", "imagefolder")
    write(digits.take(parts[3]), root / "others", "imagefolder")
    write(digits.take(parts[0]), root / "copies", "imagefolder")
    return {name: root / name for name in ("real", "others", "copies")}


@pytest.fixture(scope="session")
def recipe(private: dict[str, Path]) -> dict[str, object]:
    """Three settings of which one leaks, one is private and one is made by others."""
    tiny = {"use": "mean-embedding", "privacy": {"epsilon": 5}, "steps": 60, "features": 200, "width": 32}
    settings = [
        {"name": "copies", "generate": [{"use": "folder", "path": str(private["copies"])}], "align": "off"},
        {"name": "others", "generate": [{"use": "folder", "path": str(private["others"])}], "align": "off"},
        {"name": "private", "generate": [tiny], "align": "off"},
    ]
    return {
        "data": str(private["real"]),
        "count": 200,
        "max_attempts": 1,
        "minutes": 1,
        "threads": 1,
        "evaluate": {"utility": {"steps": 120, "width": 8, "seeds": 1}, "fidelity": False, "explain": False},
        "privacy": {"frontier": {"settings": settings, "releases": ["dataset"]}},
    }
