"""Can this audit find a leak at all, and does it keep quiet where there is none?

An audit that finds nothing says little until it has found something that was hidden for it. *Planted* copies of
training images take the place of released images, fewer and fewer, as they are and disguised; the least number that is
still found is what "no leakage detected above …" is about. And *independent* sets, real images of the held-out side
that stand for a release made without the training images, must pass (Annamalai et al. 2024 show how audits fail that
were never tested so).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures
from twinset.images import PixelBatch
from twinset.privacy.attacks.figures import clopper_pearson
from twinset.randomness import Stream
from twinset.scores import Interval

How = Literal["verbatim", "disguised"]
Rows = NDArray[np.int64]

Flag = Callable[[Pictures, Rows], bool]
"""Whether a set in place of the released one is flagged, which differs from it at these places (P,) only."""

COUNTS = (1, 2, 5, 10, 20, 50)
REQUIRED, REQUIRED_SHARE = 10, 0.02
"""So many planted copies, or what this share of the outputs is if that is more, must be found: else nothing is said."""

USUAL_OF = 1000
"""Features of so many training images tell the usual distance between two."""

SHIFTED_FROM = 24
"""Pictures of fewer pixels a side are not shifted: a pixel would be much of what they show."""


@dataclass(frozen=True)
class Planted:
    """Whether ``count`` distinct training images among ``total`` outputs were found."""

    how: How
    count: int
    total: int
    found: bool


@dataclass(frozen=True)
class Independents:
    """How many of ``sets`` independent sets were flagged; ``interval`` of the rate is Clopper and Pearson's."""

    flagged: int
    sets: int

    @property
    def interval(self) -> Interval:
        """Of the rate."""
        return clopper_pearson(self.flagged, self.sets)

    @property
    def sound(self) -> bool:
        """Whether 5 % false alarms are compatible with what was seen."""
        return self.interval.low <= 0.05


def required(total: int) -> int:
    """How many planted copies among ``total`` outputs an audit must find."""
    return max(REQUIRED, round(REQUIRED_SHARE * total))


def plant(flag: Flag, synthetic: Pictures, training: Pictures, *, rng: Stream) -> tuple[Planted, ...]:
    """Copies of random training images in place of random outputs, from many to few; it stops at what is not found.

    ``flag`` must be of these training images, and must not be true of the set as it is, nor nearly so.
    """
    total = len(synthetic)
    most = min(required(total), len(training), total)
    results = []
    for how in ("verbatim", "disguised"):
        for count in sorted({*(each for each in COUNTS if each < most), most}, reverse=True):
            draw = rng.child("planted", how, count).numpy()
            chosen, places = draw.permutation(len(training))[:count], draw.permutation(total)[:count]
            made = np.array(synthetic)
            made[places] = training[chosen] if how == "verbatim" else disguised(training, chosen, rng=rng.child(how))
            results.append(Planted(how, count, total, flag(cast(Pictures, made), places)))
            if not results[-1].found:
                break
    return tuple(results)


def disguised(training: Pictures, rows: Rows, *, rng: Stream) -> Pictures:
    """Copies of these rows (K,) of training images as a careless generator makes them.

    Pictures are flipped, shifted by a pixel where that is little, lighter or darker, with noise of 2 % of the range;
    features get noise of a tenth of the usual distance between two training images.
    """
    draw = rng.numpy()
    copies: Pictures = training[rows]
    if copies.dtype == np.uint8:
        return np.stack([_disguised(pixels, draw) for pixels in copies])
    wide = np.asarray(copies, dtype=np.float64)
    some = np.asarray(training[draw.permutation(len(training))[:USUAL_OF]], dtype=np.float64)
    usual = float(np.median(np.linalg.norm(some - np.roll(some, 1, axis=0), axis=1)))
    noise = draw.standard_normal(wide.shape) * (0.1 * usual / wide.shape[1] ** 0.5)
    return cast(Pictures, (wide + noise).astype(copies.dtype))


def independent(
    flag_of: Callable[[Rows, Rows], bool], families: NDArray[np.integer], *, sets: int, rng: Stream
) -> Independents:
    """``flag_of(made, holdout)`` for rows of random halves of the images' ``families`` (N,): a release, and held out.

    By family, because a release that shows the held-out images' relatives could not be flagged.
    """
    units = np.unique(families, return_inverse=True)[1]
    count = int(units.max(initial=-1)) + 1
    if count < 4 or sets < 1:
        raise ValueError(f"expected at least 4 families and a set; got {count} and {sets}")
    flagged = 0
    for number in range(sets):
        first = rng.child("independent", number).numpy().permutation(count)[: count // 2]
        made = np.isin(units, first)
        flagged += flag_of(np.flatnonzero(made), np.flatnonzero(~made))
    return Independents(flagged, sets)


def least_found(planted: Sequence[Planted], how: How) -> int | None:
    """The fewest planted copies that were found; None where not even the most were."""
    found = [each.count for each in planted if each.how == how and each.found]
    return min(found) if found else None


def _disguised(pixels: PixelBatch, draw: np.random.Generator) -> PixelBatch:
    moved = pixels[:, ::-1] if draw.random() < 0.5 else pixels
    height, width = moved.shape[:2]
    if min(height, width) >= SHIFTED_FROM:
        down, right = int(draw.integers(0, 3)), int(draw.integers(0, 3))
        moved = np.pad(moved, ((1, 1), (1, 1), (0, 0)), mode="edge")[down : down + height, right : right + width]
    lit = moved * draw.uniform(0.9, 1.1) + draw.normal(0, 5, pixels.shape)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)
