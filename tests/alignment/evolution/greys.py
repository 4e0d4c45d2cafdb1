"""Generators, editors and embedders so simple that what evolution makes of them is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Sample
from twinset.randomness import Stream
from twinset.stages import Slot

SIDE = 4


def flat(slot: Slot, level: float) -> Sample:
    """A picture of one grey level, 0…255."""
    pixels = np.full((SIDE, SIDE, 1), np.clip(round(level), 0, 255), dtype=np.uint8)
    return slot.sample(pixels, method="grey")


def level_of(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """(n, 1) grey levels: the features."""
    return np.array([[float(sample.pixels().mean())] for sample in samples])


@dataclass(frozen=True)
class Greys:
    """Pictures of one grey level: ``level_mean``, give or take ``level_std``."""

    weighted: tuple[tuple[float, Mapping[str, float]], ...] = ((1.0, {"level_mean": 60.0, "level_std": 20.0}),)

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        return {"level_mean": (0.0, 255.0), "level_std": (0.0, 40.0)}

    def configured(self, weighted: Sequence[tuple[float, Mapping[str, float]]]) -> Greys:
        return Greys(tuple(weighted))

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        shares = np.array([weight for weight, _ in self.weighted])
        for slot in slots:
            draws = slot.rng.numpy()
            values = self.weighted[int(draws.choice(len(shares), p=shares / shares.sum()))][1]
            yield flat(slot, draws.normal(values["level_mean"], values["level_std"]))


@dataclass(frozen=True)
class Brighter:
    """An editor that moves the grey level by up to 12."""

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        moved = sample.pixels().astype(int) + int(rng.numpy().integers(-12, 13))
        return replace(sample, image=np.clip(moved, 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Extractor:
    """An embedder that was fitted on these samples."""

    fitted_on: frozenset[str] = frozenset()
    name: str = "extractor"
