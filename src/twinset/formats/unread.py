"""Datasets that would pass for folders of pictures, their annotations unread: told by their marks, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, visible

DEPTH = 3
BREADTH = 64
"""How far down, and how many names of each folder, are looked at."""

START = 1 << 14

MARKS = {
    "_annotations.createml.json": "CreateML",
    "*.tfrecord": "TFRecord",
    "labeltxt/*.txt": "oriented boxes of DOTA",
    "gt/gt.txt": "MOT sequences",
    "*-export.json": "VoTT",
    "*-export.csv": "VoTT",
    "wider_face_split/*.txt": "WIDER FACE",
    "*class-descriptions.csv": "Open Images",
    "v[12].[0-9]/labels/*.png": "Mapillary Vistas",
    "*_parts_1.png": "ADE20K",
    "semseg/*.png": "SYNTHIA",
    "gtleft/*.png": "SYNTHIA",
    "gttxt/*.txt": "SYNTHIA",
    "*_celeba.txt": "CelebA",
    "bb_landmark/*.csv": "VGGFace2",
    "_classes.csv": "labels of several classes a picture",
}
"""Paths, in small letters and from any folder on, that only one format has."""

INSIDE = {
    ".json": ((b'"dm_format_version"',), (b'"categories"', b'"items"')),
    ".xml": ((b"<annotation>", b"<polygon>"), (b"<annotation>", b"<segm>")),
}
"""Texts near the start of files that tell Datumaro's own format, and XML of LabelMe's web tool."""

INSIDE_NAMES = {".json": "Datumaro", ".xml": "XML of LabelMe's web tool"}
HINT = "convert it to COCO first, with the tool that made it or with datumaro; or give the folder of pictures alone"


def refuse_unread(folder: Folder) -> None:
    """A :class:`DatasetFormatError` where a folder has the marks of a format that is not read."""
    for path in _near(folder, "", DEPTH):
        small = path.casefold()
        named = (name for mark, name in MARKS.items() if fnmatchcase(small, mark) or fnmatchcase(small, f"*/{mark}"))
        found = next(named, None) or _by_content(folder, path, small)
        if found is not None:
            raise DatasetFormatError(f"expected a format that is read; got {found}", path=visible(path), hint=HINT)


def _near(folder: Folder, below: str, depth: int) -> Iterator[str]:
    for name in folder.names(below)[:BREADTH]:
        path = f"{below}/{name}" if below else name
        yield path
        if depth:
            yield from _near(folder, path, depth - 1)


def _by_content(folder: Folder, path: str, small: str) -> str | None:
    suffix = next((suffix for suffix in INSIDE if small.endswith(suffix)), None)
    if suffix is None:
        return None
    try:
        with folder.open(path) as handle:
            start = handle.read(START)
    except (Unusable, OSError):
        return None
    return INSIDE_NAMES[suffix] if any(all(text in start for text in texts) for texts in INSIDE[suffix]) else None
