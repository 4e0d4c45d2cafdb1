from __future__ import annotations

import numpy as np
import pytest

from twinset.downstream.metrics import Resampled, balanced_accuracy_scores, resample
from twinset.randomness import Stream


def resample_families(
    correct: np.ndarray, labels: np.ndarray, families: np.ndarray, *, draws: int, generator: np.random.Generator
) -> Resampled:
    scores = balanced_accuracy_scores(correct, labels, families)
    return resample(scores, len(np.unique(families)), draws=draws, generator=generator)


def test_family_draws_have_the_spread_of_a_binomial_when_every_image_is_its_own_family() -> None:
    correct = (np.arange(400) % 4 != 0)[None]
    labels = np.zeros(400, int)
    out = resample_families(correct, labels, np.arange(400), draws=3000, generator=Stream(0).numpy())
    assert out.runs.tolist() == [0.75]
    assert out.draws.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.06)


def test_images_of_one_family_are_drawn_together() -> None:
    # Forty families of ten equal images: as uncertain as forty images, not as four hundred.
    correct = np.repeat(np.arange(40) % 4 != 0, 10)[None]
    labels = np.zeros(400, int)
    out = resample_families(correct, labels, np.repeat(np.arange(40), 10), draws=3000, generator=Stream(0).numpy())
    assert out.draws.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 40), rel=0.06)


def test_all_runs_see_the_same_draws_and_balance_classes() -> None:
    rng = Stream(1).numpy()
    labels = np.repeat([0, 1], [30, 10])
    run = rng.random(40) < 0.7
    out = resample_families(np.stack([run, run]), labels, np.arange(40), draws=200, generator=rng)
    np.testing.assert_array_equal(out.draws[:, 0], out.draws[:, 1])
    assert out.runs[0] == pytest.approx((run[:30].mean() + run[30:].mean()) / 2)
