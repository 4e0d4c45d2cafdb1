import numpy as np
import pytest

from twinset.alignment.metadata import Mixture, fit_mixture
from twinset.randomness import Stream

KNOWN = [
    Mixture((1.0,), (3.0,), (0.7,)),
    Mixture((0.7, 0.3), (4.0, 8.0), (0.8, 0.8)),
    Mixture((0.2, 0.5, 0.3), (2.0, 10.0, 20.0), (0.5, 1.5, 2.0)),
]


@pytest.mark.parametrize("known", KNOWN, ids=["one", "two", "three"])
@pytest.mark.parametrize("count", [1000, 20_000])
def test_components_are_recovered(known, count):
    for seed in range(5):
        draw = Stream(seed).numpy()
        parts = zip(known.weights, known.means, known.stds, strict=True)
        values = np.concatenate([draw.normal(mean, std, round(weight * count)) for weight, mean, std in parts])
        found = fit_mixture(values, rng=Stream(seed).child("fit"))
        assert len(found) == len(known)
        np.testing.assert_allclose(found.means, known.means, rtol=0.05)
        np.testing.assert_allclose(found.weights, known.weights, atol=0.05)
        np.testing.assert_allclose(found.stds, known.stds, rtol=0.25)


@pytest.mark.slow
def test_one_gaussian_is_hardly_ever_split():
    draws = [np.random.default_rng(seed).normal(size=200) for seed in range(30)]
    assert sum(len(fit_mixture(values, rng=Stream(0))) > 1 for values in draws) <= 1


def test_the_likelihood_equals_scikit_learns():
    from sklearn.mixture import GaussianMixture

    values = KNOWN[1].sample(1000, rng=Stream(3))
    ours = fit_mixture(values, rng=Stream(0))
    theirs = GaussianMixture(2, tol=1e-9, max_iter=2000, random_state=0).fit(values[:, None])
    assert ours.log_density(values).mean() == pytest.approx(theirs.score(values[:, None]), abs=1e-4)
    np.testing.assert_allclose(ours.means, np.sort(theirs.means_.ravel()), rtol=2e-2)


def test_density_integrates_to_one_and_responsibilities_are_bayes():
    grid = np.linspace(-10, 40, 50_001)
    mixture = KNOWN[2]
    assert np.trapezoid(np.exp(mixture.log_density(grid)), grid) == pytest.approx(1)
    two = Mixture((0.5, 0.5), (-1.0, 1.0), (1.0, 1.0))
    np.testing.assert_allclose(two.responsibilities(np.array([0.0]))[0], [0.5, 0.5])
    np.testing.assert_allclose(two.responsibilities(np.array([1.0]))[0, 1], 1 / (1 + np.exp(-2)))


@pytest.mark.parametrize("values", [[4.0], [4.0, 4.0, 4.0], np.zeros(100)])
def test_equal_values_are_one_narrow_component(values):
    found = fit_mixture(np.asarray(values), rng=Stream(0))
    assert len(found) == 1
    assert found.means == (values[0],)
    assert 0 < found.stds[0] < 1e-6


def test_few_values_make_few_components():
    assert len(fit_mixture([0.0, 0.1, 0.0, 9.0, 9.1, 9.0, 9.0, 0.1, 0.0], rng=Stream(0))) == 1
    assert len(fit_mixture([0.0, 0.1, 0.05, 0.0, 0.1, 9.0, 9.1, 9.0, 9.05, 9.1], rng=Stream(0))) == 2


def test_counts_do_not_collapse_onto_whole_numbers():
    counts = np.random.default_rng(0).poisson(4, 300).astype(float)
    found = fit_mixture(counts, step=1.0, rng=Stream(0))
    assert min(found.stds) >= 1 / np.sqrt(12)
    assert len(found) <= 2


def test_fitting_is_a_function_of_values_and_seed():
    values = KNOWN[2].sample(500, rng=Stream(1))
    assert fit_mixture(values, rng=Stream(5)) == fit_mixture(values[::-1].copy(), rng=Stream(5))


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        fit_mixture([], rng=Stream(0))
    with pytest.raises(ValueError, match="all finite"):
        fit_mixture([1.0, np.nan], rng=Stream(0))
    with pytest.raises(ValueError, match="sum to 1"):
        Mixture((0.5, 0.6), (0, 1), (1, 1))
    with pytest.raises(ValueError, match="stds > 0"):
        Mixture((1.0,), (0,), (0.0,))
