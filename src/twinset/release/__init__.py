"""What goes out beside the images of a dataset: a card, a Croissant file."""

from twinset.release.card import dataset_card
from twinset.release.croissant import croissant
from twinset.release.facts import ArmResult, Export, Parent, Release, ReleasedFile

__all__ = [
    "ArmResult",
    "Export",
    "Parent",
    "Release",
    "ReleasedFile",
    "croissant",
    "dataset_card",
]
