"""Writing Pascal VOC: XML files with float coordinates, lists of the splits, and palette masks."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Instances
from twinset.dataset import Dataset
from twinset.formats.losses import instances_of, masks_in, said
from twinset.formats.maskfiles import VOID, encode_ids, palette
from twinset.formats.pairs import SPLIT_FOLDERS
from twinset.formats.sidecars import CLASSES_FILE, PROVENANCE_FILE, ClassList, provenance_lines
from twinset.formats.voc_xml import record_xml
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.semantic import IGNORE

MOST_OBJECTS = VOID - 1
LISTS: Mapping[str | None, str] = {**SPLIT_FOLDERS, None: "trainval"}


@dataclass
class _Lists:
    main: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    segmentation: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``Annotations``, ``JPEGImages`` and ``ImageSets`` for every sample, and masks; the number of pictures.

    Samples of whose objects nothing is said get no XML file. Without splits the only list is ``trainval``.
    """
    names, lists, rows = FileNames(), _Lists(), []
    masked = _has_room(dataset)
    semantic = masked and dataset.table.column("semantic").null_count < len(dataset)
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        path = names.free("JPEGImages", sample.id, suffix)
        stem = PurePosixPath(path).name.removesuffix(suffix)
        target.add(path, data)
        rows.append((path, sample))
        lists.main[LISTS[split]].append(stem)
        annotation = sample.annotation
        instances = annotation.instances if annotation is not None else None
        if instances is not None:
            xml = record_xml(stem + suffix, instances, dataset.classes, channels=_channels(data))
            target.add(f"Annotations/{stem}.xml", xml.encode())
        given = annotation.semantic.dense() if semantic and annotation is not None and annotation.semantic else None
        if masked and _write_masks(target, stem, instances, given, derived=not semantic):
            lists.segmentation[LISTS[split]].append(stem)
    _write_tables(dataset, target, lists, derived=not semantic)
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _has_room(dataset: Dataset) -> bool:
    """Whether class masks can hold all classes, background and 255."""
    return len(dataset.classes) < VOID


def _write_masks(
    target: Target, stem: str, instances: Instances | None, semantic: NDArray[np.int32] | None, *, derived: bool
) -> bool:
    """Object and class masks of a picture; whether there are any. ``derived`` class masks are made of the objects'."""
    objects = _object_ids(instances) if instances is not None and instances.masks is not None else None
    if objects is not None and instances is not None:
        target.add(f"SegmentationObject/{stem}.png", encode_ids(objects))
        if derived:
            values = np.concatenate([[0], instances.class_ids + 1])
            target.add(f"SegmentationClass/{stem}.png", encode_ids(values[objects]))
    if semantic is not None:
        target.add(f"SegmentationClass/{stem}.png", encode_ids(np.where(semantic == IGNORE, VOID, semantic)))
    return objects is not None or semantic is not None


def _object_ids(instances: Instances) -> NDArray[np.int64]:
    """(H, W) the number of the object at each pixel, from 1; of several the last, of more than 254 the first."""
    ids = np.zeros(instances.size, dtype=np.int64)
    for number, mask in enumerate((instances.masks or ())[:MOST_OBJECTS], 1):
        if mask is not None:
            ids[mask.dense()] = number
    return ids


def _channels(data: bytes) -> int:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        return 1 if opened.mode in ("1", "L", "I", "I;16", "F") else 3


def _write_tables(dataset: Dataset, target: Target, lists: _Lists, *, derived: bool) -> None:
    for folder, by_split in (("Main", lists.main), ("Segmentation", lists.segmentation)):
        for split, stems in by_split.items():
            target.add(f"ImageSets/{folder}/{split}.txt", "".join(f"{stem}\n" for stem in stems).encode())
    if lists.segmentation:
        names = [*(["background"] if derived else []), *dataset.classes]
        colours = palette()
        lines = [f"{name}:{','.join(map(str, colours[at].tolist()))}::" for at, name in enumerate(names)]
        target.add("labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines, ""]).encode())
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())


def losses(dataset: Dataset) -> dict[str, int]:
    """What VOC cannot hold, counted. Of masks that overlap, the later object has the pixels."""
    held = ["objects", "difficult flags", "truncated flags", "object attributes"]
    held += ["masks", "semantic maps"] if _has_room(dataset) else []
    found = said(dataset, held=held)
    silent = (
        dataset.table.column("instances").is_null().to_numpy() & dataset.table.column("semantic").is_null().to_numpy()
    )
    found["unlabelled images"] = int(silent.sum())
    found["pixels of masks under others"] = found["masks beyond 254 in an image"] = 0
    for instances in instances_of(dataset) if masks_in(dataset) and _has_room(dataset) else ():
        masks = [mask for mask in instances.masks or () if mask is not None]
        found["masks beyond 254 in an image"] += max(len(masks) - MOST_OBJECTS, 0)
        if len(masks) > 1:
            drawn = int(np.count_nonzero(_object_ids(instances)))
            found["pixels of masks under others"] += sum(mask.area for mask in masks[:MOST_OBJECTS]) - drawn
    return {what: count for what, count in found.items() if count}
