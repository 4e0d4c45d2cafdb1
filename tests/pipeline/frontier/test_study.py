"""A whole study: stopped, continued, its choice, its files, and the recipe that it recommends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import twinset
from twinset import cli, documents
from twinset.dataset import Sample
from twinset.errors import RunFolderError
from twinset.images import ImageSpec
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline.folders import Timings, result_of
from twinset.pipeline.frontier import making, study, trainings
from twinset.pipeline.frontier.audits import take_audit
from twinset.pipeline.frontier.carding import card_of, write_classifier_card
from twinset.pipeline.frontier.page import page_data
from twinset.pipeline.frontier.planning import Expected
from twinset.pipeline.frontier.settings import Setting
from twinset.pipeline.frontier.trainings import Training
from twinset.pipeline.frontier.words import frontier as told
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.resolving import Machine
from twinset.randomness import Stream
from twinset.recipe import recipe_from_values
from twinset.stages import Slot
from twinset.store import write_json


@dataclass(frozen=True)
class Finished:
    folder: Path
    document: documents.FrontierDocument
    kept: dict[str, int]


@pytest.fixture(scope="module")
def finished(recipe: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A study that was stopped after its first setting, and continued."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "expected", lambda asked, *_: {one.name: Expected(1, 1, 1) for one in asked.settings})
        with pytest.MonkeyPatch.context() as stop:
            stop.setattr(making.Study, "_tell", stopping)
            with pytest.raises(KeyboardInterrupt):
                twinset.frontier(recipe, out=folder, workers=1, quiet=True)
        kept = stamps(folder)
        return Finished(folder, twinset.frontier(recipe, out=folder, workers=1, quiet=True), kept)


def stopping(_: making.Study, number: int) -> None:
    if number == 1:
        raise KeyboardInterrupt


def stamps(folder: Path) -> dict[str, int]:
    """When what a setting came to was written."""
    paths = [*folder.glob("settings/*/result.json"), *folder.glob("classifiers/*/*.safetensors")]
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in paths}


def weighed(found: Finished, setting: str) -> documents.WeighedPart:
    (one,) = (one for one in found.document.weighed if one.setting == setting)
    return one


@pytest.mark.slow(seconds=25)
def test_what_was_made_before_the_stop_is_not_made_again(finished: Finished) -> None:
    assert sorted(finished.kept) == [
        "classifiers/copies/dataset-0.safetensors",
        "classifiers/copies/dataset-1.safetensors",
        "classifiers/copies/dataset-2.safetensors",
        "settings/copies/result.json",
    ]
    now = stamps(finished.folder)
    assert {name: now[name] for name in finished.kept} == finished.kept
    assert len(now) == 3 + 4 * 3


@pytest.mark.slow
def test_the_leak_is_found_and_what_others_made_is_recommended(finished: Finished) -> None:
    document = finished.document
    copies, others, private = (weighed(finished, name) for name in ("copies", "others", "private"))
    assert copies.answer == "leak_found"
    assert not copies.qualifies
    assert others.answer == "no_leakage_detected"
    assert others.utility is not None
    assert others.utility.value > 0.6
    assert document.recommended is not None
    assert document.recommended.setting == "others"
    assert document.decision == "release"
    assert copies.auc is not None
    assert others.auc is not None
    assert copies.auc.low > others.auc.high
    assert private.guarantee is not None
    assert private.guarantee.epsilon == pytest.approx(5)
    assert (copies.guarantee, others.guarantee) == (None, None)


@pytest.mark.slow
def test_the_settings_share_one_split_and_test_images_are_told_of_the_recommended_alone(finished: Finished) -> None:
    splits = [json.loads((finished.folder / place / "split.json").read_text())["facts"] for place in (
        ".", "settings/copies", "settings/others", "settings/private",
    )]  # fmt: skip
    assert len({one["digest"] for one in splits}) == 1
    assert finished.document.images == {"training": 200, "validation": 100, "test": 100}
    assert finished.document.recommended is not None
    assert finished.document.recommended.test.runs == 3
    for name in ("copies", "others", "private"):
        assert not (finished.folder / "settings" / name / "evaluation" / "utility").exists()


@pytest.mark.slow
def test_what_no_epsilon_covers_is_said(finished: Finished) -> None:
    text = finished.document.not_covered
    assert text.startswith("Comparing settings is not covered by any ε. 3 settings")
    assert "Those with a guarantee, 1, spent ε = 5 at δ" in text
    assert "2 of 3 settings were trained without any bound" in text


@pytest.mark.slow
def test_the_recommended_recipe_runs_and_makes_the_same_dataset(finished: Finished) -> None:
    path = finished.folder / "recommended.yaml"
    values = yaml.safe_load(path.read_text())
    assert "frontier" not in values["privacy"]
    assert path.read_text().startswith("# Release the dataset of others: it has no formal guarantee;")
    assert values["evaluate"]["utility"]["steps"] == 120
    values["evaluate"]["utility"] = "off"
    made = twinset.run(values, out=finished.folder.parent / "again", workers=1, quiet=True)
    kept = json.loads((finished.folder / "settings" / "others" / "result.json").read_text())
    assert made.digest == kept["digest"]
    assert made.exports


@pytest.mark.slow
def test_the_same_command_again_answers_at_once_with_what_is_kept(
    finished: Finished, recipe: dict[str, object]
) -> None:
    assert study.kept_result(finished.folder) == finished.document
    moved = finished.document.model_copy(update={"folder": "elsewhere"})
    (finished.folder / "frontier.json").write_text(documents.to_json(moved))
    assert twinset.frontier(recipe, out=finished.folder, workers=1, quiet=True) == finished.document
    (finished.folder / "frontier.json").write_text("{}")
    with pytest.raises(RunFolderError, match="expected the result of a study"):
        study.kept_result(finished.folder)


@pytest.mark.slow
def test_page_and_terminal_tell_the_same_without_a_path_of_this_machine(finished: Finished) -> None:
    page, text = (finished.folder / "frontier.html").read_text(), told(finished.document)
    assert "Release the dataset of others" in page
    assert "RELEASE THE DATASET OF OTHERS" in text
    assert str(finished.folder) not in page
    assert "settings/others/export/imagefolder" in page
    assert page_data(finished.document).points[0].because == "a leak was found"
    for name in ("copies", "others", "private"):
        assert f" {name} " in text


@pytest.mark.slow
def test_a_recommended_classifier_has_its_model_card(finished: Finished) -> None:
    weights = finished.folder / "classifiers" / "private" / "dataset-0.safetensors"
    opened = making.Study(finished.folder, None, None, Machine(1, "cpu"), Quiet(), Timings(finished.folder), {})  # type: ignore[arg-type]
    made = making.Made(
        Setting("private", None, None),  # type: ignore[arg-type]
        finished.folder / "settings" / "private",
        result_of(finished.folder / "settings" / "private"),
        None,
        "",
        {"classifier": [Training(weights, "dataset", 0, ClassifierSettings(steps=120), Stream(0), weights)]},
        {"classifier": audited("no leakage detected above an AUC of .6")},
    )
    private, found = weighed(finished, "private"), finished.document.recommended
    assert found is not None
    document = finished.document.model_copy(
        update={
            "recommended": found.model_copy(update={"setting": "private", "release": "classifier"}),
            "weighed": [*finished.document.weighed, private.model_copy(update={"release": "classifier"})],
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Setting, "what", "mean-embedding with ε = 5; no filter")
        write_classifier_card(opened, made, document)
    card = card_of(weights).read_text()
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in card
    assert f"| balanced\\_accuracy | {found.test.value:.3f} | {found.test.low:.3f} … {found.test.high:.3f} |" in card
    assert "100 real test images of real, which nothing was chosen by" in card
    assert "No leakage detected above an AUC of .6." in card
    assert "200 training and 200 held-out real images" in card
    assert "ε = 5 at δ" in card
    assert "which was made from real" in card
    assert "Comparing settings is not covered by any ε" in card
    assert "120 steps of" in card
    assert str(finished.folder) not in card


def test_generators_of_the_same_weights_share_one_audit_and_others_do_not(tmp_path: Path) -> None:
    first, same, other = (tmp_path / name for name in ("first", "same", "other"))
    for place, weights in ((first, b"1"), (same, b"1"), (other, b"2")):
        place.mkdir()
        (place / "model.safetensors").write_bytes(weights)
    kept = {name: tmp_path / "audits" / name for name in ("first", "same", "other")}
    told = {"audit": audited("none").model_dump(mode="json", by_alias=True), "warnings": []}
    write_json(kept["first"] / "generator.json", told)
    for place in (same, other):
        take_audit(kept["first"], kept[place.name], first=first, generator=place)
    taken = json.loads((kept["same"] / "generator.json").read_text())
    assert taken == {"audit": {**told["audit"], "source": str(same)}, "warnings": [], "taken_from": "first"}  # type: ignore[dict-item]
    assert not kept["other"].exists()


def test_a_generator_is_judged_by_as_many_images_as_were_asked_for_however_few_a_filter_let_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Shows:
        def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
            for slot in slots:
                yield slot.sample(np.full((2, 2, 1), slot.class_id, np.uint8), method="shows")

    counted = recipe_from_values({"data": "builtin:digits", "count": {"a": 3, "b": 2}}).recipe
    monkeypatch.setattr(trainings, "load_resolved", lambda _: counted)
    monkeypatch.setattr(trainings, "load_source", lambda *_, **__: Shows())
    real = SimpleNamespace(dataset=SimpleNamespace(classes=("a", "b")), spec=ImageSpec(2, 2, 1))
    task = Training(Path(), "generator", 0, ClassifierSettings(), Stream(0), Path())
    pictures, class_ids = trainings._training_set(task, real)  # type: ignore[arg-type]
    assert class_ids.tolist() == [0, 0, 0, 1, 1]
    assert pictures[:, 0, 0, 0].tolist() == [0, 0, 0, 1, 1]


def audited(finding: str) -> documents.ModelPart:
    return documents.ModelPart(
        release="classifier",
        source="a file",
        answer="no_leakage_detected",
        finding=finding,
        alpha=0.01,
        p_value=0.5,
        p_values={"lira": 0.5},
        attacks=[],
        controls=[],
    )


@pytest.mark.slow
def test_the_command_plans_and_refuses(recipe: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    asked = ("frontier", str(path), "--dry-run", "--minutes", "6", "--workers", "1", "--out", str(tmp_path / "s"), "-q")
    found = CliRunner().invoke(cli.app, [*asked, "--json"])
    assert found.exit_code == 0, found.output
    plan = documents.FrontierPlanDocument.model_validate(json.loads(found.output))
    assert [one.name for one in plan.settings] == ["copies", "others", "private"]
    assert plan.minutes == 2.0
    assert plan.seconds > 0
    assert not (tmp_path / "s").exists()
