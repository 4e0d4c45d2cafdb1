"""Writing LabelMe: pictures in ``images/[split/]``, each with its JSON file beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from twinset.annotations import Instances
from twinset.dataset import Dataset
from twinset.formats.losses import boxes_beside_masks, said
from twinset.formats.pairs import SPLIT_FOLDERS
from twinset.formats.shapes import FLAGS
from twinset.formats.sidecars import CLASSES_FILE, PROVENANCE_FILE, ClassList, provenance_lines
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.images import encode_png
from twinset.masks import Mask, Polygons

VERSION = "5.5.0"
HELD = ("objects", "masks", "crowd flags", "difficult flags", "truncated flags", "confidences", "object attributes")


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """A picture and a JSON file for every sample; the number of pictures.

    Samples of whose objects nothing is said get no JSON file. Of an object the keys ``attributes`` and ``score`` are
    ours: LabelMe keeps them.
    """
    names, rows = FileNames(), []
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        parent = "/".join(filter(None, ("images", SPLIT_FOLDERS[split])))
        path = names.free(parent, sample.id, suffix)
        target.add(path, data)
        rows.append((path, sample))
        instances = sample.annotation.instances if sample.annotation is not None else None
        if instances is not None:
            text = json.dumps(_document(PurePosixPath(path).name, instances, dataset.classes), ensure_ascii=False)
            target.add(f"{path[: -len(suffix)]}.json", f"{text}\n".encode())
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _document(name: str, instances: Instances, classes: Sequence[str]) -> dict[str, object]:
    height, width = instances.size
    return {
        "version": VERSION,
        "flags": {},
        "shapes": list(_shapes(instances, classes)),
        "imagePath": name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shapes(instances: Instances, classes: Sequence[str]) -> Iterator[dict[str, object]]:
    masks = instances.masks or (None,) * len(instances)
    flags = {name: getattr(instances, f"is_{name}") for name in FLAGS}
    for row, class_id in enumerate(instances.class_ids.tolist()):
        places = list(_places(masks[row], instances.boxes[row].tolist()))
        shared: dict[str, object] = {
            "label": classes[class_id],
            "group_id": row if len(places) > 1 else None,
            "description": "",
            "flags": {name: True for name, column in flags.items() if column[row]},
        }
        values = {name: column[row] for name, column in instances.columns.items() if column[row] is not None}
        if values:
            shared["attributes"] = values
        if instances.confidences is not None and not np.isnan(instances.confidences[row]):
            shared["score"] = float(instances.confidences[row])
        for place in places:
            yield {**shared, **place}


def _places(mask: Mask | None, box: list[float]) -> Iterator[dict[str, object]]:
    """The shapes of one object: a polygon for each outline, a mask, or a rectangle."""
    if isinstance(mask, Polygons):
        for ring in mask.rings:
            yield {"shape_type": "polygon", "points": np.reshape(ring, (-1, 2)).tolist(), "mask": None}
        return
    x1, y1, x2, y2 = map(int, mask.box()) if mask is not None else (0, 0, 0, 0)
    if mask is None or x2 <= x1:
        yield {"shape_type": "rectangle", "points": [box[:2], box[2:]], "mask": None}
        return
    crop = mask.dense()[y1:y2, x1:x2]
    text = base64.b64encode(encode_png(crop.astype(np.uint8)[..., None] * 255)).decode("ascii")
    yield {"shape_type": "mask", "points": [[x1, y1], [x2 - 1, y2 - 1]], "mask": text}


def losses(dataset: Dataset) -> dict[str, int]:
    """What LabelMe cannot hold, counted. An object with a mask has no box of its own."""
    return said(dataset, held=HELD) | boxes_beside_masks(dataset)
