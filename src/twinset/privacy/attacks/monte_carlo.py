"""Monte Carlo attack: how many synthetic images fall near to a real one (Hilprecht et al. 2019)?

The score is the share of synthetic images within ε. The paper's heuristic for ε is the median, over the real images, of
the distance to the nearest synthetic one; smaller ones are swept beside it, because a generator that copies few images
exactly is told apart at small distances alone. The scores of all ε are added as ranks. Where no synthetic image lies
within any ε, the distance to the nearest decides, so that scores do not tie at 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures
from twinset.membership import Scores
from twinset.neighbours import Features
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.privacy.attacks.densities import as_rows
from twinset.randomness import Stream

BLOCK = 2048


@dataclass(frozen=True)
class MonteCarlo:
    """``quantiles`` of the least distances of all targets are the radii ε."""

    quantiles: tuple[float, ...] = (0.5, 0.1)

    def __post_init__(self) -> None:
        if not self.quantiles or any(not 0 < each < 1 for each in self.quantiles):
            raise ValueError(f"expected quantiles in (0, 1); got {self.quantiles}")

    @property
    def name(self) -> str:
        """monte_carlo."""
        return "monte_carlo"

    @property
    def needs_reference(self) -> bool:
        """No."""
        return False

    def scores(self, targets: Pictures, seen: SeenDataset, *, rng: Stream) -> Scores:  # noqa: ARG002
        """Sum over ε of the rank of the share within ε, in [0, 1) each; float64 (N,)."""
        from scipy.stats import rankdata

        rows, made = as_rows(targets), as_rows(seen.synthetic)
        least = np.full(len(rows), np.inf, dtype=np.float32)
        for part, squares in _blocks(rows, made):
            np.minimum(least[part], squares.min(axis=1), out=least[part])
        # Radii are squared distances of the same blocks, so that an image lies within the radius that it defines.
        radii = np.quantile(least, self.quantiles, method="higher")
        counts = np.zeros((len(rows), len(radii)), dtype=np.int64)
        for part, squares in _blocks(rows, made):
            for number, radius in enumerate(radii):
                counts[part, number] += (squares <= radius).sum(axis=1)
        ranks = rankdata(counts, axis=0).sum(axis=1)
        nearest = rankdata(-least) / (len(rows) + 1)
        return np.asarray((ranks + nearest) / len(rows), dtype=np.float64)


def _blocks(rows: Features, made: Features) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows (N, D), and their squared distances (B, C) to some of ``made`` (S, D): every pair once.

    In float32, about the mean of ``made`` and in the unit of its spread; only compared with each other.
    """
    mean = made.mean(axis=0, dtype=np.float64)
    scale = max(float(np.abs(made[:BLOCK] - mean).max()), float(np.finfo(np.float32).tiny))
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        some = _single(rows[part], mean, scale)
        norms = np.einsum("ij,ij->i", some, some)[:, None]
        for first in range(0, len(made), BLOCK):
            others = _single(made[first : first + BLOCK], mean, scale)
            squares = some @ others.T
            squares *= -2
            squares += norms
            squares += np.einsum("ij,ij->i", others, others)
            yield part, squares


def _single(rows: Features, mean: NDArray[np.float64], scale: float) -> NDArray[np.float32]:
    return np.asarray((rows - mean) / scale, dtype=np.float32)
