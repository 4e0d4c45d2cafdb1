import numpy as np
import pytest

from twinset.alignment.metadata import Matching, Trial, component_gap, fit_mixture, fit_target, target_from_numbers
from twinset.alignment.metadata.target import Component
from twinset.randomness import Stream

SPACE = {"size": (1.0, 9.0), "spread": (0.0, 1.0), "height": (0.0, 1.0)}


class FakeGenerator:
    """Objects whose log area is size − 8, with known scatter, at a known height; remembers what it was asked."""

    def __init__(self, measures_of, per_image=5, images=40):
        self.measures_of, self.per_image, self.images, self.asked = measures_of, per_image, images, []

    def __call__(self, configuration):
        self.asked.append(dict(configuration))
        return self.batch(configuration, self.images, Stream(len(self.asked)))

    def batch(self, configuration, images, rng):
        rows = np.repeat(np.arange(images), self.per_image)
        draw = rng.numpy()
        areas = draw.normal(configuration["size"] - 8, 0.1 + configuration["spread"], len(rows))
        heights = draw.normal(configuration["height"], 0.05, len(rows))
        columns = {"box_area": np.exp(areas), "centre_y": heights}
        return self.measures_of(columns, rows, images)


def target_of(weights, means, stds, heights):
    return target_from_numbers(
        {
            "box_area": {"means": np.exp(means).tolist(), "stds": stds, "weights": weights},
            "centre_y": {"means": [heights], "stds": [0.05]},
        }
    )


def searched(matching, space, target, generator, *, rng, history=()):
    """What the pipeline does, without committing anything: propose, generate, measure, until the search is over."""
    trials = list(history)
    while (configuration := matching.propose(space, target, trials, rng=rng)) is not None:
        trials.append(Trial.of(configuration, generator(configuration), list(target.mixtures)))
    return matching.best(target, trials)


@pytest.mark.parametrize(
    ("weights", "means", "stds"),
    [
        ([1.0], [-3.3], [0.4]),
        ([0.7, 0.3], [-5.2, -2.1], [0.3, 0.5]),
        ([0.2, 0.5, 0.3], [-6, -4, -1.5], [0.2, 0.25, 0.4]),
    ],
)  # fmt: skip
def test_generating_what_was_matched_recovers_the_target(measures_of, weights, means, stds):
    generator = FakeGenerator(measures_of)
    match = searched(Matching(), SPACE, target_of(weights, means, stds, 0.37), generator, rng=Stream(0))
    assert match.unreached == ()
    parts = [
        generator.batch(one.configuration, round(400 * one.weight), Stream(100 + at))
        for at, one in enumerate(match.matched)
    ]
    areas = np.concatenate([part.values("box_area") for part in parts])
    heights = np.concatenate([part.values("centre_y") for part in parts])
    found = fit_mixture(areas, rng=Stream(1))
    assert len(found) == len(weights)
    np.testing.assert_allclose(found.means, means, rtol=0.05)
    np.testing.assert_allclose(found.weights, weights, atol=0.05)
    assert heights.mean() == pytest.approx(0.37, abs=0.03)


def test_the_search_is_bounded_and_beats_its_grid(measures_of):
    generator = FakeGenerator(measures_of)
    target = target_of([0.5, 0.5], [-5.3, -2.2], [0.3, 0.3], 0.3)
    match = searched(Matching(grid=8, trials=30), SPACE, target, generator, rng=Stream(0))
    assert len(match.history) == len(generator.asked) <= 38
    coarse = searched(Matching(grid=8, trials=0), SPACE, target, FakeGenerator(measures_of), rng=Stream(0))
    assert max(one.gap for one in match.matched) < 0.3 * max(one.gap for one in coarse.matched)
    assert all(low <= point[name] <= high for point in generator.asked for name, (low, high) in SPACE.items())


def test_what_cannot_be_reached_is_reported(measures_of):
    target = target_of([0.6, 0.4], [-4.0, 5.0], [0.3, 0.3], 0.5)
    match = searched(Matching(grid=8, trials=20), SPACE, target, FakeGenerator(measures_of), rng=Stream(0))
    assert [one.component.weight for one in match.unreached] == [pytest.approx(0.4)]
    assert match.unreached[0].gap > 1
    assert "box_area 148 (nearest" in match.sentences()[0]
    assert "40% of the target" in match.sentences()[0]


