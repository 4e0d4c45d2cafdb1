"""A CSV, TSV or JSONL file of ``path,label[,split,…]`` beside the pictures it names.

Every other column becomes an attribute: text in CSV and TSV (``007`` stays ``007``), typed in JSONL.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinset.annotations import AttributeValue
from twinset.dataset import REAL, Dataset, SplitName
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, relative_path, visible
from twinset.formats.reading import (
    SPLIT_NAMES,
    BadFile,
    Candidate,
    Findings,
    Listing,
    dataset_name,
    split_name,
)
from twinset.formats.sidecars import (
    CLASSES_FILE,
    ORIGIN_KEYS,
    PROVENANCE_FILE,
    ClassList,
    optional_text,
    origin_of,
    provenance,
    read_classes,
)
from twinset.formats.writing import Encode, FileNames, Target, picture

SUFFIXES = (".csv", ".tsv", ".jsonl")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path")
LABEL_COLUMNS = ("label", "class", "target", "class_name", "category")
SPLIT_COLUMNS = ("split", "subset")
MAX_TABLE_BYTES = 1 << 30

Row = tuple[int, Mapping[str, object]]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what."""

    path: str
    label: str
    split: str | None
    extra: tuple[str, ...]


def listing(path: Path, *, siblings: Sequence[Path] = ()) -> Listing:
    """The pictures that a table names; with ``siblings``, several tables of one folder, each a split by its name."""
    folder, findings = Folder.at(path.parent), Findings()
    given = read_classes(folder)
    tables = (path, *siblings)
    for table in tables:
        find_columns(folder, table)

    def entries() -> Iterator[Candidate | BadFile]:
        seen: dict[str, tuple[str, str | None]] = {}
        for table in tables:
            named = SPLIT_NAMES.get(table.stem.casefold())
            yield from _entries(folder, table, named, seen, findings)

    name = dataset_name(path if not siblings else path.parent)
    return Listing(path.suffix[1:].lower(), entries(), findings, folder, name, given.names if given else None)


def find_columns(folder: Folder, table: Path) -> Columns:
    """The columns of a table; :class:`DatasetFormatError` if it has no path or no label."""
    return _columns(next((list(row) for _, row in _rows(folder, table)), None) or _header(folder, table), table)


def is_table(table: Path) -> bool:
    """Whether this file has a path and a label column."""
    try:
        find_columns(Folder.at(table.parent), table)
    except DatasetFormatError:
        return False
    return True


def _columns(names: Sequence[str], table: Path) -> Columns:
    lower = {name.strip().casefold(): name for name in names}

    def pick(known: Sequence[str]) -> str | None:
        return next((lower[key] for key in known if key in lower), None)

    path, label, split = pick(PATH_COLUMNS), pick(LABEL_COLUMNS), pick(SPLIT_COLUMNS)
    if path is None or label is None:
        raise DatasetFormatError(
            f"expected the columns path and label; got {visible(', '.join(names)) or 'none'}",
            path=visible(table.name),
            line=1,
            hint=f"name them {' or '.join(PATH_COLUMNS[:3])}, and {' or '.join(LABEL_COLUMNS[:3])}",
        )
    return Columns(path, label, split, tuple(name for name in names if name not in (path, label, split)))


def _text(folder: Folder, table: Path) -> str:
    try:
        data = folder.read(table.name, limit=MAX_TABLE_BYTES)
    except Unusable as error:
        raise DatasetFormatError(str(error), path=visible(table.name)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetFormatError(
            f"expected UTF-8; got the byte 0x{data[error.start]:02x}",
            path=visible(table.name),
            line=data.count(b"\n", 0, error.start) + 1,
            hint="save the table as UTF-8",
        ) from error


def _rows(folder: Folder, table: Path) -> Iterator[Row]:
    text = _text(folder, table)
    if table.suffix.lower() == ".jsonl":
        yield from _json_rows(text, visible(table.name))
    else:
        yield from _separated_rows(text, table)


def _json_rows(text: str, name: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nesting without end")
            raise DatasetFormatError(
                f"expected one JSON object a line; got {reason}", path=name, line=number, hint="repair this line"
            ) from error
        if not isinstance(value, dict):
            raise DatasetFormatError(
                f"expected one JSON object a line; got {type(value).__name__}", path=name, line=number
            )
        yield number, value


def _reader(text: str, table: Path) -> Iterator[list[str]]:
    first = text.split("\n", 1)[0]
    delimiter = "\t" if table.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _header(folder: Folder, table: Path) -> list[str]:
    if table.suffix.lower() == ".jsonl":
        return []
    try:
        return next(_reader(_text(folder, table), table), [])
    except csv.Error as error:
        raise DatasetFormatError(f"expected a table; got {error}", path=visible(table.name), line=1) from error


def _separated_rows(text: str, table: Path) -> Iterator[Row]:
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter="\t" if table.suffix.lower() == ".tsv" else _delimiter(text),
        strict=True,
    )
    header: list[str] | None = None
    start = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DatasetFormatError(
                f"expected a table; got {error}", path=visible(table.name), line=start, hint="repair this line"
            ) from error
        if row is None:
            return
        if header is None:
            header = row
        elif row:
            cells: dict[str, object] = dict(zip(header, row, strict=False))
            if len(row) != len(header):
                cells = {"": f"expected {len(header)} columns; got {len(row)}"}
            yield start, cells
        start = reader.line_num + 1
