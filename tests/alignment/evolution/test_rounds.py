"""The whole evolution, where what it must find is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.alignment.evolution.greys import Brighter, Greys, level_of

from twinset.alignment.evolution import (
    Configurations,
    Edited,
    Electorate,
    Evolution,
    Round,
    evolve,
    fresh_key,
    noisy,
    votes_of,
)
from twinset.dataset import Sample
from twinset.errors import UnshownError
from twinset.randomness import Stream
from twinset.stages import Configuration, Slot

KEY = bytes(32)
SETTINGS = Evolution(rounds=5, population=30, pictures=2, lookahead="each")


def levels(count: int, *parts: tuple[float, float, float]) -> Electorate:
    """Real images whose grey levels are a mixture of (share, mean, deviation)."""
    draws = np.random.Generator(np.random.PCG64(4))
    shares, means, stds = (np.array(column) for column in zip(*parts, strict=True))
    which = draws.choice(len(parts), size=count, p=shares)
    return Electorate(draws.normal(means[which], stds[which])[:, None])


def evolved(electorate: Electorate, settings: Evolution = SETTINGS, *, seed: int = 0, key: bytes = KEY) -> list[Round]:
    return list(evolve(electorate, Configurations(Greys()), level_of, settings, rng=Stream(seed), key=key))


def mean_level(winners: Sequence[tuple[float, Configuration]]) -> float:
    return sum(weight * one["level_mean"] for weight, one in winners)


def test_a_hidden_level_is_found() -> None:
    rounds = evolved(levels(200, (1.0, 180.0, 4.0)))
    off = [np.mean([abs(one["level_mean"] - 180) for one in each.candidates]) for each in rounds]
    assert mean_level(rounds[-1].winners()) == pytest.approx(180, abs=4)
    assert off[-1] < 0.3 * off[0]
    assert off[0] > off[1] > off[2]


def test_two_hidden_levels_are_found_in_their_proportion() -> None:
    electorate = levels(300, (0.7, 60.0, 4.0), (0.3, 220.0, 4.0))
    winners = evolved(electorate)[-1].winners()
    share = float((electorate.features > 140).mean())
    assert sum(weight for weight, one in winners if one["level_mean"] > 140) == pytest.approx(share)
    assert sum(weight for weight, _ in winners) == pytest.approx(1.0)


def test_noise_that_is_small_beside_the_votes_does_not_hinder() -> None:
    rounds = evolved(levels(3_000, (1.0, 180.0, 4.0)), replace(SETTINGS, sigma=10.0, threshold=30.0))
    assert mean_level(rounds[-1].winners()) == pytest.approx(180, abs=8)


def test_noise_that_drowns_the_votes_hides_them() -> None:
    """With σ far above the number of images nothing of them is left: the candidates wander."""
    found = [
        mean_level(evolved(levels(20, (1.0, 250.0, 1.0)), replace(SETTINGS, sigma=1e4), key=fresh_key())[-1].winners())
        for _ in range(8)
    ]
    assert np.mean(found) == pytest.approx(127, abs=35)


def test_votes_carry_the_noise_of_their_own_round() -> None:
    seen: list[tuple[int, Round, np.ndarray]] = []
    electorate = levels(50, (1.0, 90.0, 9.0))

    def look(number: int, one: Round, shown: Sequence[Sequence[Sample]]) -> None:
        pictures = np.stack([level_of(each) for each in shown])
        seen.append((number, one, votes_of(electorate.features, pictures)))

    settings = replace(SETTINGS, sigma=3.0)
    evolve(electorate, Configurations(Greys()), level_of, settings, rng=Stream(0), key=KEY, seen=look)
    assert [number for number, _, _ in seen] == [0, 1, 2, 3, 4]
    for number, one, raw in seen:
        np.testing.assert_array_equal(one.votes, np.maximum(noisy(raw, 3.0, key=KEY, round_=number), 0))


def test_one_seed_and_key_give_one_evolution_and_others_another() -> None:
    electorate, settings = levels(50, (1.0, 90.0, 9.0)), replace(SETTINGS, sigma=2.0)
    first, again = evolved(electorate, settings), evolved(electorate, settings)
    assert [one.candidates for one in first] == [one.candidates for one in again]
    assert evolved(electorate, settings, seed=1)[0].candidates != first[0].candidates
    assert evolved(electorate, settings, key=fresh_key())[1].candidates != first[1].candidates


def test_an_evolution_that_was_cut_short_goes_on_as_if_it_had_not_been() -> None:
    electorate, settings = levels(50, (1.0, 90.0, 9.0)), replace(SETTINGS, sigma=2.0)
    whole = evolved(electorate, settings)
    made: list[int] = []
    rest = evolve(
        electorate,
        Configurations(Greys()),
        level_of,
        settings,
        rng=Stream(0),
        key=KEY,
        history=whole[:2],
        seen=lambda number, *_: made.append(number),
    )
    assert made == [2, 3, 4]
    for one, other in zip(whole, rest, strict=True):
        assert one.candidates == other.candidates
        np.testing.assert_array_equal(one.votes, other.votes)


def test_children_come_nearer_to_their_parents_round_by_round() -> None:
    rounds = evolved(levels(50, (1.0, 90.0, 9.0)), replace(SETTINGS, jitter=0.2, shrink=0.5))
    for number in range(1, 4):
        before = np.array([one["level_mean"] for one in rounds[number - 1].candidates])
        after = np.array([one["level_mean"] for one in rounds[number].candidates])
        nearest = np.abs(after[:, None] - before[None]).min(axis=1)
        assert nearest.max() <= 255 * 0.2 * 0.5 ** (number - 1)


def test_a_share_of_the_parents_is_kept() -> None:
    rounds = evolved(levels(50, (1.0, 90.0, 9.0)), replace(SETTINGS, keep=0.4))
    assert sum(one in rounds[0].candidates for one in rounds[1].candidates) == 12


def test_every_class_evolves_toward_its_own_images() -> None:
    features = np.concatenate([np.full((40, 1), 50.0), np.full((10, 1), 210.0)])
    electorate = Electorate(features, np.repeat([0, 1], [40, 10]))
    last = evolve(electorate, Configurations(Greys()), level_of, SETTINGS, rng=Stream(0), key=KEY, classes=2)[-1]
    assert last.class_ids == (0,) * 15 + (1,) * 15
    assert mean_level(last.winners(0)) == pytest.approx(50, abs=8)
    assert mean_level(last.winners(1)) == pytest.approx(210, abs=8)
    assert sum(weight for weight, _ in last.winners(1)) == pytest.approx(1.0)


def test_without_votes_all_go_on_and_it_is_told() -> None:
    one = evolved(levels(20, (1.0, 90.0, 9.0)), replace(SETTINGS, threshold=1_000.0))[0]
    assert one.starved == (0,)
    assert len(one.winners()) == 30


def test_pictures_evolve_by_an_editor() -> None:
    """Starting pictures lie about 60; by steps of up to 12 they come to the real ones at 110."""
    last = evolve(
        levels(100, (1.0, 110.0, 3.0)),
        Edited(Greys(), Brighter()),
        level_of,
        Evolution(rounds=12, population=30, pictures=1),
        rng=Stream(0),
        key=KEY,
    )[-1]
    found = sum(weight * float(sample.pixels().mean()) for weight, sample in last.winners())
    assert found == pytest.approx(110, abs=3)


class Dim(Greys):
    """Greys that show nothing above ``brightest``."""

    brightest = 150.0

    def configured(self, weighted: Sequence[tuple[float, Mapping[str, float]]]) -> Greys:
        return Dim(tuple(weighted))

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        for sample in super().generate(slots):
            if sample.pixels().mean() > self.brightest:
                raise UnshownError("too bright")
            yield sample


def test_candidates_that_show_nothing_never_stand_for_election(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real images lie where nothing can be shown: all candidates lie below, and the brightest of them win."""
    with pytest.raises(UnshownError):
        list(Dim().configured([(1.0, {"level_mean": 220.0, "level_std": 0.0})]).generate([Slot(0, 0, 0, 0, "x")]))
    candidates = Configurations(Dim(), within={"level_std": (0.0, 0.1)})
    rounds = evolve(levels(50, (1.0, 220.0, 4.0)), candidates, level_of, SETTINGS, rng=Stream(0), key=KEY)
    assert all(len(each.candidates) == 30 for each in rounds)
    assert max(one["level_mean"] for each in rounds for one in each.candidates) < 151
    assert mean_level(rounds[-1].winners()) > 135
    monkeypatch.setattr(Dim, "brightest", -1.0)
    with pytest.raises(UnshownError, match="expected settings at which pictures show their class; got none in 20"):
        evolve(levels(50, (1.0, 220.0, 4.0)), candidates, level_of, SETTINGS, rng=Stream(0), key=KEY)


def test_a_population_that_cannot_serve_its_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a population of at least 40 for 20 classes"):
        evolve(
            levels(5, (1.0, 1.0, 1.0)), Configurations(Greys()), level_of, SETTINGS, rng=Stream(0), key=KEY, classes=20
        )


@pytest.mark.parametrize("features", [np.zeros((0, 2)), np.zeros(3), np.array([[np.nan]])])
def test_features_that_cannot_vote_are_refused(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected finite features of real images"):
        Electorate(features)


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"population": 1}, {"votes": 31}, {"sigma": -1.0}, {"shrink": 0.0}, {"lookahead": "best"}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(SETTINGS, **wrong)  # type: ignore[arg-type]
