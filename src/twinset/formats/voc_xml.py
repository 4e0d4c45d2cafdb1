"""One XML file of Pascal VOC: parsed without ever expanding an entity, and written."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from twinset.annotations import AttributeValue, Instances
from twinset.formats.folder import Unusable, visible
from twinset.formats.listing import Findings
from twinset.formats.objects import Stated
from twinset.formats.shapes import xml_root

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CORNERS = ("xmin", "ymin", "xmax", "ymax")
YES = frozenset({"1", "true", "yes"})
TYPES = {"int": int, "float": float}
UNSPECIFIED = ("", "Unspecified")


@dataclass
class Record:
    """What one XML file says. ``size`` is (width, height) as stated, None where it is not.

    ``bad`` are objects without a usable box, by number; ``counts`` what is left out, by what it is.
    """

    filename: str = ""
    size: tuple[int, int] | None = None
    objects: list[Stated] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def parse_record(data: bytes, findings: Findings, exact: frozenset[str] = frozenset()) -> Record:
    """The objects of an XML file; :class:`Unusable` for damaged or hostile XML, and for a file of another kind.

    Class names lose the spaces around them unless they stand so in ``exact``.
    """
    root = xml_root(data)
    if root.tag != "annotation":
        raise Unusable(f"expected <annotation>; got <{visible(str(root.tag)[:40])}>")
    record = Record((root.findtext("filename") or "").strip(), _size(root))
    for number, node in enumerate(root.findall("object"), 1):
        try:
            record.objects.append(_object(node, number, findings, exact))
        except Unusable as error:
            record.bad.append((number, f"object {number}: {error}; left out"))
        for tag, what in (("part", "parts of objects are left out"), ("actions", "lists of actions are left out")):
            if count := len(node.findall(tag)):
                record.counts[what] += count
    return record


def _size(root: Element) -> tuple[int, int] | None:
    texts = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    if not all(text.isascii() and text.isdecimal() and len(text) < 7 for text in texts) or "0" in texts:
        return None
    return int(texts[0]), int(texts[1])


def _object(node: Element, number: int, findings: Findings, exact: frozenset[str]) -> Stated:
    name = node.findtext("name") or ""
    name = name if name in exact else name.strip()
    if not name:
        raise Unusable("expected a class name; got none")
    x1, y1, x2, y2 = (_coordinate(node, corner) for corner in CORNERS)
    attributes = _attributes(node)
    return Stated(
        findings.class_name(name),
        (x1, y1, x2, y2),
        number,
        difficult=_flag(node, "difficult"),
        truncated=_flag(node, "truncated"),
        attributes=json.dumps(attributes, sort_keys=True) if attributes else None,
    )


def _coordinate(node: Element, corner: str) -> float:
    text = (node.findtext(f"bndbox/{corner}") or "").strip()
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Unusable(f"expected {corner} as a number; got {visible(text[:20])!r}")
    return value


def _flag(node: Element, tag: str) -> bool:
    return (node.findtext(tag) or "").strip().casefold() in YES


def _attributes(node: Element) -> dict[str, AttributeValue]:
    """``pose`` and ``occluded``, and name and value pairs as CVAT writes them."""
    found: dict[str, AttributeValue] = {}
    pose, occluded = ((node.findtext(tag) or "").strip() for tag in ("pose", "occluded"))
    if pose not in UNSPECIFIED:
        found["pose"] = pose
    if occluded:
        found["occluded"] = occluded.casefold() in YES
    for pair in node.findall("attributes/attribute"):
        name, value = pair.findtext("name"), pair.find("value")
        if name and value is not None:
            found[name] = _typed(value.text or "", value.get("type", ""))
    return found


def _typed(text: str, kind: str) -> AttributeValue:
    """A value as our ``type`` attribute says; text where it is not ours or does not fit."""
    if kind == "bool":
        return text == "true"
    try:
        return TYPES[kind](text) if kind in TYPES else text
    except ValueError:
        return text


def record_xml(filename: str, instances: Instances, classes: tuple[str, ...], *, channels: int) -> str:
    """The XML file of one picture; coordinates with as many digits as float32 needs."""
    height, width = instances.size
    lines = ["<annotation>", f"  <filename>{_text(filename)}</filename>", "  <size>"]
    sizes = {"width": width, "height": height, "depth": channels}
    lines += [f"    <{tag}>{value}</{tag}>" for tag, value in sizes.items()]
    lines += ["  </size>", f"  <segmented>{int(bool(instances.masks))}</segmented>"]
    for row in range(len(instances)):
        lines += _object_xml(instances, row, classes)
    return "\n".join([*lines, "</annotation>", ""])


def _object_xml(instances: Instances, row: int, classes: tuple[str, ...]) -> list[str]:
    values = {name: value for name, column in instances.columns.items() if (value := column[row]) is not None}
    pose, occluded = values.get("pose"), values.get("occluded")
    lines = ["  <object>", f"    <name>{_text(classes[instances.class_ids[row]])}</name>"]
    if isinstance(pose, str) and pose.strip() == pose and pose not in UNSPECIFIED:
        lines.append(f"    <pose>{_text(str(values.pop('pose')))}</pose>")
    lines.append(f"    <truncated>{int(instances.is_truncated[row])}</truncated>")
    lines.append(f"    <difficult>{int(instances.is_difficult[row])}</difficult>")
    if isinstance(occluded, bool):
        lines.append(f"    <occluded>{int(bool(values.pop('occluded')))}</occluded>")
    corners = (np.format_float_positional(value, trim="-") for value in instances.boxes[row])
    lines += ["    <bndbox>", *(f"      <{tag}>{value}</{tag}>" for tag, value in zip(CORNERS, corners, strict=True))]
    lines.append("    </bndbox>")
    if values:
        pairs = (
            f"      <attribute><name>{_text(name)}</name>{_value(value)}</attribute>" for name, value in values.items()
        )
        lines += ["    <attributes>", *pairs, "    </attributes>"]
    return [*lines, "  </object>"]


def _value(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return f'<value type="bool">{str(value).lower()}</value>'
    kind = "" if isinstance(value, str) else f' type="{type(value).__name__}"'
    return f"<value{kind}>{_text(str(value))}</value>"


def _text(text: str) -> str:
    """Text that XML can hold; control characters written out."""
    return escape(visible(text))
