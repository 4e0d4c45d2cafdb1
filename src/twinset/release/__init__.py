"""What goes out with a dataset: provenance in every picture, a card, a Croissant file."""

from twinset.release.card import dataset_card
from twinset.release.croissant import croissant
from twinset.release.facts import ArmResult, Export, Parent, Release, ReleasedFile
from twinset.release.provenance import Provenance, encode_with_provenance, read_provenance

__all__ = [
    "ArmResult",
    "Export",
    "Parent",
    "Provenance",
    "Release",
    "ReleasedFile",
    "croissant",
    "dataset_card",
    "encode_with_provenance",
    "read_provenance",
]
