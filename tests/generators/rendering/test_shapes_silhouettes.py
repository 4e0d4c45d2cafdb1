"""Whether the families can be told apart by their outlines alone, at parameters that were not seen."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shapes import FAMILIES, built, draw
from twinset.randomness import Stream

SIDE, VIEWS, TRAINED, TESTED = 64, 3, 70, 30


def silhouette(mesh: Mesh, around_degrees: float, above_degrees: float) -> np.ndarray:
    """Bool (64, 64): the object from far away, filling nine tenths of the picture."""
    import cv2

    around, above = np.radians([around_degrees, above_degrees])
    to_eye = np.array([np.cos(above) * np.cos(around), np.cos(above) * np.sin(around), np.sin(above)])
    right = np.array([-np.sin(around), np.cos(around), 0.0])
    flat = mesh.vertices.astype(np.float64) @ np.stack([right, -np.cross(to_eye, right)], axis=1)
    low, high = flat.min(0), flat.max(0)
    pixels = (flat - (low + high) / 2) * (0.9 * SIDE / (high - low).max()) + SIDE / 2
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    a, b, c = pixels[mesh.faces].transpose(1, 0, 2)
    seen = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0
    for triangle in np.rint(pixels[mesh.faces[seen]] * 16).astype(np.int32):
        cv2.fillConvexPoly(drawn, triangle, 1, shift=4)
    return drawn.astype(bool)


def described(mask: np.ndarray) -> np.ndarray:
    """256 coarse pixels and 16 × 8 counts of edge directions."""
    import cv2

    coarse = mask.reshape(16, 4, 16, 4).mean(axis=(1, 3)).ravel()
    picture = mask.astype(np.float32)
    across, down = cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    direction = ((np.arctan2(down, across) + np.pi) / (2 * np.pi) * 8).astype(int) % 8
    rows, columns = np.mgrid[:SIDE, :SIDE] // 16
    bins = (rows * 4 + columns) * 8 + direction
    counts = np.bincount(bins.ravel(), np.hypot(across, down).ravel(), 128)
    return np.concatenate([4 * coarse, np.sqrt(counts)])


@pytest.mark.slow(seconds=30)
def test_families_are_told_apart_by_their_silhouettes() -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    features, labels, seeds = [], [], []
    for label, family in enumerate(FAMILIES.values()):
        for seed in range(TRAINED + TESTED):
            mesh = built(family, draw(family, rng=Stream(seed)))
            view = Stream(seed).child("views", family.name).numpy()
            for _ in range(VIEWS):
                mask = silhouette(mesh, view.uniform(0, 360), view.uniform(10, 50))
                assert 0.02 < mask.mean() < 0.85
                features.append(described(mask))
                labels.append(label)
                seeds.append(seed)
    x, y, unseen = np.stack(features), np.array(labels), np.array(seeds) >= TRAINED
    model = make_pipeline(StandardScaler(), SVC(C=10)).fit(x[~unseen], y[~unseen])
    single = float((model.predict(x[unseen]) == y[unseen]).mean())
    votes = model.decision_function(x[unseen]).reshape(-1, VIEWS, len(FAMILIES)).mean(axis=1)
    together = float((votes.argmax(axis=1) == y[unseen][::VIEWS]).mean())
    assert single >= 0.93, f"one view: {single:.3f}"
    assert together >= 0.95, f"{VIEWS} views: {together:.3f}, one view: {single:.3f}"
