"""How far two sets of features lie apart: one distance a file."""

from __future__ import annotations

from twinset.evaluation.distances.cmmd import ClipDiscrepancy, cmmd
from twinset.evaluation.distances.frechet import (
    FrechetDistance,
    Moments,
    frechet_distance,
    frechet_from_moments,
    frechet_influences,
    frechet_value,
)
from twinset.evaluation.distances.frechet_infinity import FrechetInfinity, frechet_infinity
from twinset.evaluation.distances.kid import KernelDistance, kernel_distance
from twinset.evaluation.distances.spatial_frechet import (
    SpatialFrechetDistance,
    spatial_features,
    spatial_frechet_distance,
)

__all__ = [
    "ClipDiscrepancy",
    "FrechetDistance",
    "FrechetInfinity",
    "KernelDistance",
    "Moments",
    "SpatialFrechetDistance",
    "cmmd",
    "frechet_distance",
    "frechet_from_moments",
    "frechet_infinity",
    "frechet_influences",
    "frechet_value",
    "kernel_distance",
    "spatial_features",
    "spatial_frechet_distance",
]
