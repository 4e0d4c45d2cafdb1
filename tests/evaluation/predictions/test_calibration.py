from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.predictions.calibration import Bins, _unbiased_square, calibration_scores, swept_bins
from twinset.evaluation.predictions.classification import Classified
from twinset.randomness import Stream


def said(seed: int, n: int, *, boast: float = 0.0) -> Classified:
    """Two classes; a confidence that is too high by ``boast``."""
    draw = Stream(seed).numpy()
    truth = draw.uniform(0.55, 0.9, size=n)
    told = truth + boast
    right = draw.random(n) < truth
    return Classified(np.stack([told, 1 - told], axis=1), np.where(right, 0, 1))


def by_name(classified: Classified, bins: int = 15) -> dict[str, float]:
    return {s.name: s.value for s in calibration_scores(classified, bins=bins) if s.value is not None}


def test_two_bins_by_hand() -> None:
    # Confidences .6 .6 .8 .8 with right 1 0 1 1: gaps −.1 and +.2, each half the images.
    bins = Bins.of(np.array([0.8, 0.6, 0.6, 0.8]), np.array([True, True, False, True]), 2)
    assert bins.gaps == pytest.approx([-0.1, 0.2])
    assert bins.error == pytest.approx(0.15)


def test_the_unbiased_square_by_hand() -> None:
    # Right − confidence in two bins of two: (.4, −.6) and (.2, .2); variances of the means .25 and 0.
    told = np.array([0.6, 0.6, 0.8, 0.8])
    said_so = Classified(np.stack([told, 1 - told], axis=1), np.array([0, 1, 0, 0]))
    found = {s.name: s for s in calibration_scores(said_so, bins=2)}
    assert found["ece"].value == pytest.approx(0.15)
    assert found["calibration_rms"].value == 0.0
    # ½ · (.01 − .25) + ½ · .04 = −.1; twice ¼ · V², and 4 · (d² − V) · V is below 0.
    assert found["calibration_rms"].settings["standard_error_of_square"] == pytest.approx(np.sqrt(0.25 * 2 * 0.25**2))
    assert found["calibration_rms"].interval is not None
    assert found["calibration_rms"].interval.high == pytest.approx(np.sqrt(-0.1 + 1.959964 * np.sqrt(0.03125)))


def test_the_square_is_unbiased_for_calibrated_and_for_boasting_classifiers() -> None:
    for boast in (0.0, 0.1):
        squares, errors = [], []
        for seed in range(200):
            one = said(seed, 150, boast=boast)
            confidence, right = one.probabilities.max(1), one.predicted == one.labels
            square, error = _unbiased_square(Bins.of(confidence, right, 15), right - confidence, one)
            squares.append(square)
            errors.append(error)
        assert np.mean(squares) == pytest.approx(boast**2, abs=4 * np.std(squares) / np.sqrt(200))
        assert 0.8 < np.mean(errors) / np.std(squares) < 1.25


def test_bins_are_filled_equally_and_by_confidence() -> None:
    confidence = Stream(2).numpy().random(103)
    bins = Bins.of(confidence, confidence > 0.5, 10)
    assert set(bins.count.astype(int)) == {10, 11}
    assert (np.diff(bins.confidence) > 0).all()


def test_the_plain_error_of_a_calibrated_classifier_is_far_from_zero_and_the_sweep_is_nearer() -> None:
    found = [by_name(said(seed, 150)) for seed in range(60)]
    plain, swept = (np.mean([f[name] for f in found]) for name in ("ece", "ece_sweep"))
    assert plain > 0.08
    assert swept < 0.7 * plain


def test_a_boast_is_measured_and_a_larger_one_is_larger() -> None:
    values = [by_name(said(3, 20_000, boast=boast)) for boast in (0.02, 0.05, 0.1)]
    for name in ("ece", "ece_sweep", "calibration_rms"):
        assert [value[name] for value in values] == pytest.approx([0.02, 0.05, 0.1], abs=0.01)


def test_the_sweep_ends_before_the_share_of_right_images_falls() -> None:
    confidence = np.arange(1, 9) / 10
    assert len(swept_bins(confidence, np.array([0, 0, 0, 0, 1, 1, 1, 1], bool)).count) == 8
    assert len(swept_bins(confidence, np.array([1, 1, 0, 0, 1, 1, 1, 1], bool)).count) == 3
    assert len(swept_bins(confidence, np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)).count) == 1


def test_brier_and_likelihood_by_hand() -> None:
    told = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]])
    found = {s.name: s for s in calibration_scores(Classified(told, np.array([0, 2])))}
    first, second = 0.09 + 0.04 + 0.01, 0.04 + 0.25 + 0.49
    assert found["brier"].value == pytest.approx((first + second) / 2)
    assert found["nll"].value == pytest.approx(-(np.log(0.7) + np.log(0.3)) / 2)
    assert found["ece"].value is None
    assert "at least 30 images" in found["ece"].undefined_because


def test_an_impossible_class_has_no_likelihood_but_a_brier_score() -> None:
    found = {s.name: s for s in calibration_scores(Classified(np.array([[1.0, 0.0], [0.4, 0.6]]), np.array([1, 1])))}
    assert "1 images have a class that was given probability 0" in found["nll"].undefined_because
    assert found["brier"].value == pytest.approx((2 + 0.32) / 2)


def test_equal_confidences_are_warned_about() -> None:
    told = np.tile([0.7, 0.3], (60, 1))
    scores = calibration_scores(Classified(told, np.zeros(60, int)))
    assert "equal confidence" in scores[0].warnings[0]


def test_copies_in_families_add_no_certainty() -> None:
    plain = said(4, 200, boast=0.1)
    pairs = Classified(
        np.repeat(plain.probabilities, 2, axis=0), np.repeat(plain.labels, 2), families=np.repeat(np.arange(200), 2)
    )
    for mine, theirs in zip(calibration_scores(plain), calibration_scores(pairs), strict=True):
        if mine.interval is not None and mine.name in ("brier", "nll"):
            assert theirs.interval is not None
            assert theirs.interval.high - theirs.interval.low == pytest.approx(
                mine.interval.high - mine.interval.low, rel=1e-6
            )


@pytest.mark.slow
@pytest.mark.parametrize("boast", [0.0, 0.03, 0.1])
def test_the_interval_holds_the_true_error(boast: float) -> None:
    intervals = [calibration_scores(said(seed, 400, boast=boast))[2].interval for seed in range(500)]
    held = [one is not None and one.low <= boast <= one.high for one in intervals]
    assert 100 * np.mean(held) >= 92
