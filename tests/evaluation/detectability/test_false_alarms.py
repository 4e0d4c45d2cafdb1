from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from twinset.evaluation.detectability.false_alarms import false_alarms
from twinset.randomness import Stream


def counted(images: int, calibration: int, rate: float) -> list[int]:
    """How many images are flagged, by their conformal p-values, in every order of all scores."""
    found = []
    for places in combinations(range(images + calibration), images):
        held = [place for place in range(images + calibration) if place not in places]
        p_values = [Fraction(1 + sum(other > place for other in held), 1 + calibration) for place in places]
        found.append(sum(p <= Fraction(rate).limit_denominator(100) for p in p_values))
    return found


@pytest.mark.parametrize(("images", "calibration", "rate"), [(3, 4, 0.4), (4, 4, 0.2), (2, 5, 0.5), (1, 9, 0.1)])
def test_mean_and_p_value_are_those_of_all_orders(images: int, calibration: int, rate: float) -> None:
    every = counted(images, calibration, rate)
    for flagged in range(images + 1):
        found = false_alarms(flagged, images=images, calibration=calibration, rate=rate)
        assert found is not None
        assert found.expected == pytest.approx(np.mean(every))
        assert found.p_value == pytest.approx(np.mean([number >= flagged for number in every]))


def test_the_interval_holds_95_percent_and_no_binomial_would() -> None:
    images, calibration, rate = 400, 99, 0.05
    found = false_alarms(0, images=images, calibration=calibration, rate=rate)
    assert found is not None
    draw = Stream(3).numpy()
    numbers = []
    for _ in range(2000):
        threshold = np.sort(draw.uniform(size=calibration))[-5]
        numbers.append((draw.uniform(size=images) > threshold).sum())
    inside = np.mean([found.interval.low <= number <= found.interval.high for number in numbers])
    assert 0.94 <= inside <= 0.985
    assert found.interval.high > 20 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_a_calibration_that_is_too_small_for_the_rate_says_nothing() -> None:
    assert false_alarms(0, images=10, calibration=98, rate=0.01) is None
    found = false_alarms(0, images=100, calibration=99, rate=0.01)
    assert found is not None
    assert (found.expected, found.p_value) == (1.0, 1.0)


def test_no_images_have_no_false_alarms_and_more_flags_than_images_are_refused() -> None:
    found = false_alarms(0, images=0, calibration=99, rate=0.05)
    assert found is not None
    assert (found.expected, found.interval.high) == (0, 0)
    for flagged, images, rate in ((3, 2, 0.05), (-1, 2, 0.05), (1, 2, 0.0), (1, 2, 1.0)):
        with pytest.raises(ValueError, match="expected 0 ≤ flagged ≤ images"):
            false_alarms(flagged, images=images, calibration=99, rate=rate)
