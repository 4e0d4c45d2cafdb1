from __future__ import annotations

import numpy as np
import pytest

from twinset.models.detection.sampling import batch_rows, class_weights, passes, repeat_factors
from twinset.randomness import Stream


def rows_of(
    n_real: int, n_synthetic: int, *, share: float = 0.25, balanced: bool = False, steps: int = 40
) -> tuple[np.ndarray, int]:
    class_ids = [np.array([int(i == 0)]) for i in range(n_real)] + [np.array([0])] * n_synthetic
    source = np.repeat([0, 1], [n_real, n_synthetic])
    return batch_rows(
        class_ids, source, steps=steps, batch=8, synthetic_share=share, class_balanced=balanced, rng=Stream(3)
    )


def test_every_batch_holds_the_asked_share_of_synthetic_pictures() -> None:
    rows, n_real = rows_of(10, 50)
    assert rows.shape == (40, 8, 4)
    assert n_real == 6
    assert (rows[:, :6] < 10).all()
    assert (rows[:, 6:] >= 10).all()


def test_real_pictures_come_in_the_same_order_in_every_arm() -> None:
    alone, n_alone = rows_of(10, 0)
    mixed, n_real = rows_of(10, 50, share=0.5, steps=80)
    other, _ = rows_of(10, 7, share=0.5, steps=80)
    assert (n_alone, n_real) == (8, 4)
    np.testing.assert_array_equal(mixed[:, :n_real].reshape(-1, 4), alone.reshape(-1, 4))
    np.testing.assert_array_equal(mixed[:, :n_real], other[:, :n_real])


def test_every_picture_is_shown_equally_often_without_balance() -> None:
    rows, _ = rows_of(10, 0)
    assert np.bincount(rows[:, :, 0].ravel()).tolist() == [32] * 10
    assert np.ptp(np.bincount(rows[:, :, 1:].ravel())) <= 1


def test_pictures_with_rare_classes_are_shown_more_often_with_balance() -> None:
    rows, _ = rows_of(10, 0, balanced=True, steps=200)
    counts = np.bincount(rows[:, :, 0].ravel())
    assert counts[0] / counts[1:].mean() == pytest.approx(3, rel=0.05)


def test_repeat_factors_by_hand() -> None:
    found = repeat_factors([np.array([0, 0, 2]), np.array([0]), np.array([0]), np.array([0]), np.array([2, 1])])
    np.testing.assert_allclose(found, [2**0.5, 1, 1, 1, 2])
    assert repeat_factors([np.zeros(0, np.int64)] * 2).tolist() == [1, 1]


def test_passes_show_fractions_on_average() -> None:
    counts = np.bincount(passes(np.array([1.0, 1.5, 2.25]), 4750, rng=Stream(0)))
    np.testing.assert_allclose(counts, [1000, 1500, 2250], rtol=0.03)


def test_classes_weigh_as_their_objects_are_rare() -> None:
    assert class_weights([np.array([0, 0, 1]), np.array([0, 0])], 3).tolist() == [0.25, 1, 1]


@pytest.mark.parametrize("source", [np.array([0, 2]), np.array([0])])
def test_foreign_sources_are_refused(source: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected pictures and a source"):
        batch_rows(
            [np.array([0])] * 2, source, steps=1, batch=2, synthetic_share=0.5, class_balanced=False, rng=Stream(0)
        )
