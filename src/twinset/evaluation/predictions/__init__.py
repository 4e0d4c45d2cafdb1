"""Scores of a model's predictions on labelled images, per class and subgroup with simultaneous intervals."""

from __future__ import annotations

from twinset.evaluation.predictions.calibration import calibration_scores
from twinset.evaluation.predictions.classification import (
    Classified,
    accuracy,
    class_scores,
    classification_scores,
    subgroup_scores,
)
from twinset.evaluation.predictions.detection_errors import (
    SizeBin,
    SizeErrors,
    close_ups,
    confident,
    double_finds,
    errors_by_size,
    object_quality,
    pixel_quality,
    size_bins,
)
from twinset.evaluation.predictions.placed_scores import average_precision_scores, segmentation_scores
from twinset.evaluation.predictions.simultaneous import Joint

__all__ = [
    "Classified",
    "Joint",
    "SizeBin",
    "SizeErrors",
    "accuracy",
    "average_precision_scores",
    "calibration_scores",
    "class_scores",
    "classification_scores",
    "close_ups",
    "confident",
    "double_finds",
    "errors_by_size",
    "object_quality",
    "pixel_quality",
    "segmentation_scores",
    "size_bins",
    "subgroup_scores",
]
