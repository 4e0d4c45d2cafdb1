"""A redaction in words, for the terminal."""

from __future__ import annotations

from twinset import documents
from twinset.errors import printable
from twinset.formats.counting import counted
from twinset.pipeline import words

SHOWN = 8
"""Ids; all are in --json."""


def redact(document: documents.RedactDocument) -> str:
    """What went, where the old export is, and the run as it is now."""
    gone = ", ".join(document.removed[:SHOWN]) + (", …" if len(document.removed) > SHOWN else "")
    lines = [f"took out {counted(len(document.removed), 'images')}: {gone}", f"reason: {document.reason}"]
    if document.withdrawn is not None:
        lines.append(f"the export of before is now {document.withdrawn}")
    if document.taken_over:
        trainings = counted(document.taken_over, "trainings")
        lines.append(f"{trainings} without synthetic images taken over from before, all others made again")
    lines.append("the shards of the run folder still hold them: share the export, never the run folder")
    return "\n".join([*map(printable, lines), words.run(document.after)])
