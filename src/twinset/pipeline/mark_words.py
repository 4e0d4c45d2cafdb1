"""What marks say, in words, for the terminal."""

from __future__ import annotations

from twinset import documents
from twinset.errors import printable

SHOWN = 20
"""Pictures; all are in --json."""


def watermark(document: documents.WatermarkDocument) -> str:
    """The folder first, then the clearest pictures."""
    lines = [_begun(document.sentence), "", f"  {'p-value':>9} {'payload':>8}   image"]
    ranked = sorted(document.images, key=lambda image: (image.p_value, image.file or image.id))
    for image in ranked[:SHOWN]:
        payload = "–" if image.payload is None else str(image.payload)
        mark = "  ← marked" if image.marked else ""
        lines.append(f"  {image.p_value:>9.2g} {payload:>8}   {printable(image.file or image.id)}{mark}")
    if len(ranked) > SHOWN:
        lines.append(f"  … {len(ranked) - SHOWN} more, less clear; --json lists all")
    if document.n_unfit:
        lines.append(f"  {document.n_unfit} of them flat or too small to hold a mark")
    return "\n".join([*lines, "", f"limits    {document.limits}", *_warnings(document.warnings)])


def provenance(document: documents.ProvenanceDocument) -> str:
    """The counts first, then file by file."""
    lines = [_begun(document.sentence), "", f"  {'XMP':<11} {'C2PA':<10} image"]
    for image in document.images[:SHOWN]:
        signer = f"  signed by {printable(image.c2pa_signer)}" if image.c2pa_signer else ""
        trusted = {True: ", trusted", False: ", not on your list", None: ""}[image.c2pa_trusted]
        term = (image.source_type or image.c2pa_source_type or "").rpartition("/")[2]
        said = f"  {printable(term)}" if term else ""
        lines.append(f"  {image.xmp:<11} {image.c2pa:<10} {printable(image.file or image.id)}{said}{signer}{trusted}")
        lines += [f"  {'':<22} {printable(problem)}" for problem in image.problems]
    if len(document.images) > SHOWN:
        lines.append(f"  … {len(document.images) - SHOWN} more; --json lists all")
    return "\n".join([*lines, "", f"limits    {document.limits}", *_warnings(document.warnings)])


def _begun(sentence: str) -> str:
    return printable(sentence[:1].upper() + sentence[1:])


def _warnings(warnings: list[str]) -> list[str]:
    return [f"warning   {printable(text)}" for text in warnings]
