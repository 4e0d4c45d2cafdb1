"""Why a figure is what it is: rows of images to look at, each finding with the chance of meeting it by accident."""

from __future__ import annotations

from twinset.evaluation.explain.alarm import DiversityAlarm, diversity_alarms
from twinset.evaluation.explain.class_gaps import ClassGap, ClassGaps, ClassGapSettings, class_gaps
from twinset.evaluation.explain.outliers import OddImages, Outliers, outliers
from twinset.evaluation.explain.regions import OneSided, Region, RegionSettings
from twinset.evaluation.explain.uncovered import uncovered
from twinset.evaluation.explain.unsupported import unsupported

__all__ = [
    "ClassGap",
    "ClassGapSettings",
    "ClassGaps",
    "DiversityAlarm",
    "OddImages",
    "OneSided",
    "Outliers",
    "Region",
    "RegionSettings",
    "class_gaps",
    "diversity_alarms",
    "outliers",
    "uncovered",
    "unsupported",
]
