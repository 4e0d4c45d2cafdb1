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
from twinset.neighbours import Features, Neighbours, count_within, nearest_both

Rows = NDArray[np.int64]
Made = TypeVar("Made")
Taken = TypeVar("Taken", Pictures, Features)

SPARE = 8
"""So many more neighbours are found than asked for: some may be of rows that a set made of these leaves out."""
MOSTLY = 0.9
"""A set that holds less of another's rows than this share of them is searched itself."""


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
        home, found = self._home(queries, references), self._list(queries, references)
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
        """As :func:`twinset.neighbours.count_within`: of lists of neighbours, where these reach as far."""
        lists = self._list(queries, references)
        listed = np.zeros((len(queries), 0)) if lists is None else lists[0]
        counts = (listed[:, :, None] <= radii).sum(axis=1)
        open_ = np.flatnonzero((counts == listed.shape[1]).any(axis=1))
        if len(open_) and listed.shape[1] < len(references):
            counts[open_] = count_within(_taken(queries, open_), references, radii)
        return np.asarray(counts, dtype=np.int64)

    def search_both(self, first: Pictures, second: Pictures, *, k: int, k_back: int) -> None:
        """Finds what :meth:`nearest` will be asked in both directions; features need one product for both."""
        if np.uint8 in (first.dtype, second.dtype):
            return
        for mine in self._atoms(first):
            for theirs in self._atoms(second):
                if all(len(each.rows) >= MOSTLY * len(each.source) for each in (mine, theirs)):
                    self._search_both(mine.source, theirs.source, k + SPARE, k_back + SPARE)

    def _search_both(self, first: Pictures, second: Pictures, k: int, k_back: int) -> None:
        if first is second or self._list(first, second) or self._list(second, first):
            return
        home, k, k_back = self._home(first, second), min(k, len(second)), min(k_back, len(first))
        there, back = nearest_both(cast(Features, first), cast(Features, second), k=k, k_back=k_back)
        home._lists |= {(id(first), id(second)): there, (id(second), id(first)): back}
        home._alive |= {id(first): first, id(second): second}

    def once(self, name: Hashable, *sets: Pictures, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, called once for this name and these sets."""
        home = self._home(*sets)
        key = (name, *(id(each) for each in sets))
        if key not in home._once:
            home._once[key] = make()
            home._alive |= {id(each): each for each in sets}
        return cast(Made, home._once[key])

    def _list(self, queries: Pictures, references: Pictures) -> Neighbours | None:
        return self._home(queries, references)._lists.get((id(queries), id(references)))

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


def others(search: Callable[..., Neighbours], points: Features, *, k: int) -> Neighbours:
    """The k nearest *other* points of every point (N, D) by a search that finds the point itself as well."""
    distances, rows = search(points, points, k=k + 1)
    itself = rows == np.arange(len(points))[:, None]
    itself[~itself.any(axis=1), -1] = True  # behind more copies of it than were asked for
    shape = len(points), k
    return distances[~itself].reshape(shape), rows[~itself].reshape(shape)


def _taken(source: Taken, rows: Rows) -> Taken:
    return source if len(rows) == len(source) else source[rows]
