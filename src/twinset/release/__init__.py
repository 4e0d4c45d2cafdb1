"""What goes out beside the images of a dataset: a card, a Croissant file."""

from twinset.release.card import dataset_card
from twinset.release.croissant import croissant
from twinset.release.facts import ArmResult, AuditResult, Export, Parent, RedactionNote, Release, ReleasedFile
from twinset.release.marked import Marked

__all__ = [
    "ArmResult",
    "AuditResult",
    "Export",
    "Marked",
    "Parent",
    "RedactionNote",
    "Release",
    "ReleasedFile",
    "croissant",
    "dataset_card",
]
