"""Which real images may testify for or against a synthetic set: every picture once, every family once.

An image in several files, also across training and held-out side (those count as training), is reduced to one; images
of one family (a patient, a video, a burst) count together. Else what is really one witness would make any difference
look sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import DUPLICATE_SHARE, Pictures, joined_families, relatives, usual_distance
from twinset.distances import Distances, Part, others
from twinset.errors import DataError
from twinset.membership import Labels, Strata

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of real images beside their pixels, all (N,) or None.

    ``classes`` are compared with their own kind only. ``families`` are equal for images of one patient, video or
    burst: such images are no independent witnesses, and each has relatives where it is and none on the other side.
    """

    classes: Labels | None = None
    families: Labels | None = None


NOTHING = Known()


@dataclass(frozen=True, eq=False)
class Distinct:
    """``pictures`` (W, …): distinct real images, those of training first; ``shown`` and ``held_out`` are their rows in
    ``training`` and among the held-out images.

    ``units`` (W,) numbers their families, those of training first, of which there are ``unit_count``; ``strata`` says
    which of the units are compared. ``members``: the distinct training images alone. Of all training images
    ``stands_for`` is the row of the distinct one that stands for each, and ``held_out_too`` whether that is held out
    too. ``typical``: how near held-out images usually are to training images; pictures no farther apart than ``limit``
    are one. ``repeats`` held-out images were left out because they are training images.
    """

    pictures: Pictures
    members: Pictures
    units: Rows
    unit_count: int
    strata: Strata
    training: Pictures
    shown: Rows
    held_out: Rows
    stands_for: Rows
    held_out_too: NDArray[np.bool_]
    typical: float
    limit: float
    repeats: int
    distances: Distances

    @property
    def count(self) -> int:
        """How many distinct training images there are."""
        return len(self.shown)

    @property
    def widest(self) -> int:
        """Images of the largest training family."""
        return int(np.bincount(self.units[: self.count]).max())

    def stand_in(self) -> NDArray[np.int64]:
        """The training unit that does not count for each unit: itself, or for held-out ones some of their class."""
        members = np.arange(self.unit_count)
        others = np.empty(len(self.strata.others), dtype=np.int64)
        for own, rows in self.strata.pairs():
            others[rows] = own[np.arange(len(rows)) % len(own)]
        return np.concatenate([members, others])

    @staticmethod
    def of(
        training: Pictures, holdout: Pictures, of_training: Known, of_holdout: Known, *, distances: Distances
    ) -> Distinct:
        """Of at least two training images and a held-out one; held-out images of a training family are left out.

        Raises ``ValueError`` for fewer, or for classes or families of one side only, and :class:`DataError` if too few
        distinct images, or families, are left.
        """
        _check(training, holdout, of_training, of_holdout)
        nearest, rows = distances.nearest(holdout, training, k=1)
        across = nearest[:, 0]
        typical = usual_distance(across)
        limit = DUPLICATE_SHARE * typical
        shown, stands_for = np.unique(_duplicates(training, limit, distances), return_inverse=True)
        repeats = np.flatnonzero(across <= limit)
        held_out = np.setdiff1d(_duplicates(holdout, limit, distances), repeats)
        families, other_families = _families(len(training), of_training), _families(len(holdout), of_holdout)
        if of_training.families is not None:
            held_out = held_out[~np.isin(other_families[held_out], families)]
        own, units = np.unique(families[shown], return_inverse=True)
        strangers, other_units = np.unique(other_families[held_out], return_inverse=True)
        _check_units(len(own), len(strangers))
        members = training if len(shown) == len(training) else training[shown]
        pictures = np.concatenate([members, holdout[held_out]])
        count = len(shown)
        if members is not training:
            distances.made_of(members, Part(training, shown, np.arange(count)))
        distances.made_of(
            pictures,
            Part(training, shown, np.arange(count)),
            Part(holdout, held_out, np.arange(count, len(pictures))),
        )
        return Distinct(
            pictures=pictures,
            members=members,
            units=np.concatenate([units, len(own) + other_units]),
            unit_count=len(own),
            strata=Strata.of(_of_units(of_training, shown, units), _of_units(of_holdout, held_out, other_units)),
            training=training,
            shown=shown,
            held_out=held_out,
            stands_for=stands_for,
            held_out_too=np.isin(stands_for, stands_for[rows[repeats, 0]]),
            typical=typical,
            limit=limit,
            repeats=len(repeats),
            distances=distances,
        )


def _check(training: Pictures, holdout: Pictures, of_training: Known, of_holdout: Known) -> None:
    for name in ("classes", "families"):
        if (getattr(of_training, name) is None) != (getattr(of_holdout, name) is None):
            raise ValueError(f"expected {name} of both training and holdout, or of neither; got one of them")
    if len(training) < 2 or not len(holdout):
        raise ValueError(f"expected ≥ 2 training and ≥ 1 held-out images; got {len(training)} and {len(holdout)}")


def _check_units(members: int, strangers: int) -> None:
    if members < 2 or not strangers:
        raise DataError(
            "expected ≥ 2 distinct training images and ≥ 1 held-out image that is none of them, of families of their "
            f"own; got {members} and {strangers}",
            hint="keep real images out that are training images",
        )


def _duplicates(pictures: Pictures, limit: float, distances: Distances) -> Rows:
    """As :func:`twinset.copying.duplicate_families`."""
    if len(pictures) == 1:
        return np.zeros(1, dtype=np.int64)
    neighbours = others(distances.nearest, distances.rows(pictures), k=relatives(len(pictures)))
    return joined_families(neighbours, nearer_than=limit)


def _families(count: int, known: Known) -> NDArray[np.int64]:
    return np.arange(count) if known.families is None else np.asarray(known.families, dtype=np.int64)


def _of_units(known: Known, rows: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of every unit: that of its first image."""
    first = np.unique(units, return_index=True)[1]
    if known.classes is None:
        return np.zeros(len(first), dtype=np.int64)
    classes: NDArray[np.int64] = np.asarray(known.classes, dtype=np.int64)[rows[first]]
    return classes
