"""What a metric that needs more than features is asked, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.embedding.embedder import EmbedderMethod
from twinset.pipeline.comparing.looking import Seen
from twinset.randomness import Stream
from twinset.scores import Score
from twinset.stages import Embedder


@dataclass(frozen=True, eq=False)
class Asked:
    """What a metric is asked about: real, synthetic and exposed pictures, one extractor, families of the real ones.

    Networks that a metric loads itself run on ``device``.
    """

    held: Seen
    made: Seen
    shown: Seen | None
    embedder: Embedder
    families: NDArray[np.int64]
    rng: Stream
    device: str = "cpu"

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of pictures."""
        return {"real": len(self.held.dataset), "synthetic": len(self.made.dataset)}

    @property
    def labels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Classes (N,), (M,) by the real set's names, −1 for others; None where either set has no labels at all."""
        real, synthetic = self.held.dataset, self.made.dataset
        numbers = matched_classes(synthetic, real.classes)
        if not (real.class_ids >= 0).any() or not (numbers >= 0).any():
            return None
        return real.class_ids.astype(np.int64), numbers

    def undefined(self, names: Sequence[str], reason: str) -> list[Score]:
        """Scores of these names that could not be measured."""
        return [Score(name, None, None, self.counts, undefined_because=reason) for name in names]

    def rows_of(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Real (N, D) and synthetic (M, D) rows of another extractor that was asked for."""
        return self.held.features[name], self.made.features[name]


class Measure(Protocol):
    """A named part of ``--metrics`` that needs more than features: the scores it gives, and what it needs."""

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores that stand as undefined where something is missing."""
        ...

    def extractor(self) -> EmbedderMethod | None:
        """What the one pass must extract for it; raises where that is not on this machine."""
        ...

    def measure(self, asked: Asked, *, extractor: str | None) -> Sequence[Score]:
        """The scores; ``extractor`` names what :meth:`extractor` gave."""
        ...


def matched_classes(dataset: Dataset, classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) class of every image by the numbers of ``classes``, −1 where it has none of those names."""
    number = {name: place for place, name in enumerate(classes)}
    table = np.array([*(number.get(name, -1) for name in dataset.classes), -1], dtype=np.int64)
    return table[dataset.class_ids]
