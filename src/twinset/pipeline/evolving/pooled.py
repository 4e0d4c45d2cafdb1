"""Pictures of candidates, made by workers; and one generator out of those of several classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from twinset.alignment.evolution import Configurations
from twinset.dataset import Sample
from twinset.executors.local import LocalProcesses
from twinset.randomness import Stream
from twinset.stages import Configuration, Generator, Slot


@dataclass(frozen=True, eq=False)
class LookAt:
    """A task for a worker: make the pictures of these candidates."""

    candidates: Configurations
    members: tuple[Configuration, ...]
    class_ids: tuple[int, ...]
    first: int
    each: int
    rng: Stream


def look_at(task: LookAt) -> list[Sequence[Sample]]:
    """The pictures of every candidate of the task."""
    return [
        task.candidates.of_one(one, class_id, task.each, rng=task.rng.child("candidate", task.first + row))
        for row, (one, class_id) in enumerate(zip(task.members, task.class_ids, strict=True))
    ]


@dataclass(frozen=True, eq=False)
class Pooled:
    """Configurations whose pictures workers make; the same pictures whatever their number."""

    candidates: Configurations
    executor: LocalProcesses

    def first(self, class_ids: Sequence[int], *, rng: Stream) -> tuple[Configuration, ...]:
        """As :meth:`Configurations.first`."""
        return self.candidates.first(class_ids, rng=rng)

    def varied(self, parents: Sequence[Configuration], width: float, *, rng: Stream) -> tuple[Configuration, ...]:
        """As :meth:`Configurations.varied`."""
        return self.candidates.varied(parents, width, rng=rng)

    def pictures(
        self, candidates: Sequence[Configuration], class_ids: Sequence[int], each: int, *, rng: Stream
    ) -> Sequence[Sequence[Sample]]:
        """As :meth:`Configurations.pictures`."""
        chunk = max(1, math.ceil(len(candidates) / (2 * self.executor.workers)))
        starts = range(0, len(candidates), chunk)
        tasks = [
            LookAt(self.candidates, tuple(candidates[k : k + chunk]), tuple(class_ids[k : k + chunk]), k, each, rng)
            for k in starts
        ]
        found = dict(self.executor.map(look_at, tasks))
        return [pictures for number in range(len(tasks)) for pictures in found[number]]


@dataclass(frozen=True, eq=False)
class OfClass:
    """A generator for every class: each slot is filled by that of its own class."""

    generators: tuple[Generator, ...]

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order."""
        for class_id, group in groupby(slots, key=lambda slot: slot.class_id):
            yield from self.generators[class_id].generate(list(group))
