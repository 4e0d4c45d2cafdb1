"""An accountant of our own for tests: privacy losses on a grid, composed by FFT, both directions of one image more."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import log_ndtr, ndtr


def epsilon_by_losses(rate: float, sigma: float, steps: int, delta: float, *, mesh: float = 4e-4) -> float:
    """The larger ε of the two directions; losses are rounded up at even steps of the mesh and corrected by the mean."""
    return max(_of(_direction(rate, sigma, mesh, add), steps, delta, mesh) for add in (False, True))


def _direction(rate: float, sigma: float, mesh: float, add: bool) -> tuple[np.ndarray, int]:
    """Chances of losses k·mesh, and the lowest k: L = ln(P/Q) with Q = N(0, σ²), P = (1−q)Q + q N(1, σ²)."""
    x = np.linspace(-14 * sigma, 14 * sigma + 1, 1_000_001)
    loss = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * x - 1) / (2 * sigma**2))
    middle = (loss[1:] + loss[:-1]) / 2
    without, with_ = np.diff(ndtr(x / sigma)), np.diff(ndtr((x - 1) / sigma))
    chance = without if add else (1 - rate) * without + rate * with_
    places = (-middle if add else middle) / mesh
    low = int(np.floor(places.min()))
    # Each mass is shared by its two neighbours, which keeps the mean: an error of the order of the mesh squared.
    below = np.floor(places).astype(int)
    share = places - below
    found = np.bincount(below - low, chance * (1 - share), minlength=below.max() - low + 2)
    found += np.bincount(below + 1 - low, chance * share, minlength=len(found))
    return found, low


def _of(one: tuple[np.ndarray, int], steps: int, delta: float, mesh: float) -> float:
    chance, low = one
    losses = (np.arange(len(chance)) + low) * mesh
    mean = float(chance @ losses)
    spread = float(np.sqrt(chance @ losses**2 - mean**2))
    half = int((12 * spread * np.sqrt(steps) + 2 * np.abs(losses).max()) / mesh)
    size = next_fast_len(2 * half, real=True)
    centre = round(mean * steps / mesh)
    # The sum of losses is known to be near its mean: a circle of that width, unrolled around it.
    circle = np.zeros(size)
    np.add.at(circle, (np.arange(len(chance)) + low) % size, chance)
    total = np.clip(irfft(rfft(circle) ** steps, size), 0, None)
    places = np.arange(centre - size // 2, centre - size // 2 + size)
    mass, values = total[places % size], places * mesh
    grid = np.linspace(0, float(values.max()), 4001)
    deltas = np.array([float(mass[values > e] @ -np.expm1(e - values[values > e])) for e in grid[::40]])
    above = int(np.argmax(deltas <= delta))
    fine = np.linspace(grid[::40][max(0, above - 1)], grid[::40][above], 200)
    deltas = np.array([float(mass[values > e] @ -np.expm1(e - values[values > e])) for e in fine])
    return float(fine[int(np.argmax(deltas <= delta))])


def gaussian_delta(mu: float, epsilon: float) -> float:
    """δ(ε) of a Gaussian mechanism, by its closed form."""
    return float(np.exp(log_ndtr(mu / 2 - epsilon / mu)) - np.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu)))
