"""Metrics against answers that are known without them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from twinset.evaluation import PRDC, fidelity, frechet_distance, frechet_from_moments, kernel_distance, prdc
from twinset.evaluation.detectability.two_sample import Detectability, detectability
from twinset.evaluation.distances.frechet import Moments
from twinset.randomness import Stream
from twinset.scores import Score


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def value(score: Score) -> float:
    assert score.value is not None, score.undefined_because
    return score.value


def exact(x: np.ndarray, y: np.ndarray) -> float:
    """The textbook form, by scipy's matrix square root."""
    a, b = np.cov(x.T), np.cov(y.T)
    root = linalg.sqrtm(a @ b).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root))


def test_identical_features_score_zero() -> None:
    x = draw(0, 300, 16)
    assert abs(value(frechet_distance(x, x))) < 1e-8


def test_a_shift_scores_its_square() -> None:
    x = draw(1, 300, 8)
    assert value(frechet_distance(x, x + 2.0)) == pytest.approx(4 * 8, rel=1e-9)


def test_a_scale_scores_as_derived() -> None:
    x = draw(2, 400, 6)
    x -= x.mean(0)
    expected = np.trace(np.cov(x.T)) * (3.0 - 1.0) ** 2
    assert value(frechet_distance(x, 3.0 * x)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(300, 12), (20, 64)])
def test_both_routes_agree_with_the_matrix_square_root(n: int, d: int) -> None:
    x, y = draw(3, n, d), 1.5 * draw(4, n, d) + 0.3
    assert value(frechet_distance(x, y)) == pytest.approx(exact(x, y), rel=1e-4)


def test_rotation_changes_nothing_and_sides_may_swap() -> None:
    x, y = draw(5, 200, 10), 2 * draw(6, 150, 10)
    rotation, _ = np.linalg.qr(draw(7, 10, 10))
    plain = value(frechet_distance(x, y))
    assert value(frechet_distance(x @ rotation, y @ rotation)) == pytest.approx(plain, rel=1e-8)
    assert value(frechet_distance(y, x)) == pytest.approx(plain, rel=1e-8)


def test_kernel_distance_is_unbiased() -> None:
    values = [value(kernel_distance(draw(2 * s, 40, 4), draw(2 * s + 1, 40, 4))) for s in range(300)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_kernel_distance_equals_the_double_sum() -> None:
    x, y = draw(8, 12, 5), draw(9, 9, 5) + 0.5

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 5 + 1) ** 3)

    same_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    same_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    cross = np.mean([k(a, b) for a in x for b in y])
    assert value(kernel_distance(x, y)) == pytest.approx(same_x + same_y - 2 * cross, rel=1e-9)


def by_name(scores: list[Score]) -> dict[str, float | None]:
    return {score.name: score.value for score in scores}


def test_a_collapsed_generator_is_precise_and_covers_little() -> None:
    real = draw(10, 200, 2)
    collapsed = real[:1] + 1e-3 * draw(11, 200, 2)
    found = by_name(list(prdc(real, collapsed, k=5)))
    assert found["precision"] == 1.0
    assert found["recall"] is not None
    assert found["coverage"] is not None
    assert found["recall"] < 0.05
    assert found["coverage"] < 0.1


def test_swapping_real_and_synthetic_swaps_precision_and_recall() -> None:
    real, synthetic = draw(12, 150, 3), 0.3 * draw(13, 150, 3)
    forth, back = by_name(list(prdc(real, synthetic, k=5))), by_name(list(prdc(synthetic, real, k=5)))
    assert forth["precision"] == pytest.approx(back["recall"])
    assert forth["recall"] == pytest.approx(back["precision"])
    assert forth["precision"] != pytest.approx(forth["recall"])


def test_identical_sets_are_precise_and_covered() -> None:
    x = draw(14, 100, 4)
    found = by_name(list(prdc(x, x, k=5)))
    assert (found["precision"], found["recall"], found["coverage"]) == (1.0, 1.0, 1.0)


def test_equal_images_everywhere_do_not_score_zero() -> None:
    same = np.ones((30, 4))
    found = by_name(list(prdc(same, same, k=5)))
    assert found["precision"] == 1.0
    assert found["recall"] == 1.0


def test_too_few_images_are_undefined_and_say_why() -> None:
    scores = list(prdc(draw(15, 5, 3), draw(16, 5, 3), k=5))
    assert all(score.value is None and score.undefined_because for score in scores)


@pytest.mark.slow
def test_detectability_is_chance_on_equal_and_sure_on_shifted_laws() -> None:
    x, y = draw(17, 300, 6), draw(18, 300, 6)
    equal = by_name(list(detectability(x, y, settings=Detectability(), rng=Stream(0))))
    shifted = by_name(list(detectability(x, y + 3, settings=Detectability(), rng=Stream(0))))
    auc = next(name for name in equal if "auc" in name)
    assert abs((equal[auc] or 0) - 0.5) < 0.1
    assert (shifted[auc] or 0) > 0.95


def test_streamed_moments_equal_those_of_the_whole() -> None:
    x = draw(19, 100, 5) + 100
    assert frechet_from_moments is not None
    whole = Moments.of(x)
    assert np.allclose(whole.mean, x.mean(0))


@pytest.mark.slow
def test_every_figure_says_its_counts_and_extractor() -> None:
    real, synthetic = draw(20, 120, 6), draw(21, 100, 6)
    scores = fidelity(real, synthetic, extractor="test", rng=Stream(0), metrics=(PRDC(),))
    assert {score.extractor for score in scores} == {"test"}
    assert all((score.counts["real"], score.counts["synthetic"]) == (120, 100) for score in scores)
