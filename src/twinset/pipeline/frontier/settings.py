"""The settings of a frontier study: those that a recipe names, or usual ones; each as the recipe of its run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pydantic

from twinset import methods
from twinset.errors import RecipeError
from twinset.generators.mean_embedding import LARGEST_SIDE
from twinset.images import ImageSpec
from twinset.models.private.accounting import Privacy
from twinset.pipeline.fitting import takes_workspace
from twinset.pipeline.planning import sources
from twinset.privacy.audit.model_release import RELEASES, Release
from twinset.recipe import FrontierPart, FrontierSetting, PrivacyPart, Recipe, UsePart

AUDITED_GENERATOR = "diffusion"
"""Whose weights an audit can attack."""

NOT_MEASURED: dict[str, object] = {
    **dict.fromkeys(("fidelity", "metadata", "explain"), False),
    **dict.fromkeys(("metrics", "subgroups", "cost"), None),
    "utility": "off",
}
"""What a run measures beside its audit takes long, and usefulness on test images before anything is picked."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One way to make the twin: ``recipe`` is what its run begins with, ``decided`` the same with its task decided.

    ``fits_of`` names the setting before it that fits the same, "" where none does.
    """

    name: str
    recipe: Recipe
    decided: Recipe
    fits_of: str = ""

    @property
    def what(self) -> str:
        """What makes the images, and what filters them."""
        edits = (f"{part.use} of training images" for part in self.decided.edit)
        made = " and ".join([*(_told(part) for part in self.decided.generators), *edits])
        filters = ", ".join(part.use for part in self.decided.filters)
        fitted = f" (the fit of {self.fits_of})" if self.fits_of else ""
        return f"{made}{fitted}; {f'filters: {filters}' if filters else 'no filter'}"

    @property
    def private(self) -> bool:
        """Whether all that learns from the training images is asked for an ε."""
        asked = [_privacy(part) for part in self.decided.generators]
        noisy = bool(asked) and all(one is not None and one.epsilon is not None for one in asked)
        return noisy and not self.decided.edit and self.decided.evolve is None

    def weighed(self, asked: Sequence[Release]) -> dict[Release, str]:
        """The releases asked for in their order; by each why it is not weighed, "" where it is."""
        used = [part.use for part in sources(self.decided)]
        because = "" if used == [AUDITED_GENERATOR] else "no weights that an audit can attack"
        return {name: because if name == "generator" else "" for name in RELEASES if name in asked}


def settings_of(written: Recipe, part: FrontierPart, spec: ImageSpec) -> tuple[list[Setting], list[str]]:
    """The settings, and what was left out of the usual ones; :class:`RecipeError` names the one that cannot be run."""
    asked, notes = (list(part.settings), []) if part.settings else _usual(written, part, spec)
    minutes = written.minutes if part.minutes is None else part.minutes / len(asked)
    settings = [_setting(written, one, minutes) for one in asked]
    return _sharing(settings if part.settings else _distinct(settings)), notes


def fitted_as(recipe: Recipe, resolved: Recipe) -> Recipe:
    """The recipe with what it fits as another setting resolved it: fits that are sized by time are then the same."""
    return recipe.model_copy(update={"generate": resolved.generate, "edit": resolved.edit, "threads": resolved.threads})


def _sharing(settings: Sequence[Setting]) -> list[Setting]:
    """The settings, those that fit the same with one seed for it: what differs afterwards does not touch their fits."""
    alike: dict[str, list[Setting]] = {}
    for one in settings:
        alike.setdefault(_fitted(one), []).append(one)
    return [one if len(alike[_fitted(one)]) == 1 else _sharing_with(alike[_fitted(one)][0], one) for one in settings]


def _sharing_with(first: Setting, one: Setting) -> Setting:
    seed = one.recipe.seed if one.recipe.fit_seed is None else one.recipe.fit_seed
    recipe, decided = (each.model_copy(update={"fit_seed": seed}) for each in (one.recipe, one.decided))
    return Setting(one.name, recipe, decided, "" if one is first else first.name)


def _fitted(setting: Setting) -> str:
    """What decides the fits of a setting; its name where nothing is fitted and kept, or votes of images follow."""
    recipe = setting.decided
    if recipe.evolve is not None or not any(takes_workspace(method) for method in _built(recipe)):
        return setting.name
    parts = [[part.model_dump(mode="json") for part in each] for each in (recipe.generators, recipe.edit)]
    return json.dumps(parts, sort_keys=True)


def _built(recipe: Recipe) -> list[object]:
    made: list[object] = [
        methods.build("generators", one.use, one.settings, where="generate") for one in recipe.generators
    ]
    return made + [methods.build("editors", one.use, one.settings, where="edit") for one in recipe.edit]


def _setting(written: Recipe, asked: FrontierSetting, minutes: float) -> Setting:
    """The recipe with what the setting says in place of its own, measured by the audit alone."""
    given = {key: getattr(asked, key) for key in ("generate", "edit", "align") if getattr(asked, key) is not None}
    privacy = written.privacy or PrivacyPart()
    recipe = written.model_copy(
        update={
            **given,
            "evolve": None if "generate" in given else written.evolve,
            "name": None,
            "minutes": minutes,
            "evaluate": written.evaluate.model_copy(update=NOT_MEASURED),
            "privacy": privacy.model_copy(update={"audit": True, "frontier": None, "releases": ("dataset",)}),
        }
    )
    try:
        recipe = Recipe.model_validate(recipe.to_values())
        return Setting(asked.name, recipe, recipe.for_task("classification"))
    except pydantic.ValidationError as error:
        raise RecipeError(f"privacy.frontier: setting {asked.name}: {error.errors()[0]['msg']}") from error
    except RecipeError as error:
        raise RecipeError(f"privacy.frontier: setting {asked.name}: {error.message}", hint=error.hint) from error


def _distinct(settings: Sequence[Setting]) -> list[Setting]:
    """Without those that are the recipe of an earlier one over again."""
    kept: dict[str, Setting] = {}
    for one in settings:
        kept.setdefault(json.dumps(_methods(one.decided), sort_keys=True), one)
    return list(kept.values())


def _methods(recipe: Recipe) -> list[object]:
    """What the usual settings differ in, every method with all its settings."""
    groups: tuple[tuple[methods.Kind, Sequence[UsePart]], ...] = (
        ("generators", recipe.generators),
        ("editors", recipe.edit),
        ("aligners", recipe.filters),
    )
    found: list[object] = [recipe.evolve is not None]
    for kind, parts in groups:
        for part in parts:
            method = methods.build(kind, part.use, part.settings, where=kind)
            found.append([kind, part.use, part.share, methods.settings_of(method)])
    return found


def _usual(written: Recipe, part: FrontierPart, spec: ImageSpec) -> tuple[list[FrontierSetting], list[str]]:
    """The recipe as it is; the same without filters, or with one of near copies; DP-MERF at every ε; and diffusion by
    DP-SGD at the largest."""
    filtered = bool(written.for_task("classification").filters)
    found = [_named("as-written"), _named("no-filters", align="off")]
    if not filtered:
        found[1] = _named("without-near-copies", align=(UsePart(use="copies"),))
    notes = []
    if max(spec.height, spec.width) > LARGEST_SIDE:
        notes.append(
            f"DP-MERF is left out: it is for pictures of at most {LARGEST_SIDE} pixels a side; these have "
            f"{spec.height} × {spec.width}"
        )
    else:
        found += [_private("dp-merf", "mean-embedding", epsilon) for epsilon in sorted(part.epsilons)]
    if importlib.util.find_spec("opacus") is None:
        notes.append("diffusion with DP-SGD is left out: opacus is not installed (twinset[dp])")
    else:
        found.append(_private("dp-diffusion", "diffusion", max(part.epsilons)))
    return found, notes


def _named(name: str, **given: object) -> FrontierSetting:
    return FrontierSetting.model_validate({"name": name, **given})


def _private(name: str, use: str, epsilon: float) -> FrontierSetting:
    """Without filters, which would look at the training images without noise."""
    made = UsePart.model_validate({"use": use, "privacy": {"epsilon": epsilon}})
    return _named(f"{name}-{epsilon:g}", generate=(made,), edit=(), align="off")


def _privacy(part: UsePart) -> Privacy | None:
    """What a generator is asked for; None where it knows no privacy."""
    method = methods.build("generators", part.use, part.settings, where="generate")
    found = getattr(method, "privacy", None)
    return found if isinstance(found, Privacy) else None


def _told(part: UsePart) -> str:
    asked = _privacy(part)
    if asked is None:
        return part.use
    return f"{part.use} without noise" if asked.epsilon is None else f"{part.use} with ε = {asked.epsilon:g}"
