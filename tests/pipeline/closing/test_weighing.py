"""Changes from before to after: what is nearer to real is called so, and chance is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from twinset.alignment.metadata import Measures
from twinset.errors import RecipeError
from twinset.evaluation.distances.kernel_sums import kernel_sums
from twinset.pipeline.closing.weighing import Pictures, Weighed, check_weighable, weigh
from twinset.pipeline.real import RealData
from twinset.randomness import Stream
from twinset.recipe import recipe_from_values

NAMES = ("box_area", "count")


def pictures(
    draw: np.random.Generator, n: int, *, area: float = 0.0, count: float = 10.0, shift: float = 0.0
) -> Pictures:
    """N pictures of about ``count`` objects, log areas normal about ``area``, features about ``shift``."""
    counts = np.maximum(1, draw.poisson(count, n))
    rows = np.repeat(np.arange(n), counts)
    areas = np.exp(draw.normal(area - 4, 0.5, len(rows)))
    columns = {"count": counts.astype(np.float64), "box_area": areas}
    held = Measures(n, columns, rows, np.zeros(len(rows), dtype=np.int64), ("thing",))
    return Pictures(held, draw.normal(shift, 1, (n, 6)), np.arange(n))


def weighed(before: dict[str, float], after: dict[str, float], *, seed: int = 0) -> Weighed:
    """Real pictures at 0 against pilots of these settings."""
    draw = np.random.default_rng(seed)
    real = pictures(draw, 80)
    return weigh(real, pictures(draw, 100, **before), pictures(draw, 100, **after), names=NAMES, rng=Stream(seed))


def test_too_few_real_images_are_known_before_anything_is_made() -> None:
    real = SimpleNamespace(training=range(3), part=lambda _: range(0))
    recipe = recipe_from_values({"data": "builtin:digit-scenes", "close_gap": {}}).recipe
    with pytest.raises(RecipeError, match=r"expected at least 4 training and validation images .* got 3"):
        check_weighable(recipe, cast(RealData, real))
    check_weighable(recipe.model_copy(update={"close_gap": None}), cast(RealData, real))
    check_weighable(recipe, cast(RealData, SimpleNamespace(training=range(3), part=lambda _: range(1))))


def test_a_step_to_the_real_law_helps() -> None:
    found = weighed({"area": 2.0, "shift": 1.5}, {})
    assert found.helps
    assert found.metadata.nearer
    assert found.features.nearer
    assert found.measures["box_area"][0] > 5 * found.measures["box_area"][1]


def test_a_step_away_from_the_real_law_harms() -> None:
    found = weighed({}, {"area": 2.0, "shift": 1.5})
    assert found.harms
    assert not found.helps
    assert found.metadata.farther
    assert found.features.farther


def test_nearer_in_metadata_but_farther_in_features_does_not_help() -> None:
    found = weighed({"area": 2.0}, {"shift": 1.5})
    assert found.metadata.nearer
    assert found.features.farther
    assert not found.helps
    assert found.harms


def test_nearer_in_features_alone_helps() -> None:
    found = weighed({"shift": 1.5}, {})
    assert found.helps
    assert not found.metadata.nearer


@pytest.mark.slow
def test_equal_laws_are_seldom_called_a_change() -> None:
    found = [weighed({"area": 0.4, "shift": 0.3}, {"area": 0.4, "shift": 0.3}, seed=seed) for seed in range(24)]
    for name in ("metadata", "features"):
        changed = sum(getattr(one, name).nearer or getattr(one, name).farther for one in found)
        assert changed <= 5, name  # of 24 at 5 %: six or more by chance less than once in 700


def test_feature_distance_is_the_unbiased_kernel_distance() -> None:
    draw = np.random.default_rng(3)
    real, before, after = pictures(draw, 30), pictures(draw, 40, shift=0.5), pictures(draw, 50)
    found = weigh(real, before, after, names=NAMES, rng=Stream(0)).features
    assert found.before == pytest.approx(kernel_sums(real.features, before.features).value, abs=1e-12)
    assert found.after == pytest.approx(kernel_sums(real.features, after.features).value, abs=1e-12)


def test_sets_that_share_nothing_are_far_but_finite() -> None:
    found = weighed({"area": 40.0}, {})
    assert np.isfinite(found.measures["box_area"][0])
    assert found.metadata.nearer


def test_a_filter_may_leave_part_of_the_slots() -> None:
    draw = np.random.default_rng(5)
    real, before = pictures(draw, 60), pictures(draw, 80, area=1.0)
    rows = np.flatnonzero(np.arange(80) % 3 > 0)
    after = Pictures(before.measures.take(rows), before.features[rows], before.families[rows])
    found = weigh(real, before, after, names=NAMES, rng=Stream(0))
    assert not found.helps
    assert not found.harms


def test_too_few_pictures_are_refused() -> None:
    draw = np.random.default_rng(0)
    few = pictures(draw, 3)
    with pytest.raises(ValueError, match="at least 4 pictures of each; got \\[3, 3, 3\\]"):
        weigh(few, few, few, names=NAMES, rng=Stream(0))
