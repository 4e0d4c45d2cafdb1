"""The loop of Private Evolution: look, vote, add noise, breed; round by round, and nothing kept beside the rounds.

Lin, Gopi, Kulkarni, Nori and Yekhanin 2023 (arXiv 2305.15560), algorithms 1 and 2, over candidates of any kind. The
candidates of a round follow from the rounds before it, so an evolution that was cut short goes on where it was. We
differ from the paper in three things: parents are resampled systematically, not drawn one by one; several pictures of a
candidate may each attract votes; and the outcome is the winners of the last vote with their votes as weights, not one
more generation of children.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.evolution.breeding import parents
from twinset.alignment.evolution.candidates import Candidates
from twinset.alignment.evolution.noise import noisy, thresholded
from twinset.alignment.evolution.settings import Evolution
from twinset.alignment.evolution.voting import votes_of
from twinset.dataset import Sample
from twinset.errors import UnshownError
from twinset.randomness import Stream

C = TypeVar("C")
Embed = Callable[[Sequence[Sample]], NDArray[np.floating]]
"""Pictures to features (n, D)."""

REDRAWS = 20
"""How often another candidate is drawn in place of one that cannot be shown."""


@dataclass(frozen=True, eq=False)
class Round(Generic[C]):
    """Candidates of one round and their votes (P,): after noise and threshold, as they may be told. Frozen."""

    candidates: tuple[C, ...]
    class_ids: tuple[int, ...]
    votes: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not len(self.candidates) == len(self.class_ids) == len(self.votes):
            raise ValueError(
                f"expected as many classes and votes as candidates; got {len(self.candidates)} candidates, "
                f"{len(self.class_ids)} classes and {len(self.votes)} votes"
            )

    def winners(self, class_id: int | None = None) -> tuple[tuple[float, C], ...]:
        """Candidates with votes, of all classes or of one, and their shares, which sum to 1.

        All of them in equal shares where no vote was left of noise and threshold.
        """
        rows = [row for row, own in enumerate(self.class_ids) if class_id is None or own == class_id]
        weights = self.votes[rows] if self.votes[rows].sum() > 0 else np.ones(len(rows))
        total = weights.sum()
        return tuple(
            (float(weight / total), self.candidates[row])
            for row, weight in zip(rows, weights, strict=True)
            if weight > 0
        )

    @property
    def starved(self) -> tuple[int, ...]:
        """Classes of which no candidate has a vote: they go on as they are."""
        ids = np.array(self.class_ids)
        return tuple(int(c) for c in np.unique(ids) if not self.votes[ids == c].sum() > 0)


@dataclass(frozen=True, eq=False)
class Electorate:
    """The real images that vote: features (N, D) and, where images have classes, these (N,)."""

    features: NDArray[np.floating]
    class_ids: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not len(self.features) or not np.isfinite(self.features).all():
            raise ValueError(f"expected finite features of real images as (N, D), N ≥ 1; got {self.features.shape}")
        if self.class_ids is not None and self.class_ids.shape != (len(self.features),):
            raise ValueError(f"expected a class for each of {len(self.features)}; got {self.class_ids.shape}")


def evolve(
    electorate: Electorate,
    candidates: Candidates[C],
    embed: Embed,
    settings: Evolution,
    *,
    rng: Stream,
    key: bytes,
    classes: int = 1,
    history: Sequence[Round[C]] = (),
    seen: Callable[[int, Round[C], Sequence[Sequence[Sample]]], None] = lambda *_: None,
) -> tuple[Round[C], ...]:
    """All rounds; the winners of the last are the outcome.

    ``key`` is where the noise comes from (:func:`~twinset.secret_randomness.fresh_key`); ``rng`` decides the
    rest. ``history`` are rounds that an earlier sitting committed, ``seen`` is called with the number of every new
    round (from 0), the round, and the pictures that stood for its candidates. With ``classes`` above 1 every class has
    its share of the candidates.
    """
    least = settings.least_population(classes)
    if settings.population < least:
        raise ValueError(f"expected a population of at least {least} for {classes} classes; got {settings.population}")
    rounds = list(history)
    while len(rounds) < settings.rounds:
        number = len(rounds)
        stream = rng.child("round", number)
        members, class_ids = _candidates(rounds, candidates, settings, classes, stream)
        members, shown = _shown(candidates, members, class_ids, settings.pictures, stream)
        votes = votes_in(electorate, _features(embed, shown), np.array(class_ids), settings, classes)
        noised = noisy(votes, settings.sigma, key=key, round_=number)
        rounds.append(Round(members, class_ids, thresholded(noised, settings.threshold)))
        seen(number, rounds[-1], shown)
    return tuple(rounds)


def votes_in(
    electorate: Electorate,
    features: NDArray[np.floating],
    class_ids: NDArray[np.integer],
    settings: Evolution,
    classes: int,
) -> NDArray[np.float64]:
    """Votes (P,) for candidates with features (P, m, D) and classes (P,), without noise."""
    by_class = None if classes == 1 or electorate.class_ids is None else (electorate.class_ids, class_ids)
    return votes_of(
        electorate.features, features, votes=settings.votes, lookahead=settings.lookahead, class_ids=by_class
    )


def _candidates(
    rounds: Sequence[Round[C]], candidates: Candidates[C], settings: Evolution, classes: int, rng: Stream
) -> tuple[tuple[C, ...], tuple[int, ...]]:
    """Who stands for election: first ones evenly over the classes, later ones the children of the last round."""
    if not rounds:
        class_ids = tuple(row * classes // settings.population for row in range(settings.population))
        return candidates.first(class_ids, rng=rng.child("first")), class_ids
    last = rounds[-1]
    by_class = np.array(last.class_ids) if classes > 1 else None
    rows = parents(last.votes, len(last.candidates), rng=rng.child("parents"), class_ids=by_class)
    chosen = [last.candidates[row] for row in rows]
    children = candidates.varied(chosen, settings.width(len(rounds)), rng=rng.child("vary"))
    # Every so manieth goes on unchanged, evenly over parents, which are in order.
    kept = np.floor(np.arange(1, len(rows) + 1) * settings.keep) > np.floor(np.arange(len(rows)) * settings.keep)
    members = tuple(old if same else new for old, new, same in zip(chosen, children, kept, strict=True))
    return members, tuple(last.class_ids[row] for row in rows)


def _shown(
    candidates: Candidates[C], members: Sequence[C], class_ids: Sequence[int], each: int, rng: Stream
) -> tuple[tuple[C, ...], list[Sequence[Sample]]]:
    """The candidates with their pictures; in place of one that cannot be shown a new one of its class is drawn."""
    members = list(members)
    shown = list(candidates.pictures(members, class_ids, each, rng=rng.child("pictures")))
    for again in range(REDRAWS):
        lost = [row for row, pictures in enumerate(shown) if not pictures]
        if not lost:
            return tuple(members), shown
        own, redrawn = [class_ids[row] for row in lost], rng.child("redrawn", again)
        fresh = candidates.first(own, rng=redrawn.child("first"))
        found = candidates.pictures(fresh, own, each, rng=redrawn.child("pictures"))
        for row, member, pictures in zip(lost, fresh, found, strict=True):
            members[row], shown[row] = member, pictures
    if any(not pictures for pictures in shown):
        raise UnshownError(
            f"evolve: expected settings at which pictures show their class; got none in {REDRAWS} draws of them",
            hint="narrower bounds of the settings (evolve.within): larger objects, nearer to the middle",
        )
    return tuple(members), shown


def _features(embed: Embed, shown: Sequence[Sequence[Sample]]) -> NDArray[np.floating]:
    """(P, m, D) features of all pictures, embedded in one go."""
    flat = embed([picture for each in shown for picture in each])
    return flat.reshape(len(shown), len(shown[0]), -1)
