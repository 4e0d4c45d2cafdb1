from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import twinset
from twinset import cli, documents
from twinset.errors import DataError, RunFolderError, UsageError
from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
from twinset.models.diffusion import DiffusionSettings, fit_diffusion
from twinset.models.networks import NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.pipeline import audit_words
from twinset.pipeline.releases import Released
from twinset.randomness import Stream
from twinset.threads import torch_threads


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in class folders, train and hold (200 each), a classifier and a diffusion model of the former."""
    from sklearn.datasets import load_digits

    found, root = load_digits(), tmp_path_factory.mktemp("releases")
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(images))
    for name, rows in (("train", order[:200]), ("hold", order[200:400])):
        for number, row in enumerate(rows):
            path = root / name / f"digit {found.target[row]}" / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row]).save(path)
    shown = images[order[:200]][..., None], found.target[order[:200]]
    settings = DiffusionSettings(
        NetworkSettings("unet", 32, 1, 2, 2), TrainingSettings(steps=2, batch=16), SamplingSettings(steps=3), looks=0
    )
    with torch_threads(1):
        fitted = fit_classifier(*shown, n_classes=10, settings=ClassifierSettings(width=16, steps=250), rng=Stream(0))
        fit_diffusion(*shown, n_classes=10, settings=settings, rng=Stream(0), folder=root / "0-diffusion")
    replace(fitted, classes=tuple(f"digit {digit}" for digit in range(10))).save(root / "c.safetensors")
    return root


def words(place: Path, *more: str) -> list[str]:
    return ["audit", "--train", str(place / "train"), "--holdout", str(place / "hold"), "--no-controls", "-q", *more]


@pytest.mark.slow
def test_the_command_audits_a_classifier_and_ends_with_its_code(place: Path) -> None:
    found = CliRunner().invoke(cli.app, words(place, "--classifier", str(place / "c.safetensors")))
    assert found.exit_code == 6, found.output
    assert "classifier: leak found: " in found.output
    assert "lira_online" in found.output
    assert "dataset:" not in found.output


@pytest.mark.slow
def test_the_command_audits_a_generator_beside_it_and_ends_with_the_worst(place: Path) -> None:
    both = ("--classifier", str(place / "c.safetensors"), "--generator", str(place / "0-diffusion"))
    shown = CliRunner().invoke(cli.app, words(place, *both, "--json"))
    assert shown.exit_code == 6, shown.output
    document = json.loads(shown.output)
    assert document["dataset"] is None
    assert document["generator"]["answer"] == "inconclusive"
    assert document["generator"]["finding"] == "inconclusive: the controls were not run"
    assert {"loss", "secmi", "pia", "extraction"} <= set(document["generator"]["p_values"])
    assert document["generator"]["blind"] == document["classifier"]["blind"]
    text = audit_words.audit(documents.AuditDocument.model_validate(document))
    assert "generator: inconclusive: the controls were not run" in text
    assert "classifier: leak found: " in text


@pytest.mark.slow
def test_a_classifier_is_trained_and_kept_with_its_classes(place: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for digit in (1, 7):
        (few / f"digit {digit}").mkdir(parents=True)
        for path in sorted((place / "train" / f"digit {digit}").iterdir())[:4]:
            (few / f"digit {digit}" / path.name).write_bytes(path.read_bytes())
    document = twinset.fit_classifier(few, out=tmp_path / "c.safetensors")
    kept = Classifier.load(tmp_path / "c.safetensors")
    assert kept.classes == ("digit 1", "digit 7") == tuple(document.classes)
    assert kept.shape == (8, 8, 1)
    with pytest.raises(DataError, match="of another class or none"):
        twinset.audit(
            train=place / "train", holdout=place / "hold", classifier=tmp_path / "c.safetensors", controls=False
        )
    with pytest.raises(RunFolderError, match="expected no file there; got one"):
        twinset.fit_classifier(few, out=tmp_path / "c.safetensors")
    with pytest.raises(RunFolderError, match=r"expected the folder .*/new; got none"):
        twinset.fit_classifier(few, out=tmp_path / "new" / "c.safetensors")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"releases": ["classifier"], "synthetic": "a"}, "a run keeps none"),
        ({"releases": ["generator"], "synthetic": "a"}, "expected --generator, or a run"),
        ({"releases": ["dataset", "weights"]}, "got weights"),
        ({"releases": []}, "got none"),
    ],
)
def test_what_is_missing_for_a_release_is_named(given: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Released(**given).asked()  # type: ignore[arg-type]


@pytest.mark.slow
def test_what_is_no_model_is_refused(place: Path, tmp_path: Path) -> None:
    sides = {"train": place / "train", "holdout": place / "hold"}
    with pytest.raises(DataError, match="expected a classifier; got no such file"):
        twinset.audit(**sides, classifier=tmp_path / "none.safetensors")
    with pytest.raises(DataError, match="expected a diffusion model"):
        twinset.audit(**sides, generator=tmp_path)
    with pytest.raises(DataError, match="expected a classifier of twinset"):
        twinset.audit(**sides, classifier=place / "0-diffusion" / "model.safetensors")
    with pytest.raises(UsageError, match="expected --train and --holdout"):
        twinset.audit(classifier=place / "c.safetensors")
