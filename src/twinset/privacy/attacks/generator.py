"""What an attacker who has the generator itself can ask of it, and what an attack on it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch
from twinset.membership import Scores
from twinset.randomness import Stream

Labels = NDArray[np.integer]


class ReleasedGenerator(Protocol):
    """Any generator: it makes pictures."""

    def sample(self, class_ids: Labels, *, rng: Stream) -> PixelBatch:
        """uint8 (N, H, W, C): one picture per class id."""
        ...


@runtime_checkable
class GivesLosses(Protocol):
    """A :class:`ReleasedGenerator` that says how badly it explains a picture: its training loss, or −log p."""

    @property
    def times(self) -> tuple[int, ...]:
        """Where the loss can be asked for: steps of a noise schedule, or (0,) where there are none."""
        ...

    def losses(self, pictures: PixelBatch, class_ids: Labels, *, time: int, rng: Stream) -> Scores:
        """float64 (N,)."""
        ...


@runtime_checkable
class Exposable(Protocol):
    """A :class:`ReleasedGenerator` of which a copy can be made that saw some pictures again: a positive control."""

    def exposed(self, pictures: PixelBatch, class_ids: Labels, *, passes: int, rng: Stream) -> ReleasedGenerator:
        """The same generator after it saw each of these pictures so many more times."""
        ...


@dataclass(frozen=True, eq=False)
class SeenGenerator:
    """The generator, and the pictures in question, uint8 (N, H, W, C) with classes (N,)."""

    generator: ReleasedGenerator
    pictures: PixelBatch
    class_ids: Labels
    rng: Stream


class GeneratorAttack(Protocol):
    """Scores pictures by what the generator answers: higher for those it takes for training images."""

    @property
    def name(self) -> str:
        """As in reports."""
        ...

    def times(self, generator: ReleasedGenerator) -> tuple[int, ...]:
        """The steps of the noise schedule to choose from, on images that are not scored; () where it cannot run."""
        ...

    def scores(self, seen: SeenGenerator, *, time: int) -> Scores:
        """float64 (N,)."""
        ...
