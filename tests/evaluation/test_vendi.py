from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.protocol import Evidence
from twinset.evaluation.vendi import ORDERS, Spectrum, Vendi, mean_cosine, vendi, vendi_score
from twinset.randomness import Stream


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


@pytest.mark.parametrize("route", ["primal", "dual"])
@pytest.mark.parametrize("order", ORDERS)
class TestExtremes:
    def test_identical_images_count_as_one(self, route: str, order: float) -> None:
        x = np.outer(np.linspace(1, 3, 40), draw(0, 1, 7)[0])
        assert vendi_score(x, order=order, route=route) == pytest.approx(1.0, abs=1e-6)

    def test_orthogonal_images_count_one_by_one(self, route: str, order: float) -> None:
        rotation = np.linalg.qr(draw(1, 12, 12))[0]
        assert vendi_score(5 * rotation[:9], order=order, route=route) == pytest.approx(9.0, rel=1e-9)

    def test_a_second_copy_of_every_image_adds_nothing(self, route: str, order: float) -> None:
        x = draw(20, 9, 5) + 0.5
        twice = np.concatenate([x, -3 * x, x])  # turned round and longer, it is the same direction to λ
        assert vendi_score(twice, order=order, route=route) == pytest.approx(vendi_score(x, order=order), rel=1e-9)

    def test_unequal_kinds_by_hand(self, route: str, order: float) -> None:
        x = np.eye(4)[[0, 0, 0, 0, 1, 1, 2, 2]]  # shares 1/2, 1/4, 1/4
        expected = {
            0.1: (0.5**0.1 + 2 * 0.25**0.1) ** (1 / 0.9),
            0.5: (0.5**0.5 + 2 * 0.5) ** 2,
            1.0: 2**1.5,
            2.0: 1 / 0.375,
            np.inf: 2.0,
        }
        assert vendi_score(x, order=order, route=route) == pytest.approx(expected[order], rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(30, 80), (200, 10)])
def test_both_routes_agree_in_score_and_error(n: int, d: int) -> None:
    x = draw(2, n, d) + 0.3
    one, other = (Spectrum.of(x, route=route, influence_of=ORDERS, block=17) for route in ("primal", "dual"))
    for order in ORDERS:
        assert one.score(order) == pytest.approx(other.score(order), rel=1e-9)
    assert one.relative_errors() == pytest.approx(other.relative_errors(), rel=1e-7)


def test_it_equals_the_definition_on_the_similarity_matrix() -> None:
    x = draw(3, 25, 6)
    y = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(y @ y.T / 25)
    values = values[values > 1e-12]
    assert vendi_score(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-10)


def test_larger_orders_are_smaller_and_all_lie_between_one_and_the_rank() -> None:
    values = [vendi_score(draw(4, 50, 8) + 0.5, order=order) for order in (0.0, *ORDERS)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(8)
    assert values[-1] > 1


def test_the_influence_is_the_derivative_in_the_weight_of_an_image() -> None:
    x = draw(5, 15, 4) + 0.2
    spectrum = Spectrum.of(x, influence_of=ORDERS)
    assert spectrum.influences is not None
    y = x / np.linalg.norm(x, axis=1, keepdims=True)
    moment, step = y.T @ y / 15, 1e-6
    for row in (0, 7):
        for column, order in enumerate(ORDERS):
            moved = np.linalg.eigvalsh((1 - step) * moment + step * np.outer(y[row], y[row]))
            change = (np.log(Spectrum(15, moved).score(order)) - np.log(spectrum.score(order))) / step
            influence = spectrum.influences[row, column] - spectrum.influences[:, column].mean()
            assert change == pytest.approx(influence, rel=1e-3, abs=1e-4)


def scores(real: np.ndarray, synthetic: np.ndarray) -> dict[str, object]:
    return {score.name: score for score in vendi(real, synthetic, rng=Stream(0))}


def test_a_collapsed_set_has_a_ratio_below_one_and_swapping_sides_inverts_it() -> None:
    real = draw(6, 400, 8)
    synthetic = real[np.arange(400) % 5] + 0.01 * draw(7, 400, 8)
    found, swapped = scores(real, synthetic), scores(synthetic, real)
    ratio = found["vendi_ratio_q1"]
    assert ratio.value < 0.7
    assert ratio.interval.high < 1
    assert swapped["vendi_ratio_q1"].value == pytest.approx(1 / ratio.value, rel=1e-9)
    assert found["vendi_q1"].value == pytest.approx(vendi_score(synthetic))
    assert found["vendi_q1"].settings["real"] == pytest.approx(vendi_score(real))
    assert found["vendi_qinf"].settings["order"] == "infinity"
    assert found["vendi_ratio_q0.5"].interval is None


def test_ratios_are_at_equal_n_and_more_images_alone_are_no_diversity() -> None:
    real, synthetic = draw(8, 60, 40), draw(9, 900, 40)
    found = scores(real, synthetic)
    assert found["vendi_ratio_q1"].settings["n_each"] == 60
    assert found["vendi_ratio_q1"].value == pytest.approx(1.0, abs=0.06)
    assert vendi_score(synthetic) / vendi_score(real) > 1.3
    assert "limited by the 60 images" in found["vendi_ratio_q1"].warnings[0]


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_the_standard_error_agrees_with_monte_carlo(order: float) -> None:
    centres = 3 * draw(10, 5, 8)
    found = []
    for seed in range(200):
        rows = np.random.Generator(np.random.PCG64(seed)).integers(5, size=150)
        found.append(Spectrum.of(centres[rows] + draw(1000 + seed, 150, 8), influence_of=(order,)))
    values = np.array([each.score(order) for each in found])
    estimated = np.mean([each.score(order) * each.relative_errors()[0] for each in found])
    assert 0.8 < estimated / values.std() < 1.25


def test_undefined_cases_and_settings() -> None:
    assert "at least 2" in scores(draw(11, 1, 3), draw(12, 9, 3))["vendi_q1"].undefined_because
    zeros = np.zeros((3, 3))
    assert "features of zeros" in scores(zeros, draw(12, 9, 3))["vendi_ratio_q2"].undefined_because
    assert Vendi(orders=(2.0,)).values(draw(11, 1, 3), draw(12, 9, 3)) == {"vendi_ratio_q2": None}
    with pytest.raises(ValueError, match="q > 0"):
        Vendi(orders=(0.0,))


def test_as_a_metric() -> None:
    x, y = draw(13, 50, 4), draw(14, 50, 4)
    metric = Vendi(orders=(1.0,))
    measured = {score.name: score.value for score in metric.measure(Evidence(x, y, "test"), rng=Stream(0))}
    assert measured["vendi_ratio_q1"] == metric.values(x, y)["vendi_ratio_q1"]


def test_features_that_share_a_direction_are_warned_of() -> None:
    x, y = draw(30, 60, 8), draw(31, 60, 8)
    plain, shifted = (vendi(x + by, y + by, rng=Stream(0), orders=(1.0,)) for by in (0.0, 4.0))
    for score in plain:
        assert abs(float(score.settings["mean_cosine"])) < 0.2
        assert not any("mean cosine" in text for text in score.warnings)
    for score in shifted:
        assert any("mean cosine of 0.9" in text for text in score.warnings)
    # The same variety around another point: the number falls towards 1, so it counts no kinds.
    assert shifted[0].value < 2 < 5 < plain[0].value


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    x = draw(32, 30, 5) + 0.7
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert mean_cosine(x, block=7) == pytest.approx((unit @ unit.T).mean(), rel=1e-12)
