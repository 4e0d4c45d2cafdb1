"""A COCO file as records and columns: one pass, in pieces, and one clear error where it is no COCO file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

import msgspec

from twinset.errors import DatasetFormatError
from twinset.formats.coco.columns import Annotations
from twinset.formats.coco.records import Category, Image, Licence
from twinset.formats.coco.slices import read_slice
from twinset.formats.coco.streaming import Document, Malformed, collection_paused, json_problem
from twinset.formats.folder import visible

Record = TypeVar("Record", Image, Category, Licence)


@dataclass
class Parsed:
    """What one COCO file says. ``problems`` are of pictures that are left out; ``stated`` are the keys it has."""

    images: list[Image] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    licences: list[Licence] = field(default_factory=list)
    annotations: Annotations = field(default_factory=Annotations)
    problems: list[str] = field(default_factory=list)
    stated: set[str] = field(default_factory=set)


def parse(handle: BinaryIO, name: str) -> Parsed:
    """A COCO file, read in one pass and in pieces; :class:`DatasetFormatError` with file and line if it is none."""
    document, parsed = Document(handle), Parsed()
    try:
        with collection_paused():
            for key in document.members():
                if key in parsed.stated and key in ("images", "annotations", "categories"):
                    raise Malformed(f"expected each key once; got {key!r} again", document.at)
                parsed.stated.add(key)
                _take(key, document, parsed)
        document.finish()
    except Malformed as error:
        line = _line(handle, error.at)
        hint = "write or fetch the file again"
        raise DatasetFormatError(f"{error} at byte {error.at}", path=visible(name), line=line, hint=hint) from error
    except OSError as error:
        raise DatasetFormatError(f"expected a readable file; got {error.strerror}", path=visible(name)) from error
    except RecursionError as error:
        raise DatasetFormatError("expected JSON; got nesting without end", path=visible(name)) from error
    if "images" not in parsed.stated:
        told = visible(", ".join(sorted(parsed.stated)))[:80] or "none"
        raise DatasetFormatError(f"expected the keys images, annotations, categories; got {told}", path=visible(name))
    if parsed.annotations.panoptic:
        raise DatasetFormatError(
            "expected instances; got panoptic segments (segments_info), which are not read",
            path=visible(name),
            hint="give the instances_*.json of the same pictures",
        )
    return parsed


def _take(key: str, document: Document, parsed: Parsed) -> None:
    if key == "annotations":
        for records in document.elements(read_slice):
            parsed.annotations.add(records)
    elif key == "images":
        for images in document.elements(_reader(Image, "image")):
            parsed.images += [one for one in images if isinstance(one, Image)]
            parsed.problems += [one for one in images if isinstance(one, str)]
    elif key == "categories":
        _take_whole(document, Category, "category", parsed.categories)
    elif key == "licenses" and document.peek() == b"[":
        _take_whole(document, Licence, "license", parsed.licences)
    else:
        _check_json(document)


def _take_whole(document: Document, kind: type[Record], what: str, into: list[Record]) -> None:
    at = document.at
    for records in document.elements(_reader(kind, what)):
        for record in records:
            if isinstance(record, str):
                raise Malformed(record.removesuffix("; left out"), at)
            into.append(record)


def _check_json(document: Document) -> None:
    at, text = document.at, document.value()
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except RecursionError as error:
        raise Malformed("expected JSON; got nesting without end", at) from error
    except ValueError as error:
        problem, place = json_problem(error, text)
        raise Malformed(problem, at + place) from error


def _reader(kind: type[Record], what: str) -> Callable[[bytes], list[Record | str]]:
    """Reads a slice of records; those of wrong types become a text that says so."""
    decoder, raws = msgspec.json.Decoder(list[kind]), msgspec.json.Decoder(list[msgspec.Raw])  # type: ignore[valid-type]

    def one(text: bytes) -> Record | str:
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.ValidationError as error:
            problem = str(error).replace("Expected", "expected").replace(" - at `$.", " in `")
            shown = visible(text[:60].decode(errors="replace"))
            return f"{what} {shown}…: {visible(problem)}; left out"

    def read(text: bytes) -> list[Record | str]:
        try:
            return list(decoder.decode(text))
        except msgspec.ValidationError:
            return [one(bytes(raw)) for raw in raws.decode(text)]

    return read


def _line(handle: BinaryIO, at: int) -> int | None:
    """The line, from 1, of a byte."""
    try:
        handle.seek(0)
        lines, left = 1, at
        while left > 0 and (piece := handle.read(min(left, 1 << 20))):
            lines, left = lines + piece.count(b"\n"), left - len(piece)
    except OSError:
        return None
    return lines
