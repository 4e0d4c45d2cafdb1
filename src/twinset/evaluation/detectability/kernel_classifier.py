"""Real or synthetic, by least squares with a ridge on features and on random Fourier features of them; plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REACH = 6.0
"""Standardised features are cut to ±6: a picture of another world gets a bounded score."""


@dataclass(frozen=True, eq=False)
class KernelClassifier:
    """Scores about −1 for real and 1 for synthetic rows of F features.

    (x − ``mean``) · ``gain`` (F,) standardises, with gain 0 for a feature without spread; ``frequencies`` (F, R) and
    ``phases`` (R,) make the Fourier features cos(xᵀω + φ); ``weights`` (1 + F + R,) are of 1, x and these.
    """

    mean: Array
    gain: Array
    frequencies: Array
    phases: Array
    weights: Array

    def __post_init__(self) -> None:
        width, waves = self.frequencies.shape
        shapes = (self.mean.shape, self.gain.shape, self.phases.shape, self.weights.shape)
        if shapes != ((width,), (width,), (waves,), (1 + width + waves,)):
            raise ValueError(f"expected arrays that fit frequencies ({width}, {waves}); got shapes {shapes}")
        arrays = (self.mean, self.gain, self.frequencies, self.phases, self.weights)
        if not all(np.isfinite(each).all() for each in arrays):
            raise ValueError("expected finite weights; got NaN or infinity; fit again")

    @staticmethod
    def fit(
        real: Array,
        synthetic: Array,
        *,
        widths: Sequence[int],
        fourier_features: int,
        ridge: float,
        draw: np.random.Generator,
    ) -> KernelClassifier:
        """Fitted on real (N, F) and synthetic (M, F) rows, both sets of equal weight in all.

        ``widths`` are the numbers of columns of the tables that F consists of: each table weighs the same, however
        many columns it has. ``ridge`` is relative to the total weight 1 of all images.
        """
        from scipy.linalg import cho_factor, cho_solve

        share = np.concatenate([np.full(len(each), 0.5 / len(each)) for each in (real, synthetic)])
        pooled = np.concatenate([real, synthetic])
        mean = share @ pooled
        spread = np.sqrt(share @ (pooled - mean) ** 2)
        alive = spread > 1e-9 * np.maximum(1e-3, np.abs(mean))
        gain = np.where(alive, 1 / np.where(alive, spread, 1.0), 0.0)
        balance = 1 / np.sqrt(np.concatenate([np.full(width, width * len(widths)) for width in widths]))
        balanced = _standard(pooled, mean, gain) * balance
        frequencies = draw.normal(size=(pooled.shape[1], fourier_features)) / _bandwidth(balanced, draw)
        phases = draw.uniform(0, 2 * np.pi, fourier_features)
        design = _design(balanced, frequencies, phases)
        penalty = np.full(design.shape[1], ridge)
        penalty[0] = 1e-9  # the intercept goes free
        truth = np.repeat([-1.0, 1.0], [len(real), len(synthetic)])
        factor = cho_factor((design * share[:, None]).T @ design + np.diag(penalty), lower=True)
        weights = np.asarray(cho_solve(factor, design.T @ (share * truth)))
        weights[1 : 1 + len(balance)] *= balance
        return KernelClassifier(mean, gain, frequencies * balance[:, None], phases, weights)

    def scores(self, rows: Array) -> Array:
        """(N,) of rows (N, F)."""
        standard = _standard(rows, self.mean, self.gain)
        return np.asarray(_design(standard, self.frequencies, self.phases) @ self.weights)

    def outside(self, rows: Array) -> Array:
        """(N,) share of features beyond ±6 spreads of the fitted sets."""
        return np.asarray((np.abs((rows - self.mean) * self.gain) > REACH).mean(axis=1))


def _standard(rows: Array, mean: Array, gain: Array) -> Array:
    return np.clip((rows - mean) * gain, -REACH, REACH)


def _design(standard: Array, frequencies: Array, phases: Array) -> Array:
    waves = np.cos(standard @ frequencies + phases) * np.sqrt(2.0 / max(1, len(phases)))
    return np.concatenate([np.ones((len(standard), 1)), standard, waves], axis=1)


def _bandwidth(rows: Array, draw: np.random.Generator) -> float:
    """The median distance of 2,000 random pairs."""
    one, other = draw.integers(len(rows), size=(2, 2000))
    return max(float(np.median(np.linalg.norm(rows[one] - rows[other], axis=1)[one != other])), 1e-12)
