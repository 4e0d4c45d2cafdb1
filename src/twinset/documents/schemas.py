"""Every JSON object by its name, its schema, and its text."""

from __future__ import annotations

import json

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from twinset.documents.audits import AuditDocument
from twinset.documents.classifiers import FitClassifierDocument
from twinset.documents.comparisons import CompareDocument, LeaderboardDocument
from twinset.documents.datasets import ConvertDocument, InspectDocument
from twinset.documents.detectors import DetectDocument, FitDetectorDocument
from twinset.documents.explanations import ExplanationDocument
from twinset.documents.failures import ErrorDocument
from twinset.documents.frontiers import FrontierDocument, FrontierPlanDocument
from twinset.documents.inferences import CheckMetadataDocument, InferenceDocument, RatingsDocument
from twinset.documents.installation import DoctorDocument, PluginsDocument
from twinset.documents.marks import ProvenanceDocument, WatermarkDocument
from twinset.documents.runs import (
    InitDocument,
    PlanDocument,
    PreviewDocument,
    RedactDocument,
    RunDocument,
    SceneDocument,
    StatusDocument,
    VerifyDocument,
)
from twinset.documents.trainers import TrainerRequestDocument, TrainerResponseDocument
from twinset.errors import UnknownNameError

DOCUMENTS: dict[str, type[BaseModel]] = {
    "run": RunDocument,
    "plan": PlanDocument,
    "redact": RedactDocument,
    "status": StatusDocument,
    "verify": VerifyDocument,
    "inspect": InspectDocument,
    "audit": AuditDocument,
    "compare": CompareDocument,
    "leaderboard": LeaderboardDocument,
    "frontier": FrontierDocument,
    "frontier-plan": FrontierPlanDocument,
    "explanation": ExplanationDocument,
    "detect": DetectDocument,
    "watermark": WatermarkDocument,
    "provenance": ProvenanceDocument,
    "fit-detector": FitDetectorDocument,
    "fit-classifier": FitClassifierDocument,
    "inference": InferenceDocument,
    "ratings": RatingsDocument,
    "check-metadata": CheckMetadataDocument,
    "convert": ConvertDocument,
    "init": InitDocument,
    "preview": PreviewDocument,
    "scene": SceneDocument,
    "plugins": PluginsDocument,
    "doctor": DoctorDocument,
    "error": ErrorDocument,
    "trainer-request": TrainerRequestDocument,
    "trainer-response": TrainerResponseDocument,
}


def schema(name: str) -> dict[str, object]:
    """The JSON Schema of a document, or of the recipe; :class:`UnknownNameError` for others."""
    if name == "recipe":
        from twinset.recipe import Recipe

        return Recipe.model_json_schema()
    name = {"resume": "run", "evaluate": "run", "infer-metadata": "inference"}.get(name, name)
    if name not in DOCUMENTS:
        raise UnknownNameError("schema", name, [*DOCUMENTS, "recipe"])
    return DOCUMENTS[name].model_json_schema()


def to_json(document: BaseModel) -> str:
    """One line of JSON. A path that is not UTF-8 has its odd bytes as escapes, as Python's ``json`` reads them back."""
    try:
        return document.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        return json.dumps(document.model_dump(mode="json", by_alias=True))
