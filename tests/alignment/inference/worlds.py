"""Features whose values are known: rows of pictures, seen by extractors that mix hidden numbers, with noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class World:
    """``hidden`` (N, 4): depth, occlusion, shape, nothing; ``groups`` (N,) the picture of each row."""

    features: Features
    hidden: NDArray[np.float64]
    groups: NDArray[np.int64]

    @property
    def values(self) -> dict[str, NDArray[np.generic]]:
        shape = np.where(self.hidden[:, 2] > 0, "round", "square")
        return {"depth": self.hidden[:, 0], "occlusion": self.hidden[:, 1], "shape": shape}


def world(
    seed: int, *, pictures: int = 120, mean: float = 0.0, spread: float = 1.0, shift: float = 0.0, noise: float = 0.3
) -> World:
    """``mean`` and ``spread`` of the depth; ``shift`` moves all features, each its own way, by so much."""
    fixed = np.random.default_rng(0)
    mixing = {"sharp": fixed.normal(size=(4, 24)), "blunt": fixed.normal(size=(4, 16))}
    moves = {name: fixed.normal(size=mix.shape[1]) for name, mix in mixing.items()}
    draws = np.random.default_rng(seed)
    groups = np.repeat(np.arange(pictures), 4)
    hidden = draws.normal(size=(len(groups), 4))
    hidden[:, 0] = mean + spread * hidden[:, 0]
    scale = {"sharp": noise, "blunt": 5 * noise}
    features = {
        name: np.tanh(hidden @ mix / 3) + scale[name] * draws.normal(size=(len(groups), mix.shape[1])) / 3
        + shift * moves[name]
        for name, mix in mixing.items()
    }  # fmt: skip
    return World(features, hidden, groups)
