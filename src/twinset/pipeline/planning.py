"""From a resolved recipe to plan rows: how many of which class, by which source, in which shard, with which seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute

from twinset.errors import RecipeError
from twinset.randomness import seed_for
from twinset.recipe import GroupCountPart, Recipe, UsePart
from twinset.stages import Slot
from twinset.store import PlanRow

MOST_PLACED = 500
"""Images made by themselves in tasks with objects, where one of them is large and shows many."""


def auto_count(n_training: int) -> int:
    """As many as there are training images, but at least 1,000 where ten times the training set allows it.

    >>> auto_count(1078), auto_count(100), auto_count(20)
    (1078, 1000, 200)
    """
    return max(n_training, min(10 * n_training, 1000))


def placed_count(recipe: Recipe, n_training: int) -> int:
    """Images to make where images have no class of their own."""
    if isinstance(recipe.count, dict | GroupCountPart) or recipe.count == "balance":
        got = "numbers by an attribute" if isinstance(recipe.count, GroupCountPart) else repr(recipe.count)
        raise RecipeError(
            f"count: expected a number or auto in task {recipe.task}; got {got}",
            hint="one image shows objects of several classes; generators have settings for their shares",
        )
    if recipe.count == "auto":
        return max(n_training, min(5 * n_training, MOST_PLACED))
    return recipe.count


def counts_of(recipe: Recipe, classes: Sequence[str]) -> list[int]:
    """Slots to fill by class id, of a resolved recipe; a single entry where images have no class of their own."""
    if isinstance(recipe.count, GroupCountPart):
        found = recipe.count.of or {}
        return [sum(found.get(name, {}).values()) for name in classes]
    if isinstance(recipe.count, dict):
        return [recipe.count.get(name, 0) for name in classes]
    assert isinstance(recipe.count, int)
    return [recipe.count]


def planned(recipe: Recipe) -> int:
    """Images that a resolved recipe makes."""
    if isinstance(recipe.count, GroupCountPart):
        return recipe.count.total
    return sum(counts_of(recipe, list(recipe.count) if isinstance(recipe.count, dict) else ()))


def class_counts(recipe: Recipe, training: Mapping[str, int]) -> dict[str, int]:
    """Images to make of every class, for ``training`` images of every class; not of a ``count`` by an attribute."""
    assert not isinstance(recipe.count, GroupCountPart)
    total = sum(training.values())
    if isinstance(recipe.count, dict):
        if not sum(recipe.count.values()):
            raise RecipeError("count: expected at least one image to make; got 0 of every class")
        unknown = sorted(set(recipe.count) - set(training))
        if unknown:
            raise RecipeError(f"count: expected classes out of {', '.join(training)}; got {', '.join(unknown)}")
        return {name: recipe.count.get(name, 0) for name in training}
    if recipe.count == "balance":
        target = max(training.values()) + -(-auto_count(total) // len(training))
        return {name: target - have if have else 0 for name, have in training.items()}
    wanted = auto_count(total) if recipe.count == "auto" else recipe.count
    shares = np.asarray(list(training.values()), dtype=np.float64)
    return dict(zip(training, largest_remainder(wanted, shares), strict=True))


def largest_remainder(total: int, weights: np.ndarray) -> list[int]:
    """Whole numbers in proportion to ``weights`` that sum to ``total``; ties go to the earlier one.

    >>> largest_remainder(10, np.array([1.0, 1.0, 1.0]))
    [4, 3, 3]
    """
    exact = total * weights / weights.sum()
    whole = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return [int(n) for n in whole]


class _Place(NamedTuple):
    """What stands in one slot at one attempt."""

    slot: int
    attempt: int
    class_id: int
    source: int
    value: str | None = None
    pair: int | None = None


@dataclass(frozen=True)
class Planner:
    """Makes plan rows. ``sources`` are the recipe's generators followed by its editors; ``by`` is the attribute that
    its ``count`` is by, if it is."""

    run_key: str
    recipe_digest: str
    shares: tuple[float, ...]
    shard_size: int
    by: str | None = None

    @staticmethod
    def of(recipe: Recipe, *, run_key: str) -> Planner:
        """The planner of a resolved recipe."""
        shares = tuple(1.0 if part.share is None else part.share for part in sources(recipe))
        by = recipe.count.by if isinstance(recipe.count, GroupCountPart) else None
        return Planner(run_key, recipe.digest(), shares, recipe.shard_size, by)

    def first_rows(self, recipe: Recipe, classes: Sequence[str]) -> list[PlanRow]:
        """The rows that a resolved recipe begins with."""
        if isinstance(recipe.count, GroupCountPart):
            return self.first_round_of_groups(recipe.count, classes)
        return self.first_round(counts_of(recipe, classes))

    def first_round(self, counts: Sequence[int]) -> list[PlanRow]:
        """Rows for ``counts`` images of every class id; classes alternate, so that any shard has all of them."""
        dealt = self._dealt(counts)
        places = [_Place(slot, 0, class_id, source) for slot, (source, class_id) in enumerate(dealt)]
        return self._rows(places, first_shard=0, round_=0, used=Counter())

    def first_round_of_groups(self, count: GroupCountPart, classes: Sequence[str]) -> list[PlanRow]:
        """Rows for every cell of class and value, which alternate; of pairs the images stand side by side."""
        cells = count.cells(list(classes))
        places: list[_Place] = []
        if not count.pairs:
            for slot, (source, cell) in enumerate(self._dealt([n for *_, n in cells])):
                class_id, value, _ = cells[cell]
                places.append(_Place(slot, 0, class_id, source, value))
        else:
            of = {class_id: n for class_id, _, n in cells}
            for source, class_id in self._dealt([of.get(class_id, 0) for class_id in range(len(classes))]):
                first = len(places)
                values = [value for own, value, _ in cells if own == class_id]
                places += [_Place(first + at, 0, class_id, source, value, first) for at, value in enumerate(values)]
        return self._rows(places, first_shard=0, round_=0, used=Counter())

    def _dealt(self, counts: Sequence[int]) -> list[tuple[int, int]]:
        """(source, kind) for ``counts`` images of every kind: by the shares of the sources, kinds alternating."""
        weights = np.asarray(self.shares)
        by_source: list[list[tuple[float, int]]] = [[] for _ in self.shares]
        carried = np.zeros(len(self.shares))
        for kind, count in enumerate(counts):
            exact = count * weights / weights.sum() + carried
            portions = largest_remainder(count, np.maximum(exact, 0)) if count else [0] * len(self.shares)
            carried = exact - np.asarray(portions)
            for source, portion in enumerate(portions):
                by_source[source].extend(((rank + 0.5) / portion, kind) for rank in range(portion))
        return [(source, kind) for source, members in enumerate(by_source) for _, kind in sorted(members)]

    def retry(self, plan: pa.Table, slots: Sequence[int]) -> list[PlanRow]:
        """Rows that try these slots once more, in new shards."""
        table = plan.to_pydict()
        columns = (table[name] for name in _Place._fields)
        last = {place[0]: _Place(*place) for place in zip(*columns, strict=True)}
        again = [last[slot]._replace(attempt=last[slot].attempt + 1) for slot in slots]
        again.sort(key=lambda place: (place.source, place.slot))
        used = Counter(zip(table["source"], table["class_id"], strict=True))
        return self._rows(again, first_shard=max(table["shard"]) + 1, round_=max(table["round"]) + 1, used=used)

    def _rows(
        self, places: Sequence[_Place], *, first_shard: int, round_: int, used: Counter[tuple[int, int]]
    ) -> list[PlanRow]:
        rows: list[PlanRow] = []
        shard, filled, current = first_shard, 0, None
        for place in places:
            source, class_id = place.source, place.class_id
            if current is not None and (source != current or filled == self.shard_size):
                shard, filled = shard + 1, 0
            current, filled = source, filled + 1
            rows.append(
                {
                    "slot": place.slot,
                    "attempt": place.attempt,
                    "class_id": class_id,
                    "source": source,
                    "shard": shard,
                    "round": round_,
                    "rank": used[source, class_id],
                    "seed": seed_for(self.run_key, place.slot if place.pair is None else place.pair, place.attempt),
                    "value": place.value,
                    "pair": place.pair,
                }
            )
            used[source, class_id] += 1
        return rows

    def slots(self, plan: pa.Table, shard: int) -> list[Slot]:
        """The slots of one shard, in order."""
        rows = plan.filter(pa.compute.equal(plan.column("shard"), shard)).to_pylist()
        return [
            Slot(
                row["slot"],
                row["attempt"],
                row["seed"],
                row["class_id"],
                self.recipe_digest,
                row["rank"],
                attribute=None if row["value"] is None or self.by is None else (self.by, row["value"]),
                pair=row["pair"],
            )
            for row in rows
        ]


def sources(recipe: Recipe) -> tuple[UsePart, ...]:
    """What makes images in this recipe: its generators, then its editors."""
    return (*recipe.generators, *recipe.edit)
