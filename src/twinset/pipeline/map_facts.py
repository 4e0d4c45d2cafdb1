"""The map of the report: all images on the plane on which the features of the real ones differ most."""

from __future__ import annotations

import numpy as np

from twinset import report
from twinset.dataset import Dataset
from twinset.pipeline.fidelity import Features
from twinset.pipeline.measuring import Measured
from twinset.pipeline.opening import Run
from twinset.report.model import MapSet

MAP_POINTS = 400


def map_facts(run: Run, measured: Measured) -> report.FeatureMap | None:
    """At most 400 images of every set on the plane; None where no features were measured."""
    features: Features | None = measured.features
    if features is None:
        return None
    parts: list[tuple[MapSet, np.ndarray, Dataset]] = [
        ("real train", features.training, run.real.training),
        ("real held out", features.holdout, run.real.holdout),
        ("synthetic", features.accepted, measured.accepted),
    ]
    chosen = [
        (name, np.linspace(0, len(rows) - 1, min(len(rows), MAP_POINTS)).astype(int), rows, dataset)
        for name, rows, dataset in parts
        if len(rows)
    ]
    vectors = np.concatenate([rows[at] for _, at, rows, _ in chosen]).astype(np.float64)
    xy, explained = principal_plane(
        vectors, np.concatenate([rows[at] for name, at, rows, _ in chosen if name != "synthetic"])
    )
    return report.FeatureMap(
        xy=xy,
        sets=tuple(name for name, at, _, _ in chosen for _ in at),
        class_ids=np.concatenate([dataset.class_ids[at] for _, at, _, dataset in chosen]),
        method=f"PCA of the real features, {explained:.0%} of their variance",
        extractor=features.extractor,
        ids=tuple(id_ for _, at, _, dataset in chosen for id_ in np.asarray(dataset.ids, dtype=object)[at]),
    )


def principal_plane(vectors: np.ndarray, fitted_on: np.ndarray) -> tuple[np.ndarray, float]:
    """(N, 2) coordinates of (N, D) vectors on the two principal axes of (M, D), and their share of variance."""
    mean = fitted_on.mean(axis=0, dtype=np.float64)
    _, spread, axes = np.linalg.svd(fitted_on.astype(np.float64) - mean, full_matrices=False)
    plane = np.zeros((2, vectors.shape[1]))
    plane[: min(2, len(axes))] = axes[:2]
    total = float((spread**2).sum())
    return (vectors - mean) @ plane.T, float((spread[:2] ** 2).sum() / total) if total > 0 else 1.0
