from __future__ import annotations

import numpy as np
import pytest

from twinset.copytest import NOTHING, Known
from twinset.errors import DataError
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.privacy.attacks.monte_carlo import MonteCarlo
from twinset.privacy.audit.witnesses import neither, witnesses
from twinset.randomness import Stream


def rows(seed: int, count: int, *, rare: float = 0.3) -> np.ndarray:
    """Features (N, 8), a share of which lies twice as far out."""
    draw = np.random.Generator(np.random.PCG64(seed))
    return np.where(draw.random(count) < rare, 2.0, 1.0)[:, None] * draw.normal(size=(count, 8))


def test_held_out_images_that_are_merely_rarer_are_no_leak() -> None:
    training, holdout, made = rows(0, 400), rows(1, 400, rare=0.6), rows(2, 400)
    real = witnesses(training, holdout, NOTHING, NOTHING)
    scores = MonteCarlo().scores(real.pictures, SeenDataset(made), rng=Stream(0))
    figures = real.figures("monte_carlo", scores)
    assert figures.p_value < 1e-4
    assert real.p_value(figures, scores) > 0.01


def test_copies_are_found_among_equally_rare_images() -> None:
    training, holdout = rows(0, 400), rows(1, 400)
    made = training + np.random.Generator(np.random.PCG64(3)).normal(0, 0.2, training.shape)
    real = witnesses(training, holdout, NOTHING, NOTHING)
    scores = MonteCarlo().scores(real.pictures, SeenDataset(made), rng=Stream(0))
    assert real.p_value(real.figures("monte_carlo", scores), scores) < 1e-9


def test_images_of_one_family_count_once() -> None:
    centres = rows(0, 40)
    pictures = (centres[:, None] + 0.5 * rows(1, 400).reshape(40, 10, 8)).reshape(400, 8)
    families = np.repeat(np.arange(40), 10)
    real = witnesses(pictures[:200], pictures[200:], Known(families=families[:200]), Known(families=families[200:]))
    figures = real.figures("x", np.repeat(np.arange(40.0), 10))
    assert (figures.members, figures.others) == (20, 20)
    assert figures.auc == 0.0


def test_an_image_in_several_files_counts_once_and_for_the_training_side() -> None:
    training, holdout = rows(0, 50), rows(1, 50)
    repeated = np.concatenate([training, training[:10] + 1e-6])
    real = witnesses(repeated, np.concatenate([holdout, holdout[:5], training[:7]]), NOTHING, NOTHING)
    assert len(real.pictures) == 100
    assert real.members == 50
    assert real.held_out.tolist() == list(range(50))


def test_held_out_images_of_a_training_family_do_not_testify() -> None:
    real = witnesses(
        rows(0, 20),
        rows(1, 20),
        Known(families=np.arange(20)),
        Known(families=np.concatenate([[3, 3], np.arange(30, 48)])),
    )
    assert real.held_out.tolist() == list(range(2, 20))


def test_too_few_witnesses_are_refused() -> None:
    with pytest.raises(DataError, match="got 20 and 1"):
        witnesses(rows(0, 20), np.concatenate([rows(0, 20), rows(1, 1)]), NOTHING, NOTHING)


def test_reference_images_of_either_side_are_told() -> None:
    training, holdout = rows(0, 30), rows(1, 30)
    reference = np.concatenate([training[:3], rows(2, 10), holdout[4:6]])
    assert neither(reference, training, holdout, limit=1e-3).tolist() == list(range(3, 13))
