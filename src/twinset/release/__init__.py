"""What goes out beside the images of a dataset, or the weights of a model: a card, a Croissant file."""

from twinset.release.audited import AuditResult
from twinset.release.card import dataset_card
from twinset.release.croissant import croissant, parents_in
from twinset.release.facts import ArmResult, Export, Parent, RedactionNote, Release, ReleasedFile
from twinset.release.marked import Marked
from twinset.release.model_card import ModelFigure, ModelRelease, model_card

__all__ = [
    "ArmResult",
    "AuditResult",
    "Export",
    "Marked",
    "ModelFigure",
    "ModelRelease",
    "Parent",
    "RedactionNote",
    "Release",
    "ReleasedFile",
    "croissant",
    "dataset_card",
    "model_card",
    "parents_in",
]
