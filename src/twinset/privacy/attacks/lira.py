"""LiRA: is the classifier's confidence that of shadows that saw the image, or of those that did not?

Carlini et al. 2022, "Membership Inference Attacks From First Principles". φ = log p_y − log Σ_{c≠y} p_c of every image
and view is taken as normal over shadows. *Online* the score is log N(φ; in) − log N(φ; out), *offline*, where no shadow
saw the image, log Φ of how far φ lies above those that did not: one-sided, because a two-sided one also takes images
that the classifier is unusually *un*sure of for members, and falls to chance. Scores of the views are added up.

With few shadows a variance for every image is mostly noise: by default one is pooled over all images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.membership import Scores
from twinset.privacy.attacks.classifier import SeenClassifier, margins

Array = NDArray[np.float64]
FEWEST_EACH = 2


@dataclass(frozen=True)
class Lira:
    """``online``: with shadows that saw the image. ``pooled``: one variance for all images."""

    online: bool = True
    pooled: bool = True

    @property
    def name(self) -> str:
        """lira_online or lira_offline."""
        return "lira_online" if self.online else "lira_offline"

    @property
    def needs_shadows(self) -> bool:
        """Yes."""
        return True

    def scores(self, seen: SeenClassifier) -> Scores:
        """Sum of the log likelihood ratios over views, float64 (N,).

        ``ValueError`` where an image has fewer than two shadows on a side that counts.
        """
        from scipy.stats import norm

        shadows = seen.known(self.name)
        target, others = margins(seen.logits, seen.class_ids), margins(shadows.logits, seen.class_ids)
        mean_out, spread_out = _law(others, ~shadows.included, pooled=self.pooled, what="did not see")
        if not self.online:
            return np.asarray(norm.logcdf((target - mean_out) / spread_out).sum(axis=1))
        mean_in, spread_in = _law(others, shadows.included, pooled=self.pooled, what="saw")
        ratio = norm.logpdf(target, mean_in, spread_in) - norm.logpdf(target, mean_out, spread_out)
        return np.asarray(ratio.sum(axis=1))


def _law(values: Array, used: NDArray[np.bool_], *, pooled: bool, what: str) -> tuple[Array, Array]:
    """Mean (N, A) of (K, N, A) over the shadows in ``used`` (K, N), and standard deviation (N, A), or (1, A) pooled."""
    counts = used.sum(axis=0)
    if counts.min() < FEWEST_EACH:
        raise ValueError(f"expected at least {FEWEST_EACH} shadows that {what} each image; got {counts.min()}")
    weights = used[:, :, None]
    mean = (values * weights).sum(axis=0) / counts[:, None]
    squares = (((values - mean) ** 2) * weights).sum(axis=0)
    variance = squares.sum(axis=0, keepdims=True) / (counts - 1).sum() if pooled else squares / (counts - 1)[:, None]
    return mean, np.sqrt(np.maximum(variance, 1e-12))
