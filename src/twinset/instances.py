"""The objects in one picture, as arrays that share one length K."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.masks import Mask, Polygons, Rle

AttributeValue = str | int | float | bool

Column = tuple[AttributeValue | None, ...]
"""One value an object, None where it has none."""

VISIBLE = "visible_fraction"
"""The column that says how much of an object is seen."""

OBJECT = pa.struct(
    [
        pa.field("class_id", pa.int32(), nullable=False),
        *(pa.field(name, pa.float32(), nullable=False) for name in ("x1", "y1", "x2", "y2")),
        pa.field("rle", pa.binary()),
        pa.field("polygons", pa.list_(pa.list_(pa.float32()))),
        pa.field("area", pa.float32()),
        pa.field("crowd", pa.bool_(), nullable=False),
        pa.field("difficult", pa.bool_(), nullable=False),
        pa.field("truncated", pa.bool_(), nullable=False),
        pa.field("confidence", pa.float32()),
        pa.field("amodal_box", pa.list_(pa.float32())),
        pa.field("amodal_rle", pa.binary()),
        pa.field("keypoints", pa.list_(pa.float32())),
        pa.field("attributes", pa.string()),
        pa.field("pose", pa.list_(pa.float64())),
    ]
)
"""One object in a table; boxes in pixels, xyxy, half-open; ``pose`` is the upper three rows of the matrix."""

INSTANCES = pa.struct(
    [
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("objects", pa.list_(pa.field("item", OBJECT, nullable=False)), nullable=False),
        pa.field("keypoint_names", pa.list_(pa.string())),
    ]
)
"""All objects of a picture, with the picture's size; an empty list means that there is nothing in it."""


