"""Model cards: all that a reader must know of a model that leaves a run, with names that cannot become markup."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from twinset.release import AuditResult, ModelFigure, ModelRelease, Parent, Release, croissant, model_card, parents_in

EVIL = "<img src=x> | [a](http://b) `c`"


@pytest.fixture
def model() -> ModelRelease:
    return ModelRelease(
        name="pets classifier",
        kind="classifier",
        version="0.1.0",
        created="2026-01-31",
        file="c.safetensors",
        sha256="ab" * 32,
        about="residual network of width 16",
        takes="8 × 8 × 3",
        training="400 steps of 64 images, seed 0",
        load="import twinset\n",
        parents=(Parent("pets-twin", "cd" * 32, 120),),
        behind=(Parent("pets", "ef" * 32, 0, "CC BY 4.0", "owners agreed"),),
        classes=("cat", "dog"),
        figures=(ModelFigure("balanced_accuracy", 0.91, (0.88, 0.94), "200 images of test"),),
        audit_command="twinset audit --classifier c.safetensors --train REAL --holdout OTHER_REAL",
    )


def test_a_card_has_the_sections_of_model_cards_and_what_they_need(model: ModelRelease) -> None:
    card = model_card(model)
    sections = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert sections == [
        "Model details",
        "Intended use",
        "Factors",
        "Training data",
        "Metrics",
        "Privacy audit",
        "Differential privacy",
        "Access",
        "Caveats and recommendations",
        "How to load it",
    ]
    assert "| balanced\\_accuracy | 0.910 | 0.880 … 0.940 | 200 images of test |" in card
    assert f"| pets-twin | 120 | not recorded | not recorded | `{'cd' * 32}` |" in card
    assert f"| pets | not recorded | CC BY 4.0 | owners agreed | `{'ef' * 32}` |" in card
    assert "It was trained on pets-twin, which was made from pets." in card
    assert f"| sha256 | `{'ab' * 32}` |" in card
    assert "Not audited." in card
    assert "twinset audit --classifier c.safetensors" in card
    assert "no formal guarantee" in card


def test_the_audit_stands_in_the_card_with_its_meaning_and_its_controls(model: ModelRelease) -> None:
    controls = (("10 mislabelled images", "found (lira_online 0.950, 0.910 … 0.980)"),)
    audit = AuditResult(
        "leak_found", "leak found: x", 0, 200, 100, (("rmia", 0.6, 0.55, 0.65),), controls, "Do not hand it out."
    )
    card = model_card(replace(model, audit=audit, account="Trained by DP-SGD: ε = 5 at δ = 0.001."))
    assert "Leak found: x. Do not hand it out. Tested: 200 training and 100 held-out real images." in card
    assert "| rmia | 0.600 | 0.550 … 0.650 |" in card
    assert "| 10 mislabelled images | found (lira\\_online 0.950, 0.910 … 0.980) |" in card
    assert "Trained by DP-SGD: ε = 5" in card
    assert "Not audited" not in card


def test_the_front_matter_is_what_a_hub_reads(model: ModelRelease) -> None:
    head = yaml.safe_load(model_card(model).split("---\n")[1])
    assert (head["license"], head["library_name"], head["pipeline_tag"]) == (
        "unknown",
        "twinset",
        "image-classification",
    )
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "balanced_accuracy", "name": "balanced_accuracy", "value": 0.91}]
    hub = pytest.importorskip("huggingface_hub", reason="comes with the extra pretrained")
    read = hub.ModelCardData(**head)
    assert [each.metric_value for each in read.eval_results] == [0.91]


def test_names_from_data_are_no_markup(model: ModelRelease) -> None:
    card = model_card(
        replace(
            model,
            name=EVIL,
            classes=(EVIL, "---\nlicense: mit"),
            parents=(Parent(EVIL, EVIL, 1, EVIL, EVIL),),
            limits=(EVIL,),
            access=EVIL,
        )
    )
    head, body = card.split("---\n")[1], card.split("---\n", 2)[2]
    assert yaml.safe_load(head)["license"] == "unknown"
    assert "<img" not in body
    assert "[a](http" not in body
    assert "\n---\nlicense" not in body
    widths = {line.count("|") - line.count("\\|") for line in body.splitlines() if line.startswith("| &lt;img")}
    assert widths == {6}


def test_without_figures_the_card_says_why(model: ModelRelease) -> None:
    card = model_card(replace(model, figures=(), no_figures="Not measured: no test images.", kind="detector"))
    assert "## Metrics\n\nNot measured: no test images.\n" in card
    assert "model-index" not in card
    assert "synthetic-image-detection" in card


def test_parents_come_back_from_a_croissant_file(make_release: object) -> None:
    parents = (Parent("pets", "ef" * 32, 120, "CC BY 4.0", "agreed"), Parent("more", "01" * 32, 3))
    release = make_release(parents=parents)  # type: ignore[operator]
    assert isinstance(release, Release)
    assert parents_in(croissant(release)) == tuple(replace(parent, images=0) for parent in parents)
    for damaged in ("", "[]", "3", json.dumps({"prov:wasDerivedFrom": [3]}), json.dumps({})):
        assert parents_in(damaged) == ()
