"""Provenance in pictures: one floor down, in :mod:`twinset.provenance`, because every export of a dataset has it."""

from twinset.provenance import (
    VOCABULARY,
    Provenance,
    encode_with_provenance,
    read_provenance,
    xmp_packet,
)

__all__ = [
    "VOCABULARY",
    "Provenance",
    "encode_with_provenance",
    "read_provenance",
    "xmp_packet",
]
