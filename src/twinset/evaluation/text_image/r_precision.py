"""R-precision: is an image nearest to its own caption among random others.

Xu et al. 2018 ("AttnGAN", sec. 4.1): each generated image ranks its true caption and 99 captions drawn at random by the
cosine of their features; with R = 1 its precision is 1 if the true one comes first. The figure is the mean over images.
It depends on the number of candidates, which stands in the settings.

We differ in three things. Captions that are equal to the true one, word for word, are never drawn against it. Of k
captions that tie for the first place, the true one gets 1/k, where an arg max would give what the order of captions
says (for constant features: all or nothing). There is one draw for each image, without replacement, and an interval,
instead of the spread over repeated draws, which says nothing of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.share_scores import share_scores
from twinset.evaluation.predictions.simultaneous import Estimates
from twinset.evaluation.protocol import Families, Features, blocks
from twinset.evaluation.text_image.paired_features import check_pairs, unit_rows
from twinset.randomness import Stream
from twinset.scores import Score

NAME = "r_precision"
MISMATCHES = 99
ROUNDING = 1e-12
"""Cosines closer than this tie: equal features reach them by other orders of summation."""


def r_precision(
    image: Features,
    text: Features,
    captions: Sequence[str],
    *,
    rng: Stream,
    mismatches: int = MISMATCHES,
    families: Families | None = None,
    extractor: str | None = None,
) -> Score:
    """Share of images nearest to their own caption among it and ``mismatches`` others, 0…1, higher is better.

    ``image``, ``text`` (N, D): features of one encoder, row i of both of one pair, whose caption is ``captions[i]``;
    of equal captions the first one's features count. ``families`` (N,): which images belong together; by default those
    of one caption. Chance is 1/(1 + ``mismatches``). 95 % interval: Wilson's, at as many trials as the families are
    worth; the random draw of mismatches is part of what it allows for. Undefined unless there are ``mismatches``
    other captions. ``ValueError`` for other shapes, NaN, or rows of zeros.

    >>> axes = np.eye(3)
    >>> r_precision(axes, axes[[0, 2, 1]], ["a", "c", "b"], rng=Stream(0), mismatches=2).value  # 1 of 3 is right
    0.3333333333333333
    """
    check_pairs(image, text)
    if len(captions) != len(image):
        raise ValueError(f"expected a caption for each of {len(image)} images; got {len(captions)}")
    if mismatches < 1:
        raise ValueError(f"expected at least 1 mismatch; got {mismatches}")
    _, first, caption = np.unique(np.asarray(captions, dtype=np.str_), return_index=True, return_inverse=True)
    counts = {"synthetic": len(image), "captions": len(first)}
    if len(first) <= mismatches:
        why = f"{mismatches} mismatches need as many other captions; got {len(first)} distinct ones; lower mismatches"
        return Score(NAME, None, True, counts, undefined_because=why, extractor=extractor)
    drawn = draw_others(caption, len(first), mismatches, rng=rng)
    distinct, precision = unit_rows(text[first], "text"), np.zeros(len(image))
    for part in blocks(len(image), 64):
        precision[part] = _first_share(image[part], caption[part], drawn[part], distinct)
    estimates = Estimates.ratios(
        precision[:, None], np.ones((len(image), 1)), families=caption if families is None else families
    )
    settings: dict[str, str | int | float] = {"mismatches": mismatches, "seed": rng.seed, "ties": "shared"}
    score = share_scores(estimates, [NAME], counts=[counts], settings=settings)[0]
    return replace(score, extractor=extractor)


def draw_others(own: NDArray[np.integer], count: int, size: int, *, rng: Stream) -> NDArray[np.int64]:
    """int64 (N, ``size``): distinct numbers below ``count``, without ``own[i]``; every such set is equally likely.

    Floyd's algorithm (Bentley and Floyd 1987), for all rows at once: N·size numbers, however large ``count`` is.
    """
    generator = rng.numpy()
    picked = np.empty((len(own), size), dtype=np.int64)
    for step, top in enumerate(range(count - 1 - size, count - 1)):
        proposal = generator.integers(top + 1, size=len(own))
        taken = (picked[:, :step] == proposal[:, None]).any(axis=1)
        picked[:, step] = np.where(taken, top, proposal)
    return picked + (picked >= np.asarray(own)[:, None])


def _first_share(
    image: Features, own: NDArray[np.int64], others: NDArray[np.int64], captions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(b,): 1 where the own caption is nearest, 1/k where k tie for it, else 0.

    ``own`` (b,) and ``others`` (b, M) are rows of ``captions`` (U, D), of length 1.
    """
    pictures = unit_rows(image, "image")
    candidates = captions[np.concatenate([own[:, None], others], axis=1)]
    cosine = (candidates @ pictures[:, :, None])[..., 0]
    mine, theirs = cosine[:, :1], cosine[:, 1:]
    ahead = (theirs > mine + ROUNDING).any(axis=1)
    tied = (np.abs(theirs - mine) <= ROUNDING).sum(axis=1)
    return np.where(ahead, 0.0, 1.0 / (1 + tied))
