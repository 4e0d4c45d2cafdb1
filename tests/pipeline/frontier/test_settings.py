"""The usual settings, what is said of them, and what is refused before anything is trained."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from twinset.errors import DataError, MissingExtraError, RunFolderError, UsageError
from twinset.images import ImageSpec
from twinset.pipeline.frontier import asking, planning
from twinset.pipeline.frontier.asking import asked_of, begin, part_of, study_folder, with_minutes
from twinset.pipeline.frontier.settings import Setting, settings_of
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.resolving import Machine
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.model_release import RELEASES
from twinset.recipe import Recipe, UsePart, WrittenRecipe, recipe_from_values

SMALL = ImageSpec(8, 8, 1)


def usual(values: dict[str, object], spec: ImageSpec = SMALL) -> tuple[dict[str, Setting], list[str]]:
    written = recipe_from_values({"data": "builtin:digits", **values})
    found, notes = settings_of(written.recipe, part_of(written), spec)
    return {one.name: one for one in found}, notes


def refused(written: WrittenRecipe) -> None:
    with asked_of(written, Quiet()):
        raise AssertionError("expected a refusal")


def without_opacus(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "opacus" else find(name, *more)
    )


def test_the_usual_settings_are_the_recipe_its_filters_and_private_generators() -> None:
    found, notes = usual({})
    assert list(found) == ["as-written", "no-filters", "dp-merf-1", "dp-merf-5", "dp-merf-10", "dp-diffusion-10"]
    assert not notes
    assert [one.private for one in found.values()] == [False, False, True, True, True, True]
    assert found["as-written"].what == "diffusion; filters: copies, agreement, density, duplicates"
    assert found["dp-merf-5"].what == "mean-embedding with ε = 5; no filter"
    assert found["no-filters"].decided.filters == ()
    weighed = found["dp-merf-5"].weighed(("classifier", "generator", "dataset"))
    assert list(weighed) == ["dataset", "generator", "classifier"]
    assert weighed["generator"] == "no weights that an audit can attack"
    assert not any(found["dp-diffusion-10"].weighed(("dataset", "generator", "classifier")).values())


def test_settings_that_fit_the_same_share_the_fit_and_others_stay_as_they_were() -> None:
    found, _ = usual({"seed": 3})
    first, second = found["as-written"], found["no-filters"]
    assert [one.fits_of for one in found.values()] == ["", "as-written", "", "", "", ""]
    assert first.recipe.fit_seed == second.recipe.fit_seed == second.decided.fit_seed == 3
    assert second.what == "diffusion (the fit of as-written); no filter"
    assert found["dp-merf-5"].recipe.fit_seed is None
    assert usual({"fit_seed": 9})[0]["no-filters"].recipe.fit_seed == 9
    evolving, _ = usual({"evolve": {}})
    assert not any(one.fits_of for one in evolving.values())
    edits = [{"name": name, "generate": [], "edit": [{"use": "classical"}], "align": "off"} for name in "ab"]
    assert not any(one.fits_of for one in usual({"privacy": {"frontier": {"settings": edits}}})[0].values())


def test_a_shared_fit_is_resolved_and_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[Recipe] = []

    def resolved(recipe: Recipe, *_: object) -> Recipe:
        asked_for.append(recipe)
        decided = tuple(UsePart.model_validate({**part.model_dump(), "share": 1.0}) for part in recipe.generators)
        return recipe.model_copy(update={"generate": decided, "count": 10, "threads": 2})

    monkeypatch.setattr(planning, "resolve_once", resolved)
    monkeypatch.setattr(planning, "_classifier_seconds", lambda *_, **__: 1.0)
    monkeypatch.setattr(planning, "_fit_seconds", lambda *_: 1000.0)
    written = recipe_from_values({"data": "builtin:digits"})
    settings, _ = settings_of(written.recipe, part_of(written), SMALL)
    asked = SimpleNamespace(
        settings=settings[:3], part=part_of(written), real=None, weighed=lambda _: RELEASES, written=written
    )
    found = planning.expected(asked, Machine(1, "cpu"), Quiet())  # type: ignore[arg-type]
    first, second, private = (found[name] for name in ("as-written", "no-filters", "dp-merf-1"))
    assert second.run == pytest.approx(first.run - 1000)
    assert private.run == pytest.approx(first.run)
    assert private.audits == pytest.approx(first.audits - planning.SHADOWS)
    assert second.audits == pytest.approx(private.audits - planning.AUDIT_OF_GENERATOR)
    assert [recipe.generators[0].share for recipe in asked_for] == [None, 1.0, None]
    assert [recipe.threads for recipe in asked_for] == ["auto", 2, "auto"]


def test_a_recipe_without_filters_is_tried_with_one_of_near_copies() -> None:
    found, _ = usual({"align": "off"})
    assert [part.use for part in found["without-near-copies"].decided.filters] == ["copies"]


def test_a_setting_that_is_the_recipe_again_is_left_out_of_the_usual_ones() -> None:
    private = {"use": "mean-embedding", "privacy": {"epsilon": 5}}
    found, _ = usual({"generate": [private], "align": "off", "privacy": {"frontier": {"epsilons": [5]}}})
    assert list(found) == ["as-written", "without-near-copies", "dp-diffusion-5"]
    assert found["as-written"].private
    assert found["without-near-copies"].private


def test_what_does_not_fit_the_images_or_is_not_installed_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notes = usual({}, ImageSpec(96, 96, 3))
    assert not [name for name in found if name.startswith("dp-merf")]
    assert "96 × 96" in notes[0]
    without_opacus(monkeypatch)
    found, notes = usual({})
    assert "dp-diffusion-10" not in found
    assert "opacus" in notes[0]


def test_the_run_of_a_setting_measures_nothing_on_test_images_and_is_audited() -> None:
    found, _ = usual({"privacy": {"on_leak": "warn", "alpha": 0.05, "frontier": {"minutes": 12}}})
    recipe = found["as-written"].recipe
    assert recipe.evaluate.utility == "off"
    assert recipe.privacy is not None
    assert (recipe.privacy.audit, recipe.privacy.alpha, recipe.privacy.frontier) == (True, 0.05, None)
    assert recipe.minutes == 2.0
    assert found["as-written"].recipe.generate == "auto"


def test_minutes_of_the_command_are_those_of_the_study() -> None:
    written = recipe_from_values({"data": "builtin:digits"})
    assert part_of(with_minutes(written, 30)).minutes == 30
    assert with_minutes(written, None) is written
    assert study_folder(written, None) != study_folder(with_minutes(written, 30), None)
    with pytest.raises(UsageError, match="above 0"):
        with_minutes(written, 0)


@pytest.mark.slow
def test_other_tasks_and_releases_that_no_setting_has_are_refused(recipe: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected images of classes"):
        refused(recipe_from_values({**recipe, "task": "detection"}))
    frontier = {**recipe["privacy"]["frontier"], "releases": ["generator"]}  # type: ignore[index]
    with pytest.raises(UsageError, match="whose generator can be weighed; got none: no weights"):
        refused(recipe_from_values({**recipe, "privacy": {"frontier": frontier}}))


@pytest.mark.slow
def test_a_setting_that_cannot_be_run_is_named(recipe: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    def with_setting(**setting: object) -> WrittenRecipe:
        return recipe_from_values({**recipe, "privacy": {"frontier": {"settings": [{"name": "mine", **setting}]}}})

    without_opacus(monkeypatch)
    with pytest.raises(MissingExtraError, match="setting mine: expected the opacus package"):
        refused(with_setting(generate=[{"use": "diffusion", "privacy": {"epsilon": 1}}]))
    held = str(Path(str(recipe["data"])) / "test")
    with pytest.raises(DataError, match="setting mine: "):
        refused(with_setting(generate=[{"use": "folder", "path": held}]))


@pytest.mark.slow
def test_a_folder_of_something_else_or_of_another_study_is_refused(recipe: dict[str, object], tmp_path: Path) -> None:
    written = recipe_from_values(recipe)
    with asked_of(written, Quiet()) as (asked, prepared):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(RunFolderError, match=r"expected an empty folder; got 1 other entries \(mine.txt"):
            begin(tmp_path, asked, prepared)
        (tmp_path / "mine.txt").unlink()
        begin(tmp_path, asked, prepared)
        begin(tmp_path, asked, prepared)
    other = recipe_from_values({**recipe, "seed": 7})
    with asked_of(other, Quiet()) as (asked, prepared), pytest.raises(RunFolderError, match="that of another one"):
        begin(tmp_path, asked, prepared)


def test_a_split_whose_sides_differ_is_refused_before_anything_is_trained(
    recipe: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "blind_baseline", lambda *_, **__: BlindBaseline(0.6, 0.55, 0.65))
    with pytest.raises(DataError, match=r"told apart without any release \(AUC 0.60, 0.55…0.65\)"):
        refused(recipe_from_values(recipe))
