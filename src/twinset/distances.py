"""Distances that several tests ask for, found once: also between sets that are made of the rows of others.

An audit compares the same few sets again and again: the released images with all training images, with the distinct
ones, with those and a copy planted here and there, with a half of them. Each pair of sets is searched once. What is
made of other sets (:meth:`Distances.made_of`) takes its neighbours from theirs: rows that were left out are passed over
in the lists of neighbours, those that are new are searched alone. Distances are exact, so what is put together is what
a search would find.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures, feature_rows, nearest_pictures
from twinset.neighbours import ClosePairs, Features, Neighbours, close_pairs

Rows = NDArray[np.int64]
Made = TypeVar("Made")

SPARE = 8
"""So many more neighbours are found than asked for: some may be of rows that a set made of these leaves out."""
MOSTLY = 0.9
"""A set that holds less of another's rows than this share of them is searched itself."""
KEPT = 2**23
"""So many pairs that are close to each other are kept (128 MiB); where there are more, they are sought every time."""
SLACK = 1.01
"""Pairs are kept up to the radius asked for times this: the next radius may be a little larger."""


@dataclass(frozen=True, eq=False)
class Part:
    """``rows`` (P,) of ``source``, ascending, stand at ``places`` (P,) of a set, ascending too."""

    source: Pictures
    rows: Rows
    places: Rows


