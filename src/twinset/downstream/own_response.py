"""What a trainer outside of twinset answers: ``response.json``, checked to the last number before it is believed."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.errors import UsageError
from twinset.formats.folder import Unusable
from twinset.formats.maskfiles import read_mask
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.run_lengths import covered

SCHEMA = "twinset/trainer-response/1"
MOST_BYTES = 512 * 1024 * 1024
Sizes = Mapping[int, tuple[int, int]]
"""(height, width) of the picture of every id."""

_DETECTION = frozenset({"image_id", "class", "box", "score"})


def read_objects(path: Path, sizes: Sizes, *, n_classes: int, masks: bool) -> dict[int, Instances]:
    """The detections in every picture, best first; boxes are cut at the border, and those left empty go.

    ``masks``: every detection has its run lengths. :class:`UsageError` for anything that does not fit.
    """
    listed = _answer(path, "detections")
    if not isinstance(listed, list):
        raise _wrong("detections: expected a list", listed)
    found: dict[int, list[_Detection]] = {number: [] for number in sizes}
    for place, value in enumerate(listed):
        detection = _Detection(value, f"detections[{place}]", sizes, n_classes=n_classes, masks=masks)
        if detection.shown:
            found[detection.image].append(detection)
    if masks:
        _check_runs([each for group in found.values() for each in group])
    return {number: _instances(found[number], size, masks=masks) for number, size in sizes.items()}


def read_maps(path: Path, sizes: Sizes, *, n_classes: int) -> dict[int, NDArray[np.int32]]:
    """int32 (H, W) class ids of every picture, from ``ID.png`` in the folder that the answer names."""
    named = _answer(path, "maps")
    if not isinstance(named, str) or not named:
        raise _wrong("maps: expected the name of a folder", named)
    folder = _inside(path.parent, named)
    wanted = {f"{number}.png" for number in sizes}
    there = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    for problem, names in (("a map of every picture", wanted - there), ("no other files", there - wanted)):
        if names:
            raise _wrong(f"maps: expected {problem} in {named!r}; {len(names)} differ", min(names))
    return {number: _map(folder / f"{number}.png", size, n_classes) for number, size in sizes.items()}


def _answer(path: Path, key: str) -> object:
    """What stands under the one key that an answer has beside ``schema``."""
    text = _bytes(path)
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"{path.name}: expected JSON", str(error) or "deep nesting") from error
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise _wrong(f"{path.name}: expected an object with schema {SCHEMA!r}", values)
    if set(values) != {"schema", key}:
        raise _wrong(f"{path.name}: expected the keys schema and {key}", sorted(values))
    return values[key]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name}, which is no number")


def _bytes(path: Path) -> bytes:
    """A plain file that is not too large; links are not followed."""
    try:
        about = path.lstat()
        if stat.S_ISREG(about.st_mode) and about.st_size <= MOST_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise _wrong(f"{path.name}: expected this file", error.strerror) from error
    kind = f"{about.st_size} bytes" if stat.S_ISREG(about.st_mode) else "a link or something else"
    raise _wrong(f"{path.name}: expected a plain file of at most {MOST_BYTES} bytes", kind)


def _inside(folder: Path, named: str) -> Path:
    """A folder below ``folder``, no part of which is a link."""
    parts = PurePosixPath(named)
    if parts.is_absolute() or ".." in parts.parts or "\0" in named or not parts.parts:
        raise _wrong("maps: expected a folder inside the training's own", named)
    for part in parts.parts:
        folder = folder / part
        if folder.is_symlink():
            raise _wrong("maps: expected folders, no links", named)
    return folder


def _map(path: Path, size: tuple[int, int], n_classes: int) -> NDArray[np.int32]:
    try:
        values = read_mask(_bytes(path))
    except Unusable as error:
        raise _wrong(f"{path.name}: expected class ids as a grey or palette PNG", str(error)) from error
    if values.shape != size:
        raise _wrong(f"{path.name}: expected {size[1]} x {size[0]} pixels", " x ".join(map(str, values.shape[::-1])))
    if values.min() < 0 or values.max() >= n_classes:
        raise _wrong(f"{path.name}: expected class ids 0…{n_classes - 1}", f"{values.min()}…{values.max()}")
    return values.astype(np.int32)


class _Detection:
    """One entry, checked; ``shown`` is false where nothing of its box is inside the picture."""

    def __init__(self, value: object, where: str, sizes: Sizes, *, n_classes: int, masks: bool) -> None:
        wanted = _DETECTION | {"rle"} if masks else _DETECTION
        if not isinstance(value, dict) or not wanted <= set(value) <= _DETECTION | {"rle"}:
            raise _wrong(
                f"{where}: expected {', '.join(sorted(wanted))}", list(value) if isinstance(value, dict) else value
            )
        self.where = where
        self.image = _whole(value["image_id"], f"{where}.image_id")
        if self.image not in sizes:
            raise _wrong(f"{where}.image_id: expected the id of a validation or test picture", self.image)
        self.class_id = _whole(value["class"], f"{where}.class")
        if not 0 <= self.class_id < n_classes:
            raise _wrong(f"{where}.class: expected 0…{n_classes - 1}", self.class_id)
        self.score = _number(value["score"], f"{where}.score")
        if not 0 <= self.score <= 1:
            raise _wrong(f"{where}.score: expected a number in [0, 1]", self.score)
        self.size = sizes[self.image]
        self.box = _box(value["box"], f"{where}.box", self.size)
        self.shown = bool((self.box[2:] > self.box[:2]).all())
        self.rle = _rle(value["rle"], f"{where}.rle", self.size) if masks else None


def _box(value: object, where: str, size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (4,) xyxy cut at the border."""
    if not isinstance(value, list) or len(value) != 4:
        raise _wrong(f"{where}: expected x1, y1, x2, y2", value)
    x1, y1, x2, y2 = (_number(each, where) for each in value)
    if x1 > x2 or y1 > y2:
        raise _wrong(f"{where}: expected x1 ≤ x2 and y1 ≤ y2 (corners, not width and height)", value)
    height, width = size
    if x2 < 0 or y2 < 0 or x1 > width or y1 > height:
        raise _wrong(f"{where}: expected pixels of the picture, which has {width} x {height}", value)
    corners = np.array([x1, y1, x2, y2], dtype=np.float64)
    return np.clip(corners, 0, [width, height, width, height]).astype(np.float32)


