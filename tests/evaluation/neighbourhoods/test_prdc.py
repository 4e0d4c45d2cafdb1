from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation import PRDC, prdc
from twinset.evaluation.neighbourhoods.prdc import memberships


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def figures(real: np.ndarray, synthetic: np.ndarray, *, k: int = 5, block: int = 1024) -> dict[str, float | None]:
    return {score.name: score.value for score in prdc(real, synthetic, k=k, block=block)}


def by_definition(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    """Closed balls from full matrices of differences; only for features without ties."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=2))

    def radii(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.sort(distances(points, points), axis=1)[:, k])

    between = distances(real, synthetic)
    in_real, in_synthetic = between <= radii(real)[:, None], between <= radii(synthetic)[None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": in_synthetic.any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / k,
        "coverage": in_real.any(axis=1).mean(),
    }


@pytest.mark.parametrize(("n", "m", "k", "block"), [(60, 50, 5, 1024), (61, 33, 3, 7), (40, 90, 1, 16), (25, 6, 5, 5)])
def test_it_equals_the_definition_whatever_the_blocks(n: int, m: int, k: int, block: int) -> None:
    real, synthetic = draw(n, n, 4) + 100, 0.7 * draw(m, m, 4) + 100.3
    assert figures(real, synthetic, k=k, block=block) == pytest.approx(by_definition(real, synthetic, k), abs=1e-12)


def by_definition_with_ties(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    """Closed balls one by one in whole numbers, where equal distances are exactly equal."""

    def squares(point: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.asarray(((others - point) ** 2).sum(axis=1))

    def ball(row: int, own: np.ndarray) -> tuple[int, int]:
        away = np.delete(squares(own[row], own), row)
        radius = int(np.sort(away)[k - 1])
        return radius, int((away <= radius).sum())

    balls, others = [ball(r, real) for r in range(len(real))], [ball(s, synthetic) for s in range(len(synthetic))]
    inside = np.array([squares(real[r], synthetic) <= radius for r, (radius, _) in enumerate(balls)])
    around = np.array([squares(synthetic[s], real) <= radius for s, (radius, _) in enumerate(others)])
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": around.any(axis=0).mean(),
        "density": sum(row.sum() / held for row, (_, held) in zip(inside, balls, strict=True)) / len(synthetic),
        "coverage": inside.any(axis=1).mean(),
    }


@pytest.mark.parametrize("seed", range(8))
def test_ties_and_copies_count_as_the_definition_says(seed: int) -> None:
    generator = np.random.Generator(np.random.PCG64(seed))
    n, m, d, k = 20 + 7 * seed, 40 - 3 * seed, 1 + seed % 3, 1 + seed % 4
    real, synthetic = generator.integers(0, 7, (n, d)), generator.integers(-2, 5, (m, d))
    found = figures(real.astype(float), synthetic.astype(float), k=k, block=16)
    assert found == pytest.approx(by_definition_with_ties(real, synthetic, k), abs=1e-12)


def test_swapping_the_sets_swaps_precision_and_recall_and_nothing_else_even_with_ties() -> None:
    generator = np.random.Generator(np.random.PCG64(9))
    wide, narrow = generator.integers(0, 9, (60, 2)).astype(float), generator.integers(0, 4, (50, 2)).astype(float)
    forth, back = figures(wide, narrow), figures(narrow, wide)
    assert (forth["precision"], forth["recall"]) == (back["recall"], back["precision"])
    assert forth["precision"] == 1.0  # the narrow set lies in the wide one
    assert forth["recall"] is not None
    assert forth["recall"] < 0.6
    assert forth["coverage"] != back["coverage"]


def test_a_common_offset_changes_nothing() -> None:
    real, synthetic = draw(20, 60, 4), 0.7 * draw(21, 50, 4)
    assert figures(real + 1e7, synthetic + 1e7) == pytest.approx(figures(real, synthetic))


def test_it_equals_the_authors_code_where_nothing_ties() -> None:
    authors = pytest.importorskip("prdc")
    real, synthetic = draw(0, 300, 8), 1.1 * draw(1, 250, 8)
    theirs = authors.compute_prdc(real_features=real, fake_features=synthetic, nearest_k=5)
    assert figures(real, synthetic) == pytest.approx({name: float(value) for name, value in theirs.items()})


def test_points_on_a_line_by_hand() -> None:
    # k = 1. Real 0 1 3 7 have radii 1 1 2 4; synthetic 0.5 2.2 −9 have radii 1.7 1.7 9.5.
    # Balls around 0.5: of 0 and 1; around 2.2: of 3; around −9: none.
    real, synthetic = np.array([[0.0], [1.0], [3.0], [7.0]]), np.array([[0.5], [2.2], [-9.0]])
    expected = {"precision": 2 / 3, "recall": 3 / 4, "density": (2 + 1 + 0) / 3, "coverage": 3 / 4}
    assert figures(real, synthetic, k=1) == pytest.approx(expected)


def test_an_invented_mode_costs_precision_and_a_lost_mode_costs_recall_and_coverage() -> None:
    one, other = draw(2, 100, 2), draw(3, 100, 2) + 50
    both = np.concatenate([one, other])
    invented, lost = figures(one, both), figures(both, one)
    assert invented["precision"] == pytest.approx(0.5, abs=0.03)
    assert invented["recall"] is not None
    assert invented["recall"] > 0.95
    assert lost["precision"] is not None
    assert lost["precision"] > 0.95
    assert lost["recall"] == pytest.approx(0.5, abs=0.03)
    assert lost["coverage"] == pytest.approx(0.5, abs=0.03)


def test_equal_laws_have_density_one() -> None:
    found = figures(draw(4, 800, 3), draw(5, 800, 3))
    assert found["density"] == pytest.approx(1.0, abs=0.06)


def test_a_copy_of_the_boundary_counts_as_inside() -> None:
    # Real 0 and 1 have radius 1: the synthetic image at 2 lies exactly on the ball of 1, far from the origin too.
    for offset in (0.0, 1e4):
        real, synthetic = np.array([[0.0], [1.0]]) + offset, np.array([[2.0], [40.0]]) + offset
        assert figures(real, synthetic, k=1)["precision"] == 0.5


def test_duplicated_images_keep_density_near_one_and_are_reported() -> None:
    # Three copies of each: every ball of k = 1 has radius 0 and holds two others.
    real = np.repeat(draw(6, 40, 3), 3, axis=0)
    scores = {score.name: score for score in prdc(real, real, k=1)}
    assert [scores[name].value for name in ("precision", "recall", "coverage")] == [1.0, 1.0, 1.0]
    assert scores["density"].value == pytest.approx(3 / 2)  # the image itself and two copies, over two others
    assert any("120 real images have at least 1 exact copies" in text for text in scores["density"].warnings)
    assert figures(np.ones((30, 4)), np.ones((20, 4)))["density"] == pytest.approx(30 / 29)


@pytest.mark.parametrize(("n", "m", "undefined"), [(5, 20, 3), (20, 5, 1), (5, 5, 4), (6, 6, 0), (0, 9, 4), (9, 0, 4)])
def test_too_few_images_leave_exactly_the_figures_undefined_that_need_them(n: int, m: int, undefined: int) -> None:
    scores = prdc(draw(7, n, 3), draw(8, m, 3), k=5)
    assert sum(score.value is None for score in scores) == undefined
    assert all(score.undefined_because for score in scores if score.value is None)


def test_memberships_name_the_images() -> None:
    real = draw(9, 50, 2)
    found = memberships(real, np.concatenate([real[:3], real[:2] + 1000]), k=3)
    assert found.inside_real is not None
    assert found.inside_real.tolist() == [True, True, True, False, False]
    assert found.covered is not None
    assert found.covered[:3].all()


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="k ≥ 1"):
        PRDC(k=0)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        prdc(np.zeros((10, 2, 2)), np.zeros((10, 2, 2)))
