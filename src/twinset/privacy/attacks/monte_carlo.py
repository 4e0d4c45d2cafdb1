"""Monte Carlo attack: how many synthetic images fall near to a real one (Hilprecht et al. 2019)?

The score is the share of synthetic images within ε. The paper's heuristic for ε is the median, over the real images, of
the distance to the nearest synthetic one; smaller ones are swept beside it, because a generator that copies few images
exactly is told apart at small distances alone. The scores of all ε are added as ranks. Where no synthetic image lies
within any ε, the distance to the nearest decides, so that scores do not tie at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.copying import Pictures
from twinset.membership import Scores
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.randomness import Stream

LISTED = 16


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

        rows, made = seen.distances.rows(targets), seen.distances.rows(seen.synthetic)
        # Few targets have more neighbours within ε than are listed: theirs alone are counted one by one.
        least = seen.distances.nearest(rows, made, k=min(LISTED, len(made)))[0][:, 0]
        radii = np.quantile(least, self.quantiles, method="higher")
        counts = seen.distances.within(rows, made, radii)
        ranks = rankdata(counts, axis=0).sum(axis=1)
        nearest = rankdata(-least) / (len(rows) + 1)
        return np.asarray((ranks + nearest) / len(rows), dtype=np.float64)