class Distances:
    """What was found between sets, known by identity; nobody may change them.

    ``beside`` another: what is found between sets of that one is kept there, all else goes with this.
    """

    def __init__(self, *, beside: Distances | None = None) -> None:
        self._beside = beside
        self._parts: dict[int, tuple[Part, ...]] = {}
        self._lists: dict[tuple[int, int], Neighbours] = {}
        self._close: dict[tuple[int, int], ClosePairs | float] = {}  # or up to where there are too many
        self._once: dict[Hashable, object] = {}
        self._alive: dict[int, Pictures] = {}  # else another array might get its number

    def made_of(self, made: Pictures, *parts: Part) -> None:
        """Says of which rows of other sets ``made`` consists; a set of none is known here only."""
        if parts and sum(len(part.places) for part in parts) != len(made):
            raise ValueError(f"expected parts that make all {len(made)} rows")
        self._alive[id(made)] = made
        self._parts[id(made)] = tuple(each for part in parts for each in self._whole(part))

    def nearest(self, queries: Pictures, references: Pictures, *, k: int) -> Neighbours:
        """As :func:`twinset.copying.nearest_pictures`."""
        home = self._home(queries, references)
        found = home._lists.get((id(queries), id(references)))
        if found is None or found[0].shape[1] < k:
            found = self._search(queries, references, k)
            home._lists[id(queries), id(references)] = found
            home._alive |= {id(queries): queries, id(references): references}
        return found[0][:, :k], found[1][:, :k]

    def rows(self, pictures: Pictures) -> Features:
        """As :func:`twinset.copying.feature_rows`."""
        if pictures.dtype != np.uint8:
            return cast(Features, pictures)
        return self.once("rows", pictures, make=lambda: self._rows(pictures))

    def within(self, queries: Features, references: Features, radii: NDArray[np.float64]) -> Rows:
        """How many references (S, D) are no farther than each radius (R,) from each query (N, D): (N, R)."""
        counts = np.zeros((len(queries), len(radii)), dtype=np.int64)
        for mine in self._atoms(queries):
            for theirs in self._atoms(references):
                self._count(counts, mine, theirs, radii)
        return counts

    def once(self, name: Hashable, *sets: Pictures, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, called once for this name and these sets."""
        home = self._home(*sets)
        key = (name, *(id(each) for each in sets))
        if key not in home._once:
            home._once[key] = make()
            home._alive |= {id(each): each for each in sets}
        return cast(Made, home._once[key])

    def _home(self, *sets: Pictures) -> Distances:
        """Where findings about these sets are kept: here, if one of them is known here only."""
        if self._beside is None or any(id(each) in self._parts for each in sets):
            return self
        return self._beside._home(*sets)

    def _atoms(self, pictures: Pictures) -> tuple[Part, ...]:
        """The parts of a set, none of which is made of others; itself, where it is not."""
        if parts := self._parts.get(id(pictures)):
            return parts
        if self._beside is not None and id(pictures) not in self._parts:
            return self._beside._atoms(pictures)
        whole = np.arange(len(pictures))
        return (Part(pictures, whole, whole),)

    def _whole(self, part: Part) -> tuple[Part, ...]:
        """A part whose source is made of others, as parts of these."""
        found = []
        for atom in self._atoms(part.source):
            at = np.full(len(part.source), -1)
            at[atom.places] = atom.rows
            rows = at[part.rows]
            found.append(Part(atom.source, rows[rows >= 0], part.places[rows >= 0]))
        return tuple(each for each in found if len(each.rows))

    def _search(self, queries: Pictures, references: Pictures, k: int) -> Neighbours:
        mine, theirs = self._atoms(queries), self._atoms(references)
        if mine[0].source is queries and theirs[0].source is references:
            return nearest_pictures(queries, references, k=min(k + SPARE, len(references)))
        if not 1 <= k <= len(references):
            raise ValueError(f"expected 1 ≤ k ≤ {len(references)} references; got k = {k}")
        distances, rows = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
        for part in mine:
            lists = [self._of_part(part, each, min(k, len(each.rows))) for each in theirs]
            found = np.concatenate([one for one, _ in lists], axis=1)
            at = np.concatenate([places for _, places in lists], axis=1)
            order = np.lexsort((at, found), axis=1)[:, :k]
            distances[part.places] = np.take_along_axis(found, order, axis=1)
            rows[part.places] = np.take_along_axis(at, order, axis=1)
        return distances, rows

    def _of_part(self, mine: Part, theirs: Part, k: int) -> Neighbours:
        """The k nearest among the rows of a part, as places in the set that these rows are part of."""
        if len(theirs.rows) < MOSTLY * len(theirs.source):
            return self._directly(mine.source[mine.rows], theirs, k)
        place = np.full(len(theirs.source), -1)
        place[theirs.rows] = theirs.places
        asked = min(k + SPARE, len(theirs.source))
        found, rows = self.nearest(mine.source, theirs.source, k=asked)
        distances, places = found[mine.rows], place[rows[mine.rows]]
        order = np.argsort(places < 0, axis=1, kind="stable")[:, :k]
        distances, places = np.take_along_axis(distances, order, axis=1), np.take_along_axis(places, order, axis=1)
        short = np.flatnonzero(places[:, -1] < 0)
        if len(short):
            distances[short], places[short] = self._directly(mine.source[mine.rows[short]], theirs, k)
        return distances, places

    def _directly(self, queries: Pictures, part: Part, k: int) -> Neighbours:
        distances, rows = nearest_pictures(queries, _taken(part.source, part.rows), k=k)
        return distances, part.places[rows]

    def _rows(self, pictures: Pictures) -> Features:
        atoms = self._atoms(pictures)
        if atoms[0].source is pictures:
            return feature_rows(pictures)
        sources = [self.rows(part.source) for part in atoms]
        made = np.empty((len(pictures), sources[0].shape[1]), dtype=sources[0].dtype)
        for part, source in zip(atoms, sources, strict=True):
            made[part.places] = source[part.rows]
        self._home(pictures).made_of(
            made, *(Part(source, part.rows, part.places) for part, source in zip(atoms, sources, strict=True))
        )
        return made

    def _count(self, counts: Rows, mine: Part, theirs: Part, radii: NDArray[np.float64]) -> None:
        """Adds those of two parts."""
        radius = float(radii.max())
        pairs = self._pairs(mine.source, theirs.source, radius)
        if pairs is not None:
            _add(counts, mine, theirs, pairs, radii)
            return
        queries, references = _taken(mine.source, mine.rows), _taken(theirs.source, theirs.rows)
        here = Part(queries, np.arange(len(queries)), mine.places)
        there = Part(references, np.arange(len(references)), theirs.places)
        for some in close_pairs(cast(Features, queries), cast(Features, references), limit=radius):
            _add(counts, here, there, some, radii)

    def _pairs(self, first: Pictures, second: Pictures, radius: float) -> ClosePairs | None:
        """Kept pairs that are no farther apart than ``radius``; None where these are too many."""
        home, key = self._home(first, second), (id(first), id(second))
        kept = home._close.get(key, -1.0)
        if isinstance(kept, ClosePairs) and kept.limit >= radius:
            return kept
        if not isinstance(kept, ClosePairs) and 0 <= kept <= radius:
            return None
        home._alive |= {id(first): first, id(second): second}
        limit, found, total = SLACK * radius, [], 0
        for some in close_pairs(cast(Features, first), cast(Features, second), limit=limit):
            found.append(some)
            total += len(some.first)
            if total > KEPT:
                home._close[key] = radius
                return None
        home._close[key] = pairs = ClosePairs.joined(limit, found)
        return pairs


def _add(counts: Rows, mine: Part, theirs: Part, pairs: ClosePairs, radii: NDArray[np.float64]) -> None:
    """Adds to the counts (N, R) of queries the pairs of two parts within each radius (R,)."""
    place = np.full(len(mine.source), -1)
    place[mine.rows] = mine.places
    present = np.zeros(len(theirs.source), dtype=bool)
    present[theirs.rows] = True
    if len(mine.rows) < len(place) or len(theirs.rows) < len(present):
        pairs = pairs.where((place[pairs.first] >= 0) & present[pairs.second])
    first, second = cast(Features, mine.source), cast(Features, theirs.source)
    for number, radius in enumerate(radii):
        inside = pairs.no_farther(first, second, float(radius))
        counts[:, number] += np.bincount(place[pairs.first[inside]], minlength=len(counts))


def others(search: Callable[..., Neighbours], points: Features, *, k: int) -> Neighbours:
    """The k nearest *other* points of every point (N, D) by a search that finds the point itself as well."""
    distances, rows = search(points, points, k=k + 1)
    itself = rows == np.arange(len(points))[:, None]
    itself[~itself.any(axis=1), -1] = True  # behind more copies of it than were asked for
    shape = len(points), k
    return distances[~itself].reshape(shape), rows[~itself].reshape(shape)


def _taken(source: Pictures, rows: Rows) -> Pictures:
    return source if len(rows) == len(source) else source[rows]
