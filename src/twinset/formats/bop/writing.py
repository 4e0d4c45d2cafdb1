"""Writing BOP: scenes of a thousand pictures, with masks, depth, poses and cameras."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.annotations import Instances
from twinset.dataset import Dataset, Sample
from twinset.formats.bop import layout
from twinset.formats.embedded import to_json
from twinset.formats.losses import said
from twinset.formats.sidecars import CLASSES_FILE, PROVENANCE_FILE, ClassList, provenance_lines
from twinset.formats.writing import Encode, Target, picture
from twinset.images import encode_png
from twinset.masks import Mask

Json = dict[str, object]
HELD_BY_BOP = ("label", "rle", "polygons", "amodal_rle")
HELD = (
    *("objects", "masks", "crowd flags", "difficult flags", "truncated flags", "confidences", "stated areas"),
    *("amodal boxes", "amodal masks", "keypoints", "object attributes", "poses", "names of keypoints"),
    *("depth maps", "cameras"),
)

UNITS = (1.0, 0.001)
"""Metres that a unit of a model's file may have without a word about it."""


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``train``, ``val``, ``test`` (``train_unsplit`` without splits), in scenes ``000000`` …; the number of pictures.

    ``obj_id`` is the class, from 1. Models are not written: a dataset does not hold them.
    """
    groups: dict[str | None, list[int]] = {}
    for row, split in enumerate(dataset.splits):
        groups.setdefault(split, []).append(row)
    rows: list[tuple[str, Sample]] = []
    for split, members in groups.items():
        for scene, start in enumerate(range(0, len(members), layout.SCENE_IMAGES)):
            place = f"{layout.SPLITS[split]}/{scene:06d}"
            rows += _write_scene(dataset, members[start : start + layout.SCENE_IMAGES], place, target, encode)
    folders: dict[str, str | None] = {str(number): name for number, name in enumerate(dataset.classes, 1)}
    target.add(CLASSES_FILE, ClassList(dataset.classes, folders).to_json().encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _write_scene(
    dataset: Dataset, members: Sequence[int], place: str, target: Target, encode: Encode | None
) -> list[tuple[str, Sample]]:
    cameras, poses, facts = dict[str, Json](), dict[str, list[Json]](), dict[str, list[Json]]()
    rows = []
    for number, row in enumerate(members):
        sample, key = dataset[row], str(number)
        data, suffix = picture(sample, encode)
        path = f"{place}/{layout.PICTURES[sample.shape()[2] == 1]}/{number:06d}{suffix}"
        target.add(path, data)
        rows.append((path, sample))
        annotation = sample.annotation
        metres, scale = None, None
        if annotation is not None and annotation.depth_metres is not None:
            metres = annotation.depth_metres.dense()
            scale = layout.depth_scale(metres)
            target.add(f"{place}/{layout.DEPTH}/{number:06d}.png", _deep_png(layout.depth_steps(metres, scale)))
        cameras[key] = layout.camera_entry(None if annotation is None else annotation.camera, scale)
        if annotation is not None and (instances := annotation.instances) is not None:
            if instances.keypoint_names is not None:
                cameras[key][layout.OURS] = {"keypoint_names": list(instances.keypoint_names)}
            poses[key] = _entries(instances, dataset.classes)
            facts[key] = [_facts(instances, k, metres) for k in range(len(instances))]
            _write_masks(instances, f"{place}/{{}}/{number:06d}_{{:06d}}.png", target)
    for name, values in ((layout.CAMERAS, cameras), (layout.POSES, poses), (layout.FACTS, facts)):
        target.add(f"{place}/{name}", json.dumps(values, ensure_ascii=False).encode())
    return rows


def _entries(instances: Instances, classes: Sequence[str]) -> list[Json]:
    """One picture's objects in ``scene_gt.json``; what BOP has no field for stands under a key of ours."""
    objects: list[Json] = to_json(instances, classes)["objects"]  # type: ignore[assignment]
    found = []
    for k, item in enumerate(objects):
        entry: Json = {"obj_id": int(instances.class_ids[k]) + 1}
        ours = {key: value for key, value in item.items() if key not in (*HELD_BY_BOP, "pose")}
        if instances.poses is not None and np.isfinite(instances.poses[k]).all():
            entry["cam_R_m2c"], entry["cam_t_m2c"] = layout.pose_fields(instances.poses[k])
            scale = float(np.cbrt(np.linalg.det(instances.poses[k, :3, :3])))
            if abs(scale - 1) > 1e-9:
                ours["scale"] = scale
        found.append(entry | {layout.OURS: ours})
    return found


def _facts(instances: Instances, k: int, metres: NDArray[np.float32] | None) -> Json:
    """One object's entry of ``scene_gt_info.json``; pixels outside the picture are not counted.

    Pixels stand there only for objects with a mask.
    """
    seen, whole = _masks(instances, k)
    amodal = instances.boxes[k] if instances.amodal_boxes is None else instances.amodal_boxes[k]
    entry: Json = {"bbox_obj": layout.box_entry(amodal), "bbox_visib": layout.box_entry(instances.boxes[k])}
    if seen is not None and whole is not None:
        shown, all_ = seen.dense(), whole.dense() | seen.dense()
        entry["px_count_all"], entry["px_count_visib"] = int(all_.sum()), int(shown.sum())
        entry["px_count_valid"] = 0 if metres is None else int((all_ & np.isfinite(metres)).sum())
        entry["visib_fract"] = float(shown.sum() / max(int(all_.sum()), 1))
    return entry


def _masks(instances: Instances, k: int) -> tuple[Mask | None, Mask | None]:
    """What is seen of an object and the whole of it, as far as either is known."""
    seen = instances.masks[k] if instances.masks is not None else None
    whole = instances.amodal_masks[k] if instances.amodal_masks is not None else None
    return seen, seen if whole is None else whole


def _write_masks(instances: Instances, pattern: str, target: Target) -> None:
    for k in range(len(instances)):
        for name, mask in zip((layout.VISIBLE, layout.WHOLE), _masks(instances, k), strict=True):
            if mask is not None:
                target.add(pattern.format(name, k), encode_png(mask.dense().astype(np.uint8)[..., None] * 255))


def _deep_png(values: NDArray[np.uint16]) -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(values).save(sink, format="PNG")
    return sink.getvalue()


def losses(dataset: Dataset) -> dict[str, int]:
    """What BOP cannot hold, counted.

    Depth is there, but rounded to whole steps. Scales of poses are there, but under a key of ours, which other readers
    pass over; those of models in metres or millimetres are none.
    """
    found = said(dataset, held=HELD)
    found["depths between steps of 0.1 mm or more"] = len(dataset) - dataset.table.column("depth").null_count
    found["scales of poses, for other readers"] = int((~np.isclose(_scales(dataset)[:, None], UNITS)).all(1).sum())
    cut = np.count_nonzero(dataset.object_column("truncated"))
    found["what lies outside the picture, in visib_fract and px_count_all"] = int(cut)
    return {what: count for what, count in found.items() if count}


def _scales(dataset: Dataset) -> NDArray[np.float64]:
    """The scale of every known pose."""
    objects = pc.list_flatten(pc.struct_field(dataset.table.column("instances"), "objects"))
    rows = np.asarray(pc.list_flatten(pc.struct_field(objects, "pose")).to_numpy()).reshape(-1, 12)
    return np.asarray(np.linalg.norm(rows[:, :3], axis=1))
