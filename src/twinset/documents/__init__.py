"""The JSON objects that ``--json`` prints, and those that a user's trainer reads and writes: one model each, from which
``twinset schema NAME`` is generated.
"""

from twinset.documents.comparisons import CompareDocument, LeaderboardDocument, RankedPart
from twinset.documents.datasets import BadFile, ConvertDocument, InspectDocument
from twinset.documents.detectors import DetectDocument, DetectedImage, DetectorPart, ExpectedFlags, FitDetectorDocument
from twinset.documents.explanations import (
    ClassGapPart,
    ExplanationDocument,
    ExplanationPart,
    GapFigurePart,
    NearPairPart,
    OddPart,
    RegionPart,
    RegionsPart,
)
from twinset.documents.failures import ErrorDocument, ErrorPart
from twinset.documents.installation import DoctorDocument, PluginPart, PluginsDocument
from twinset.documents.judgement import ArmPart, Difference, GatePart, ScorePart, VerdictPart
from twinset.documents.runs import (
    CostPart,
    CostRow,
    Counts,
    InitDocument,
    MismatchPart,
    PlanDocument,
    RunDocument,
    StatusDocument,
    VerifyDocument,
)
from twinset.documents.schemas import DOCUMENTS, schema, to_json
from twinset.documents.trainers import (
    AugmentationPart,
    DetectionPart,
    FoundMaps,
    FoundObjects,
    JudgedImage,
    RunLengths,
    TrainerRequestDocument,
    TrainerResponseDocument,
    TrainingImage,
)

__all__ = [
    "DOCUMENTS",
    "ArmPart",
    "AugmentationPart",
    "BadFile",
    "ClassGapPart",
    "CompareDocument",
    "ConvertDocument",
    "CostPart",
    "CostRow",
    "Counts",
    "DetectDocument",
    "DetectedImage",
    "DetectionPart",
    "DetectorPart",
    "Difference",
    "DoctorDocument",
    "ErrorDocument",
    "ErrorPart",
    "ExpectedFlags",
    "ExplanationDocument",
    "ExplanationPart",
    "FitDetectorDocument",
    "FoundMaps",
    "FoundObjects",
    "GapFigurePart",
    "GatePart",
    "InitDocument",
    "InspectDocument",
    "JudgedImage",
    "LeaderboardDocument",
    "MismatchPart",
    "NearPairPart",
    "OddPart",
    "PlanDocument",
    "PluginPart",
    "PluginsDocument",
    "RankedPart",
    "RegionPart",
    "RegionsPart",
    "RunDocument",
    "RunLengths",
    "ScorePart",
    "StatusDocument",
    "TrainerRequestDocument",
    "TrainerResponseDocument",
    "TrainingImage",
    "VerdictPart",
    "VerifyDocument",
    "schema",
    "to_json",
]
