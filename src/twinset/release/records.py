"""What is in the files of a release, record by record, as Croissant names it: pictures, classes, boxes, maps.

Boxes stand where readers find them without a parser of ours: in COCO's JSON and in columns of Parquet. The lines of
YOLO and KITTI are given as lines, the JSON beside a picture of a tar as text, maps of classes as pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from typing import NamedTuple

from twinset.dataset import Task
from twinset.formats.writing import folder_names
from twinset.release.facts import Export, ExportFormat, Release, ReleasedFile

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

PLACED: Mapping[ExportFormat, str] = {
    "coco": "images",
    "yolo": "images",
    "voc": "JPEGImages",
    "masks": "images",
    "labelme": "images",
    "cvat": "images",
    "via": "images",
    "kitti": "image_2",
    "bop": "rgb",
}
"""Formats that mark places in pictures, and the folder that holds the pictures."""


class LabelFiles(NamedTuple):
    """Files that say what is in a picture each: the folder that holds them, their suffix and MIME type."""

    folder: str
    suffix: str
    media_type: str


LABEL_FILES: Mapping[ExportFormat, LabelFiles] = {
    "yolo": LabelFiles("labels", ".txt", "text/plain"),
    "kitti": LabelFiles("label_2", ".txt", "text/plain"),
    "masks": LabelFiles("masks", ".png", "image/png"),
}
OBJECTS: tuple[Task, ...] = ("detection", "instance-segmentation")
CORNERS = ("x1", "y1", "x2", "y2")
COCO_FIELDS = {
    "id": "sc:Integer",
    "image_id": "sc:Integer",
    "category_id": "sc:Integer",
    "bbox": "cr:BoundingBox",
    "area": "sc:Float",
    "iscrowd": "sc:Integer",
}


def file_id(kind: ExportFormat, file: ReleasedFile) -> str:
    """An identifier without spaces and the like, which readers refuse; distinct for distinct paths."""
    name = re.sub(r"[^A-Za-z0-9._/-]", "_", file.path)
    return f"{kind}:{name}" if name == file.path else f"{kind}:{name}~{sha256(file.path.encode()).hexdigest()[:12]}"


def class_records(release: Release) -> dict[str, Json]:
    """Number, name and, for the images that lie in folders, folder of every class."""
    names = tuple(release.counts)
    rows: list[Json] = [
        {"classes/id": number, "classes/name": name, "classes/folder": folder}
        for number, (name, folder) in enumerate(zip(names, folder_names(names), strict=True))
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/id"},
        "field": [
            _field("classes", "id", "sc:Integer"),
            _field("classes", "name", "sc:Text"),
            _field("classes", "folder", "sc:Text"),
        ],
        "data": rows,
    }


def label_files(export: Export) -> list[ReleasedFile]:
    """The files of an export that say what is in a picture each, where it has such."""
    if export.format not in LABEL_FILES:
        return []
    folder, suffix, _ = LABEL_FILES[export.format]
    pictures = f"/{PLACED[export.format]}/"
    found = [file for file in export.files if f"/{folder}/" in file.path and pictures not in file.path]
    return [file for file in found if file.path.endswith(suffix)]


def records(export: Export, task: Task) -> list[Json]:
    """The record sets of one format. What a tar or a JSON file says of images stands apart, joined by a key."""
    kind = export.format
    if kind == "parquet":
        return [_record_set("parquet", _parquet_fields(task))]
    if kind == "webdataset":
        pictures = _record_set("webdataset", _tar_fields("webdataset", "images", "image", "sc:ImageObject"))
        return [pictures, _tar_labels(task)]
    if kind == "coco":
        files = [file for file in export.files if "annotations" in PurePosixPath(file.path).parts[:-1]]
        said = [_coco_objects(file, at) for at, file in enumerate(files)]
        return [_record_set("coco", _picture_fields("coco")), *said]
    if kind in PLACED:
        said = [_loose_labels(kind)] if label_files(export) else []
        return [_record_set(kind, _picture_fields(kind)), *said]
    return [_record_set(kind, _csv_fields() if kind == "csv" else _folder_fields())]


def _coco_objects(file: ReleasedFile, at: int) -> Json:
    """The objects of one COCO file; ``image_id`` is the id of an image in the same file."""
    name = f"coco-objects{at + 1 if at else ''}"
    fields = []
    for key, kind in COCO_FIELDS.items():
        source: dict[str, Json] = {
            "fileObject": {"@id": file_id("coco", file)},
            "extract": {"jsonPath": f"$.annotations[*].{key}"},
        }
        fields.append(_field(name, key, kind, source))
    return _record_set(name, [*fields])


def _loose_labels(kind: ExportFormat) -> Json:
    """What lies beside pictures: a map of classes, or lines of which each is an object."""
    name, files = f"{kind}-label", f"{kind}-labels"
    path = _field(name, "path", "sc:Text", _source(files, {"fileProperty": "fullpath"}))
    if kind == "masks":
        said = _field(name, "map", "sc:ImageObject", _source(files, {"fileProperty": "content"}))
    else:
        said = _field(name, "line", "sc:Text", _source(files, {"fileProperty": "lines"}))
    return _record_set(name, [path, said])


def _record_set(name: str, fields: list[Json]) -> dict[str, Json]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _parquet_fields(task: Task) -> list[Json]:
    label = {"label": "sc:Integer"} if task == "classification" else {}
    columns = {**label, "id": "sc:Text", "method": "sc:Text", "seed": "sc:Integer"}
    image = _source("parquet-tables", {"column": "image"}, transform={"jsonPath": "bytes"})
    others = [
        _field("parquet", name, kind, _source("parquet-tables", {"column": name})) for name, kind in columns.items()
    ]
    fields: list[Json] = [_field("parquet", "image", "sc:ImageObject", image), *others]
    if task in OBJECTS:
        fields.append(_parquet_objects())
    if task == "semantic-segmentation":
        fields.append(_field("parquet", "map", "sc:ImageObject", _source("parquet-tables", {"column": "semantic"})))
    return fields


def _parquet_objects() -> dict[str, Json]:
    """All objects of a picture, each with its class, its corners, and whether it is a crowd."""
    node = _field("parquet", "objects", "sc:Text")
    del node["dataType"]
    subs: list[Json] = []
    for name, kind in {"class_id": "sc:Integer", **dict.fromkeys(CORNERS, "sc:Float"), "crowd": "sc:Boolean"}.items():
        source = _source("parquet-tables", {"column": "instances"})
        source["transform"] = [{"jsonPath": "objects"}, {"jsonPath": name}]
        subs.append({**_field("parquet/objects", name, kind, source), "repeated": True})
    return {**node, "repeated": True, "subField": subs}


def _tar_labels(task: Task) -> Json:
    """What is said of a picture in a tar: its class, its map, or the JSON that names its objects with their boxes."""
    name = "webdataset-label"
    if task in OBJECTS:
        return _record_set(name, _tar_fields(name, "labels", "json", "sc:Text"))
    if task == "semantic-segmentation":
        return _record_set(name, _tar_fields(name, "labels", "map", "sc:ImageObject"))
    return _record_set(name, _tar_fields(name, "labels", "label", "sc:Integer"))


def _tar_fields(record_set: str, files: str, name: str, data_type: str) -> list[Json]:
    key = _source(f"webdataset-{files}", {"fileProperty": "filename"}, transform={"regex": r"^(.+?)(?:\.seg)?\.\w+$"})
    content = _source(f"webdataset-{files}", {"fileProperty": "content"})
    return [_field(record_set, "key", "sc:Text", key), _field(record_set, name, data_type, content)]


def _picture_fields(kind: ExportFormat) -> list[Json]:
    """Pictures by path; what is marked in them stands in the format's own files."""
    path = _source(f"{kind}-images", {"fileProperty": "fullpath"})
    image = _source(f"{kind}-images", {"fileProperty": "content"})
    return [_field(kind, "path", "sc:Text", path), _field(kind, "image", "sc:ImageObject", image)]


