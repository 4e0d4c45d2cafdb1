"""Where in a picture a class may stand: logistic models on what the ground looks like there, learnt from training.

Features of a cell are colour, roughness and height in the picture, at two scales, read from the picture with its
objects filled in, so that a model learns the ground and not the object. Cells under objects of a class against all
other cells; the fitted odds weigh the candidate places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.placement import Floats, Ints
from twinset.images import Pixels

CELLS = 24
"""Cells along each side of a picture."""
FEWEST = 5
"""A class with fewer objects than this has no model of its own; every place is as good."""


@dataclass(frozen=True, eq=False)
class Context:
    """``heat`` float32 (B, C, 24, 24): log odds of a class at a cell of a background, 0 where nothing is known."""

    heat: NDArray[np.float32]

    def order(self, row: int, class_id: int, boxes: Floats, frame: Floats, draws: np.random.Generator) -> Ints:
        """The candidate boxes (T, 4) in random order, likely places first (Gumbel noise: drawn by their odds)."""
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / frame[:2]
        at = np.clip((centres * CELLS).astype(np.int64), 0, CELLS - 1)
        score = self.heat[row, class_id, at[:, 1], at[:, 0]] + draws.gumbel(size=len(boxes))
        return np.asarray(np.argsort(-score), dtype=np.int64)


def features(pixels: Pixels) -> NDArray[np.float32]:
    """(24, 24, F) of a picture uint8 (H, W, 3)."""
    lab = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2LAB).astype(np.float32) / 255
    rough = np.abs(cv2.Laplacian(lab[..., 0], cv2.CV_32F, ksize=3))
    edges = [np.abs(cv2.Sobel(lab[..., 0], cv2.CV_32F, 1 - down, down)) for down in (0, 1)]
    parts = (lab, np.dstack([rough, *edges]))
    fine = np.dstack([cv2.resize(part, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for part in parts])
    wide = np.dstack([cv2.GaussianBlur(channel, (0, 0), 2.0) for channel in np.moveaxis(fine, 2, 0)])
    height, across = np.meshgrid(np.linspace(-1, 1, CELLS), np.linspace(-1, 1, CELLS), indexing="ij")
    place = np.dstack([height, height**2, across**2]).astype(np.float32)
    return np.concatenate([fine, wide, fine**2, place], axis=2)


def learn(
    shown: NDArray[np.float32],
    cleaned: NDArray[np.float32],
    centres: Sequence[Floats],
    class_ids: Sequence[Ints],
    n_classes: int,
) -> Context:
    """A context for backgrounds with the features ``shown`` (B, 24, 24, F), learnt from ``cleaned`` (N, 24, 24, F),
    those of training pictures with their objects filled in.

    ``centres[j]`` (K, 2) are x, y as shares of the sides, of objects of ``class_ids[j]`` (K,) in ``cleaned[j]``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    under = np.zeros((len(cleaned), n_classes, CELLS, CELLS), dtype=np.bool_)
    for picture, (places, ids) in enumerate(zip(centres, class_ids, strict=True)):
        at = np.clip((places * CELLS).astype(np.int64), 0, CELLS - 1)
        under[picture, ids, at[:, 1], at[:, 0]] = True
    heat = np.zeros((len(shown), n_classes, CELLS, CELLS), dtype=np.float32)
    flat, new = cleaned.reshape(-1, cleaned.shape[-1]), shown.reshape(-1, shown.shape[-1])
    for c in range(n_classes):
        stands = under[:, c].reshape(-1)
        if FEWEST <= stands.sum() < stands.size:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=300))
            odds = model.fit(flat, stands).decision_function(new)
            heat[:, c] = np.clip(odds, -6, 6).reshape(len(shown), CELLS, CELLS)
    return Context(heat)
