from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods.neighbours_shown import NeighboursShown, closest_pairs
from twinset.evaluation.protocol import Evidence


def draw(seed: int, count: int, dimension: int = 8) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(count, dimension))


def test_planted_copies_come_first_with_the_image_that_they_copy() -> None:
    train, holdout, synthetic = draw(0, 200), draw(1, 99), draw(2, 150)
    synthetic[[17, 90]] = train[[5, 140]] + [[1e-3], [2e-3]]
    found = closest_pairs(synthetic, train, holdout, pairs=5)
    assert found.synthetic[:2].tolist() == [17, 90]
    assert found.training[:2].tolist() == [5, 140]
    assert found.distances[:2] == pytest.approx([1e-3 * np.sqrt(8), 2e-3 * np.sqrt(8)])
    assert found.ratios is not None
    assert found.holdout_shares is not None
    assert found.ratios[0] < 0.01 < 0.3 < found.ratios[2]
    assert found.holdout_shares[0] == 1 / 100


def test_it_equals_a_full_table_of_distances() -> None:
    train, holdout, synthetic = draw(3, 40), draw(4, 21), draw(5, 30)
    table = np.sqrt(((synthetic[:, None] - train) ** 2).sum(axis=2))
    unseen = np.sqrt(((holdout[:, None] - train) ** 2).sum(axis=2)).min(axis=1)
    found = closest_pairs(synthetic, train, holdout, pairs=30, per_training=30)
    order = np.argsort(table.min(axis=1), kind="stable")
    assert (found.synthetic == order).all()
    assert (found.training == table.argmin(axis=1)[order]).all()
    assert found.distances == pytest.approx(table.min(axis=1)[order])
    assert found.baseline == pytest.approx(np.median(unseen))
    assert found.ratios == pytest.approx(found.distances / np.median(unseen))
    assert found.holdout_shares == pytest.approx([(1 + (unseen <= d).sum()) / 22 for d in found.distances])
    assert (found.repeats == [(table.argmin(axis=1) == row).sum() for row in found.training]).all()


def test_unseen_images_shown_as_synthetic_look_usual() -> None:
    found = closest_pairs(draw(6, 300), draw(7, 100), draw(8, 300), pairs=300, per_training=300)
    assert found.ratios is not None
    assert found.holdout_shares is not None
    assert np.median(found.ratios) == pytest.approx(1.0, abs=0.1)
    assert found.holdout_shares.mean() == pytest.approx(0.5, abs=0.06)


def test_one_copied_image_does_not_fill_the_page() -> None:
    train, synthetic = draw(9, 50), draw(10, 40)
    synthetic[:20] = train[3] + 1e-4 * draw(11, 20)
    found = closest_pairs(synthetic, train, pairs=6, per_training=2)
    assert (found.training == 3).sum() == 2
    assert found.repeats[0] >= 20
    assert len(found) == 6
    assert (np.diff(found.distances) >= 0).all()
    assert found.baseline is None
    assert found.ratios is None


def test_exact_copies_in_the_holdout_set_leave_no_ratio() -> None:
    train = draw(12, 10)
    found = closest_pairs(draw(13, 5), train, train[:6], pairs=9)
    assert found.baseline == 0
    assert found.ratios is None
    assert len(found) == 5


def test_why_there_is_nothing_to_show_is_said() -> None:
    real, train = draw(14, 10), draw(15, 10)
    assert "no training" in str(NeighboursShown().find(Evidence(real, real, "e")))
    assert "was trained on" in str(
        NeighboursShown().find(Evidence(real, real, "e", train=train, extractor_saw_real=True))
    )
    shown = NeighboursShown(pairs=3).find(Evidence(real, real, "e", train=train))
    assert not isinstance(shown, str)
    assert len(shown) == 3
    with pytest.raises(ValueError, match="pairs ≥ 1"):
        NeighboursShown(pairs=0)
