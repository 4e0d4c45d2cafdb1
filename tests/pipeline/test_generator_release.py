"""A run that releases its generator: audited beside the dataset, exported with a model card, withheld for its leak."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twinset
from twinset import documents, pipeline
from twinset.errors import DataError, RecipeError
from twinset.pipeline import release_audit, words
from twinset.pipeline.auditing import AuditQuestion
from twinset.pipeline.release_audit import Judged
from twinset.pipeline.releases import Released
from twinset.pipeline.reporting import Quiet
from twinset.recipe import PrivacyPart, recipe_from_values

MADE = 40
OFF = {"fidelity": False, "metadata": False, "explain": False, "utility": "off"}
TINY = {"use": "diffusion", "family": "unet", "width": 32, "depth": 1, "levels": 2, "patch": 1, "steps": 4, "batch": 16,
        "augment": 0.0, "sampler_steps": 2, "looks": 0}  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0 and 1 in given parts: 60 training, 30 validation and 30 test images."""
    from sklearn.datasets import load_digits

    found, root = load_digits(), tmp_path_factory.mktemp("generator")
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    rows = np.flatnonzero(found.target < 2)
    for name, some in {"train": rows[:60], "validation": rows[60:90], "test": rows[90:120]}.items():
        for row in some:
            path = root / name / f"digit {found.target[row]}" / f"{row:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row]).save(path)
    return root


def recipe_of(real: Path, **privacy: object) -> dict[str, object]:
    return {
        "data": {"path": str(real), "licence": "CC0-1.0", "consent": "writers <agreed>"},
        "generate": [TINY],
        "count": MADE,
        "threads": 1,
        "align": "off",
        "evaluate": OFF,
        "gate": {"copies": "off"},
        "privacy": {"releases": ["dataset", "generator"], **privacy},
        "export": ["imagefolder"],
    }


@pytest.fixture(scope="module")
def released(real: Path, tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    """Without controls, which train copies: tests/privacy/audit has those."""
    out = tmp_path_factory.mktemp("released") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release_audit, "AuditQuestion", partial(AuditQuestion, controls=False))
        return twinset.run(recipe_of(real, on_leak="warn", on_inconclusive="warn"), out=out, workers=1, quiet=True)


@pytest.mark.slow
def test_the_generator_goes_out_audited_and_with_its_card(released: documents.RunDocument) -> None:
    folder = Path(released.run)
    assert released.audit is not None
    assert released.audit.generator is not None
    place = folder / "export" / "generator"
    assert released.generator == str(place)
    kept = folder / "models" / "0-diffusion" / "model.safetensors"
    assert (place / "model.safetensors").read_bytes() == kept.read_bytes()
    audit = json.loads((folder / "evaluation" / "audit.json").read_text())
    assert audit["generator"]["answer"] == released.audit.generator.answer
    assert audit["generator"]["source"] == "models/0-diffusion"
    card = (place / "MODEL_CARD.md").read_text()
    for text in ("| pia | ", "digit 1", "CC0-1.0", "writers &lt;agreed&gt;", "60 | CC0-1.0", "Not measured: the run"):
        assert text in card, text
    assert released.audit.generator.finding.split(": ")[0].capitalize() in card
    readme = (folder / "export" / "README.md").read_text()
    assert "### The generator\n\nIts weights are in `generator`." in readme
    page = (folder / "report.html").read_text()
    assert "<h3>The generator <span" in page
    assert page.count("What it means.") == 2
    assert str(folder) not in card + readme
    assert "(generator)" in words.run(released)
    assert twinset.verify(folder, samples=0, quiet=True).ok


@pytest.mark.slow
def test_the_card_says_how_the_weights_are_loaded(
    released: documents.RunDocument, by_card: Callable[[Path], twinset.Dataset]
) -> None:
    pictures = by_card(Path(released.run) / "export")
    assert pictures.class_ids.tolist() == [0, 0, 1]


@pytest.mark.slow
def test_an_audit_of_the_run_asks_what_its_recipe_releases(released: documents.RunDocument) -> None:
    place = Path(released.run)
    assert Released(place).of_recipe().asked() == ("dataset", "generator")
    assert Released(place, releases=["dataset"]).of_recipe().asked() == ("dataset",)


def made_up(answer: str) -> release_audit.Judged:
    return Judged(answer, f"{answer}: made up", withheld=True)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_generator_that_leaks_stays_and_the_dataset_goes_out(
    released: documents.RunDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(released.run)
    monkeypatch.setattr(release_audit, "_of_generator", lambda *given: (made_up("leak_found"), given[3]))
    found = pipeline.evaluate(folder, workers=1, device="cpu", listener=Quiet())
    assert found.generator is None
    assert not (folder / "export" / "generator").exists()
    assert (folder / "withdrawn" / "001" / "generator" / "model.safetensors").exists()
    assert len(list((folder / "export").rglob("*.png"))) == MADE
    assert pipeline.exit_code(found) == 6
    assert "audit     generator withheld: leak_found: made up" in words.run(found)
    assert any("The generator is not released" in text for text in found.warnings)
    readme = (folder / "export" / "README.md").read_text()
    assert "Its weights are not released." in readme


def test_a_dataset_that_is_withheld_withholds_its_generator() -> None:
    generator = Judged("no_leakage_detected", "no leakage detected", withheld=False)
    audit = release_audit._together(made_up("leak_found"), generator, None)
    assert audit.generator is not None
    assert audit.generator.withheld
    assert list(audit.warnings) == ["The generator is not released: its dataset is withheld."]
    assert not release_audit._together(generator, made_up("leak_found"), None).dataset.withheld


def test_a_release_that_cannot_be_audited_is_inconclusive() -> None:
    judged = release_audit._not_made(PrivacyPart(), DataError("expected at least 20 families; got 3"))
    assert (judged.answer, judged.withheld) == ("inconclusive", True)
    assert "could not be made: expected at least 20 families" in judged.finding


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"privacy": {"releases": ["generator"]}}, r"expected releases: \[dataset\] or \[dataset, generator\]"),
        ({"privacy": {"releases": ["dataset", "generator"], "audit": False}}, "expected audit: true"),
        ({"privacy": {"releases": []}}, "releases"),
    ],
)
def test_releases_that_make_no_sense_are_refused(real: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        recipe_from_values({**recipe_of(real), **changes})


def test_a_generator_without_weights_is_refused_before_anything_is_made(real: Path, tmp_path: Path) -> None:
    recipe = {**recipe_of(real), "generate": [{"use": "folder", "path": str(real / "train")}]}
    with pytest.raises(RecipeError, match=r"privacy\.releases: expected one of diffusion, .*; got folder"):
        twinset.run(recipe, out=tmp_path / "run", quiet=True)
