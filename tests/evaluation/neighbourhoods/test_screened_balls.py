from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods import screened_balls as module
from twinset.evaluation.neighbourhoods.balls import balls_of
from twinset.evaluation.neighbourhoods.points import Points, centre_of
from twinset.evaluation.neighbourhoods.screened_balls import screened_balls


def cloud(kind: str, draw: np.random.Generator) -> Points:
    n, d = int(draw.integers(10, 150)), int(draw.integers(1, 9))
    x = draw.normal(size=(n, d))
    if kind == "ties":
        x = draw.integers(0, 3, (n, d)).astype(float)
    elif kind == "copies":
        x = x[draw.integers(0, max(2, n // 20), n)]
    elif kind == "clusters far from the centre":
        x += 1e3 * draw.normal(size=(3, d))[np.sort(draw.integers(0, 3, n))]
    elif kind == "heavy tails":
        x *= np.exp(4 * draw.normal(size=(n, 1)))
    elif kind == "tiny":
        x *= 1e-25
    return Points.of(x, "test", centre_of(x, "test", 64), 64)


@pytest.mark.parametrize("kind", ["plain", "ties", "copies", "clusters far from the centre", "heavy tails", "tiny"])
@pytest.mark.parametrize(("crowded", "most"), [(0.01, 0.1), (2.0, 2.0), (0.0, 2.0), (0.0, 0.0)])
def test_radii_and_members_are_those_of_float64(
    kind: str, crowded: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWDED", crowded)
    monkeypatch.setattr(module, "MOST", most)
    draw = np.random.Generator(np.random.PCG64(0))
    for number, block in enumerate((2, 5, 16, 64, 1024)):
        points, k = cloud(kind, draw), 1 + number
        expected = balls_of(points, k, 64)
        found = screened_balls(points, k, block, pool=30 if number % 2 else 10**6)
        scale = points.norms.max()
        assert found.squared_radii / scale == pytest.approx(expected.squared_radii / scale, rel=1e-9, abs=1e-11)
        assert np.array_equal(found.members, expected.members)
        assert found.tied == expected.tied


def test_few_pairs_are_decided_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = []
    honest = module.pair_squares
    monkeypatch.setattr(
        module, "pair_squares", lambda a, b, rows, columns: decided.append(len(rows)) or honest(a, b, rows, columns)
    )
    x = np.random.Generator(np.random.PCG64(1)).normal(size=(3000, 64))
    screened_balls(Points.of(x, "test", x.mean(axis=0), 512), 5, 512)
    assert 3000 * 6 / 2 < sum(decided) < 3000 * 8
