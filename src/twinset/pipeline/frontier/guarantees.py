"""What differential privacy promises of a setting's trainings, and of each of its releases."""

from __future__ import annotations

from pathlib import Path

from twinset import documents
from twinset.pipeline.fitting import load_resolved, sources_of
from twinset.pipeline.guarantees import account_in, together
from twinset.privacy.audit.model_release import Release
from twinset.recipe import Recipe


def trained_guarantee(folder: Path) -> documents.GuaranteePart | None:
    """The sums of ε and δ over all that a finished run trained; None where anything was trained without a bound."""
    recipe = load_resolved(folder)
    sources = sources_of(recipe, folder)
    if recipe.edit or recipe.evolve is not None:
        return None
    return together([account_in(source.folder) for source in sources])


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
