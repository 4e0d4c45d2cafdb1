"""Inception score: are single images classified surely, and all classes met?

Salimans et al. 2016, sec. 4: IS = exp(E KL(p(y|x) ‖ p(y))), p(y) the mean of p(y|x) over the synthetic images; from 1
(all images look alike to the classifier) to C (every image of a sure class, the classes balanced).

We differ from the custom of "mean ± std over 10 splits", which is neither the score of all N images nor its error:
splits have a tenth of the N, hence more bias, and their std is not the error of the mean. Here the score is of all
images. log IS is a mean of KL(p(y|xᵢ) ‖ p(y)), and, as moving p(y) changes nothing to first order, its influence
function is that KL less its mean: so the delta method's standard error is std/√N, exponentiated.

The estimated p(y) is fitted to the images themselves, which biases log IS downwards by about
Σ_y Var p(y|x)/p(y) / 2N, at most (C − 1)/2N: the score rises with N. The bias is stated beside the score, not
taken off, for at small N its estimate is as poor. The score knows no real images: compare it with that of real ones
of the same number, and never as a diversity within classes, which it cannot see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import blocks
from twinset.scores import Interval, Score

NAME = "inception_score"
TOLERANCE = 1e-3
Array = NDArray[np.float64]


def inception_score(probabilities: NDArray[np.floating], *, classifier: str | None = None, block: int = 65536) -> Score:
    """Inception score of class probabilities (N, C) of N synthetic images, with a 95 % interval; higher is better.

    Rows are ≥ 0 and sum to 1 within .001 (what float16 leaves); they are divided by their sum. The interval is about
    the estimator's expectation at this N. A memory-mapped array is read in blocks. Undefined for fewer than two images.

    Raises ``ValueError`` for other shapes or rows that are no probabilities.

    >>> inception_score(np.eye(4)).value, inception_score(np.full((9, 4), 0.25)).value
    (4.0, 1.0)
    """
    if probabilities.ndim != 2 or not probabilities.shape[1]:
        raise ValueError(f"expected class probabilities (N, C); got shape {probabilities.shape}; pass softmax outputs")
    count, classes = probabilities.shape
    counts = {"real": 0, "synthetic": count}
    if count < 2:
        return Score(
            NAME, None, True, counts, undefined_because=f"needs at least 2 images; got {count}", extractor=classifier
        )
    marginal = np.zeros(classes)
    squares = np.zeros(classes)
    for part in blocks(count, block):
        rows = _checked(probabilities[part], part.start)
        marginal += rows.sum(axis=0)
        squares += np.einsum("ij,ij->j", rows, rows)
    marginal /= count
    divergences = np.concatenate([_divergences(_checked(probabilities[p], 0), marginal) for p in blocks(count, block)])
    logarithm = max(0.0, float(divergences.mean()))
    error = float(divergences.std(ddof=1)) / count**0.5
    value = float(np.exp(logarithm))
    met = marginal > 0
    variance = np.maximum(squares / count - marginal**2, 0.0) * count / (count - 1)
    bias = value * float((variance[met] / marginal[met]).sum()) / (2 * count)
    interval = Interval(float(np.exp(max(0.0, logarithm - 1.96 * error))), float(np.exp(logarithm + 1.96 * error)))
    return Score(
        NAME,
        value,
        True,
        counts,
        interval=interval,
        extractor=classifier,
        settings={
            "classes": classes,
            "dtype": "float64",
            "estimator": "plug-in, all images",
            "standard_error": value * error,
            "bias_estimate": -bias,
            "interval": "delta method on the logarithm, about the estimator's expectation at this N",
        },
        warnings=_warnings(value, bias, count),
    )


def _checked(rows: NDArray[np.floating], start: int) -> Array:
    array = np.asarray(rows, dtype=np.float64)
    sums = array.sum(axis=1)
    wrong = ~((array >= 0).all(axis=1) & (np.abs(sums - 1) <= TOLERANCE))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"expected rows ≥ 0 that sum to 1; got {int(wrong.sum())} others, "
            f"row {start + row} sums to {sums[row]:.4g}; pass probabilities, not logits"
        )
    return np.asarray(array / sums[:, None])


def _divergences(rows: Array, marginal: Array) -> Array:
    """KL(row ‖ marginal) (B,), where 0 log 0 = 0; a class that no image has does not count."""
    ratio = np.divide(rows, marginal, out=np.ones_like(rows), where=rows > 0)
    return np.asarray(np.einsum("ij,ij->i", rows, np.log(ratio)))


def _warnings(value: float, bias: float, count: int) -> tuple[str, ...]:
    if bias <= 0.01 * value:
        return ()
    return (f"inception score of {count} images: too low by about {bias:.3g}; compare at equal N only",)
