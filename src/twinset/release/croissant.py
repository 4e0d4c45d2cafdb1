"""The release as a Croissant 1.0 file (JSON-LD): what is in which file, with digests, and where it came from.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec.html (version 1.0). Origins are told with the
W3C provenance vocabulary: ``prov:wasGeneratedBy`` the run, ``prov:wasDerivedFrom`` the real datasets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from urllib.parse import quote

from twinset.formats.writing import folder_names
from twinset.release.facts import Export, ExportFormat, Parent, Release, ReleasedFile

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"


def croissant(release: Release) -> str:
    """The JSON-LD text for ``croissant.json``; file paths are relative to the folder that it lies in."""
    document: dict[str, Json] = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": release.name,
        "description": _description(release),
        "datePublished": release.created,
        "version": "1.0.0",
        "isLiveDataset": False,
        "keywords": ["synthetic", "image classification"],
        "citeAs": f"{release.name}, synthetic images made by twinset {release.version}, digest {release.digest}",
        "prov:wasGeneratedBy": _activity(release),
        "prov:wasDerivedFrom": [_entity(parent) for parent in release.parents],
        "distribution": [node for export in release.exports for node in _distribution(export)],
        "recordSet": [_classes(release), *(node for export in release.exports for node in _records(export))],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _description(release: Release) -> str:
    parents = ", ".join(parent.name for parent in release.parents) or "real images"
    return (
        f"{release.images} synthetic images of {release.height} × {release.width} pixels in {len(release.counts)} "
        f"classes, a synthetic twin of {parents}. {release.sentence}".strip()
    )


def _activity(release: Release) -> dict[str, Json]:
    return {
        "@type": "prov:Activity",
        "prov:label": release.command,
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": f"twinset {release.version}"},
        "prov:used": f"recipe {release.recipe_digest}, seed {release.seed}",
    }


PLACED: Mapping[ExportFormat, str] = {
    "coco": "images",
    "yolo": "images",
    "voc": "JPEGImages",
    "masks": "images",
    "labelme": "images",
    "cvat": "images",
    "via": "images",
    "kitti": "image_2",
}
"""Formats that mark places in pictures, and the folder that holds the pictures."""


def _entity(parent: Parent) -> dict[str, Json]:
    entity: dict[str, Json] = {"@type": "prov:Entity", "@id": f"urn:sha256:{parent.digest}", "prov:label": parent.name}
    if parent.licence is not None:
        entity["sc:license"] = parent.licence
    return entity


def _distribution(export: Export) -> list[Json]:
    kind = export.format
    objects: list[Json] = [_file_object(kind, file) for file in export.files if not _is_loose_image(kind, file)]
    if kind == "parquet":
        return [*objects, _file_set(kind, "tables", "application/x-parquet", _paths(export, ".parquet"))]
    if kind == "webdataset":
        tars = [_id(kind, file) for file in export.files if file.path.endswith(".tar")]
        return [
            *objects,
            _file_set(kind, "images", "image/png", ["*.png"], contained_in=tars),
            _file_set(kind, "labels", "text/plain", ["*.cls"], contained_in=tars),
        ]
    images = [file for file in export.files if _is_loose_image(kind, file)]
    listed: list[Json] = [_file_object(kind, file) for file in images]
    tables = [_file_set(kind, "tables", "text/csv", _paths(export, ".csv"))] if kind == "csv" else []
    return [*objects, *listed, *tables, _file_set(kind, "images", "image/png", _patterns(images))]


def _is_loose_image(kind: ExportFormat, file: ReleasedFile) -> bool:
    if kind in PLACED:
        return f"/{PLACED[kind]}/" in file.path and file.media_type.startswith("image/")
    return kind in ("imagefolder", "csv") and file.media_type.startswith("image/")


def _id(kind: ExportFormat, file: ReleasedFile) -> str:
    """An identifier without spaces and the like, which readers refuse; distinct for distinct paths."""
    name = re.sub(r"[^A-Za-z0-9._/-]", "_", file.path)
    return f"{kind}:{name}" if name == file.path else f"{kind}:{name}~{sha256(file.path.encode()).hexdigest()[:12]}"


def _file_object(kind: ExportFormat, file: ReleasedFile) -> dict[str, Json]:
    return {
        "@type": "cr:FileObject",
        "@id": _id(kind, file),
        "name": _id(kind, file),
        "contentUrl": quote(file.path),
        "contentSize": f"{file.bytes} B",
        "encodingFormat": file.media_type,
        "sha256": file.sha256,
    }


def _file_set(
    kind: ExportFormat, name: str, media_type: str, includes: list[str], *, contained_in: list[str] | None = None
) -> dict[str, Json]:
    node: dict[str, Json] = {
        "@type": "cr:FileSet",
        "@id": f"{kind}-{name}",
        "name": f"{kind}-{name}",
        "encodingFormat": media_type,
        "includes": [*includes],
    }
    if contained_in is not None:
        node["containedIn"] = [{"@id": parent} for parent in contained_in]
    return node


def _paths(export: Export, suffix: str) -> list[str]:
    return [file.path for file in export.files if file.path.endswith(suffix)]


def _patterns(images: list[ReleasedFile]) -> list[str]:
    """Globs that hold exactly these pictures: one for each folder and suffix."""
    found = {
        f"{_literal(str(PurePosixPath(file.path).parent))}/*{PurePosixPath(file.path).suffix}": None for file in images
    }
    return sorted(found)


def _literal(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def _classes(release: Release) -> dict[str, Json]:
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


def _records(export: Export) -> list[Json]:
    """The record sets of one format. A tar's images and labels stand apart, joined by ``key``."""
    if export.format == "parquet":
        return [_record_set("parquet", _parquet_fields())]
    if export.format == "webdataset":
        return [
            _record_set("webdataset", _tar_fields("webdataset", "images", "image", "sc:ImageObject")),
            _record_set("webdataset-label", _tar_fields("webdataset-label", "labels", "label", "sc:Integer")),
        ]
    if export.format in PLACED:
        return [_record_set(export.format, _picture_fields(export.format))]
    return [_record_set(export.format, _csv_fields() if export.format == "csv" else _folder_fields())]


def _record_set(name: str, fields: list[Json]) -> dict[str, Json]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _parquet_fields() -> list[Json]:
    columns = {"label": "sc:Integer", "id": "sc:Text", "method": "sc:Text", "seed": "sc:Integer"}
    image = _source("parquet-tables", {"column": "image"}, transform={"jsonPath": "bytes"})
    others = [
        _field("parquet", name, kind, _source("parquet-tables", {"column": name})) for name, kind in columns.items()
    ]
    return [_field("parquet", "image", "sc:ImageObject", image), *others]


def _tar_fields(record_set: str, files: str, name: str, data_type: str) -> list[Json]:
    key = _source(f"webdataset-{files}", {"fileProperty": "filename"}, transform={"regex": r"^(.+)\.\w+$"})
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


def _context() -> dict[str, Json]:
    terms = (
        "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format",
        "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references",
        "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
    )  # fmt: skip
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "prov": "http://www.w3.org/ns/prov#",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **{term: f"cr:{term}" for term in terms},
    }
