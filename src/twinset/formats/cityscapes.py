"""Cityscapes: ``leftImg8bit/<split>/<city>/x_leftImg8bit.png`` and what ``gtFine`` (or ``gtCoarse``) says of x.

Read as semantic maps of the 19 classes that are evaluated; all others are ignored. Of several files of one picture the
first is taken: ``labelIds``, ``instanceIds``, ``labelTrainIds`` (19 and 255 mean none), ``polygons`` (JSON, the later
ones on top). Not written: ``masks`` holds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import SemanticMap
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.formats.maskfiles import read_mask
from twinset.formats.pairs import Walked, split_of, walk
from twinset.formats.shapes import Said, candidate, number_in, picture_size
from twinset.formats.sidecars import Extras, parse_json
from twinset.semantic import IGNORE

CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
"""The evaluated classes, by their ``trainId``."""

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The ``id`` of each of them."""

MOST_LABEL_IDS = 34
NO_TRAIN_IDS = (19, 255)
INSTANCES_EACH = 1000
KINDS = ("labelIds.png", "instanceIds.png", "labelTrainIds.png", "polygons.json")
TRUTHS = ("gtFine", "gtCoarse")
PICTURES = "leftImg8bit"
MAX_JSON_BYTES = 64 << 20


def claims(folder: Folder) -> bool:
    """Whether a folder holds ``leftImg8bit`` and ``gtFine`` or ``gtCoarse``."""
    names = folder.names()
    return PICTURES in names and any(name in names for name in TRUTHS)


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of Cityscapes with their semantic maps."""
    findings = Findings()
    walked = walk(folder, findings)
    return Listing("cityscapes", _entries(folder, walked, findings), findings, folder, name, CLASSES)


def _entries(folder: Folder, walked: Walked, findings: Findings) -> Iterator[Candidate | BadFile]:
    pictures = [path for path in walked.pictures if PurePosixPath(path).parts[0] == PICTURES]
    used = set(pictures)
    yield from walked.bad
    for path in pictures:
        truth = _truth(path, walked)
        if truth is None:
            expected = str(_wanted(path, TRUTHS[0], KINDS[0]))
            yield BadFile(visible(path), f"expected {visible(expected)} or the like; got none")
            continue
        used.add(truth)
        found = candidate(Said(path, truth, split_of(path)), Extras(), None)
        yield replace(found, semantic=_MapOf(folder, truth))
    findings.ignored["other"] += len(walked.known - used)


def _truth(path: str, walked: Walked) -> str | None:
    wanted = (_wanted(path, truth, kind) for truth in TRUTHS for kind in KINDS)
    return next((str(place) for place in wanted if str(place) in walked.known), None)


def _wanted(path: str, truth: str, kind: str) -> PurePosixPath:
    place = PurePosixPath(truth, *PurePosixPath(path).parts[1:])
    return place.with_name(f"{place.stem.removesuffix(f'_{PICTURES}')}_{truth}_{kind}")


@dataclass(frozen=True)
class _MapOf:
    """Gives the semantic map of one picture when it is opened."""

    folder: Folder
    path: str

    def __call__(self, size: tuple[int, int]) -> SemanticMap:
        """For a picture of this (height, width); :class:`Unusable` if the file does not fit or means nothing."""
        try:
            return SemanticMap.of(self._class_ids(size))
        except Unusable as error:
            raise Unusable(f"{visible(self.path)}: {error}") from error

    def _class_ids(self, size: tuple[int, int]) -> NDArray[np.int64]:
        if self.path.endswith(KINDS[3]):
            return drawn(parse_json(self.folder.read(self.path, limit=MAX_JSON_BYTES), "polygons"), size)
        values = read_mask(self.folder.read(self.path))
        if values.shape != size:
            raise Unusable(f"expected a map of {size[1]} x {size[0]}; got {values.shape[1]} x {values.shape[0]}")
        if self.path.endswith(KINDS[2]):
            return from_train_ids(values)
        if self.path.endswith(KINDS[1]):
            values = np.where(values < INSTANCES_EACH, values, values // INSTANCES_EACH)
        return from_label_ids(values)


def from_label_ids(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class ids (H, W) of label ids, −1 for labels that are not evaluated; :class:`Unusable` for other values."""
    if values.max(initial=0) >= MOST_LABEL_IDS and (values[values >= MOST_LABEL_IDS] != 255).any():
        raise Unusable(f"expected label ids below {MOST_LABEL_IDS}; got {values[values != 255].max()}")
    table = np.full(256, IGNORE, dtype=np.int64)
    table[list(LABEL_IDS)] = np.arange(len(CLASSES))
    return table[values]


def from_train_ids(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class ids (H, W) of train ids; :class:`Unusable` for values that are none."""
    none = np.isin(values, NO_TRAIN_IDS)
    if (values[~none] >= len(CLASSES)).any():
        raise Unusable(f"expected train ids 0…{len(CLASSES) - 1}, 19 or 255; got {values[~none].max()}")
    return np.where(none, IGNORE, values)


def drawn(value: object, size: tuple[int, int]) -> NDArray[np.int64]:
    """Class ids (H, W) of polygons, painted in their order; groups (``cargroup``) count as their class."""
    from PIL import Image, ImageDraw

    objects = value.get("objects") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(objects, list):
        raise Unusable("expected an object with a list of objects; got another")
    if picture_size(value.get("imgHeight"), value.get("imgWidth")) != size:
        raise Unusable(f"expected polygons of a picture of {size[1]} x {size[0]}; got others")
    canvas = Image.new("L", (size[1], size[0]), 255)
    brush = ImageDraw.Draw(canvas)
    for one in objects:
        label, points = (one.get("label"), one.get("polygon")) if isinstance(one, dict) else (None, None)
        if not isinstance(label, str) or not isinstance(points, list) or not all(_is_pair(point) for point in points):
            raise Unusable("expected objects with a label and a polygon; got others")
        name = label if label in CLASSES else label.removesuffix("group")
        limit = 4.0 * max(size)
        corners = [tuple(min(max(number_in(v, "a point"), -limit), limit) for v in point) for point in points]
        if len(corners) > 2 and not one.get("deleted"):
            brush.polygon(corners, fill=CLASSES.index(name) if name in CLASSES else 255)
    ids = np.asarray(canvas, dtype=np.int64)
    return np.where(ids == 255, IGNORE, ids)


def _is_pair(point: object) -> bool:
    return isinstance(point, list) and len(point) == 2
