"""What nearest neighbours say: precision, recall, density, coverage, authenticity, nearest records and close pairs."""

from __future__ import annotations

from twinset.evaluation.neighbourhoods.authenticity import Authenticity, authentic, authenticity
from twinset.evaluation.neighbourhoods.nearest import NearestRecord, NearestRecords
from twinset.evaluation.neighbourhoods.neighbours_shown import NeighboursShown, ShownNeighbours, closest_pairs
from twinset.evaluation.neighbourhoods.prdc import PRDC, prdc

__all__ = [
    "PRDC",
    "Authenticity",
    "NearestRecord",
    "NearestRecords",
    "NeighboursShown",
    "ShownNeighbours",
    "authentic",
    "authenticity",
    "closest_pairs",
    "prdc",
]
