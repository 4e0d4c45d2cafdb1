from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.distances.frechet import Moments, frechet_value
from twinset.evaluation.distances.frechet_infinity import (
    Extrapolation,
    FrechetInfinity,
    extrapolation,
    frechet_infinity,
)
from twinset.evaluation.protocol import Evidence
from twinset.randomness import Stream


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def test_a_line_is_continued_to_no_parts() -> None:
    fitted = Extrapolation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([7.0, 9.0, 11.0, 13.0]))
    assert fitted.intercept == pytest.approx(5.0)
    assert fitted.bias == pytest.approx(2.0)
    assert fitted.residual == pytest.approx(0.0, abs=1e-12)
    assert fitted.curvature == pytest.approx(0.0, abs=1e-12)
    bent = Extrapolation(np.array([1.0, 2.0, 4.0]), 3.0 + np.array([1.0, 2.0, 4.0]) ** 2)
    # Weights 1, ½, ¼: Σw = 7/4, Σwx = 3, Σwx² = 7, Σwy = 49/4, Σwxy = 30, so (7 · 49/4 − 3 · 30)/(7/4 · 7 − 9).
    assert bent.intercept == pytest.approx(-17 / 13)
    assert bent.intercept + bent.curvature == pytest.approx(3.0)
    assert bent.curvature > 0
    assert bent.residual > 0.1


def test_the_first_level_is_the_distance_of_all_images_and_every_level_uses_them_all() -> None:
    x, y = draw(0, 130, 4), draw(1, 97, 4) + 0.5
    fitted = extrapolation(x, y, rng=Stream(3), levels=(1,), block=20)
    assert fitted.distances[0] == pytest.approx(frechet_value(x, y), rel=1e-9)
    # Of the means alone: with a constant shift and equal parts, every level sees all of it.
    same = np.tile(draw(2, 12, 3), (12, 1))
    assert extrapolation(same, same + 2.0, rng=Stream(0)).intercept == pytest.approx(12.0, rel=0.2)


def test_the_bias_at_equal_laws_goes() -> None:
    plain, extrapolated = [], []
    for seed in range(60):
        fitted = extrapolation(draw(2 * seed, 200, 8), draw(2 * seed + 1, 200, 8), rng=Stream(seed))
        plain.append(fitted.distances[0])
        extrapolated.append(fitted.intercept)
    assert np.mean(plain) > 0.15
    assert abs(np.mean(extrapolated)) < 4 * np.std(extrapolated) / np.sqrt(60)
    assert min(extrapolated) < 0


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "scale"), [(0.3, 1.0), (0.1, 1.5)])
def test_the_interval_holds_the_distance_of_the_laws(shift: float, scale: float) -> None:
    truth = 4 * shift**2 + 4 * (scale - 1) ** 2
    scores = [
        frechet_infinity(draw(2 * s, 120, 4), scale * draw(2 * s + 1, 120, 4) + shift, rng=Stream(s))
        for s in range(200)
    ]
    held = np.mean([score.interval.low <= truth <= score.interval.high for score in scores])
    assert 0.90 <= held <= 0.99
    assert np.mean([score.value for score in scores]) == pytest.approx(truth, rel=0.1)


def test_few_images_have_no_interval_or_no_score() -> None:
    few = frechet_infinity(draw(0, 60, 20), draw(1, 60, 20), rng=Stream(0))
    assert few.interval is None
    assert "fewer than 5 per dimension" in few.warnings[0]
    assert "at least 24 images" in frechet_infinity(draw(0, 23, 2), draw(1, 60, 2), rng=Stream(0)).undefined_because
    with pytest.raises(ValueError, match="divide 12"):
        extrapolation(draw(0, 60, 2), draw(1, 60, 2), rng=Stream(0), levels=(5,))


def test_one_seed_gives_one_figure_and_features_are_read_in_blocks() -> None:
    x, y = draw(2, 100, 3), draw(3, 90, 3)
    whole = extrapolation(x, y, rng=Stream(5)).intercept
    assert extrapolation(x, y, rng=Stream(5), block=7).intercept == pytest.approx(whole, rel=1e-9)
    assert Moments.of(x).count == 100


def test_as_a_metric() -> None:
    x, y = draw(4, 100, 3), draw(5, 100, 3) + 1
    (score,) = FrechetInfinity().measure(Evidence(x, y, "test"), rng=Stream(0))
    assert score.name == "frechet_infinity"
    assert FrechetInfinity().values(x, y)["frechet_infinity"] == score.value
    assert FrechetInfinity().values(x[:9], y) == {"frechet_infinity": None}
