"""Real images that are neither trained on nor held out: what the attacks that weigh densities need."""

from __future__ import annotations

import hashlib

import numpy as np

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.pipeline.real import RealData
from twinset.pipeline.tools import load
from twinset.recipe import Recipe
from twinset.sample import Sample

FEWEST = 8
"""Images of any side, below which nothing is audited."""


def reference_beside(real: RealData, named: str | None, *, on_bad_input: str) -> Dataset | None:
    """The reference images named, or else those that a run did not use and of whose families it used none (where it
    keeps a few shots of each class); None where these are too few."""
    if named is not None:
        return load(named, on_bad_input=on_bad_input)
    unused = np.array([split is None for split in real.dataset.splits], dtype=bool)
    unused &= ~np.isin(real.families, real.families[~unused])
    return real.dataset.where(unused) if unused.sum() >= FEWEST else None


def check_reference(recipe: Recipe, real: Dataset) -> None:
    """Errors of the recipe's reference images at once, not after an hour: too few, or those of the run itself."""
    part = recipe.privacy
    if part is None or not part.audit or part.reference is None:
        return
    beside = load(part.reference, on_bad_input=recipe.on_bad_input)
    known = set(map(_pixels, real))
    others = sum(_pixels(sample) not in known for sample in beside)
    if others < FEWEST:
        raise DataError(
            f"privacy.reference: expected at least {FEWEST} images that are not in the data of the run; got {others} "
            f"of {len(beside)}",
            hint="give other real images of the kind, or leave it out",
        )


def _pixels(sample: Sample) -> bytes:
    pixels = sample.pixels()
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
