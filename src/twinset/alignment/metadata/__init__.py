"""Measures of pictures and objects, their distances, and what to do about them: targets, shifts, matching."""

from twinset.alignment.metadata.distance import (
    Bins,
    MeasureGap,
    MeasureTable,
    bhattacharyya,
    compare_measures,
)
from twinset.alignment.metadata.matching import Configuration, Match, Matched, Matching, Space, Trial, component_gap
from twinset.alignment.metadata.measures import MEASURES, Measure, Measures, measure, measure_boxes
from twinset.alignment.metadata.mixtures import Mixture, fit_mixture
from twinset.alignment.metadata.shift import Shift, detect_shift
from twinset.alignment.metadata.target import (
    Component,
    InferenceError,
    Target,
    fit_target,
    infer_target,
    target_from_numbers,
)

__all__ = [
    "MEASURES",
    "Bins",
    "Component",
    "Configuration",
    "InferenceError",
    "Match",
    "Matched",
    "Matching",
    "Measure",
    "MeasureGap",
    "MeasureTable",
    "Measures",
    "Mixture",
    "Shift",
    "Space",
    "Target",
    "Trial",
    "bhattacharyya",
    "compare_measures",
    "component_gap",
    "detect_shift",
    "fit_mixture",
    "fit_target",
    "infer_target",
    "measure",
    "measure_boxes",
    "target_from_numbers",
]
