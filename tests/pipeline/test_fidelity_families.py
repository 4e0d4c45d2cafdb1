"""Runs and comparisons tell fidelity which real images belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import twinset
from twinset.dataset import Dataset
from twinset.pipeline.comparing import fidelity_of
from twinset.randomness import Stream


@pytest.fixture(scope="module")
def twice() -> Dataset:
    """150 digits, each there twice."""
    digits = twinset.load("builtin:digits").take(range(150))
    copies = Dataset.of((replace(sample, id=f"again-{sample.id}") for sample in digits), classes=digits.classes)
    return digits.concat(copies)


@pytest.mark.slow
def test_a_run_passes_the_families_of_its_held_out_images(twice: Dataset, tmp_path: Path) -> None:
    twice.export(tmp_path / "real", format="imagefolder")
    twinset.load("builtin:digits").take(range(200, 260)).export(tmp_path / "synthetic", format="imagefolder")
    recipe: dict[str, object] = {
        "data": str(tmp_path / "real"),
        "generate": [{"use": "folder", "path": str(tmp_path / "synthetic")}],
        "align": [{"use": "duplicates"}],
        "evaluate": {"embedder": {"use": "random"}, "utility": "off"},
        "gate": {"copies": "off"},
    }
    scores = twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True).scores
    for name in ("frechet_distance", "detectability_auc"):
        assert scores[name].settings["real_families"] == scores[name].n_real / 2 == 60
    assert scores["detectability_auc"].settings["n_each"] <= 60


def test_a_comparison_finds_the_families_of_the_real_images(twice: Dataset) -> None:
    made = twinset.load("builtin:digits").take(range(200, 500))
    scores = fidelity_of(twice, made, training=None, extractor="random", rng=Stream(0))
    assert {score.settings["real_families"] for score in scores} == {150}
    assert {score.settings["n_each"] for score in scores if score.name.startswith("detect")} == {150}
