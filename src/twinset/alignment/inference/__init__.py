"""Metadata of real pictures from features, judged on synthetic ones, with warnings where that judgement misleads."""

from twinset.alignment.inference.domain import DomainShift
from twinset.alignment.inference.inference import Inference, InferredMeasure, infer
from twinset.alignment.inference.reliance import ASSUMPTION, Disagreement, RealError
from twinset.alignment.inference.settings import InferenceSettings
from twinset.alignment.inference.targets import inferred_measures, target_of
from twinset.alignment.inference.validation import Candidate

__all__ = [
    "ASSUMPTION",
    "Candidate",
    "Disagreement",
    "DomainShift",
    "Inference",
    "InferenceSettings",
    "InferredMeasure",
    "RealError",
    "infer",
    "inferred_measures",
    "target_of",
]
