"""How diverse a model's images are within every class, beside the real ones': what mode collapse takes away.

Diversity is the Vendi score (Friedman and Dieng 2023): exp of the entropy of the eigenvalues of K/n, where K holds the
images' similarities exp(−d²/2s²). It is the number of unlike images: 1 where all are one picture, n where none is like
another. s is half the median distance of two real images of the class, so that both sides are measured alike, and both
have the same number of images. Pictures are compared at 16 pixels a side or less, where noise in single pixels is no
diversity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.images import PixelBatch, to_model

MOST = 64
"""Images of a class on either side."""

FEWEST = 5
"""Real images below which a class is not measured."""

SIDE = 16
COLLAPSED = 0.5
"""Share of the real images' diversity below which a class is said to have collapsed."""


def gaussian_vendi_score(flat: torch.Tensor, scale: float) -> float:
    """float64 (N, D) to the number of unlike rows, in [1, N].

    >>> round(gaussian_vendi_score(torch.zeros(4, 2).double(), 1.0), 6)
    1.0
    >>> round(gaussian_vendi_score(100 * torch.eye(4).double(), 1.0), 6)
    4.0
    """
    similarity = torch.exp(-torch.cdist(flat, flat).square() / (2 * scale**2)) / len(flat)
    values = torch.linalg.eigvalsh(similarity).clamp(min=0)
    values = values / values.sum()
    return float(torch.special.entr(values).sum().exp())


def class_diversity(
    made: PixelBatch, of_made: NDArray[np.int64], real: PixelBatch, of_real: NDArray[np.int64], *, n_classes: int
) -> tuple[float | None, ...]:
    """Of every class the made images' Vendi score over the real ones'; None below :data:`FEWEST` images on a side.

    uint8 (N, H, W, C) and (M, H, W, C) with int64 classes; the first :data:`MOST` of a class count.
    """
    found: list[float | None] = []
    for class_id in range(n_classes):
        rows = [np.flatnonzero(ids == class_id)[:MOST] for ids in (of_made, of_real)]
        count = min(len(each) for each in rows)
        if count < FEWEST:
            found.append(None)
            continue
        mine, theirs = (_flat(images[each[:count]]) for images, each in zip((made, real), rows, strict=True))
        scale = float(torch.pdist(theirs).median()) / 2
        if scale == 0:
            found.append(None)
            continue
        found.append(gaussian_vendi_score(mine, scale) / gaussian_vendi_score(theirs, scale))
    return tuple(found)


def _flat(images: PixelBatch) -> torch.Tensor:
    pictures = to_model(np.ascontiguousarray(images)).double()
    height, width = (min(SIDE, side) for side in pictures.shape[2:])
    return functional.adaptive_avg_pool2d(pictures, (height, width)).flatten(1)


def spread_within(made: PixelBatch, of_made: NDArray[np.int64]) -> float:
    """How much of the images' variance lies within classes, in [0, 1]; needs no real image. 0: one picture a class."""
    flat = _flat(made)
    total = float((flat - flat.mean(0)).square().sum())
    within = 0.0
    for class_id in np.unique(of_made):
        own = flat[torch.from_numpy(of_made == class_id)]
        within += float((own - own.mean(0)).square().sum())
    return within / total if total else 0.0


def diversity_remark(shares: Sequence[float | None], classes: Sequence[str]) -> str:
    """What the shares of :func:`class_diversity` mean, in a sentence; "" where no class could be measured."""
    known = {name: share for name, share in zip(classes, shares, strict=True) if share is not None}
    if not known:
        return ""
    lowest = min(known, key=lambda name: known[name])
    collapsed = sum(share < COLLAPSED for share in known.values())
    figures = (
        f"within a class its images are {np.median(list(known.values())):.2f} times as diverse as the training images "
        f"(median of {len(known)} classes by Vendi score; lowest {known[lowest]:.2f}, class {lowest})"
    )
    if not collapsed:
        return f"The GAN's diversity: {figures}."
    return f"Mode collapse of the GAN, less than half the diversity in {collapsed} of {len(known)} classes: {figures}."
