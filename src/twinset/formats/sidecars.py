"""The two small files that ride beside an exported dataset so that reading it back loses nothing.

``classes.json`` keeps exact class names and their order, and which folder holds which class. ``provenance.jsonl``
keeps, for each picture, what a folder name cannot say: id, attributes, caption, soft labels and origin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TypeGuard, TypeVar

from twinset.annotations import TOLERANCE, AttributeValue
from twinset.dataset import REAL, Origin, Sample
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Absent, Folder, Unusable, first_line, visible

CLASSES_FILE = "classes.json"
PROVENANCE_FILE = "provenance.jsonl"
CLASSES_SCHEMA = "twinset/classes/1"
ORIGIN_KEYS = ("method", "seed", "recipe_digest", "parents", "licence")
RESERVED_KEYS = ("id", "caption", "class_probabilities", "attributes")
MAX_NOTES_BYTES = 1 << 30

Value = TypeVar("Value")


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
    """The class list beside a dataset, None if there is none or somebody else's.

    One that cannot be read is a :class:`DatasetFormatError`: without it, classes would change their names.
    """
    try:
        value = json.loads(folder.read(CLASSES_FILE))
    except Absent:
        return None
    except Unusable as error:
        raise _damaged(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(f"expected JSON; got {json_problem(error)}", getattr(error, "lineno", None)) from error
    if not isinstance(value, dict) or value.get("schema") != CLASSES_SCHEMA:
        return None
    names, folders = value.get("classes"), value.get("folders", {})
    if not _are_texts(names) or not isinstance(folders, dict) or not _name_classes([*folders.values()], names):
        raise _damaged("expected distinct class names, and folders that name them; got others")
    shown = tuple(visible(name) for name in names)
    if len(set(shown)) != len(shown):
        twice = next(name for name in shown if shown.count(name) > 1)
        raise _damaged(f"expected distinct class names; got {twice} twice, once control characters are written out")
    return ClassList(shown, {key: name and visible(name) for key, name in folders.items()})


def _damaged(problem: str, line: int | None = None) -> DatasetFormatError:
    hint = "repair it, or delete it to take the classes from the folders"
    return DatasetFormatError(problem, path=CLASSES_FILE, line=line, hint=hint)


def _are_texts(names: object) -> TypeGuard[list[str]]:
    return isinstance(names, list) and all(isinstance(n, str) and n for n in names) and len(set(names)) == len(names)


def _name_classes(values: list[object], names: list[str]) -> bool:
    return all(value is None or isinstance(value, str) for value in values) and {*values} <= {None, *names}


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
    """A row as we write it, read back; :class:`Unusable` where anything in it is of another kind."""
    return Extras(
        id=_text(row, "id"),
        caption=_text(row, "caption"),
        attributes=_plain_values(row, "attributes"),
        probabilities=_soft_labels(row, "class_probabilities"),
        origin=_origin(row),
    )


def read_provenance(folder: Folder, *, limit: int = MAX_NOTES_BYTES) -> dict[str, Extras]:
    """What is told of each picture, by path. Without it synthetic pictures would pass for real ones, so what is
    there and cannot be read is a :class:`DatasetFormatError`.
    """
    try:
        data = folder.read(PROVENANCE_FILE, limit=limit)
    except Absent:
        return {}
    except Unusable as error:
        raise _unreadable(str(error)) from error
    notes: dict[str, Extras] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        try:
            row = parse_json(line.decode("utf-8"), "a row of provenance")
            if not isinstance(row, dict) or not isinstance(row.get("path"), str):
                raise Unusable("expected a row with a path; got another")
            notes[row["path"]] = extras(row)
        except UnicodeDecodeError as error:
            raise _unreadable(f"expected UTF-8; got the byte 0x{line[error.start]:02x}", number) from error
        except Unusable as error:
            raise _unreadable(str(error), number) from error
    return notes


def provenance_lines(rows: Iterable[tuple[str, Sample]]) -> bytes:
    """The content of ``provenance.jsonl`` for pictures at these paths."""
    lines = (json.dumps({"path": path, **provenance(sample)}, ensure_ascii=False) for path, sample in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _unreadable(problem: str, line: int | None = None) -> DatasetFormatError:
    hint = "repair it, or delete it to read the folders alone"
    return DatasetFormatError(problem, path=PROVENANCE_FILE, line=line, hint=hint)


def table_extras(row: Mapping[str, object], *, known: Set[str | None], ours: bool) -> Extras:
    """What the columns of a table say besides those that are ``known``; the others become attributes.

    Where the file is ours, the columns that we reserve hold what we write, or are :class:`Unusable`. In somebody
    else's they are taken where they fit, and are attributes like all others where they do not.
    """
    if ours:
        found, taken = extras(row), {*RESERVED_KEYS, *ORIGIN_KEYS}
    else:
        found, taken = _fitting(row)
    others = {name: _as_attribute(value) for name, value in row.items() if name not in known and name not in taken}
    plain = {name: value for name, value in others.items() if value is not None}
    return replace(found, attributes={**plain, **found.attributes})


def _fitting(row: Mapping[str, object]) -> tuple[Extras, set[str]]:
    """What reserved columns of somebody else's table hold, and which of them were taken."""
    taken: set[str] = set()

    def take(key: str, reading: Callable[[Mapping[str, object], str], Value], default: Value) -> Value:
        try:
            value = reading(row, key)
        except Unusable:
            return default
        taken.add(key)
        return value

    found = Extras(
        id=take("id", _number_or_text, None),
        caption=take("caption", _text, None),
        attributes=take("attributes", _plain_values, {}),
        probabilities=take("class_probabilities", _soft_labels, None),
    )
    return found, taken


