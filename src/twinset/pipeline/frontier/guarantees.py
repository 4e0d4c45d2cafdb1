"""What differential privacy promises of a setting's trainings, and of each of its releases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinset import documents
from twinset.models.private.sitting import LOG
from twinset.pipeline.fitting import load_resolved, sources_of
from twinset.privacy.audit.model_release import Release
from twinset.recipe import Recipe
from twinset.store import read_json


def trained_guarantee(folder: Path) -> documents.GuaranteePart | None:
    """The sums of ε and δ over all that a finished run trained; None where anything was trained without a bound.

    Sums hold for mechanisms that each look at the same images (basic composition: Dwork and Roth 2014, Theorem 3.16).
    """
    recipe = load_resolved(folder)
    sources = sources_of(recipe, folder)
    if recipe.edit or recipe.evolve is not None:
        return None
    return together([_account(source.folder / LOG) for source in sources])


def together(parts: Sequence[documents.GuaranteePart | None]) -> documents.GuaranteePart | None:
    """What is promised of all of them at once; None where one of them promises nothing."""
    found = [part for part in parts if part is not None]
    if not parts or len(found) < len(parts):
        return None
    return documents.GuaranteePart(epsilon=sum(one.epsilon for one in found), delta=sum(one.delta for one in found))


def guarantee_of(
    release: Release, trained: documents.GuaranteePart | None, recipe: Recipe
) -> tuple[documents.GuaranteePart | None, str]:
    """What holds for one release by itself, and why."""
    if trained is None:
        return None, "not everything was trained with differential privacy"
    if release == "generator":
        return trained, "the weights are what was trained"
    if recipe.filters:
        names = ", ".join(part.use for part in recipe.filters)
        return None, f"its filters ({names}) look at training images without noise"
    why = "it is sampled from what was trained" if release == "dataset" else "it is trained on what was sampled"
    return trained, why


def _account(path: Path) -> documents.GuaranteePart | None:
    if not path.exists():
        return None
    values = read_json(path)
    assert isinstance(values, dict)
    account = values["account"]
    if not values.get("finished") or account["epsilon"] is None:
        return None
    return documents.GuaranteePart(epsilon=float(account["epsilon"]), delta=float(account["delta"]))
