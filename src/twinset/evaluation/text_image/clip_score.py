"""CLIP score: how closely images and their captions point the same way in a text–image feature space.

CLIP-S(image, caption) = w · max(cos(image, caption), 0), w = 2.5 (Hessel et al. 2021, "CLIPScore", eq. 1); the figure
is the mean over pairs. w only stretches the scale: cosines of CLIP lie between 0 and .4, and several tools give
100 · max(cos, 0) under the same name, so ``w`` and the encoder stand beside the number. :func:`clip_cosine` is the
mean of the bare cosine, negative ones kept. Neither sees how good or how varied images are.

We differ from the paper only in the interval, and in adding no prompt: its "A photo depicts " is the caller's to add.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.simultaneous import Estimates
from twinset.evaluation.protocol import Families, Features, blocks
from twinset.evaluation.text_image.paired_features import check_pairs, unit_rows
from twinset.scores import Score

WEIGHT = 2.5
Array = NDArray[np.float64]


def clip_score(
    image: Features,
    text: Features,
    *,
    families: Families | None = None,
    extractor: str | None = None,
    weight: float = WEIGHT,
) -> Score:
    """Mean of ``weight`` · max(cos, 0) over pairs, 0…``weight``, higher is better; score ``clip_score``.

    ``image``, ``text`` (N, D): features of one encoder, row i of both of one pair; their length does not matter.
    ``families`` (N,): which pairs belong together (images of one caption). 95 % interval: mean ± t · error over
    families. Undefined below two pairs or families. ``ValueError`` for other shapes, NaN, or rows of zeros.

    >>> score = clip_score(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0.6, 0.8], [1.0, -1.0]]))
    >>> score.value  # cosines .6 and below 0: 2.5 · (.6 + 0) / 2
    0.75
    """
    if not weight > 0:
        raise ValueError(f"expected weight > 0; got {weight}")
    values = weight * np.maximum(cosines(image, text), 0.0)
    return _mean("clip_score", values, families, extractor, {"weight": weight})


def clip_cosine(
    image: Features, text: Features, *, families: Families | None = None, extractor: str | None = None
) -> Score:
    """Mean cosine over pairs, −1…1, higher is better; score ``clip_cosine``. Else as :func:`clip_score`."""
    return _mean("clip_cosine", cosines(image, text), families, extractor, {})


def cosines(image: Features, text: Features, *, block: int = 4096) -> Array:
    """float64 (N,): cosine of row i of both; read ``block`` rows at a time."""
    check_pairs(image, text)
    parts = [
        (unit_rows(image[part], "image") * unit_rows(text[part], "text")).sum(axis=1)
        for part in blocks(len(image), block)
    ]
    return np.concatenate([np.zeros(0), *parts])


def _mean(
    name: str, values: Array, families: Families | None, extractor: str | None, settings: dict[str, str | int | float]
) -> Score:
    counts = {"synthetic": len(values)}
    estimates = Estimates.ratios(values[:, None], np.ones((len(values), 1)), families=families)
    interval = estimates.mean_intervals()[0]
    if interval is None:
        why = f"an interval needs two pairs, of two families; got {len(values)} pairs"
        return Score(name, None, True, counts, undefined_because=why, extractor=extractor)
    told = {**settings, "interval": "mean ± t · error", "standard_error": float(estimates.errors[0])}
    if estimates.grouped:
        told["families"] = int(estimates.behind[0])
    return Score(name, float(estimates.values[0]), True, counts, interval=interval, extractor=extractor, settings=told)
