"""COCO: a JSON file of images, annotations and categories, with the pictures in folders beside it.

Read are instances (boxes, outlines, run lengths), keypoints, captions, labels of whole pictures and mere lists of
pictures, in the layouts of the COCO download, Roboflow and mmdetection. What we write is read by pycocotools; what
COCO has no field for rides in each record under the key ``twinset``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.compute as pc

from twinset.dataset import Dataset
from twinset.formats.coco.places import ROBOFLOW, split_of
from twinset.formats.folder import Folder, Unusable
from twinset.formats.listing import Listing
from twinset.formats.losses import seen_by_cameras
from twinset.formats.writing import Encode, Target

START = 1 << 16
"""Bytes of a file that are looked at to tell whether it is COCO."""

OWN_FIELDS = (
    "labels of whole pictures",
    "soft labels",
    "captions beside objects",
    "difficult flags",
    "truncated flags",
    "amodal boxes",
    "amodal masks",
)
"""What is written where twinset alone reads it."""

_TOKEN = re.compile(rb'"((?:[^"\\]++|\\.)*+)"\s*(:?)|[\[\]{}]', re.DOTALL)


def claims(folder: Folder) -> list[str]:
    """The COCO files of a folder: at the top, in ``annotations/`` and in split folders; none where it is no COCO."""
    return [path for path in _candidates(folder) if is_coco(folder, path)]


def _candidates(folder: Folder) -> Iterator[str]:
    tops = [name for name in folder.names() if name.casefold() == "annotations" or split_of(name) is not None]
    for below in ("", *tops):
        for name in folder.names(below):
            if name.lower().endswith(".json"):
                yield f"{below}/{name}" if below else name


def is_coco(folder: Folder, path: str) -> bool:
    """Whether a JSON file is COCO, by its name or by the keys in its first bytes."""
    stem = Path(path).stem
    if stem == ROBOFLOW or stem.startswith(("instances_", "person_keypoints_")):
        return True
    try:
        with folder.open(path) as handle:
            start = handle.read(START)
    except (Unusable, OSError):
        return False
    return _looks_like_coco(start)


def _looks_like_coco(start: bytes) -> bool:
    """Whether the outermost keys at the start of a JSON text are those of COCO, with arrays of objects below."""
    if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return False
    depth, keys = 0, dict[bytes, bytes]()
    for token in _TOKEN.finditer(start):
        byte = token.group()
        if byte in (b"{", b"["):
            depth += 1
        elif byte in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and token.group(2):
            keys[token.group(1)] = start[token.end() : token.end() + 64].lstrip()[:1]
    lists = {key for key, first in keys.items() if first == b"["} & {b"images", b"annotations", b"categories"}
    inner = (b'"file_name"', b'"image_id"')
    return len(lists) > 1 or (len(lists) == 1 and any(key in start for key in inner))


def around(path: Path) -> tuple[Folder, str]:
    """The dataset folder of one COCO file, and the file's path in it: pictures may lie beside ``annotations/``."""
    real = path.resolve()
    top = real.parent.parent if real.parent.name.casefold() == "annotations" else real.parent
    return Folder(top), real.relative_to(top).as_posix()


def listing(folder: Folder, files: Sequence[str], name: str) -> Listing:
    """The pictures and objects of these COCO files; :class:`DatasetFormatError` where one cannot be read."""
    from twinset.formats.coco import reading

    return reading.listing(folder, files, name)


def write(dataset: Dataset, target: Target, *, encode: Encode | None, category_base: int = 1) -> int:
    """``images/[split/]picture`` and ``annotations/instances_<split or all>.json``; the number of pictures.

    Categories are numbered from ``category_base``. :func:`losses` counts what COCO has no field for.
    """
    from twinset.formats.coco import writing

    return writing.write(dataset, target, encode=encode, category_base=category_base)


def losses(dataset: Dataset) -> dict[str, int]:
    """What COCO has no field for, and how many there are; twinset reads :data:`OWN_FIELDS` back."""
    from twinset.formats.coco.point_names import lost_names

    table = dataset.table
    silent = 0 if dataset.task == "classification" else table.column("instances").null_count
    counts = {
        "labels of whole pictures": (dataset.class_ids >= 0).sum(),
        "soft labels": table.num_rows - table.column("class_probabilities").null_count,
        "captions beside objects": table.num_rows - table.column("caption").null_count,
        "semantic maps": table.num_rows - table.column("semantic").null_count,
        "pictures without annotations (other programs take them as showing nothing)": silent,
    }
    objects = pc.list_flatten(pc.struct_field(table.column("instances"), "objects"))
    for name in ("difficult", "truncated"):
        counts[f"{name} flags"] = pc.sum(pc.struct_field(objects, name)).as_py() or 0
    for name, what in (("amodal_box", "amodal boxes"), ("amodal_rle", "amodal masks")):
        counts[what] = len(objects) - pc.struct_field(objects, name).null_count
    counts |= seen_by_cameras(dataset) | {"names of keypoints": lost_names(dataset)}
    return {what: int(count) for what, count in counts.items() if count}
