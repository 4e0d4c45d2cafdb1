"""A file of inferred metadata, read with limits: it may come from anywhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from twinset import documents
from twinset.errors import DataError
from twinset.refusals import refusal

LARGEST_FILE = 1 << 28
"""Bytes."""


def inference_file(source: Path) -> Path:
    """The file itself, or ``inference.json`` in a folder."""
    return source / "inference.json" if source.is_dir() else source


def read_inference(path: Path) -> tuple[documents.InferenceDocument, str]:
    """The document in a file, or in a folder, and the sha256 of its bytes; :class:`DataError` otherwise."""
    file = inference_file(path)
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE:
            raise DataError(f"{file}: expected at most {LARGEST_FILE} bytes; got {size}")
        data = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}: expected inferred metadata; got {error.strerror}", hint="`twinset infer-metadata` writes it"
        ) from error
    try:
        return documents.InferenceDocument.model_validate_json(data), hashlib.sha256(data).hexdigest()
    except ValidationError as error:
        found = refusal(error)
        wrong = (
            f"{'.'.join(str(part) for part in found.place)}: {found.message}" if found.place else "no JSON of that kind"
        )
        raise DataError(f"{file}: expected a file of `twinset infer-metadata`; got {wrong}", hint=found.hint) from error
