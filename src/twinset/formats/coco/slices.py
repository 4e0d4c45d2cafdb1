"""Slices of a COCO file's annotations as records; those that are none are told one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from twinset.formats.coco.records import Annotation, Bare, Id, Plain
from twinset.formats.folder import visible


@dataclass(frozen=True)
class Slice:
    """Some annotations, either ``plain`` or ``full``, and what is wrong with those that are none."""

    plain: list[Plain] = field(default_factory=list)
    full: list[Annotation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_slice(text: bytes) -> Slice:
    """The annotations of a JSON array; where any has a wrong type, they are looked at one by one."""
    try:
        return Slice(_PLAIN.decode(text))
    except msgspec.ValidationError:
        pass
    try:
        return Slice(full=_ANNOTATIONS.decode(text))
    except msgspec.ValidationError:
        read = [_read_one(bytes(raw)) for raw in _RAWS.decode(text)]
    annotations = [one for one in read if isinstance(one, Annotation)]
    return Slice(full=annotations, problems=[one for one in read if isinstance(one, str)])


_PLAIN = msgspec.json.Decoder(list[Plain])
_ANNOTATIONS = msgspec.json.Decoder(list[Annotation])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def _read_one(text: bytes) -> Annotation | str:
    try:
        return msgspec.json.decode(text, type=Annotation)
    except msgspec.ValidationError as error:
        first = error
    try:
        bare = msgspec.json.decode(text, type=Bare)
    except msgspec.ValidationError:
        return f"expected an annotation as a JSON object; got {visible(text[:40].decode(errors='replace'))}; left out"
    if (mended := _mended(text, bare)) is not None:
        return mended
    problem = str(first).replace(" - at `$.", " in `").replace("Expected", "expected")
    return f"{named(_id_of(bare))}{visible(problem)}; left out"


def _mended(text: bytes, bare: Bare) -> Annotation | None:
    """Forms that are common though no list of outlines: an empty box, one flat outline."""
    value: dict[str, object] = msgspec.json.decode(text)
    outline = bytes(bare.segmentation).strip()
    if outline.startswith(b"[") and not outline[1:].lstrip().startswith((b"[", b"]")):
        value["segmentation"] = [value["segmentation"]]
    if value.get("bbox") == []:
        value["bbox"] = None
    try:
        return msgspec.convert(value, Annotation)
    except msgspec.ValidationError:
        return None


def _id_of(bare: Bare) -> Id | None:
    value = msgspec.json.decode(bytes(bare.id)) if bytes(bare.id) else None
    return value if isinstance(value, int | str) else None


def named(number: Id | None) -> str:
    """``annotation 7: ``, or nothing where it has no id."""
    return "" if number is None else f"annotation {visible(str(number))[:40]}: "
