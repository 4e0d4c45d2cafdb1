"""The verdict goes the way that was planted: by a study of it, by the gate, or by what the filters leave."""

from __future__ import annotations

from pathlib import Path

import pytest

import twinset
from twinset.documents import RunDocument

pytestmark = pytest.mark.slow(seconds=70)

STUDY = {"seeds": 3, "steps": 100, "width": 16, "batch": 32}
"""Enough to tell helpful images from harmful ones beside four real ones a class."""

TOKEN = {"seeds": 1, "steps": 8, "width": 8, "batch": 32}
"""Where something else than the study decides: all arms are trained, and what they are worth is chance."""


def verdict_on(
    planted: dict[str, Path], generator: str, align: str | None, folder: Path, study: dict[str, int]
) -> RunDocument:
    recipe: dict[str, object] = {
        "data": str(planted["real"]),
        "generate": [{"use": "folder", "path": str(planted[generator])}],
        "evaluate": {"embedder": {"use": "random"}, "utility": study},
        "minutes": 1,
        "threads": 1,
    }
    if align is not None:
        recipe["align"] = align
    else:
        quick = {"use": "agreement", "members": 1, "steps": 120}
        recipe["align"] = [{"use": "copies"}, quick, {"use": "density"}, {"use": "duplicates"}]
    return twinset.run(recipe, out=folder, workers=1, quiet=True)


def test_a_hidden_pool_of_real_images_is_worth_using(planted: dict[str, Path], tmp_path: Path) -> None:
    found = verdict_on(planted, "helpful", None, tmp_path / "run", STUDY)
    assert found.verdict.decision == "use", found.verdict.sentence
    assert found.gate.passed
    assert found.counts.accepted >= 0.9 * found.counts.planned


def test_a_hidden_pool_of_real_images_passes_the_gate_unfiltered(planted: dict[str, Path], tmp_path: Path) -> None:
    found = verdict_on(planted, "helpful", "off", tmp_path / "run", TOKEN)
    assert found.gate.passed
    assert found.verdict.decision != "blocked_by_gate"
    assert found.counts.accepted == found.counts.planned


def test_shuffled_labels_are_not_worth_using(planted: dict[str, Path], tmp_path: Path) -> None:
    found = verdict_on(planted, "harmful", "off", tmp_path / "run", {**STUDY, "seeds": 5})
    assert found.verdict.decision == "do_not_use", found.verdict.sentence


def test_shuffled_labels_do_not_pass_the_filters(planted: dict[str, Path], tmp_path: Path) -> None:
    # An ensemble as users have it: of a single network of 120 steps the least sure held-out image sets no threshold.
    found = verdict_on(planted, "harmful", "auto", tmp_path / "run", TOKEN)
    assert found.counts.accepted < 0.35 * found.counts.planned
    assert found.verdict.decision != "blocked_by_gate"


@pytest.mark.parametrize("align", ["off", None])
def test_a_copier_is_blocked(planted: dict[str, Path], align: str | None, tmp_path: Path) -> None:
    found = verdict_on(planted, "copier", align, tmp_path / "run", TOKEN)
    assert found.verdict.decision == "blocked_by_gate", found.verdict.sentence
    assert found.exports == {}
    assert not (tmp_path / "run" / "export").exists()
