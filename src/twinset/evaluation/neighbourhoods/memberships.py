"""Who lies in whose balls: in full, from every distance in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.evaluation.neighbourhoods.balls import TIE, Balls
from twinset.evaluation.neighbourhoods.points import Array, Flags, Points
from twinset.evaluation.protocol import blocks


@dataclass(frozen=True, eq=False)
class Memberships:
    """Who lies in whose balls, one entry per image.

    ``inside_real`` (M,) and ``density`` (M,) are about synthetic images, None when there are too few real ones;
    ``covered`` (N,) likewise about real ones; ``inside_synthetic`` (N,) is None when there are too few synthetic ones.
    ``empty_real`` and ``empty_synthetic`` count balls of radius 0: images with k exact copies in their own set.
    """

    inside_real: Flags | None
    density: Array | None
    covered: Flags | None
    inside_synthetic: Flags | None
    empty_real: int = 0
    empty_synthetic: int = 0


def full_memberships(
    real: Points, synthetic: Points, real_balls: Balls | None, synthetic_balls: Balls | None, block: int
) -> Memberships:
    """Memberships of all N · M pairs, given the balls of both sets (None where a set has too few for any)."""
    n, m = len(real), len(synthetic)
    around, density = np.zeros(m, dtype=bool), np.zeros(m)
    covered, inside = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for mine in blocks(n, block):
        for theirs in blocks(m, block):
            distances = real.squared_distances(mine, synthetic, theirs, shrink=TIE)
            if real_balls is not None:
                held = distances <= real_balls.squared_radii[mine, None]
                around[theirs] |= held.any(axis=0)
                covered[mine] |= held.any(axis=1)
                density[theirs] += weighed(held, real_balls, mine)
            if synthetic_balls is not None:
                inside[mine] |= (distances <= synthetic_balls.squared_radii[None, theirs]).any(axis=1)
    return Memberships(
        inside_real=None if real_balls is None else around,
        density=None if real_balls is None else density,
        covered=None if real_balls is None else covered,
        inside_synthetic=None if synthetic_balls is None else inside,
    )


def weighed(held: Flags, balls: Balls, mine: slice) -> Array:
    """Σ over balls of held / members; without ties all members are k, and counting is cheaper than a product."""
    if balls.tied:
        return np.asarray((1.0 / balls.members[mine]) @ held)
    return np.asarray(np.add.reduce(held, axis=0, dtype=np.int32) / balls.members[mine][0])
