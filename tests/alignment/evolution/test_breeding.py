"""Parents by votes, children by jitter."""

from __future__ import annotations

import numpy as np
import pytest
from tests.alignment.evolution.greys import Greys

from twinset.alignment.evolution import Box, Configurations, jittered, parents
from twinset.randomness import Stream

VOTES = np.array([0.0, 5.0, 1.5, 0.25, 3.25])


def test_parents_are_as_many_as_their_share_rounded_down_or_up() -> None:
    for seed in range(50):
        counts = np.bincount(parents(VOTES, 7, rng=Stream(seed)), minlength=5)
        assert counts.sum() == 7
        assert (np.abs(counts - 7 * VOTES / VOTES.sum()) < 1).all()
        assert counts[0] == 0


def test_on_average_parents_are_in_proportion_to_votes() -> None:
    counts = sum(np.bincount(parents(VOTES, 7, rng=Stream(seed)), minlength=5) for seed in range(3_000))
    np.testing.assert_allclose(counts / 21_000, VOTES / VOTES.sum(), atol=0.006)


def test_every_class_keeps_its_share() -> None:
    classes = np.array([0, 0, 1, 1, 1])
    rows = parents(VOTES, 5, rng=Stream(0), class_ids=classes)
    assert rows[:2].tolist() == [1, 1]
    assert set(rows[2:].tolist()) <= {2, 3, 4}


def test_a_class_without_votes_goes_on_as_it_is() -> None:
    rows = parents(np.array([0.0, 0.0, 4.0]), 3, rng=Stream(0), class_ids=np.array([0, 0, 1]))
    assert rows.tolist() == [0, 1, 2]


def test_votes_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="votes ≥ 0"):
        parents(np.array([1.0, -1.0]), 2, rng=Stream(0))


def test_jitter_is_even_within_its_width_and_mirrored_at_the_faces() -> None:
    points = np.tile([0.5, 0.05, 1.0], (20_000, 1))
    moved = jittered(points, 0.2, rng=Stream(1)) - points
    assert np.abs(moved).max() <= 0.2
    assert moved[:, 0].std() == pytest.approx(0.2 / np.sqrt(3), rel=0.02)
    assert moved[:, 1].min() >= -0.05
    assert moved[:, 2].max() <= 0
    # Mirrored, not pushed to the face: nothing piles up there.
    assert (moved[:, 2] > -0.01).mean() == pytest.approx(0.05, abs=0.01)


def test_no_width_moves_nothing() -> None:
    points = Stream(2).numpy().random((9, 3))
    np.testing.assert_array_equal(jittered(points, 0.0, rng=Stream(1)), points)


def test_points_and_configurations_are_each_other() -> None:
    box = Box.of({"a": (-2.0, 6.0), "b": (0.0, 1.0)}, {"b": (0.25, 0.5)})
    points = Stream(2).numpy().random((9, 2))
    found = box.configurations(points)
    assert all(-2 <= one["a"] <= 6 and 0.25 <= one["b"] <= 0.5 for one in found)
    np.testing.assert_allclose(box.points(found), points, atol=1e-12)
    assert box.configurations(np.array([[0.25, 1.0]]))[0] == {"a": 0.0, "b": 0.5}


@pytest.mark.parametrize("within", [{"c": (0.0, 1.0)}, {"a": (0.5, 2.0)}, {"a": (0.5, 0.5)}])
def test_bounds_beyond_the_space_are_refused(within: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="expected bounds"):
        Box.of({"a": (0.0, 1.0)}, within)


def test_first_configurations_fill_the_space_evenly() -> None:
    """A Latin square: one in each of P equal parts, and of deviations only the narrow share."""
    first = Configurations(Greys(), spread=0.25).first([0] * 40, rng=Stream(0))
    levels = sorted(one["level_mean"] / 255 * 40 for one in first)
    assert [int(level) for level in levels] == list(range(40))
    assert max(one["level_std"] for one in first) <= 10


def test_first_configurations_begin_around_what_is_given() -> None:
    start = ((0.75, {"level_mean": 50.0}), (0.25, {"level_mean": 200.0}))
    first = Configurations(Greys(), start=start, around=0.02).first([0] * 400, rng=Stream(0))
    low = [one["level_mean"] for one in first if one["level_mean"] < 100]
    assert len(low) / 400 == pytest.approx(0.75, abs=0.07)
    assert all(abs(level - 50) <= 0.02 * 255 for level in low)
    assert np.std([one["level_std"] for one in first]) > 1
