"""What can be told of a privacy audit before anything is made: that it is bound to be inconclusive, and what to change.

Counted are families of real images, as the audit counts them; duplicates that it will find may leave fewer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from twinset.pipeline.planning import planned
from twinset.pipeline.real import RealData
from twinset.pipeline.reference_images import FEWEST, reference_beside
from twinset.privacy.audit.model_release import FEWEST_UNITS
from twinset.privacy.audit.power import Foreseen, dataset_tests
from twinset.recipe import Recipe
from twinset.recipe.model import PLACED

VALIDATION = 0.2
"""What is left of a proposed split for validation; both other parts are held out for the audit."""


def audit_forecast(recipe: Recipe, real: RealData) -> list[str]:
    """What is known of the audit of a resolved recipe before it; nothing where none is asked for, or it may tell."""
    part = recipe.privacy
    if part is None or not part.audit:
        return []
    beside = part.reference is not None or reference_beside(real, None, on_bad_input="skip") is not None
    alpha = part.alpha / (2 if real.task in PLACED else 1)
    training = np.unique(real.part_families("train"))
    holdout = np.setdiff1d(real.part_families("validation", "test"), training)
    found = Foreseen(planned(recipe), len(training), len(holdout), alpha / dataset_tests(reference=beside))
    if min(found.outputs, found.training, found.holdout) < FEWEST:
        counts = f"{found.outputs} to make, {found.training} training and {found.holdout} held-out families"
        return [f"privacy: the audit needs at least {FEWEST} images of each; there are {counts}"]
    told = [_hopeless(found)] if found.hopeless else []
    if part.with_generator and min(found.training, found.holdout) < FEWEST_UNITS:
        told.append(
            f"privacy: the audit of the generator needs at least {FEWEST_UNITS} training and {FEWEST_UNITS} held-out "
            f"families; there are {found.training} and {found.holdout}"
        )
    return told


def _hopeless(found: Foreseen) -> str:
    """That nothing can be cleared, and what to change in the recipe."""
    remedies = list(_remedies(found))
    change = f"change {' or '.join(remedies)}" if remedies else "it takes more real images"
    return (
        f"privacy: the audit is bound to be inconclusive: it will plant {found.planted} copies of training images "
        f"among {found.outputs} and must find them, but with {found.training} training and {found.holdout} held-out "
        f"images fewer than {found.needed} hits cannot be told from chance; {change}"
    )


def _remedies(found: Foreseen) -> Iterator[str]:
    if (share := found.share_enough) is not None:
        test = round(1 - share - VALIDATION, 2)
        yield f"split: {{train: {share:g}, validation: {VALIDATION:g}, test: {test:g}}} (where the data names no parts)"
    if (outputs := found.outputs_enough) is not None:
        yield f"count: {outputs}"
