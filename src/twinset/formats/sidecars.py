"""The two small files that ride beside an exported dataset so that reading it back loses nothing.

``classes.json`` keeps exact class names and their order, and which folder holds which class. ``provenance.jsonl``
keeps, for each picture, what a folder name cannot say: id, attributes, caption, soft labels and origin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from twinset.annotations import AttributeValue
from twinset.dataset import REAL, Origin, Sample
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, visible

CLASSES_FILE = "classes.json"
PROVENANCE_FILE = "provenance.jsonl"
CLASSES_SCHEMA = "twinset/classes/1"
ORIGIN_KEYS = ("method", "seed", "recipe_digest", "parents", "licence")


@dataclass(frozen=True)
class ClassList:
    """Class names in order; ``folders`` maps a folder's name to its class, or to None for unlabelled pictures."""

    names: tuple[str, ...]
    folders: Mapping[str, str | None] = field(default_factory=dict)

    def to_json(self) -> str:
        """The content of ``classes.json``."""
        value = {"schema": CLASSES_SCHEMA, "classes": list(self.names), "folders": dict(self.folders)}
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def read_classes(folder: Folder) -> ClassList | None:
    """The class list beside a dataset, None if there is none of ours; a damaged one is a DatasetFormatError."""
    try:
        value = json.loads(folder.read(CLASSES_FILE))
    except (Unusable, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("schema") != CLASSES_SCHEMA:
        return None
    names, folders = value.get("classes"), value.get("folders", {})
    if not _distinct_texts(names) or not isinstance(folders, dict) or not {*folders.values()} <= {None, *names}:
        raise DatasetFormatError(
            "expected distinct class names, and folders that name them; got others",
            path=CLASSES_FILE,
            hint="repair it, or delete it to take the classes from the folders",
        )
    return ClassList(tuple(visible(name) for name in names), {k: v and visible(v) for k, v in folders.items()})


def _distinct_texts(names: object) -> TypeGuard[list[str]]:
    return isinstance(names, list) and all(isinstance(n, str) and n for n in names) and len(set(names)) == len(names)


def provenance(sample: Sample) -> dict[str, object]:
    """What a folder name cannot say about a sample, as JSON types; empty fields are left out."""
    annotation, origin = sample.annotation, sample.origin
    row: dict[str, object] = {
        "id": sample.id,
        "method": origin.method,
        "seed": origin.seed,
        "recipe_digest": origin.recipe_digest,
        "parents": list(origin.parents) or None,
        "licence": origin.licence,
    }
    if annotation is not None:
        row["caption"] = annotation.caption
        row["class_probabilities"] = annotation.class_probabilities
        row["attributes"] = dict(annotation.attributes) or None
    return {key: value for key, value in row.items() if value is not None}


@dataclass(frozen=True)
class Extras:
    """What a provenance row adds to a picture."""

    id: str | None = None
    caption: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    probabilities: tuple[float, ...] | None = None
    origin: Origin = REAL


def extras(row: Mapping[str, object]) -> Extras:
    """A provenance row as read back; :class:`Unusable` where its types are not those that we write."""
    try:
        return _extras(row)
    except (TypeError, ValueError) as error:
        raise Unusable(f"expected a provenance row as twinset writes it; got {visible(str(error))}") from error


def _extras(row: Mapping[str, object]) -> Extras:
    attributes = row.get("attributes") or {}
    if isinstance(attributes, str):
        attributes = json.loads(attributes)
    if not isinstance(attributes, dict) or not all(isinstance(v, str | int | float) for v in attributes.values()):
        raise ValueError("attributes that are no plain values")
    return Extras(
        id=optional_text(row, "id"),
        caption=optional_text(row, "caption"),
        attributes=attributes,
        probabilities=soft_labels(row),
        origin=origin_of(row),
    )


def soft_labels(row: Mapping[str, object]) -> tuple[float, ...] | None:
    """The class probabilities of a row (a list, or JSON text), None where there are none."""
    soft = row.get("class_probabilities")
    if soft is None or soft == "":
        return None
    if isinstance(soft, str):
        soft = json.loads(soft)
    if not isinstance(soft, list) or not all(isinstance(p, float | int) and p >= 0 for p in soft):
        raise ValueError("class_probabilities that are no numbers")
    if abs(sum(soft) - 1) > 1e-4:
        raise ValueError("class_probabilities that do not sum to 1")
    return tuple(float(p) for p in soft)


def origin_of(row: Mapping[str, object]) -> Origin:
    """The origin that these columns describe; seed may be text, parents a list or JSON text."""
    seed, parents = row.get("seed"), row.get("parents") or []
    if isinstance(parents, str):
        parents = json.loads(parents)
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise ValueError("parents that are no list of ids")
    if seed is not None and not isinstance(seed, int | str):
        raise ValueError("a seed that is no integer")
    return Origin(
        method=optional_text(row, "method"),
        seed=None if seed in (None, "") else int(seed),
        recipe_digest=optional_text(row, "recipe_digest"),
        parents=tuple(parents),
        licence=optional_text(row, "licence"),
    )


def optional_text(row: Mapping[str, object], key: str) -> str | None:
    """A text column, None where empty or absent."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"a {key} that is no text")
    return value
