"""What the values of semantic masks mean: tables of ids or colours and class names, in the shapes that are about.

``classes.json`` (ours; ``{"0": "sky"}``; ``["sky", …]``; ``[{"id": 0, "name": "sky", "color": [r, g, b]}]``),
``dataset_meta.json`` of Datumaro, ``label_colors.txt`` of CamVid (``r g b name``), ``labelmap.txt`` of CVAT
(``name:r,g,b::``), ``class_dict.csv`` and ``labelmap.csv`` (``name,r,g,b``), ``_classes.csv`` (``value, name``).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import SemanticMap
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import Findings
from twinset.formats.maskfiles import VOID, packed
from twinset.formats.pairs import lines_of, read_text
from twinset.formats.sidecars import CLASSES_FILE, parse_json, read_classes
from twinset.semantic import IGNORE, MOST_CLASSES

IGNORED_NAMES = frozenset({"unlabelled", "unlabeled", "ignore", "ignored", "void", "__ignore__"})
MAX_TABLE_BYTES = 4 << 20


@dataclass(frozen=True)
class ValueTable:
    """Classes in order, and which mask value means which (−1: to be ignored), for ids and for colours.

    ``colours`` are as :func:`twinset.formats.maskfiles.packed` gives them; empty where a source has none.
    """

    classes: tuple[str, ...]
    ids: Mapping[int, int]
    colours: Mapping[int, int]

    def semantic(self, values: NDArray[np.int64], *, coloured: bool) -> SemanticMap:
        """The semantic map of mask values (H, W); :class:`Unusable` for a value that means no class."""
        known = self.colours if coloured else self.ids
        present, at = np.unique(values, return_inverse=True)
        unknown = [value for value in present.tolist() if value not in known]
        if unknown:
            expected = "the colours of the classes" if coloured else f"class ids out of {_shown(known)}"
            count = int(np.isin(values, unknown).sum())
            got = f"#{unknown[0]:06x}" if coloured else str(unknown[0])
            raise Unusable(f"expected {expected}; got {got} among {count} pixels of no class")
        table = np.array([known[value] for value in present.tolist()], dtype=np.int64)
        return SemanticMap.of(table[at].reshape(values.shape))


def _shown(known: Mapping[int, int]) -> str:
    values = sorted(known)
    return ", ".join(map(str, values)) if len(values) < 8 else f"{values[0]}…{values[-1]}"


@dataclass(frozen=True)
class Row:
    """One class as a table names it; the colour is packed."""

    value: int
    name: str
    colour: int | None = None


def table_beside(folder: Folder, findings: Findings) -> ValueTable | None:
    """The table of a dataset, None if there is none; :class:`DatasetFormatError` for one that cannot be used."""
    ours = read_classes(folder)
    if ours is not None:
        if len(ours.names) > MOST_CLASSES:
            raise DatasetFormatError(
                f"expected at most {MOST_CLASSES} classes; got {len(ours.names)}", path=CLASSES_FILE
            )
        return ValueTable(ours.names, {**{i: i for i in range(len(ours.names))}, VOID: IGNORE}, {})
    found = rows_beside(folder, READERS)
    return None if found is None else table_of(found[1], found[0], findings)


def rows_beside(folder: Folder, files: Collection[str], below: str = "") -> tuple[str, list[Row]] | None:
    """The first of these tables that is there, and its rows; :class:`DatasetFormatError` for a damaged one."""
    for name in folder.names(below):
        if name.casefold() in files:
            path = f"{below}/{name}" if below else name
            rows = _rows_of(folder, path, READERS[name.casefold()])
            return path, rows
    return None


def _rows_of(folder: Folder, file: str, reader: Callable[[str], Iterator[Row]]) -> list[Row]:
    try:
        return list(reader(read_text(folder, file, limit=MAX_TABLE_BYTES)))
    except Unusable as error:
        hint = "repair it, or delete it to number the classes by their values"
        raise DatasetFormatError(str(error), path=visible(file), line=error.line, hint=hint) from error


def table_of(rows: list[Row], file: str, findings: Findings) -> ValueTable:
    """Classes in the order of their values; names that mean "nothing" are ignored."""
    order: dict[str, int] = {}
    ids: dict[int, int] = {VOID: IGNORE}
    colours: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.value):
        name = findings.class_name(row.name)
        class_id = IGNORE if name.casefold() in IGNORED_NAMES else order.setdefault(name, len(order))
        ids[row.value] = class_id
        if row.colour is not None:
            colours[row.colour] = class_id
    if not order or len(order) > MOST_CLASSES:
        problem = f"expected 1…{MOST_CLASSES} classes; got {len(order)}"
        raise DatasetFormatError(problem, path=visible(file), hint="name the classes by mask value")
    return ValueTable(tuple(order), ids, colours)


def _json_rows(text: str) -> Iterator[Row]:
    value = parse_json(text, "class names")
    if isinstance(value, dict) and isinstance(value.get("classes"), list | dict):
        value = value["classes"]
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield _row(number, item) if isinstance(item, str) else _row_of(number, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, int) and not isinstance(item, bool):
                key, item = str(item), key
            yield _row(_value(key), item)
    else:
        raise Unusable("expected class names by mask value; got others")


def _row_of(number: int, item: object) -> Row:
    if not isinstance(item, dict):
        raise Unusable("expected class names; got others")
    value = item.get("id", item.get("value", number))
    colour = next((item[key] for key in ("color", "colour", "rgb") if key in item), None)
    return _row(_value(value), item.get("name"), None if colour is None else _colour(colour))


def _meta_rows(text: str) -> Iterator[Row]:
    value = parse_json(text, "the table of classes")
    if not isinstance(value, dict) or not isinstance(value.get("label_map"), dict):
        raise Unusable("expected a label_map; got none")
    colours = value.get("segmentation_colors")
    for at, (key, name) in enumerate(value["label_map"].items()):
        colour = colours[at] if isinstance(colours, list) and at < len(colours) else None
        yield _row(_value(key), name, None if colour is None else _colour(colour))


def _colour_rows(text: str) -> Iterator[Row]:
    for value, (number, line) in enumerate(lines_of(text)):
        parts = line.split(maxsplit=3)
        if len(parts) < 4:
            raise Unusable(f"line {number}: expected r g b name; got {visible(line[:40])!r}")
        yield _row(value, parts[3], _colour(parts[:3]))


def _map_rows(text: str) -> Iterator[Row]:
    value = 0
    for number, line in lines_of(text):
        fields = line.rsplit(":", 3)
        if len(fields) == 4 and re.fullmatch(r"\s*\d+\s*,\s*\d+\s*,\s*\d+\s*", fields[1]):
            yield _row(value, fields[0], _colour(fields[1].split(",")))
            value += 1
        elif not line.startswith("#"):
            raise Unusable(f"line {number}: expected name:r,g,b::; got {visible(line[:40])!r}")


def _name_rows(text: str) -> Iterator[Row]:
    for value, (_, line) in enumerate(lines_of(text)):
        yield _row(value, line)


def _csv_rows(text: str) -> Iterator[Row]:
    for value, row in enumerate(_records(text)):
        yield _row(value, row.get("name"), _colour([row.get("r"), row.get("g"), row.get("b")]))


def _value_rows(text: str) -> Iterator[Row]:
    for row in _records(text):
        yield _row(_value(row.get("pixel value")), row.get("class"))


def _records(text: str) -> Iterator[dict[str, str]]:
    try:
        for row in csv.DictReader(text.splitlines(), skipinitialspace=True):
            yield {str(key).strip().casefold(): str(value).strip() for key, value in row.items()}
    except csv.Error as error:
        raise Unusable(f"expected a table; got {visible(str(error))}") from error


def _row(value: int, name: object, colour: int | None = None) -> Row:
    if not isinstance(name, str) or not name.strip():
        raise Unusable(
            f"expected a class name for the value {value}; got {visible(json.dumps(name, default=str)[:40])}"
        )
    return Row(value, name.strip(), colour)


def _value(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,5}", text):
        raise Unusable(f"expected a mask value; got {visible(text[:20])!r}")
    return int(text)


def _colour(value: object) -> int:
    parts = value if isinstance(value, list) else []
    texts = [str(part).strip() for part in parts]
    if len(texts) != 3 or not all(re.fullmatch(r"\d{1,3}", text) and int(text) < 256 for text in texts):
        raise Unusable(f"expected a colour r, g, b of 0…255; got {visible(str(value)[:40])!r}")
    return packed(*map(int, texts))


READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    CLASSES_FILE: _json_rows,
    "semantic_classes.json": _json_rows,
    "dataset_meta.json": _meta_rows,
    "label_colors.txt": _colour_rows,
    "labelmap.txt": _map_rows,
    "class_names.txt": _name_rows,
    "class_dict.csv": _csv_rows,
    "labelmap.csv": _csv_rows,
    "_classes.csv": _value_rows,
}
"""How each table is read, by its file name in small letters."""
