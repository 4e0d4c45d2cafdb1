"""The copy gate over a run: what it finds, and which of that withholds the twin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from twinset.copytest import Known
from twinset.dataset import Dataset
from twinset.pipeline.real import RealData
from twinset.privacy.gate import GateResult, copy_gate
from twinset.privacy.lineage import parent_rows
from twinset.recipe import Recipe


@dataclass(frozen=True)
class Copies:
    """The gate's findings, and of its reasons those that ``gate.copies`` of the recipe does not let out."""

    gate: GateResult
    withheld: tuple[str, ...]


def copies_of(accepted: Dataset, everything: Dataset, real: RealData, recipe: Recipe) -> Copies:
    """The copy gate on what would be released and on everything that was made.

    Where a recipe lets images show the training images that they record as their parents (``block-unrecorded``), the
    others are judged by themselves too: copies by one generator are not lost among the pasted pictures of another.
    """
    policy = recipe.gate.copies
    if policy == "off":
        return Copies(GateResult.skipped(), ())
    whole = _gate(accepted, everything, real, recipe)
    if policy == "report":
        return Copies(whole, ())
    others = _without_parents(accepted, real.training)
    if policy == "block" or len(others) == len(accepted):
        return Copies(whole, whole.reasons)
    if not len(others):
        return Copies(whole, ())
    rest = _gate(others, _without_parents(everything, real.training), real, recipe)
    withheld = tuple(f"of the {len(others)} images that record no training image: {reason}" for reason in rest.reasons)
    return Copies(replace(whole, passed=whole.passed and rest.passed, reasons=(*whole.reasons, *withheld)), withheld)


def _without_parents(images: Dataset, training: Dataset) -> Dataset:
    return images.take(np.flatnonzero([not rows for rows in parent_rows(images, training)]))


def _gate(accepted: Dataset, everything: Dataset, real: RealData, recipe: Recipe) -> GateResult:
    training, holdout = real.training, real.holdout
    labelled = real.task == "classification"
    return copy_gate(
        candidates=everything.prepared(real.spec),
        accepted=accepted.prepared(real.spec),
        training=training.prepared(real.spec),
        holdout=holdout.prepared(real.spec),
        of_training=Known(training.class_ids if labelled else None, real.part_families("train")),
        of_holdout=Known(holdout.class_ids if labelled else None, real.part_families("validation", "test")),
        parents=parent_rows(accepted, training),
        alpha=recipe.gate.alpha,
    )
