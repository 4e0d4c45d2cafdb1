"""Whether a small diffusion model has learnt enough: one that has not leaves noise in all that it makes."""

from __future__ import annotations

import numpy as np

from twinset.images import PixelBatch
from twinset.models.diffusion import DiffusionModel
from twinset.randomness import Stream

LOOKED_AT = 32
GRAINY = 1.5
"""Grain of what is made over that of what was learnt, from which on people see it as noise."""


def grain(pictures: PixelBatch) -> float:
    """Mean absolute difference of pixels, uint8 (N, H, W, C), from the mean of their four neighbours, in grey levels.

    >>> grain(np.full((1, 8, 8, 1), 90, np.uint8))
    0.0
    """
    values = pictures.astype(np.float32)
    middle = values[:, 1:-1, 1:-1]
    around = values[:, :-2, 1:-1] + values[:, 2:, 1:-1] + values[:, 1:-1, :-2] + values[:, 1:-1, 2:]
    return float(np.abs(middle - around / 4).mean())


def too_grainy(model: DiffusionModel, learnt: PixelBatch, class_ids: np.ndarray, *, rng: Stream) -> tuple[str, ...]:
    """A sentence for people if what the model makes of these classes is far grainier than what it learnt, (N, H, W, C).

    Nothing where the pictures are too small to have grain.
    """
    if min(learnt.shape[1:3]) < 4:
        return ()
    rows = rng.child("rows").numpy().permutation(len(learnt))[:LOOKED_AT]
    streams = [rng.child("made", number) for number in range(len(rows))]
    made = model.sample(class_ids[rows].tolist(), list(range(len(rows))), streams)
    ratio = grain(made) / max(grain(learnt[rows]), 0.5)
    if ratio < GRAINY:
        return ()
    return (
        f"What the diffusion model makes is {ratio:.1f} times as grainy as the pictures that it learnt: it has learnt "
        f"too little, and edited regions show noise. Give it more minutes, or `steps` (it had "
        f"{model.settings.training.steps}), or leave this editor out.",
    )