def _rle(value: object, where: str, size: tuple[int, int]) -> Rle:
    """COCO's run lengths, packed or plain, not yet known to cover the picture."""
    if not isinstance(value, dict) or set(value) != {"size", "counts"} or value["size"] != list(size):
        raise _wrong(f"{where}: expected size [{size[0]}, {size[1]}] (height, width) and counts", value)
    counts = value["counts"]
    if isinstance(counts, list):
        if any(isinstance(run, bool) or not isinstance(run, int) or run < 0 for run in counts) or (
            sum(counts) != size[0] * size[1]
        ):
            raise _wrong(f"{where}: expected run lengths that cover the picture", counts)
        return Rle.of_runs(*size, counts)
    if not isinstance(counts, str) or not counts.isascii():
        raise _wrong(f"{where}: expected run lengths as COCO writes them", counts)
    return Rle(*size, counts.encode())


def _check_runs(detections: Sequence[_Detection]) -> None:
    """Packed run lengths that do not cover their picture would make pycocotools write past it."""
    totals = covered([each.rle.counts for each in detections if each.rle is not None])
    for each, total in zip(detections, totals.tolist(), strict=True):
        if total != each.size[0] * each.size[1]:
            raise _wrong(f"{each.where}.rle: expected run lengths that cover the picture", f"{total} pixels")


def _instances(found: Sequence[_Detection], size: tuple[int, int], *, masks: bool) -> Instances:
    ordered = sorted(found, key=lambda each: -each.score)
    return Instances(
        size,
        np.array([each.class_id for each in ordered], dtype=np.int64),
        np.array([each.box for each in ordered], dtype=np.float32).reshape(-1, 4),
        tuple(each.rle for each in ordered) if masks else None,
        confidences=np.array([each.score for each in ordered], dtype=np.float32),
    )


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(f"{where}: expected a whole number", value)
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, float) and math.isfinite(value):
        return value
    # Whole numbers have no limit in JSON; no pixel is as far out as 2⁶³.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return float(value)
    raise _wrong(f"{where}: expected a finite number", value)


def _wrong(expected: str, got: object) -> UsageError:
    text = repr(got)
    return UsageError(f"{expected}; got {text if len(text) <= 80 else text[:80] + '…'}")
