"""Whether a classifier tells synthetic images from real ones by features, pixels or spectra; such a detector kept."""

from __future__ import annotations

from twinset.evaluation.detectability.confounders import (
    Confounder,
    Equalise,
    FileTraits,
    confounder_warnings,
    confounders,
    file_traits,
    seams,
    traits_of,
)
from twinset.evaluation.detectability.detector_figures import auc_score
from twinset.evaluation.detectability.false_alarms import FalseAlarms, false_alarms
from twinset.evaluation.detectability.generated_detector import (
    DetectorFacts,
    DetectorSettings,
    GeneratedDetector,
    Judgement,
    fit_detector,
)
from twinset.evaluation.detectability.joint import PictureDetectability, joint_detectability, picture_detectability
from twinset.evaluation.detectability.picture_features import PictureFeatures
from twinset.evaluation.detectability.pixel_statistics import PixelStatistics, pixel_features
from twinset.evaluation.detectability.spectrum import Spectrum, spectrum_features
from twinset.evaluation.detectability.two_sample import Detectability, detectability

__all__ = [
    "Confounder",
    "Detectability",
    "DetectorFacts",
    "DetectorSettings",
    "Equalise",
    "FalseAlarms",
    "FileTraits",
    "GeneratedDetector",
    "Judgement",
    "PictureDetectability",
    "PictureFeatures",
    "PixelStatistics",
    "Spectrum",
    "auc_score",
    "confounder_warnings",
    "confounders",
    "detectability",
    "false_alarms",
    "file_traits",
    "fit_detector",
    "joint_detectability",
    "picture_detectability",
    "pixel_features",
    "seams",
    "spectrum_features",
    "traits_of",
]
