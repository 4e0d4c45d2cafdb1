"""The verdict goes the way that was planted, with the filters off and on."""

from __future__ import annotations

from pathlib import Path

import pytest

import twinset
from twinset.documents import RunDocument

pytestmark = pytest.mark.slow


def verdict_on(planted: dict[str, Path], generator: str, align: str | None, folder: Path) -> RunDocument:
    recipe: dict[str, object] = {
        "data": str(planted["real"]),
        "generate": [{"use": "folder", "path": str(planted[generator])}],
        "evaluate": {
            "embedder": {"use": "random"},
            "utility": {"seeds": 3, "steps": 150, "width": 16},
        },
        "minutes": 1,
    }
    if align is not None:
        recipe["align"] = align
    else:
        quick = {"use": "agreement", "members": 1, "steps": 120}
        recipe["align"] = [{"use": "copies"}, quick, {"use": "density"}, {"use": "duplicates"}]
    return twinset.run(recipe, out=folder, workers=2, quiet=True)


@pytest.mark.parametrize("align", ["off", None])
def test_a_hidden_pool_of_real_images_is_worth_using(
    planted: dict[str, Path], align: str | None, tmp_path: Path
) -> None:
    found = verdict_on(planted, "helpful", align, tmp_path / "run")
    assert found.verdict.decision == "use", found.verdict.sentence
    assert found.gate.passed
    assert found.counts.accepted >= 0.9 * found.counts.planned


@pytest.mark.parametrize("align", ["off", None])
def test_shuffled_labels_are_not(planted: dict[str, Path], align: str | None, tmp_path: Path) -> None:
    found = verdict_on(planted, "harmful", align, tmp_path / "run")
    if align == "off":
        assert found.verdict.decision == "do_not_use", found.verdict.sentence
    else:
        assert found.counts.accepted < 0.35 * found.counts.planned
        assert found.verdict.decision != "blocked_by_gate"


@pytest.mark.parametrize("align", ["off", None])
def test_a_copier_is_blocked(planted: dict[str, Path], align: str | None, tmp_path: Path) -> None:
    found = verdict_on(planted, "copier", align, tmp_path / "run")
    assert found.verdict.decision == "blocked_by_gate", found.verdict.sentence
    assert found.exports == {}
    assert not (tmp_path / "run" / "export").exists()
