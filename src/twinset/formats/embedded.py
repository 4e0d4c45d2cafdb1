"""Objects that ride inside a row or a member of a container: ours, and those of detection sets of the Hugging Face hub.

Ours are values of :data:`~twinset.instances.INSTANCES`; in JSON without what is not said, run lengths as ASCII text and
class names in place of ids. Nothing is trusted when it is read back: what cannot be is told object by object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twinset.annotations import Instances, SemanticMap
from twinset.formats.folder import Unusable, is_text, visible
from twinset.formats.mask_classes import ValueTable
from twinset.formats.maskfiles import VOID, read_mask
from twinset.formats.objects import Objects, Stated
from twinset.formats.sidecars import parse_json
from twinset.instances import check_pose, check_typed, pose_of, to_value
from twinset.masks import Ring, Rle
from twinset.run_lengths import covered
from twinset.semantic import IGNORE

BOX = ("x1", "y1", "x2", "y2")
LARGEST = 1e30
"""Beyond this no number is a coordinate or an area; float32 holds little more."""

HUB_LABELS = ("category", "categories", "category_id", "label", "labels", "class", "class_id")
HUB_CROWD = ("iscrowd", "is_crowd", "crowd")

NameOf = Callable[[object], str]
"""Gives the class that a value found in the data means; :class:`Unusable` for one that means none."""


@dataclass
class Found:
    """The objects of one picture that can be used, and what is wrong with others, each as one line."""

    stated: list[Stated] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    keypoint_names: tuple[str, ...] | None = None

    def picture_in(self, objects: Objects) -> int:
        """A new picture with these objects, as :meth:`Objects.picture`."""
        return objects.picture(self.stated, keypoint_names=self.keypoint_names)

    def gather(self, items: Sequence[object], read: Callable[[Mapping[str, object], int], Stated]) -> Found:
        """Reads each item; itself."""
        for number, item in enumerate(items, 1):
            try:
                if not isinstance(item, Mapping):
                    raise Unusable(f"expected an object; got {type(item).__name__}")
                self.stated.append(read(item, number))
            except Unusable as error:
                self.problems.append(f"object {number}: {error}; left out")
        return self


@dataclass(frozen=True)
class ClassMask:
    """Gives the semantic map that a PNG of class ids below ``classes`` is, 255 = ignore, when the picture is opened."""

    png: bytes
    classes: int

    def __call__(self, size: tuple[int, int]) -> SemanticMap:
        """For a picture of this (height, width); :class:`Unusable` if it does not fit or names no class."""
        values = read_mask(self.png)
        if values.shape != size:
            height, width = values.shape
            raise Unusable(f"expected a semantic map of {size[1]} x {size[0]}; got one of {width} x {height}")
        ids = {**{class_id: class_id for class_id in range(self.classes)}, VOID: IGNORE}
        return ValueTable((), ids, {}).semantic(values, coloured=False)


def to_json(instances: Instances, classes: Sequence[str]) -> dict[str, object]:
    """The objects as JSON types; empty fields are left out."""
    value = {key: one for key, one in to_value(instances).items() if one is not None}
    objects: list[dict[str, object]] = value["objects"]  # type: ignore[assignment]
    return {**value, "objects": [_as_json(item, classes) for item in objects]}


def _as_json(item: Mapping[str, object], classes: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {"label": classes[int(str(item["class_id"]))], "box": [item[name] for name in BOX]}
    for key, value in item.items():
        if key in ("class_id", *BOX) or value is None or value is False:
            continue
        found[key] = json.loads(value) if key == "attributes" and isinstance(value, str) else value
        if isinstance(value, bytes):
            found[key] = value.decode("ascii")
    return found


def read_ours(value: object, name_of: NameOf) -> Found:
    """The objects of a value as we write it, in Arrow or in JSON; :class:`Unusable` where it is of another kind."""
    objects = value.get("objects") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(objects, list):
        raise Unusable(f"expected instances as twinset writes them; got {type(value).__name__}")
    size = (_side(value, "height"), _side(value, "width"))
    found = Found().gather(objects, lambda item, number: _ours(item, number, size, name_of))
    _check_alike(found.stated)
    found.keypoint_names = _keypoint_names(value.get("keypoint_names"), found.stated)
    return found


def _keypoint_names(names: object, stated: Sequence[Stated]) -> tuple[str, ...] | None:
    if names is None or not stated:
        return None
    numbers = len(stated[0].keypoints or ())
    texts = isinstance(names, list) and all(isinstance(name, str) and is_text(name) for name in names)
    if not isinstance(names, list) or not texts or len(set(names)) != len(names) or 3 * len(names) != numbers:
        raise Unusable(f"expected {numbers // 3} distinct names of keypoints; got others")
    return tuple(visible(name) for name in names)


def _ours(item: Mapping[str, object], number: int, size: tuple[int, int], name_of: NameOf) -> Stated:
    corners = item["box"] if "box" in item else [item.get(name) for name in BOX]
    attributes, rings = item.get("attributes"), item.get("polygons")
    if isinstance(attributes, str):
        attributes = parse_json(attributes, "attributes")
    keypoints, amodal = item.get("keypoints"), item.get("amodal_box")
    return Stated(
        name_of(item["label"] if "label" in item else item.get("class_id")),
        _box(corners, "box"),
        number,
        rings=None if rings is None else _rings(rings),
        rle=_mask(item.get("rle"), size),
        area=_optional(item.get("area"), "area"),
        crowd=item.get("crowd") is True,
        difficult=item.get("difficult") is True,
        truncated=item.get("truncated") is True,
        confidence=_optional(item.get("confidence"), "confidence", most=1.0),
        amodal_box=None if amodal is None else _box(amodal, "amodal_box"),
        amodal_rle=_mask(item.get("amodal_rle"), size),
        keypoints=None if keypoints is None else _numbers(keypoints, "keypoints"),
        attributes=_attributes(attributes),
        pose=_pose(item.get("pose")),
    )


def _pose(value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = _numbers(value, "pose")
    try:
        check_pose(pose_of(numbers))
    except ValueError as error:
        raise Unusable(str(error)) from error
    return numbers


def _check_alike(stated: Sequence[Stated]) -> None:
    """All objects of a picture have keypoints, as many, and an amodal box, or none has."""
    points = {None if one.keypoints is None else len(one.keypoints) for one in stated}
    if len(points) > 1 or any(count is not None and count % 3 for count in points):
        raise Unusable("expected as many keypoints x, y, visibility for each object; got others")
    if len({one.amodal_box is None for one in stated}) > 1:
        raise Unusable("expected an amodal box for each object, or for none; got some")


def read_hub(value: object, name_of: NameOf) -> Found:
    """The objects of a column ``objects`` as detection sets of the hub have it: boxes are x, y, width, height.

    A list of objects, or an object of lists.
    """
    return Found().gather(list(_records(value)), lambda item, number: _hub(item, number, name_of))


def _records(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        columns = {key: column for key, column in value.items() if isinstance(column, list)}
        lengths = {len(column) for column in columns.values()}
        if "bbox" not in columns or len(lengths) != 1:
            raise Unusable("expected objects as lists of one length, bbox among them; got others")
        for row in range(lengths.pop()):
            yield {key: column[row] for key, column in columns.items()}
    elif isinstance(value, list):
        yield from value
    else:
        raise Unusable(f"expected a list of objects; got {type(value).__name__}")


def _hub(item: Mapping[str, object], number: int, name_of: NameOf) -> Stated:
    x, y, width, height = _box(item.get("bbox"), "bbox")
    label = next((item[key] for key in HUB_LABELS if item.get(key) is not None), None)
    return Stated(
        name_of(label),
        (x, y, x + width, y + height),
        number,
        area=_optional(item.get("area"), "area"),
        crowd=any(item.get(key) in (True, 1) for key in HUB_CROWD),
    )


def class_names(classes: Sequence[str] | None, shown: Callable[[str], str]) -> NameOf:
    """Class ids and names as found in data, to names; numbers name themselves where no classes are known."""

    def name_of(value: object) -> str:
        if isinstance(value, str) and value and is_text(value):
            return shown(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unusable(f"expected a class; got {'none' if value is None else type(value).__name__}")
        if classes is None:
            return str(value)
        if not 0 <= value < len(classes):
            raise Unusable(f"expected a class below {len(classes)}; got {str(value)[:20]}")
        return shown(classes[value])

    return name_of


def known_names(classes: Sequence[str]) -> NameOf:
    """Class names that must be among these."""

    def name_of(value: object) -> str:
        if not isinstance(value, str) or visible(value) not in classes:
            raise Unusable(f"expected a known class; got {visible(str(value)[:40])!r}")
        return visible(value)

    return name_of


def _side(value: Mapping[str, object], key: str) -> int:
    side = value.get(key)
    if not isinstance(side, int) or isinstance(side, bool) or not 0 < side < 1 << 31:
        raise Unusable(f"expected {key} in pixels; got {str(side)[:20]}")
    return side


def _mask(counts: object, size: tuple[int, int]) -> Rle | None:
    if counts is None:
        return None
    packed = counts.encode("utf-8", "replace") if isinstance(counts, str) else counts
    if not isinstance(packed, bytes) or int(covered([packed])[0]) != size[0] * size[1]:
        raise Unusable(f"expected run lengths that cover {size[1]} x {size[0]} pixels; got others")
    return Rle(*size, packed)


def _rings(value: object) -> tuple[Ring, ...]:
    if not isinstance(value, list) or not value:
        raise Unusable("expected outlines; got none")
    return tuple(_numbers(ring, "an outline") for ring in value)


def _box(value: object, what: str) -> tuple[float, float, float, float]:
    numbers = _numbers(value, what)
    if len(numbers) != 4:
        raise Unusable(f"expected {what} of four numbers; got {len(numbers)}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _numbers(value: object, what: str) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise Unusable(f"expected {what} as numbers; got {'none' if value is None else type(value).__name__}")
    return tuple(number(one, what) for one in value)


def _optional(value: object, what: str, most: float = LARGEST) -> float | None:
    if value is None:
        return None
    found = number(value, what)
    if not 0 <= found <= most:
        raise Unusable(f"expected {what} in 0–{most:g}; got {found:g}")
    return found


def number(value: object, what: str) -> float:
    """A finite number found in data; :class:`Unusable` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        shown = visible(str(value)[:20]) if isinstance(value, int | float | str) else type(value).__name__
        raise Unusable(f"expected {what} as a number; got {shown}")
    return float(value)


def _attributes(value: object) -> str | None:
    if value is None:
        return None
    plain = isinstance(value, dict) and all(
        isinstance(key, str) and is_text(key) and _is_plain(one) for key, one in value.items()
    )
    if not plain or not isinstance(value, dict):
        raise Unusable("expected attributes as a JSON object of plain values; got others")
    try:
        check_typed({key: (one,) for key, one in value.items()})
    except ValueError as error:
        raise Unusable(str(error)) from error
    return json.dumps(value, sort_keys=True) if value else None


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return is_text(value)
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
