"""What evolves: configurations of a generator, or pictures that an editor varies (the paper's two APIs)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from twinset.alignment.evolution.breeding import Box, jittered
from twinset.dataset import Sample
from twinset.errors import UnshownError
from twinset.randomness import Stream
from twinset.stages import Configurable, Configuration, Editor, Generator, Slot

C = TypeVar("C")

METHOD = "evolution"
"""In place of a recipe's digest, in the slots of pictures that candidates are judged by."""


DEVIATION = "_std"
"""How the names of settings end that are standard deviations."""


class Candidates(Protocol[C]):
    """Where candidates come from. Nothing here may look at real images that the votes are to protect."""

    def first(self, class_ids: Sequence[int], *, rng: Stream) -> tuple[C, ...]:
        """A candidate for each of these classes (0 where there are none): the RANDOM_API."""
        ...

    def varied(self, parents: Sequence[C], width: float, *, rng: Stream) -> tuple[C, ...]:
        """A child of every parent, up to ``width`` (0…1) away from it: the VARIATION_API."""
        ...

    def pictures(
        self, candidates: Sequence[C], class_ids: Sequence[int], each: int, *, rng: Stream
    ) -> Sequence[Sequence[Sample]]:
        """What stands for every candidate when real images vote: ``each`` pictures of its class.

        None at all for a candidate whose pictures would not show it: another is drawn in its place.
        """
        ...


@dataclass(frozen=True)
class Configurations:
    """Configurations of a generator that differ evenly in its space, or in the narrower bounds of ``within``.

    Of settings that end in ``_std``, which say how far a configuration's own pictures differ, only the share ``spread``
    of the bounds is used, from below: a vote for a narrow candidate says more, and the winners together are as wide as
    the real images. ``start``: weighted configurations to begin around, up to ``around`` of the bounds away; settings
    that they do not speak of begin evenly.
    """

    generator: Configurable
    within: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    start: tuple[tuple[float, Configuration], ...] = ()
    around: float = 0.1
    spread: float = 0.15

    @property
    def box(self) -> Box:
        """The space that is searched."""
        space = self.generator.space
        narrow = {
            name: (low, low + self.spread * (high - low))
            for name, (low, high) in space.items()
            if name.endswith(DEVIATION)
        }
        return Box.of(space, {**narrow, **self.within})

    def first(self, class_ids: Sequence[int], *, rng: Stream) -> tuple[Configuration, ...]:
        """Spread evenly: in every setting, each of P equal parts of its bounds is drawn once (a Latin square)."""
        box, draws = self.box, rng.numpy()
        count = len(class_ids)
        cells = np.stack([draws.permutation(count) for _ in box.names], axis=1)
        points = (cells + draws.random(cells.shape)) / count
        if self.start:
            weights = np.array([weight for weight, _ in self.start])
            rows = draws.choice(len(weights), size=count, p=weights / weights.sum())
            around = box.points([{**dict(zip(box.names, box.low, strict=True)), **self.start[row][1]} for row in rows])
            said = [all(name in one for _, one in self.start) for name in box.names]
            points[:, said] = jittered(around, self.around, rng=rng.child("around"))[:, said]
        return box.configurations(points)

    def varied(self, parents: Sequence[Configuration], width: float, *, rng: Stream) -> tuple[Configuration, ...]:
        """Moved by up to ``width`` of the bounds in every setting, mirrored at these."""
        box = self.box
        return box.configurations(jittered(box.points(parents), width, rng=rng))

    def pictures(
        self, candidates: Sequence[Configuration], class_ids: Sequence[int], each: int, *, rng: Stream
    ) -> Sequence[Sequence[Sample]]:
        """Pictures of the generator as configured."""
        return [
            self.of_one(candidate, class_id, each, rng=rng.child("candidate", row))
            for row, (candidate, class_id) in enumerate(zip(candidates, class_ids, strict=True))
        ]

    def of_one(self, candidate: Configuration, class_id: int, each: int, *, rng: Stream) -> Sequence[Sample]:
        """``each`` pictures of one configuration; none where one of them shows nothing of its class."""
        generator = self.generator.configured([(1.0, candidate)])
        try:
            return list(generator.generate(slots([class_id] * each, rng=rng)))
        except UnshownError:
            return ()


@dataclass(frozen=True)
class Edited:
    """Pictures of a generator, varied by an editor; the editor's own strength decides how far.

    ``generator`` and ``editor`` must not have seen the images that vote, where the votes are to protect them.
    """

    generator: Generator
    editor: Editor

    def first(self, class_ids: Sequence[int], *, rng: Stream) -> tuple[Sample, ...]:
        """Pictures of the generator."""
        return tuple(self.generator.generate(slots(class_ids, rng=rng)))

    def varied(self, parents: Sequence[Sample], width: float, *, rng: Stream) -> tuple[Sample, ...]:
        """Edited pictures; as they are where ``width`` is 0."""
        if not width:
            return tuple(parents)
        return tuple(self.editor.edit(one, rng=rng.child("edit", number)) for number, one in enumerate(parents))

    def pictures(
        self,
        candidates: Sequence[Sample],
        class_ids: Sequence[int],  # noqa: ARG002
        each: int,
        *,
        rng: Stream,
    ) -> Sequence[Sequence[Sample]]:
        """The pictures themselves and, for more than one, edited copies of them: the paper's lookahead."""
        return [
            [one, *(self.editor.edit(one, rng=rng.child("look", row, number)) for number in range(each - 1))]
            for row, one in enumerate(candidates)
        ]


def slots(class_ids: Sequence[int], *, rng: Stream) -> Sequence[Slot]:
    """A slot for every class id, each with a seed of its own; ``rank`` counts those of its class."""
    ranks: Counter[int] = Counter()
    found = []
    for number, class_id in enumerate(class_ids):
        found.append(Slot(number, 0, rng.child("slot", number).seed, class_id, METHOD, ranks[class_id]))
        ranks[class_id] += 1
    return found