def _csv_fields() -> list[Json]:
    path = _source("csv-images", {"fileProperty": "fullpath"}, transform={"regex": r"^(?:.*/)?(images/.+)$"})
    joined = _field("csv", "path", "sc:Text", path)
    joined["references"] = _source("csv-tables", {"column": "path"})
    image = _source("csv-images", {"fileProperty": "content"})
    label = _source("csv-tables", {"column": "label"})
    return [joined, _field("csv", "image", "sc:ImageObject", image), _field("csv", "label", "sc:Text", label)]


def _folder_fields() -> list[Json]:
    image = _source("imagefolder-images", {"fileProperty": "content"})
    parent: dict[str, Json] = {"regex": r"^(?:(?:.*/)?([^/]+)/[^/]+|([^/]+))$"}
    source = _source("imagefolder-images", {"fileProperty": "fullpath"}, transform=parent)
    folder = _field("imagefolder", "folder", "sc:Text", source)
    folder["references"] = {"field": {"@id": "classes/folder"}}
    return [
        _field("imagefolder", "image", "sc:ImageObject", image),
        folder,
        _field("imagefolder", "label", "sc:Text", {"field": {"@id": "classes/name"}}),
    ]


def _source(file_set: str, extract: dict[str, str], *, transform: dict[str, Json] | None = None) -> dict[str, Json]:
    source: dict[str, Json] = {"fileSet": {"@id": file_set}, "extract": {**extract}}
    if transform is not None:
        source["transform"] = transform
    return source


def _field(record_set: str, name: str, data_type: str, source: dict[str, Json] | None = None) -> dict[str, Json]:
    node: dict[str, Json] = {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": f"{record_set}/{name}",
        "dataType": data_type,
    }
    if source is not None:
        node["source"] = source
    return node
