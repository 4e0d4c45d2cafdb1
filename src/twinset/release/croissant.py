"""The release as a Croissant 1.0 file (JSON-LD): what is in which file, with digests, and where it came from.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec.html (version 1.0). Origins are told with the
W3C provenance vocabulary: ``prov:wasGeneratedBy`` the run, ``prov:wasDerivedFrom`` the real datasets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from twinset.dataset import Task
from twinset.release.facts import LABELS, Export, ExportFormat, Parent, Release, ReleasedFile
from twinset.release.records import LABEL_FILES, PLACED, Json, class_records, file_id, label_files, records

KEYWORDS: Mapping[Task, str] = {
    "classification": "image classification",
    "detection": "object detection",
    "instance-segmentation": "instance segmentation",
    "semantic-segmentation": "semantic segmentation",
}
TAR_LABELS: Mapping[Task, tuple[str, str]] = {
    "classification": ("text/plain", "*.cls"),
    "detection": ("application/json", "*.json"),
    "instance-segmentation": ("application/json", "*.json"),
    "semantic-segmentation": ("image/png", "*.seg.png"),
}
"""What stands beside a picture in a tar: its MIME type, and its name."""

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
RESPONSIBLE = "http://mlcommons.org/croissant/RAI/1.0"
"""The vocabulary of responsible use, whose ``rai:dataLimitations`` holds the privacy audit."""


def croissant(release: Release) -> str:
    """The JSON-LD text for ``croissant.json``; file paths are relative to the folder that it lies in."""
    document: dict[str, Json] = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": [CONFORMS_TO, RESPONSIBLE] if release.audit is not None else CONFORMS_TO,
        "name": release.name,
        "description": _description(release),
        "datePublished": release.created,
        "version": "1.0.0",
        "isLiveDataset": False,
        "keywords": ["synthetic", KEYWORDS[release.task]],
        "citeAs": f"{release.name}, synthetic images made by twinset {release.version}, digest {release.digest}",
        **({"conditionsOfAccess": release.access} if release.access is not None else {}),
        **_audited(release),
        "prov:wasGeneratedBy": _activities(release),
        **_revised(release),
        "prov:wasDerivedFrom": [_entity(parent) for parent in release.parents],
        "distribution": [node for export in release.exports for node in _distribution(export, release.task)],
        "recordSet": [
            class_records(release),
            *(node for export in release.exports for node in records(export, release.task)),
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _description(release: Release) -> str:
    parents = ", ".join(parent.name for parent in release.parents) or "real images"
    return (
        f"{release.images} synthetic images of {release.size_text} pixels, labelled with {LABELS[release.task]} in "
        f"{len(release.counts)} classes, a synthetic twin of {parents}. {release.sentence}".strip()
    )


def _audited(release: Release) -> dict[str, Json]:
    found = release.audit
    if found is None:
        return {}
    against = f" against {found.training} training and {found.holdout} held-out real images" if found.training else ""
    told = (
        f"Privacy audit of {found.released} released images{against}: {found.finding}. It is no guarantee of privacy."
    )
    return {"rai:dataLimitations": [told]}


def _activities(release: Release) -> Json:
    """What made the set, and what then took images out of it."""
    if not release.redactions:
        return _activity(release)
    taken_out: list[Json] = [
        {
            "@type": "prov:Activity",
            "prov:label": f"twinset redact: {note.images} images taken out: {note.reason}",
            "prov:endedAtTime": note.when,
            "prov:used": f"urn:sha256:{note.before}",
        }
        for note in release.redactions
    ]
    return [_activity(release), *taken_out]


def _revised(release: Release) -> dict[str, Json]:
    before: list[Json] = [{"@type": "prov:Entity", "@id": f"urn:sha256:{note.before}"} for note in release.redactions]
    return {"prov:wasRevisionOf": before} if before else {}


def _activity(release: Release) -> dict[str, Json]:
    return {
        "@type": "prov:Activity",
        "prov:label": release.command,
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": f"twinset {release.version}"},
        "prov:used": f"recipe {release.recipe_digest}, seed {release.seed}",
    }


def _entity(parent: Parent) -> dict[str, Json]:
    entity: dict[str, Json] = {"@type": "prov:Entity", "@id": f"urn:sha256:{parent.digest}", "prov:label": parent.name}
    if parent.licence is not None:
        entity["sc:license"] = parent.licence
    if parent.consent is not None:
        entity["sc:usageInfo"] = parent.consent
    return entity


def parents_in(text: str) -> tuple[Parent, ...]:
    """The parents that a Croissant file of ours names, without their numbers of images; () where it names none."""
    try:
        found = json.loads(text).get("prov:wasDerivedFrom", [])
        return tuple(
            Parent(
                str(entity["prov:label"]),
                str(entity["@id"]).removeprefix("urn:sha256:"),
                0,
                entity.get("sc:license"),
                entity.get("sc:usageInfo"),
            )
            for entity in found
        )
    except (ValueError, AttributeError, KeyError, TypeError):
        return ()


def _distribution(export: Export, task: Task) -> list[Json]:
    kind = export.format
    objects: list[Json] = [_file_object(kind, file) for file in export.files if not _is_loose_image(kind, file)]
    if kind == "parquet":
        return [*objects, _file_set(kind, "tables", "application/x-parquet", _paths(export, ".parquet"))]
    if kind == "webdataset":
        return [*objects, *_in_tars(export, task)]
    images = [file for file in export.files if _is_loose_image(kind, file)]
    listed: list[Json] = [_file_object(kind, file) for file in images]
    tables = [_file_set(kind, "tables", "text/csv", _paths(export, ".csv"))] if kind == "csv" else []
    labels = label_files(export)
    said = [_file_set(kind, "labels", LABEL_FILES[kind].media_type, _patterns(labels))] if labels else []
    return [*objects, *listed, *tables, *said, _file_set(kind, "images", "image/png", _patterns(images))]


def _in_tars(export: Export, task: Task) -> list[Json]:
    """The members of tar files: pictures, and beside each what is said of it."""
    tars = [file_id("webdataset", file) for file in export.files if file.path.endswith(".tar")]
    # Maps are called 000000000.seg.png; pictures have nothing between their number and the suffix.
    images = _file_set("webdataset", "images", "image/png", ["*[0-9].png"], contained_in=tars)
    media_type, pattern = TAR_LABELS[task]
    return [images, _file_set("webdataset", "labels", media_type, [pattern], contained_in=tars)]


def _is_loose_image(kind: ExportFormat, file: ReleasedFile) -> bool:
    if kind in PLACED:
        return f"/{PLACED[kind]}/" in file.path and file.media_type.startswith("image/")
    return kind in ("imagefolder", "csv") and file.media_type.startswith("image/")


def _file_object(kind: ExportFormat, file: ReleasedFile) -> dict[str, Json]:
    return {
        "@type": "cr:FileObject",
        "@id": file_id(kind, file),
        "name": file_id(kind, file),
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