@dataclass(frozen=True, eq=False)
class Instances:
    """Objects of a picture of ``size`` (height, width). All arrays have one length K, which may be 0.

    ``class_ids`` int64 (K,); ``boxes`` float32 (K, 4), visible, xyxy in pixels, half-open, inside the picture and not
    empty. ``masks`` are the visible pixels, None where unknown; ``amodal_boxes`` (K, 4) and ``amodal_masks`` show what
    would be seen if nothing lay in front (boxes may leave the picture). ``areas`` (K,) are pixels as a source states
    them, NaN where it does not. ``confidences`` (K,) are 0…1. ``crowd``, ``difficult`` and ``truncated`` are bool
    (K,). ``keypoints`` float32 (K, P, 3): x, y, visibility as COCO counts it, ``keypoint_names`` (P,) what they are
    called. ``poses`` float64 (K, 4, 4) map each object's own frame to the camera's, in metres: turn, shift and one
    scale; all NaN where unknown. ``columns`` hold what else is known; ``visible_fraction`` (0…1) and ``shape_id``
    (text) mean the same everywhere, see :attr:`visible_fractions` and :attr:`shape_ids`.
    """

    size: tuple[int, int]
    class_ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    masks: tuple[Mask | None, ...] | None = None
    areas: NDArray[np.float32] | None = None
    crowd: NDArray[np.bool_] | None = None
    difficult: NDArray[np.bool_] | None = None
    truncated: NDArray[np.bool_] | None = None
    confidences: NDArray[np.float32] | None = None
    amodal_boxes: NDArray[np.float32] | None = None
    amodal_masks: tuple[Rle | None, ...] | None = None
    keypoints: NDArray[np.float32] | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    poses: NDArray[np.float64] | None = None
    keypoint_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        k = len(self.class_ids)

        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("class_ids", np.asarray(self.class_ids, dtype=np.int64).reshape(k))
        put("boxes", np.asarray(self.boxes, dtype=np.float32).reshape(-1, 4))
        for name in ("crowd", "difficult", "truncated"):
            if getattr(self, name) is not None:
                flags = np.asarray(getattr(self, name), dtype=np.bool_)
                put(name, flags if flags.any() or flags.shape != (k,) else None)
        put("columns", MappingProxyType({key: tuple(values) for key, values in self.columns.items()}))
        if self.poses is not None:
            poses = np.array(self.poses, dtype=np.float64).reshape(-1, 4, 4)
            poses.setflags(write=False)
            put("poses", poses if np.isfinite(poses).any() or len(poses) != k else None)
        if not k:
            put("keypoint_names", None)
        elif self.keypoint_names is not None:
            put("keypoint_names", tuple(self.keypoint_names))
        self._check_lengths(k)
        for pose in () if self.poses is None else self.poses:
            check_pose(pose)
        check_typed(self.columns)
        _check_boxes(self.boxes, self.size)
        if k and self.class_ids.min() < 0:
            raise ValueError(f"expected class ids ≥ 0; got {self.class_ids.min()}")
        for mask in (*(self.masks or ()), *(self.amodal_masks or ())):
            if mask is not None and (mask.height, mask.width) != self.size:
                raise ValueError(f"expected masks of {self.size}; got one of {(mask.height, mask.width)}")

    def _check_lengths(self, k: int) -> None:
        shapes: dict[str, tuple[int, ...]] = {"boxes": (k, 4), "amodal_boxes": (k, 4), "poses": (k, 4, 4)}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in ("size", "columns", "keypoints", "keypoint_names") or value is None:
                continue
            shape: tuple[int, ...] = value.shape if isinstance(value, np.ndarray) else (len(value),)
            if shape != shapes.get(item.name, (k,)):
                raise ValueError(f"expected {item.name} {shapes.get(item.name, (k,))}; got {shape}")
        if self.keypoints is not None and (self.keypoints.ndim != 3 or self.keypoints.shape[::2] != (k, 3)):
            raise ValueError(f"expected keypoints ({k}, P, 3); got {self.keypoints.shape}")
        if (names := self.keypoint_names) is not None:
            count = 0 if self.keypoints is None else self.keypoints.shape[1]
            if len(names) != count or len(set(names)) != count:
                raise ValueError(f"expected {count} distinct names of keypoints; got {names}")
        for name, values in self.columns.items():
            if len(values) != k:
                raise ValueError(f"expected {k} values in column {name!r}; got {len(values)}")

    def __len__(self) -> int:
        return len(self.class_ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instances) and to_value(self) == to_value(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        masked = ", with masks" if self.masks and any(self.masks) else ""
        return f"Instances({len(self)} in {self.size[1]} x {self.size[0]}{masked})"

    def __reduce__(self) -> tuple[object, ...]:
        return (from_value, (to_value(self),))

    @staticmethod
    def none(size: tuple[int, int]) -> Instances:
        """Nothing in a picture of this (height, width)."""
        return Instances(size, np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.float32))

    def take(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Instances:
        """The objects at these rows (or where a bool (K,) is true), in this order."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.int64)
        values: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value = value[index]
            elif isinstance(value, tuple) and item.name not in ("size", "keypoint_names"):
                value = tuple(value[i] for i in index)
            values[item.name] = value
        values["columns"] = {key: tuple(column[i] for i in index) for key, column in self.columns.items()}
        return Instances(**values)  # type: ignore[arg-type]

    @property
    def has_masks(self) -> bool:
        """Whether every object has its visible mask, and there is at least one."""
        return bool(len(self)) and self.masks is not None and all(mask is not None for mask in self.masks)

    @property
    def is_crowd(self) -> NDArray[np.bool_]:
        """bool (K,), false where nothing is said."""
        return np.zeros(len(self), dtype=np.bool_) if self.crowd is None else self.crowd

    @property
    def is_difficult(self) -> NDArray[np.bool_]:
        """bool (K,), false where nothing is said."""
        return np.zeros(len(self), dtype=np.bool_) if self.difficult is None else self.difficult

    @property
    def is_truncated(self) -> NDArray[np.bool_]:
        """bool (K,), false where nothing is said."""
        return np.zeros(len(self), dtype=np.bool_) if self.truncated is None else self.truncated

    @property
    def visible_fractions(self) -> NDArray[np.float64]:
        """(K,) the share of each object inside the picture that nothing hides, NaN where nothing is said."""
        values = self.columns.get(VISIBLE, (None,) * len(self))
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)

    @property
    def shape_ids(self) -> Column:
        """(K,) the name of each object's shape, None where nothing is said."""
        return self.columns.get("shape_id", (None,) * len(self))

    @property
    def box_areas(self) -> NDArray[np.float32]:
        """(K,) width times height of the visible boxes, in pixels."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(sides[:, 0] * sides[:, 1])

    def dense_masks(self) -> NDArray[np.bool_]:
        """bool (K, H, W); ``ValueError`` if an object has no mask."""
        if not len(self):
            return np.zeros((0, *self.size), dtype=np.bool_)
        masks = [mask for mask in self.masks or () if mask is not None]
        if len(masks) != len(self):
            raise ValueError(f"expected a mask for each of {len(self)} objects; got {len(masks)}")
        return np.stack([mask.dense() for mask in masks])


def _check_boxes(boxes: NDArray[np.float32], size: tuple[int, int]) -> None:
    if not len(boxes):
        return
    height, width = size
    sound = np.isfinite(boxes).all() and (boxes[:, :2] < boxes[:, 2:]).all()
    if not sound or boxes.min() < 0 or (boxes[:, 2] > width).any() or (boxes[:, 3] > height).any():
        raise ValueError(f"expected boxes xyxy with x1 < x2, y1 < y2 inside {width} x {height}; got others")


def check_pose(pose: NDArray[np.float64]) -> None:
    """``ValueError`` unless this (4, 4) turns, shifts and scales evenly, without mirroring, or is all NaN."""
    if np.isnan(pose).all():
        return
    with np.errstate(invalid="ignore", over="ignore"):
        square = pose[:3, :3] @ pose[:3, :3].T
        scale = float(np.trace(square) / 3)
        even = 0 < scale < np.inf and np.allclose(square, scale * np.eye(3), rtol=0, atol=1e-5 * scale)
        mirrors = even and float(np.linalg.det(pose[:3, :3])) < 0
    if not np.isfinite(pose).all() or not np.array_equal(pose[3], (0, 0, 0, 1)) or not even or mirrors:
        raise ValueError(f"expected a pose that turns, shifts and scales evenly; got {pose.tolist()}")


def check_typed(columns: Mapping[str, Column]) -> None:
    """``ValueError`` unless the columns that mean the same everywhere hold what they should."""
    for value in columns.get(VISIBLE, ()):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and 0 <= float(value) <= 1):
            raise ValueError(f"expected visible_fraction in 0…1; got {value!r}")
    for value in columns.get("shape_id", ()):
        if value is not None and not isinstance(value, str):
            raise ValueError(f"expected shape_id as text; got {value!r}")


def canonical(value: Mapping[str, object]) -> dict[str, object]:
    """A value of :data:`INSTANCES` for digests: fields added later count only where they say something."""
    objects: list[dict[str, object]] = list(value["objects"])  # type: ignore[call-overload]
    kept = [{key: one for key, one in item.items() if key != "pose" or one is not None} for item in objects]
    rest = {key: one for key, one in value.items() if key != "keypoint_names" or one is not None}
    return rest | {"objects": kept}


def to_value(instances: Instances) -> dict[str, object]:
    """One value of :data:`INSTANCES`, in plain types."""
    k = len(instances)
    boxes = instances.boxes.tolist()
    flags = [instances.is_crowd.tolist(), instances.is_difficult.tolist(), instances.is_truncated.tolist()]
    masks, amodal = instances.masks or (None,) * k, instances.amodal_masks or (None,) * k
    areas = _or_none(instances.areas, k)
    confidences = _or_none(instances.confidences, k)
    amodal_boxes = [None] * k if instances.amodal_boxes is None else instances.amodal_boxes.tolist()
    points = instances.keypoints
    keypoints = [None] * k if points is None else points.reshape(k, 3 * points.shape[1]).tolist()
    poses = [None] * k if instances.poses is None else [_pose_value(pose) for pose in instances.poses]
    objects = []
    for i, class_id in enumerate(instances.class_ids.tolist()):
        mask, whole = masks[i], amodal[i]
        attributes = {key: column[i] for key, column in instances.columns.items() if column[i] is not None}
        objects.append(
            {
                "class_id": class_id,
                **dict(zip(("x1", "y1", "x2", "y2"), boxes[i], strict=True)),
                "rle": mask.counts if isinstance(mask, Rle) else None,
                "polygons": _float32(mask.rings) if isinstance(mask, Polygons) else None,
                "area": areas[i],
                "crowd": flags[0][i],
                "difficult": flags[1][i],
                "truncated": flags[2][i],
                "confidence": confidences[i],
                "amodal_box": amodal_boxes[i],
                "amodal_rle": whole.counts if whole is not None else None,
                "keypoints": keypoints[i],
                "attributes": json.dumps(attributes, sort_keys=True) if attributes else None,
                "pose": poses[i],
            }
        )
    names = None if instances.keypoint_names is None else list(instances.keypoint_names)
    return {"height": instances.size[0], "width": instances.size[1], "objects": objects, "keypoint_names": names}


def _pose_value(pose: NDArray[np.float64]) -> list[float] | None:
    return None if np.isnan(pose).any() else pose[:3].ravel().tolist()


def pose_of(numbers: object) -> NDArray[np.float64]:
    """(4, 4) of the twelve numbers of its upper rows; all NaN for None."""
    pose = np.full((4, 4), np.nan)
    if numbers is not None:
        pose[:3], pose[3] = np.reshape(np.asarray(numbers, dtype=np.float64), (3, 4)), (0, 0, 0, 1)
    return pose


def from_value(value: Mapping[str, object]) -> Instances:
    """The instances that one value of :data:`INSTANCES` describes."""
    size = (int(value["height"]), int(value["width"]))  # type: ignore[call-overload]
    objects: list[dict[str, object]] = list(value["objects"])  # type: ignore[call-overload]
    if not objects:
        return Instances.none(size)

    def each(name: str) -> list[object]:
        return [item[name] for item in objects]

    def some(name: str) -> list[object] | None:
        values = each(name)
        return None if all(v is None for v in values) else values

    poses = [item.get("pose") for item in objects]
    keypoint_names = value.get("keypoint_names")
    areas, confidences = some("area"), some("confidence")
    amodal_boxes, keypoints = some("amodal_box"), some("keypoints")
    masks = tuple(_mask(item, size) for item in objects)
    whole = tuple(None if counts is None else Rle(*size, counts) for counts in each("amodal_rle"))  # type: ignore[arg-type]
    rows = [json.loads(str(text)) if text is not None else {} for text in each("attributes")]
    names = dict.fromkeys(name for row in rows for name in row)
    return Instances(
        size,
        np.array(each("class_id"), dtype=np.int64),
        np.array([[item[name] for name in ("x1", "y1", "x2", "y2")] for item in objects], dtype=np.float32),
        masks if any(mask is not None for mask in masks) else None,
        areas=None if areas is None else _with_nan(areas),
        crowd=np.array(each("crowd"), dtype=np.bool_),
        difficult=np.array(each("difficult"), dtype=np.bool_),
        truncated=np.array(each("truncated"), dtype=np.bool_),
        confidences=None if confidences is None else _with_nan(confidences),
        amodal_boxes=None if amodal_boxes is None else _or_visible(amodal_boxes, objects),
        amodal_masks=whole if any(mask is not None for mask in whole) else None,
        keypoints=None if keypoints is None else np.array(keypoints, dtype=np.float32).reshape(len(objects), -1, 3),
        columns={name: tuple(row.get(name) for row in rows) for name in names},
        poses=None if all(pose is None for pose in poses) else np.stack([pose_of(pose) for pose in poses]),
        keypoint_names=None if keypoint_names is None else tuple(keypoint_names),  # type: ignore[arg-type]
    )


def _or_visible(amodal: Sequence[object], objects: Sequence[Mapping[str, object]]) -> NDArray[np.float32]:
    """(K, 4) amodal boxes; the visible box of an object of which none is stated."""
    corners = ([item[name] for name in ("x1", "y1", "x2", "y2")] for item in objects)
    return np.array([seen if box is None else box for box, seen in zip(amodal, corners, strict=True)], dtype=np.float32)


def _mask(item: Mapping[str, object], size: tuple[int, int]) -> Mask | None:
    if item["rle"] is not None:
        return Rle(*size, item["rle"])  # type: ignore[arg-type]
    if item["polygons"] is not None:
        return Polygons(*size, tuple(tuple(ring) for ring in item["polygons"]))  # type: ignore[attr-defined]
    return None


def _float32(rings: Sequence[Sequence[float]]) -> list[list[float]]:
    return [np.asarray(ring, dtype=np.float32).tolist() for ring in rings]


def _or_none(values: NDArray[np.float32] | None, k: int) -> list[float | None]:
    if values is None:
        return [None] * k
    return [None if np.isnan(v) else v for v in np.asarray(values, dtype=np.float32).tolist()]


def _with_nan(values: Sequence[object]) -> NDArray[np.float32]:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float32)
