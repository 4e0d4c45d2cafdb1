"""A classifier that is kept has its model card: training data, figures on other images, no audit till there is one."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.errors import DataError, RunFolderError
from twinset.formats import write
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import audit_words, classifying
from twinset.provenance import encode_with_provenance
from twinset.release import Parent, Release, croissant


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "ClassifierSettings", partial(ClassifierSettings, width=8, steps=4))


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """``twin`` and ``other``, digits 0 and 1 in class folders, and ``strange`` of another class."""
    data = twinset.load("builtin:digits")
    zero_or_one = np.flatnonzero(data.class_ids < 2)
    for name, rows in (("export/twin", zero_or_one[:40]), ("other", zero_or_one[40:80])):
        part = data.take(rows.tolist())
        write(part, tmp_path / name, "imagefolder", encode=encode_with_provenance)
    write(data.take(np.flatnonzero(data.class_ids > 7)[:10].tolist()), tmp_path / "strange", "imagefolder")
    for folder in sorted((tmp_path / "strange").iterdir()):
        folder.rename(folder.with_name(f"letter {folder.name}"))
    return tmp_path


def test_the_card_tells_figures_training_data_and_the_real_images_behind_it(digits: Path) -> None:
    parents = (Parent("clinic <x>", "ab" * 32, 120, "CC BY 4.0", "patients agreed"),)
    release = Release(
        "t", "1", {"0": 1}, 1, 8, 8, 1, "cd" * 32, "seed: 0", "ef" * 32, 0, "twinset run", {}, parents, "2026-01-01"
    )
    (digits / "export" / "croissant.json").write_text(croissant(release))
    place = digits / "c.safetensors"
    found = twinset.fit_classifier(
        digits / "export" / "twin", out=place, test=digits / "other", licence="CC0-1.0", consent="writers | agreed"
    )
    assert found.card == str(digits / "c.md")
    card = Path(found.card).read_text()
    score = found.scores["balanced_accuracy"]
    assert score.low is not None
    assert score.high is not None
    assert (
        f"| balanced\\_accuracy | {score.value:.3f} | {score.low:.3f} … {score.high:.3f} | 40 images of other |" in card
    )
    assert "| 40 | CC0-1.0 | writers \\| agreed |" in card
    assert f"| clinic &lt;x&gt; | not recorded | CC BY 4.0 | patients agreed | `{'ab' * 32}` |" in card
    assert hashlib.sha256(place.read_bytes()).hexdigest() in card
    assert "Not audited." in card
    assert "--card c.md" in card
    assert "on the test images" in audit_words.fitted_classifier(found)
    with pytest.raises(RunFolderError, match="expected no file there"):
        twinset.fit_classifier(digits / "other", out=place)


def test_a_card_that_is_there_is_not_overwritten_and_nothing_is_trained(digits: Path) -> None:
    (digits / "c.md").write_text("mine")
    with pytest.raises(RunFolderError, match="for the model card; got one"):
        twinset.fit_classifier(digits / "other", out=digits / "c.safetensors")
    assert not (digits / "c.safetensors").exists()
    assert (digits / "c.md").read_text() == "mine"


def test_test_images_that_say_nothing_are_refused(digits: Path) -> None:
    with pytest.raises(DataError, match="got 40 of 40 that are"):
        twinset.fit_classifier(digits / "other", out=digits / "c.safetensors", test=digits / "other")
    with pytest.raises(DataError, match="2 other classes"):
        twinset.fit_classifier(digits / "other", out=digits / "c.safetensors", test=digits / "strange")


def test_without_test_images_the_card_says_so(digits: Path) -> None:
    found = twinset.fit_classifier(digits / "other", out=digits / "c.safetensors")
    assert found.scores == {}
    assert "Not measured: no test images were given" in (digits / "c.md").read_text()
