"""Before anything is made: is the privacy audit bound to be inconclusive, and what would help?"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.images import encode_png
from twinset.pipeline import dry_run
from twinset.pipeline.reporting import Quiet
from twinset.recipe import recipe_from_values

OFF = {"fidelity": False, "metadata": False, "explain": False, "utility": "off"}


def written(root: Path, sizes: dict[str, int]) -> Path:
    """Noise in given parts, of two classes."""
    draw = np.random.default_rng(0)
    for part, count in sizes.items():
        for number in range(count):
            path = root / part / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(draw.integers(0, 256, (8, 8, 1), dtype=np.uint8)))
    return root


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("forecast")
    written(root / "uneven", {"train": 60, "validation": 20, "test": 20})
    written(root / "even", {"train": 50, "validation": 25, "test": 25})
    written(root / "few", {"train": 16, "validation": 3, "test": 4})
    written(root / "made", {".": 600})
    return root


def notes(places: Path, real: str, count: int, **privacy: object) -> list[str]:
    recipe = {
        "data": str(places / real),
        "generate": [{"use": "folder", "path": str(places / "made")}],
        "count": count,
        "align": "off",
        "evaluate": OFF,
        "privacy": privacy,
    }
    found = dry_run(recipe_from_values(recipe), workers=1, device="cpu", listener=Quiet())
    return [text for text in found.notes if text.startswith("privacy:")]


def test_a_plan_says_that_the_audit_will_tell_nothing_and_what_to_change(places: Path) -> None:
    (told,) = notes(places, "uneven", 40)
    assert "bound to be inconclusive" in told
    assert "with 60 training and 40 held-out images" in told
    assert "split: {train: 0.5, validation: 0.2, test: 0.3}" in told
    enough = re.search(r"count: (\d+)$", told)
    assert enough is not None
    assert notes(places, "uneven", int(enough[1])) == []


def test_sides_that_are_even_are_nothing_to_tell_of(places: Path) -> None:
    assert notes(places, "even", 40) == []
    assert notes(places, "uneven", 40, audit=False) == []


def test_too_few_images_to_audit_are_told(places: Path) -> None:
    (told,) = notes(places, "few", 40)
    assert "needs at least 8 images of each; there are 40 to make, 16 training and 7 held-out families" in told


def test_a_run_says_it_before_it_makes_anything(
    places: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {
        "data": str(places / "uneven"),
        "generate": [{"use": "folder", "path": str(places / "made")}],
        "count": 40,
        "align": "off",
        "evaluate": OFF,
        "privacy": {},
    }
    found = twinset.run(recipe, out=tmp_path / "run", workers=1)
    assert found.audit is not None
    assert found.audit.answer == "inconclusive"
    shown = capsys.readouterr()
    assert "bound to be inconclusive" in shown.err + shown.out
