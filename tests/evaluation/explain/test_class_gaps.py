from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.distances.frechet import frechet_value
from twinset.evaluation.distances.kid import kernel_sums
from twinset.evaluation.explain.class_gaps import ClassGapSettings, _kernel_distances, class_gaps
from twinset.evaluation.neighbourhoods.prdc import memberships
from twinset.randomness import Stream

QUICK = ClassGapSettings(permutations=39)
CLASSES = np.repeat(np.arange(4), 40)


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def test_figures_are_those_of_the_metrics_on_the_class() -> None:
    real, synthetic = draw(0, 160, 5), 1.3 * draw(1, 160, 5)
    for gap in class_gaps(real, synthetic, CLASSES, CLASSES, rng=Stream(0), settings=QUICK).gaps:
        one, other = (side[gap.class_id == CLASSES] for side in (real, synthetic))
        covered = memberships(one, other, k=5).covered
        assert covered is not None
        assert gap.figures["frechet_distance"].value == pytest.approx(frechet_value(one, other))
        assert gap.figures["kernel_distance"].value == pytest.approx(kernel_sums(one, other).value)
        assert gap.figures["coverage"].value == pytest.approx(covered.mean())
        assert (gap.real, gap.synthetic) == (40, 40)


def test_kernel_distances_of_any_labelling_are_unbiased() -> None:
    pooled = draw(2, 30, 4)
    labels = np.stack([np.random.Generator(np.random.PCG64(s)).permutation(np.arange(30) < 12) for s in range(6)])
    expected = [kernel_sums(pooled[each], pooled[~each]).value for each in labels]
    assert _kernel_distances(pooled, labels) == pytest.approx(np.array(expected))


def test_the_class_that_the_twin_misses_comes_first_and_the_others_are_not_blamed() -> None:
    real, synthetic = draw(3, 160, 6), draw(4, 160, 6)
    real[80:90] += 9.0  # a quarter of class 2 is of another kind
    found = class_gaps(real, synthetic, CLASSES, CLASSES, rng=Stream(0), settings=QUICK)
    assert [gap.class_id for gap in found.gaps if gap.beyond_chance] == [2]
    worst = found.gaps[0]
    assert worst.class_id == 2
    assert set(worst.uncovered) <= set(range(80, 90))
    assert len(worst.uncovered) == 8
    away = np.linalg.norm(real[worst.uncovered][:, None] - synthetic[80:120], axis=2).min(axis=1)
    assert (np.diff(away) <= 0).all()
    assert worst.figures["frechet_distance"].value > worst.figures["frechet_distance"].floor
    assert worst.figures["coverage"].value < worst.figures["coverage"].floor


def test_a_shrunk_class_loses_coverage_and_not_the_other_way_round() -> None:
    real, synthetic = draw(5, 160, 3), draw(6, 160, 3)
    synthetic[:40] *= 0.1
    found = class_gaps(real, synthetic, CLASSES, CLASSES, rng=Stream(0), settings=QUICK)
    assert found.gaps[0].class_id == 0
    assert found.gaps[0].figures["coverage"].beyond_chance
    swapped = class_gaps(synthetic, real, CLASSES, CLASSES, rng=Stream(0), settings=QUICK).gaps[0]
    assert not swapped.figures["coverage"].p_value < found.gaps[0].figures["coverage"].p_value


@pytest.mark.slow
def test_equal_laws_blame_any_class_no_more_often_than_stated() -> None:
    settings = ClassGapSettings(permutations=29, alpha=0.1)
    classes = np.repeat(np.arange(4), 16)
    hits, single = [], []
    for s in range(40):
        found = class_gaps(
            draw(2 * s, 64, 3), draw(2 * s + 1, 64, 3), classes, classes, rng=Stream(s), settings=settings
        )
        hits.append(any(gap.beyond_chance for gap in found.gaps))
        single.append(min(figure.p_value for gap in found.gaps for figure in gap.figures.values()) <= 0.1)
    assert np.mean(hits) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 40)
    assert np.mean(single) > 0.3


def test_small_classes_are_named_and_unlabelled_images_left_out() -> None:
    classes = np.concatenate([CLASSES, np.full(3, 7), np.full(9, -1)])
    features = draw(7, len(classes), 2)
    found = class_gaps(features, draw(8, 160, 2), classes, CLASSES, rng=Stream(0), settings=QUICK)
    assert found.too_few == {7: (3, 0)}
    assert {gap.class_id for gap in found.gaps} == {0, 1, 2, 3}
    nothing = class_gaps(features[:5], features[5:9], np.zeros(5, int), np.zeros(4, int), rng=Stream(0), settings=QUICK)
    assert nothing.gaps == ()
    assert nothing.too_few == {0: (5, 4)}
    with pytest.raises(ValueError, match="expected a class for each"):
        class_gaps(features, features, CLASSES, CLASSES, rng=Stream(0))
    for wrong in ({"k": 0}, {"limit": 3}, {"permutations": 9}):
        with pytest.raises(ValueError, match="expected"):
            ClassGapSettings(**wrong)


def test_large_classes_are_thinned_and_rows_name_the_given_images() -> None:
    classes = np.zeros(200, dtype=int)
    real = draw(9, 200, 3)
    real[150:] += 30
    settings = ClassGapSettings(permutations=19, limit=60)
    gap = class_gaps(real, draw(10, 200, 3), classes, classes, rng=Stream(0), settings=settings).gaps[0]
    assert (gap.real, gap.synthetic) == (60, 60)
    assert (gap.uncovered >= 150).all()
