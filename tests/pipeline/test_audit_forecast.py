"""Before anything is made: is the privacy audit bound to be inconclusive, and what would help?"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.images import encode_png
from twinset.pipeline import dry_run
from twinset.pipeline.audit_forecast import audit_forecast
from twinset.pipeline.real import prepare_real, read_real
from twinset.pipeline.reporting import Quiet
from twinset.recipe import recipe_from_values

OFF = {"fidelity": False, "metadata": False, "explain": False, "utility": "off"}


def written(root: Path, sizes: dict[str, int], *, seed: int) -> None:
    """Noise in given parts, of two classes."""
    draw = np.random.default_rng(seed)
    for part, count in sizes.items():
        for number in range(count):
            path = root / part / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(draw.integers(0, 256, (8, 8, 1), dtype=np.uint8)))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("forecast")
    written(root / "uneven", {"train": 60, "validation": 20, "test": 20}, seed=0)
    written(root / "even", {"train": 50, "validation": 25, "test": 25}, seed=1)
    written(root / "few", {"train": 16, "validation": 3, "test": 4}, seed=2)
    written(root / "made", {".": 44}, seed=3)
    return root


def recipe_of(places: Path, real: str, count: int, **privacy: object) -> dict[str, object]:
    return {
        "data": str(places / real),
        "generate": [{"use": "folder", "path": str(places / "made")}],
        "count": count,
        "align": "off",
        "evaluate": OFF,
        "privacy": privacy,
    }


@pytest.fixture
def notes(places: Path, tmp_path: Path) -> Callable[..., list[str]]:
    def told(real: str, count: int, **privacy: object) -> list[str]:
        written = recipe_from_values(recipe_of(places, real, count, **privacy))
        dataset, report = read_real(written)
        return audit_forecast(written.recipe, prepare_real(written.recipe, dataset, report, tmp_path / real))

    return told


Notes = Callable[..., list[str]]


def test_what_is_told_of_uneven_sides_names_what_would_do(notes: Notes) -> None:
    (told,) = notes("uneven", 40)
    assert told.startswith("privacy: the audit is bound to be inconclusive")
    assert "with 60 training and 40 held-out images" in told
    assert "split: {train: 0.5, validation: 0.2, test: 0.3}" in told
    enough = re.search(r"count: (\d+)$", told)
    assert enough is not None
    assert notes("uneven", int(enough[1])) == []


def test_sides_that_are_even_are_nothing_to_tell_of(notes: Notes) -> None:
    assert notes("even", 40) == []
    assert notes("uneven", 40, audit=False) == []


def test_too_few_images_to_audit_are_told(notes: Notes) -> None:
    (told,) = notes("few", 40)
    assert "needs at least 8 images of each; there are 40 to make, 16 training and 7 held-out families" in told


@pytest.mark.slow
def test_plan_and_run_say_it_before_anything_is_made(
    places: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = recipe_from_values(recipe_of(places, "uneven", 40))
    plan = dry_run(written, workers=1, device="cpu", listener=Quiet())
    assert sum("bound to be inconclusive" in note for note in plan.notes) == 1
    assert list(plan.seconds)[-2:] == ["privacy audit", "whole run"]
    assert plan.seconds["privacy audit"] > 0
    found = twinset.run(recipe_of(places, "uneven", 40), out=tmp_path / "run", workers=1)
    assert found.audit is not None
    assert found.audit.answer == "inconclusive"
    shown = capsys.readouterr()
    assert "bound to be inconclusive" in shown.err + shown.out
