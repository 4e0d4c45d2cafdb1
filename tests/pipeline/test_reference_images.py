"""What serves as reference where a recipe names none: the images that its few shots left over."""

from __future__ import annotations

import numpy as np

import twinset
from twinset.images import ImageSpec
from twinset.pipeline.real import RealData, RealFacts
from twinset.pipeline.reference_images import FEWEST, reference_beside
from twinset.randomness import Stream
from twinset.splits import split


def few_shot(shots: int | None, families: np.ndarray, images: int = 200) -> RealData:
    """Digits as a recipe with ``split: {shots: N}`` keeps them: what it does not use is in no part."""
    dataset = twinset.load("builtin:digits").take(range(images))
    parts = split(dataset, fractions=(0.6, 0.2, 0.2), shots=shots, families=families, rng=Stream(0))
    names = {id_: name for name in ("train", "validation", "test") for id_ in getattr(parts, name).ids}
    facts = RealFacts("0", "digits", None, "", (), (), "classification")
    return RealData(dataset.with_splits([names.get(id_) for id_ in dataset.ids]), families, ImageSpec(8, 8, 1), facts)


def test_the_images_that_few_shots_leave_over_are_reference_images() -> None:
    real = few_shot(3, np.arange(200))
    found = reference_beside(real, None, on_bad_input="refuse")
    assert found is not None
    used = {*real.training.ids, *real.holdout.ids}
    assert set(found.ids) == set(real.dataset.ids) - used
    assert len(found) == 120 - len(real.training) == 90


def test_relatives_of_images_in_use_are_no_reference() -> None:
    families = np.arange(200) // 2
    real = few_shot(3, families)
    found = reference_beside(real, None, on_bad_input="refuse")
    assert found is not None
    family_of = dict(zip(real.dataset.ids, families, strict=True))
    used = {family_of[id_] for id_ in (*real.training.ids, *real.holdout.ids)}
    unused = [id_ for id_, part in zip(real.dataset.ids, real.dataset.splits, strict=True) if part is None]
    assert used & {family_of[id_] for id_ in unused}
    assert set(found.ids) == {id_ for id_ in unused if family_of[id_] not in used}


def test_too_few_or_none_left_over_are_no_reference() -> None:
    assert reference_beside(few_shot(None, np.arange(200)), None, on_bad_input="refuse") is None
    real = few_shot(2, np.arange(40), images=40)
    left = sum(part is None for part in real.dataset.splits)
    assert 0 < left < FEWEST
    assert reference_beside(real, None, on_bad_input="refuse") is None
