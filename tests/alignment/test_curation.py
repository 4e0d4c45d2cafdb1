"""Which shapes are dropped: known worlds, error rates, and what must never happen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinset.alignment.curation import Curation, curate, true_spread, weighted_median
from twinset.alignment.traits import traits

Floats = NDArray[np.float64]


def world(means: Floats, objects: int, seed: int, *, noise: float = 0.3) -> tuple[Floats, list[str]]:
    """Objects with skewed scores around the means of their shapes ``s00``, ``s01`` …"""
    draw = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(means)), objects)
    return means[of] * (1 + noise * (draw.gamma(4, 1, len(of)) / 2 - 2)), [f"s{k:02d}" for k in of]


def dropped(means: Floats, objects: int, seed: int, **settings: object) -> set[str]:
    scores, shapes = world(means, objects, seed)
    found = curate(scores, shapes, settings=Curation(**settings), rng=seed)  # type: ignore[arg-type]
    return set(found.dropped.get("", ()))


def test_shapes_far_above_the_others_go_and_no_others() -> None:
    means = np.full(30, 1.2)
    means[[4, 17]] = 2.0
    for seed in range(5):
        assert dropped(means, 20, seed) == {"s04", "s17"}


def test_shapes_nearer_to_the_real_ones_than_the_others_stay() -> None:
    means = np.full(30, 1.2)
    means[[4, 17]] = 0.4
    assert not dropped(means, 20, 0)


@pytest.mark.slow
def test_of_equal_shapes_any_is_dropped_in_no_more_runs_than_the_error_rate_says() -> None:
    """Sixty runs at .2: 24 or more would happen once in two thousand."""
    runs = [dropped(np.full(20, 1.2), 8, seed, error_rate=0.2, deviations=0.01, least_excess=0.0) for seed in range(60)]
    assert sum(bool(run) for run in runs) <= 23


def test_a_shape_with_few_objects_is_not_condemned_by_noise() -> None:
    """One of its three objects lies ten times as far as usual; a mean alone would put it far above all others."""
    scores, shapes = world(np.full(20, 1.0), 20, 3)
    few = curate([*scores, 1.0, 1.0, 10.0], [*shapes, "few", "few", "few"], settings=Curation(fewest=2), rng=0)
    assert few.shapes[0].shape_id == "few"
    assert not few.dropped


def test_shapes_that_differ_by_less_than_matters_stay_however_sure_that_is() -> None:
    means = np.full(20, 1.0)
    means[0] = 1.08
    assert not dropped(means, 600, 0)
    assert dropped(means, 600, 0, least_excess=0.0) == {"s00"}


def test_no_more_than_the_stated_share_goes_and_the_worst_first() -> None:
    means = np.full(20, 1.0)
    means[:6] = [3.0, 2.9, 2.8, 2.7, 2.6, 2.5]
    scores, shapes = world(means, 30, 1, noise=0.05)
    found = curate(scores, shapes, settings=Curation(most_dropped=0.1), rng=0)
    assert found.dropped == {"": ("s00", "s01")}
    assert any("4 more of 20 shapes are farther" in remark for remark in found.remarks)


def test_a_far_shape_that_may_not_go_is_told_as_far() -> None:
    scores, shapes = world(np.array([1.0, 1.02, 3.0]), 60, 1, noise=0.05)
    found = curate(scores, shapes, settings=Curation(most_dropped=0.25), rng=0)
    assert not found.dropped
    (told,) = found.remarks
    assert told.startswith("1 of 3 shapes is farther from real objects than the others, beyond chance, and stays: no")


@pytest.mark.parametrize("shapes", [1, 2, 3])
def test_a_class_never_loses_all_of_its_shapes(shapes: int) -> None:
    means = np.linspace(1.0, 9.0, shapes)
    assert len(dropped(means, 50, 0, most_dropped=0.9)) < shapes


def test_classes_are_judged_apart() -> None:
    """All shapes of the second class are twice as far; that says something of the class, of none of its shapes."""
    near, shapes = world(np.full(15, 1.0), 15, 0)
    far, _ = world(np.full(15, 2.0), 15, 1)
    names = ["a"] * len(near) + ["b"] * len(far)
    scores = np.concatenate([near, far])
    assert not curate(scores, [*shapes, *shapes], settings=Curation(), rng=0, classes=names).dropped
    scores[-15:] = 6.0
    found = curate(scores, [*shapes, *shapes], settings=Curation(), rng=0, classes=names)
    assert found.dropped == {"b": ("s14",)}
    assert "s14" in found.kept["a"]


def test_objects_of_a_shape_in_one_picture_count_as_one() -> None:
    """Forty objects in one dark picture are no more evidence than one."""
    scores, shapes = world(np.full(20, 1.0), 10, 0)
    all_shapes = [*shapes, *["dark"] * 40]
    all_scores = np.concatenate([scores, np.full(40, 3.0)])
    pictures = [*range(len(scores)), *[999] * 40]
    found = curate(all_scores, all_shapes, settings=Curation(), rng=0, pictures=pictures)
    assert next(shape for shape in found.shapes if shape.shape_id == "dark").objects == 1
    assert not found.dropped
    assert curate(all_scores, all_shapes, settings=Curation(), rng=0).dropped == {"": ("dark",)}


def test_means_and_intervals_are_those_of_the_objects() -> None:
    scores, shapes = world(np.linspace(1.0, 1.5, 12), 25, 0)
    found = curate(scores, shapes, settings=Curation(), rng=0)
    first = found.shapes[0]
    assert first.mean == pytest.approx(scores[[shape == first.shape_id for shape in shapes]].mean())
    assert first.low < first.mean < first.high
    assert [shape.mean for shape in found.shapes] == sorted((shape.mean for shape in found.shapes), reverse=True)
    wide = curate(scores, shapes, settings=Curation(error_rate=0.01), rng=0).shapes[0]
    assert wide.high - wide.low > first.high - first.low


def test_the_elbow_finds_shapes_that_deviations_do_not() -> None:
    """Most of the shapes lie apart, so that the median is one of theirs; but the curve of means turns up there."""
    means = np.array([1.0] * 8 + [2.0] * 12)
    assert not dropped(means, 40, 0)
    assert dropped(means, 40, 0, rule="elbow", most_dropped=0.6) == {f"s{k:02d}" for k in range(8, 20)}


@pytest.mark.slow
def test_the_elbow_drops_nothing_of_equal_shapes_more_often_than_the_error_rate_says() -> None:
    settings = {"rule": "elbow", "error_rate": 0.2, "least_excess": 0.0}
    runs = [dropped(np.full(20, 1.2), 8, seed, **settings) for seed in range(60)]
    assert sum(bool(run) for run in runs) <= 23


def test_the_same_stream_gives_the_same_and_the_order_of_objects_does_not_matter() -> None:
    means = np.full(20, 1.0)
    means[3] = 2.0
    scores, shapes = world(means, 15, 0)
    found = curate(scores, shapes, settings=Curation(), rng=4)
    assert curate(scores, shapes, settings=Curation(), rng=4) == found
    order = np.random.default_rng(0).permutation(len(scores))
    again = curate(scores[order], [shapes[at] for at in order], settings=Curation(), rng=4)
    assert again.dropped == found.dropped
    assert [shape.mean for shape in again.shapes] == pytest.approx([shape.mean for shape in found.shapes])


def test_the_true_spread_is_what_is_left_without_noise() -> None:
    draw = np.random.default_rng(0)
    errors = np.full(4000, 0.3)
    measured = draw.normal(0, 0.4, 4000) + draw.normal(0, 0.3, 4000)
    measured[:400] = 50.0
    assert true_spread(measured, errors) == pytest.approx(0.45, abs=0.08)
    assert true_spread(draw.normal(0, 0.25, 4000), errors) == 0.0


def test_the_weighted_median_has_half_of_the_weight_below() -> None:
    assert weighted_median(np.array([5.0, 1.0, 3.0]), np.array([1, 1, 1])) == 3.0
    assert weighted_median(np.array([5.0, 1.0, 3.0]), np.array([3, 1, 1])) == 5.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"most_dropped": 1.0}, "most_dropped"),
        ({"error_rate": 0.0}, "error_rate"),
        ({"fewest": 1}, "fewest"),
        ({"deviations": 0.0}, "deviations"),
        ({"rule": "worst"}, "expected rule"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Curation(**settings)  # type: ignore[arg-type]


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one shape, class and picture"):
        curate(np.ones(3), ["a", "b"], settings=Curation(), rng=0)
    with pytest.raises(ValueError, match="finite scores; got 1 others"):
        curate(np.array([1.0, np.nan]), ["a", "b"], settings=Curation(), rng=0)


def test_a_parameter_that_the_bad_shapes_share_is_named_and_others_are_not() -> None:
    draw = np.random.default_rng(1)
    rings = [f"s{k:02d}" for k in range(0, 40, 8)]
    means = np.array([2.0 if f"s{k:02d}" in rings else 1.2 for k in range(40)])
    scores, shapes = world(means, 20, 0)
    found = curate(scores, shapes, settings=Curation(), rng=0)
    values = {
        f"s{k:02d}": {
            "back": "ring" if f"s{k:02d}" in rings else str(draw.choice(["slats", "solid"])),
            "arms": bool(draw.integers(2)),
            "width": float(draw.uniform(0.4, 0.6)),
        }
        for k in range(40)
    }
    told = traits(found, {"": values}, rng=0)
    over = [trait for trait in told if trait.over_represented]
    assert [(trait.parameter, trait.value) for trait in over] == [("back", "= ring")]
    assert (over[0].shapes, over[0].dropped, over[0].all_dropped) == (5, 5, 5)
    assert over[0].mean == pytest.approx(2.0, abs=0.15)
    assert "5 of 5 shapes dropped, 0 of the other 35" in over[0].sentence
    assert {trait.value.split(" (")[0] for trait in told if trait.parameter == "width"} == {
        "in its lowest third",
        "in its middle third",
        "in its highest third",
    }


def test_shapes_of_which_nothing_is_known_have_no_traits() -> None:
    scores, shapes = world(np.full(6, 1.0), 8, 0)
    found = curate(scores, shapes, settings=Curation(), rng=0)
    assert traits(found, {"": {shape: {} for shape in shapes}}, rng=0) == ()
