"""The hole attack: a training image is one that released images keep a distance from.

Who refuses synthetic images that come near to training images carves a hole around each of them. Every other attack on
a dataset takes *near* for a sign and is turned around by that: its AUC falls below ½, which looks like safety and is
the same knowledge with its sign changed. This one takes *far* for a sign.

Far by itself says little: rare images are far from everything. With reference images, the score is how much farther
the nearest released image is than the nearest reference image, in logarithms: the calibrated GAN-Leaks with its sign
changed. Without them, what is around must do. Around an image that nothing was kept away from the released ones lie at
all distances, the nearest much nearer than the sixteenth; at the rim of a hole all of them are about equally far. The
score is then the log of the distance to the nearest released image, over the mean log distance to those next in order.
Where released images are of even density in d dimensions, its law hangs on d alone, neither on the density nor on the
unit of length; it is, with its sign changed, the estimate of 1/d of Levina and Bickel 2004, "Maximum Likelihood
Estimation of Intrinsic Dimension", taken from the nearest outwards: a hole looks like a place of very many dimensions.

An audit always uses it. Nobody can tell from a dataset that comes from elsewhere whether near images were refused, and
the neighbours it needs were found for other tests. One test more in the family lowers the level of each from α/6 to α/7
(without reference images from α/3 to α/4); at sides of equal size and α = .01 the number of hits that is significant,
10 (9), stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.copying import Pictures
from twinset.membership import Scores
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.privacy.attacks.gan_leaks import LEAST, GanLeaks
from twinset.randomness import Stream


@dataclass(frozen=True)
class Hole:
    """``neighbours``: released images around a real one, the nearest among them, where there is no reference."""

    neighbours: int = 16

    def __post_init__(self) -> None:
        if self.neighbours < 2:
            raise ValueError(f"expected at least 2 neighbours; got {self.neighbours}")

    @property
    def name(self) -> str:
        """hole."""
        return "hole"

    @property
    def needs_reference(self) -> bool:
        """No; it is sharper with one."""
        return False

    def scores(self, targets: Pictures, seen: SeenDataset, *, rng: Stream) -> Scores:
        """log d₁ − log d(x, reference), or − the mean of log d₂ … log d_k; float64 (N,). 0 where there is no reference
        and one image is all that was released.

        >>> hole = Hole(3).scores(np.zeros((1, 1)), SeenDataset(np.array([[1.0], [-2.0], [8.0]])), rng=Stream(0))
        >>> round(float(np.exp(hole[0])), 3)
        0.25
        """
        if seen.reference is not None:
            return -GanLeaks(calibrated=True).scores(targets, seen, rng=rng)
        distances, _ = seen.distances.nearest(targets, seen.synthetic, k=min(self.neighbours, len(seen.synthetic)))
        usual = float(np.median(distances[:, 0])) or 1.0
        logs = np.log(np.maximum(distances, LEAST * usual))
        if logs.shape[1] < 2:
            return np.zeros(len(logs))
        return np.asarray(logs[:, 0] - logs[:, 1:].mean(axis=1))