def _as_attribute(value: object) -> AttributeValue | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return None


def _plain_values(row: Mapping[str, object], key: str) -> dict[str, AttributeValue]:
    value = _parsed(row, key)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str | int | float) for v in value.values()):
        raise Unusable(f"expected {key} as a JSON object of plain values; got {_shown(row[key])}")
    return value


def _soft_labels(row: Mapping[str, object], key: str) -> tuple[float, ...] | None:
    soft = _parsed(row, key)
    if soft is None:
        return None
    if not isinstance(soft, list) or not all(isinstance(p, float | int) and 0 <= p <= 1 + TOLERANCE for p in soft):
        raise Unusable(f"expected {key} as a list of numbers in 0–1; got {_shown(row[key])}")
    if abs(sum(soft) - 1) > TOLERANCE:
        raise Unusable(f"expected {key} that sum to 1; got a sum of {sum(soft):g}")
    return tuple(float(p) for p in soft)


def _origin(row: Mapping[str, object]) -> Origin:
    parents = _parsed(row, "parents")
    if parents is None:
        parents = []
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise Unusable(f"expected parents as a list of ids; got {_shown(row['parents'])}")
    method, digest, licence = (_text(row, key) for key in ("method", "recipe_digest", "licence"))
    if method is not None and digest is None:
        digest = ""  # made in Python: there was no recipe
    try:
        return Origin(method, _seed(row), digest, tuple(parents), licence)
    except ValueError as error:
        raise Unusable(str(error)) from error


def _seed(row: Mapping[str, object]) -> int | None:
    """A seed as :func:`twinset.randomness.seed_for` makes them: 63 bits, which the tables hold as int64."""
    value = row.get("seed")
    if value is None or value == "":
        return None
    try:
        seed = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**63:
        raise Unusable(f"expected a seed of 0 to {2**63 - 1}; got {_shown(value)}")
    return seed


def _text(row: Mapping[str, object], key: str) -> str | None:
    """A text column, None where empty or absent."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unusable(f"expected {key} as text; got {_shown(value)}")
    return value


def _number_or_text(row: Mapping[str, object], key: str) -> str | None:
    value = row.get(key)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(row, key)


def _parsed(row: Mapping[str, object], key: str) -> object:
    """A column that holds a list or object, or JSON text of one; None where empty or absent."""
    value = row.get(key)
    if value == "":
        return None
    return parse_json(value, key) if isinstance(value, str) else value


def parse_json(text: str | bytes, what: str) -> object:
    """The value of a JSON text; :class:`Unusable` if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"expected {what} as JSON; got {json_problem(error)}", _line_of(error)) from error


def _line_of(error: ValueError | RecursionError) -> int | None:
    if isinstance(error, UnicodeDecodeError):
        return error.object.count(b"\n", 0, error.start) + 1
    return getattr(error, "lineno", None)


def json_problem(error: ValueError | RecursionError) -> str:
    """What is wrong with a JSON text, as one line."""
    return (
        "nesting without end" if isinstance(error, RecursionError) else getattr(error, "msg", "") or first_line(error)
    )


def _shown(value: object) -> str:
    """A value found in the data, short enough for a message."""
    if isinstance(value, str):
        return repr(visible(value[:40]))
    return str(value)[:40] if isinstance(value, int | float) else type(value).__name__
