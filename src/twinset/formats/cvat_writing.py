"""Writing CVAT 1.1 "for images": ``annotations.xml`` and the pictures in ``images/[subset/]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from twinset.annotations import Annotation, AttributeValue, Instances
from twinset.dataset import Dataset
from twinset.formats.folder import visible
from twinset.formats.losses import boxes_beside_masks, instances_of, said
from twinset.formats.pairs import SPLIT_FOLDERS
from twinset.formats.shapes import FLAGS
from twinset.formats.sidecars import CLASSES_FILE, PROVENANCE_FILE, ClassList, provenance_lines
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.images import decode
from twinset.masks import Mask, Polygons

FILE = "annotations.xml"
HELD = (
    *("objects", "masks", "crowd flags", "difficult flags", "truncated flags", "object attributes"),
    "image classes",
)
SUBSETS = {"train": "Train", "validation": "Validation", "test": "Test"}
KINDS = {bool: "checkbox", int: "number", float: "number"}


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """One file of all samples of which something is said, and every picture; the number of pictures."""
    names, rows, images = FileNames(), [], list[str]()
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        parent = "/".join(filter(None, ("images", SPLIT_FOLDERS[split])))
        path = names.free(parent, sample.id, suffix)
        target.add(path, data)
        rows.append((path, sample))
        annotation = sample.annotation
        if annotation is not None and (annotation.instances is not None or annotation.class_id is not None):
            size = decode(data).shape[:2] if annotation.instances is None else annotation.instances.size
            subset = f" subset={quoteattr(SUBSETS[split])}" if split is not None else ""
            name = quoteattr(path.removeprefix("images/"))
            head = f'<image id="{len(images)}" name={name}{subset} width="{size[1]}" height="{size[0]}">'
            images.append("\n  ".join([f"  {head}", *_inner(annotation, dataset.classes), "</image>"]))
    text = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>", *_meta(dataset)]
    target.add(FILE, "\n".join([*text, *images, "</annotations>", ""]).encode())
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _inner(annotation: Annotation, classes: Sequence[str]) -> Iterator[str]:
    if annotation.class_id is not None:
        yield f"  <tag label={_quoted(classes[annotation.class_id])}></tag>"
    if annotation.instances is not None:
        for line in _shapes(annotation.instances, classes):
            yield f"  {line}"


def _meta(dataset: Dataset) -> Iterator[str]:
    """The labels with the kinds of their attributes, as the types of values have them."""
    kinds: dict[tuple[int, str], set[str]] = {}
    for instances in instances_of(dataset):
        for row, class_id in enumerate(instances.class_ids.tolist()):
            for name, value in _values(instances, row).items():
                kinds.setdefault((class_id, name), set()).add(KINDS.get(type(value), "text"))
    yield "  <meta><task><mode>annotation</mode><labels>"
    for number, label in enumerate(dataset.classes):
        yield f"    <label><name>{_escaped(label)}</name><attributes>"
        for (class_id, name), found in kinds.items():
            if class_id == number:
                kind = found.pop() if len(found) == 1 else "text"
                yield f"      <attribute><name>{_escaped(name)}</name><input_type>{kind}</input_type></attribute>"
        yield "    </attributes></label>"
    yield "  </labels></task></meta>"


def _values(instances: Instances, row: int) -> dict[str, AttributeValue]:
    """Attributes of an object, flags among them."""
    found = {name: column[row] for name, column in instances.columns.items()}
    found |= {name: True for name in FLAGS if getattr(instances, f"is_{name}")[row]}
    return {name: value for name, value in found.items() if value is not None}


def _shapes(instances: Instances, classes: Sequence[str]) -> Iterator[str]:
    masks = instances.masks or (None,) * len(instances)
    for row, class_id in enumerate(instances.class_ids.tolist()):
        values = _values(instances, row)
        occluded = values.get("occluded") is True
        if occluded:
            del values["occluded"]
        places = list(_places(masks[row], instances.boxes[row]))
        group = f' group_id="{row + 1}"' if len(places) > 1 else ""
        for tag, place in places:
            head = f'<{tag} label={_quoted(classes[class_id])} occluded="{int(occluded)}" {place} z_order="0"{group}>'
            inner = (f"<attribute name={_quoted(name)}>{_text(value)}</attribute>" for name, value in values.items())
            yield f"{head}{''.join(inner)}</{tag}>"


def _places(mask: Mask | None, box: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Iterator[tuple[str, str]]:
    """The shapes of one object, each as its tag and where it is."""
    if isinstance(mask, Polygons):
        for ring in mask.rings:
            pairs = (f"{_decimal(x)},{_decimal(y)}" for x, y in np.reshape(ring, (-1, 2)))
            yield "polygon", f'points="{";".join(pairs)}"'
        return
    x1, y1, x2, y2 = map(int, mask.box()) if mask is not None else (0, 0, 0, 0)
    if mask is None or x2 <= x1:
        corners = zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)
        yield "box", " ".join(f'{key}="{_decimal(value)}"' for key, value in corners)
        return
    flat = mask.dense()[y1:y2, x1:x2].ravel()
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(flat.astype(np.int8))) + 1, [flat.size]])
    runs = ([0] if flat[0] else []) + np.diff(bounds).tolist()
    place = f'left="{x1}" top="{y1}" width="{x2 - x1}" height="{y2 - y1}"'
    yield "mask", f'rle="{", ".join(map(str, runs))}" {place}'


def _decimal(value: np.floating) -> str:
    """With as many digits as float32 needs."""
    return np.format_float_positional(np.float32(value), trim="-")


def _text(value: AttributeValue) -> str:
    return str(value).lower() if isinstance(value, bool) else _escaped(str(value))


def _quoted(text: str) -> str:
    return quoteattr(visible(text))


def _escaped(text: str) -> str:
    return escape(visible(text))


def losses(dataset: Dataset) -> dict[str, int]:
    """What CVAT cannot hold, counted. An object with a mask has no box of its own."""
    return said(dataset, held=HELD) | boxes_beside_masks(dataset)