def test_a_search_that_was_cut_short_ends_as_if_it_had_not_been(measures_of):
    target = target_of([0.5, 0.5], [-5.3, -2.2], [0.3, 0.3], 0.3)
    whole = searched(Matching(grid=8, trials=12), SPACE, target, FakeGenerator(measures_of), rng=Stream(3))
    for cut in (3, 8, 13):
        generator = FakeGenerator(measures_of)
        generator.asked = [dict(trial.configuration) for trial in whole.history[:cut]]
        again = searched(
            Matching(grid=8, trials=12), SPACE, target, generator, rng=Stream(3), history=whole.history[:cut]
        )
        assert [dict(trial.configuration) for trial in again.history] == [dict(t.configuration) for t in whole.history]
        assert [one.gap for one in again.matched] == [one.gap for one in whole.matched]
    with pytest.raises(ValueError, match="start a new search"):
        Matching().propose({"other": (0, 1)}, target, whole.history, rng=Stream(3))


def test_the_gap_is_the_distance_of_two_gaussians():
    component = Component(1.0, {"centre_y": 0.0}, {"centre_y": 1.0})
    trial = lambda mean, std: Trial({}, {"centre_y": mean}, {"centre_y": std}, 1.0)  # noqa: E731
    assert component_gap(component, trial(0.0, 1.0)) == 0
    assert component_gap(component, trial(2.0, 1.0)) == pytest.approx(0.5)
    assert component_gap(component, trial(-2.0, 1.0)) == pytest.approx(0.5)
    assert component_gap(component, trial(0.0, 2.0)) == pytest.approx(0.5 * np.log(5 / 4))
    assert component_gap(component, trial(0.0, 0.5)) == pytest.approx(0.5 * np.log(5 / 4))
    assert np.isfinite(component_gap(component, trial(0.0, 0.0)))
    assert component_gap(component, Trial({}, {}, {}, 0.0)) > 100


def test_components_of_objects_take_images_by_how_many_objects_those_hold(measures_of):
    target = target_of([0.5, 0.5], [-5.0, -2.0], [0.3, 0.3], 0.5)
    few, many = (
        Trial({"size": at}, {"box_area": mean, "centre_y": 0.5}, {"box_area": 0.3, "centre_y": 0.05}, count)
        for at, mean, count in ((1.0, -5.0, 2.0), (2.0, -2.0, 8.0))
    )
    match = Matching().best(target, [few, many])
    shares = {one.configuration["size"]: one.weight for one in match.matched}
    assert shares == {1.0: pytest.approx(0.8), 2.0: pytest.approx(0.2)}


def test_a_wide_space_is_sampled_evenly(measures_of):
    space = {f"setting{n}": (0.0, 2.0) for n in range(8)}
    target = target_of([1.0], [-4.0], [0.3], 0.5)
    points = []
    history = []
    for _ in range(16):
        points.append(Matching(grid=16, trials=0).propose(space, target, history, rng=Stream(0)))
        history.append(Trial(points[-1], {}, {}, 0.0))
    assert Matching(grid=16, trials=0).propose(space, target, history, rng=Stream(0)) is None
    table = np.array([list(point.values()) for point in points])
    assert len(np.unique(table, axis=0)) == 16
    assert np.all(np.abs(table.mean(axis=0) - 1) < 0.25)


def test_a_target_fitted_on_the_generators_own_images_is_reached(measures_of):
    generator = FakeGenerator(measures_of)
    known = {"size": 5.5, "spread": 0.3, "height": 0.6}
    target = fit_target(generator.batch(known, 100, Stream(9)), ["box_area", "centre_y"], rng=Stream(0))
    match = searched(Matching(), SPACE, target, generator, rng=Stream(0))
    assert len(match.matched) == 1
    for name, width in {"size": 0.3, "spread": 0.15, "height": 0.05}.items():
        assert match.matched[0].configuration[name] == pytest.approx(known[name], abs=width)


def test_a_search_goes_on_from_trials_that_leave_a_direction_untried(measures_of):
    """No surface goes through configurations on a line, as first guesses may be that differ in one setting alone."""
    generator, target = FakeGenerator(measures_of), target_of([1.0], [-3.3], [0.4], 0.37)
    line = [{"size": 2.0 + k, "spread": 0.5, "height": 0.5} for k in range(6)]
    history = [Trial.of(one, generator(one), list(target.mixtures)) for one in line]
    found = Matching(grid=6, trials=2).propose(SPACE, target, history, rng=Stream(0))
    assert found is not None
    assert all(low <= found[name] <= high for name, (low, high) in SPACE.items())
