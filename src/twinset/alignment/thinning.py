"""Copy-aware sampling: candidates that come near to training images are refused, always or as often as is right.

Who refuses everything nearer than some distance leaves a hole around every training image, and who sees enough of the
released images can see the holes: "there is nothing near this one" then betrays a training image as a copy would
(:mod:`twinset.privacy.attacks.hole` looks for that). So candidates can be *thinned* instead. By their distance to the
nearest training image they fall into shells, whose edges are quantiles of the distances that the same generator's
images keep to held-out images, as many. In every shell as many stay, for every one beyond the shells, as would if it
came as near to training images as it comes to held-out ones. From a generator that never saw the training images
nothing is taken, so nothing is missing around them.

This is rejection sampling of one statistic. It equalises the distance to the nearest training image and nothing else,
and it only takes away: a shell in which the generator makes too few stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float64]

SHELLS = 5
"""Few, because a validation split of a hundred images must fill each."""


@dataclass(frozen=True)
class Thinning:
    """Of a candidate nearer than ``edges[b]`` (B,), ascending, and no nearer than the edge before, a share
    ``chances[b]`` (B,) stays; of those beyond the last edge all."""

    edges: tuple[float, ...] = ()
    chances: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.chances) or list(self.edges) != sorted(self.edges):
            raise ValueError(f"expected ascending edges and a chance for each; got {self}")
        if not all(0 <= chance <= 1 for chance in self.chances):
            raise ValueError(f"expected chances in [0, 1]; got {self.chances}")

    def chance(self, distances: Distances) -> Distances:
        """The chance to stay at these distances (N,).

        >>> Thinning((0.1, 0.2), (0.0, 0.5)).chance(np.array([0.05, 0.1, 0.3])).tolist()
        [0.0, 0.5, 1.0]
        """
        return np.array([*self.chances, 1.0])[np.searchsorted(np.array(self.edges), distances, side="right")]

    @staticmethod
    def refusing(held_out: Distances, *, below: float) -> Thinning:
        """Nothing stays that is nearer than this quantile of the distances (H,) of held-out images."""
        return Thinning((float(np.quantile(held_out, below)),), (0.0,))

    @staticmethod
    def matching(to_training: Distances, to_held_out: Distances, *, below: float, shells: int = SHELLS) -> Thinning:
        """Below this quantile of ``to_held_out`` (H,), the distances to training images come to be as these are.

        ``to_training`` (P,) are distances of a pilot, those that go anyway left out. Where none of the pilot is beyond
        the last shell, nothing nearer stays.

        >>> matched = Thinning.matching(np.array([0.1, 0.1, 0.1, 0.9]), np.array([0.1, 0.9]), below=0.5, shells=1)
        >>> matched.edges, [round(chance, 3) for chance in matched.chances]
        ((0.5,), [0.333])
        """
        edges = np.unique(np.quantile(to_held_out, np.linspace(0, below, shells + 1)[1:]))
        wanted, made = (
            np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
            for values in (to_held_out, to_training)
        )
        # Of a shell that the pilot has none in, nothing is known: one candidate is taken for as many as there may be.
        chances = wanted[:-1] / max(int(wanted[-1]), 1) * made[-1] / np.maximum(made[:-1], 1)
        return Thinning(tuple(map(float, edges)), tuple(float(min(1.0, chance)) for chance in chances))
