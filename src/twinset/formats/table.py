"""A CSV, TSV or JSONL file of ``path,label[,split,…]`` beside the pictures it names.

Every other column becomes an attribute: text in CSV and TSV (``007`` stays ``007``), typed in JSONL. In what we
write, attributes whose names already mean something, and empty ones, ride as JSON in the column ``attributes``.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from twinset.dataset import Dataset, SplitName
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, relative_path, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing, split_name
from twinset.formats.sidecars import (
    CLASSES_FILE,
    ORIGIN_KEYS,
    RESERVED_KEYS,
    ClassList,
    json_problem,
    provenance,
    read_classes,
    table_extras,
)
from twinset.formats.writing import Encode, FileNames, Target, picture

SUFFIXES = (".csv", ".tsv", ".jsonl")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path")
LABEL_COLUMNS = ("label", "class", "target", "class_name", "category")
SPLIT_COLUMNS = ("split", "subset")
WRITTEN_COLUMNS = ("path", "label", "split", "id", "unlabelled", *ORIGIN_KEYS)
MEANT_COLUMNS = frozenset({*PATH_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS, *WRITTEN_COLUMNS, *RESERVED_KEYS})
MAX_TABLE_BYTES = 1 << 30
START_BYTES = 1 << 18


@dataclass(frozen=True)
class _Row:
    line: int
    cells: Mapping[str, object]


@dataclass(frozen=True)
class _Table:
    name: str
    header: tuple[str, ...]
    rows: Iterator[_Row | BadFile]


@dataclass(frozen=True)
class _Columns:
    """What the columns of a table mean; ``ours`` if it is one that we wrote."""

    path: str
    label: str
    split: str | None
    ours: bool


def listing(folder: Folder, files: Sequence[str], name: str) -> Listing:
    """The pictures that a table names. Several tables of one folder are its splits, by their names."""
    findings = Findings()
    given = read_classes(folder)
    opened = [(_open(folder, file), SPLIT_NAMES.get(PurePosixPath(file).stem.casefold())) for file in files]
    columns = [_columns(table) for table, _ in opened]

    def entries() -> Iterator[Candidate | BadFile]:
        seen: dict[str, tuple[str, str | None]] = {}
        for (table, named), its_columns in zip(opened, columns, strict=True):
            for row in table.rows:
                yield row if isinstance(row, BadFile) else _entry(row, table, its_columns, named, seen, findings)

    kind = PurePosixPath(files[0]).suffix[1:].lower()
    return Listing(kind, entries(), findings, folder, name, given.names if given else None)


def is_table(folder: Folder, file: str) -> bool:
    """Whether this file names a path and a label column, by its start, even if it cannot be read further."""
    try:
        with folder.open(file) as handle:
            start = handle.read(START_BYTES).decode("utf-8-sig", "replace")
    except (Unusable, OSError):
        return False
    try:
        _columns(_parsed(start, file))
    except DatasetFormatError:
        return _claims_columns(start)
    return True


def _claims_columns(start: str) -> bool:
    words = {word.casefold() for word in re.findall(r"\w+", start.split("\n", 1)[0])}
    return not words.isdisjoint(PATH_COLUMNS) and not words.isdisjoint(LABEL_COLUMNS)


def _columns(table: _Table) -> _Columns:
    lower = {name.strip().casefold(): name for name in reversed(table.header)}

    def pick(known: Sequence[str]) -> str | None:
        return next((lower[key] for key in known if key in lower), None)

    path, label, split = pick(PATH_COLUMNS), pick(LABEL_COLUMNS), pick(SPLIT_COLUMNS)
    if path is None or label is None:
        raise DatasetFormatError(
            f"expected the columns path and label; got {visible(', '.join(table.header)) or 'none'}",
            path=table.name,
            line=1,
            hint=f"name them {' or '.join(PATH_COLUMNS[:3])}, and {' or '.join(LABEL_COLUMNS[:3])}",
        )
    return _Columns(path, label, split, set(ORIGIN_KEYS) <= set(table.header))


def _open(folder: Folder, file: str) -> _Table:
    name = visible(file)
    try:
        data = folder.read(file, limit=MAX_TABLE_BYTES)
        text = data.decode("utf-8-sig")
    except Unusable as error:
        raise DatasetFormatError(str(error), path=name, hint="put the table itself there") from error
    except UnicodeDecodeError as error:
        raise DatasetFormatError(
            f"expected UTF-8; got the byte 0x{data[error.start]:02x}",
            path=name,
            line=data.count(b"\n", 0, error.start) + 1,
            hint="save the table as UTF-8",
        ) from error
    return _parsed(text, file)


def _parsed(text: str, file: str) -> _Table:
    suffix = PurePosixPath(file).suffix.lower()
    return _parsed_jsonl(text, visible(file)) if suffix == ".jsonl" else _parsed_csv(text, suffix, visible(file))


def _parsed_jsonl(text: str, name: str) -> _Table:
    """The columns are the keys of all rows: a row may lack what others have. Rows are parsed again when read."""
    header: dict[str, None] = {}
    first_bad: BadFile | None = None
    for row in _json_rows(text, name):
        if isinstance(row, _Row):
            header.update(dict.fromkeys(row.cells))
        else:
            first_bad = first_bad or row
    if not header and first_bad is not None:
        raise DatasetFormatError(first_bad.problem, path=name, line=first_bad.line, hint="repair this line")
    return _Table(name, tuple(header), _json_rows(text, name))


def _json_rows(text: str, name: str) -> Iterator[_Row | BadFile]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadFile(name, f"expected one JSON object a line; got {json_problem(error)}", number)
            continue
        if isinstance(value, dict):
            yield _Row(number, value)
        else:
            yield BadFile(name, f"expected one JSON object a line; got {type(value).__name__}", number)


def _parsed_csv(text: str, suffix: str, name: str) -> _Table:
    first = text.split("\n", 1)[0]
    delimiter = "\t" if suffix == ".tsv" else ";" if ";" in first and "," not in first else ","
    records = _records(text, delimiter, name)
    _, header = next(records, (1, []))

    def rows() -> Iterator[_Row | BadFile]:
        for line, record in records:
            if len(record) == len(header):
                yield _Row(line, dict(zip(header, record, strict=True)))
            else:
                yield BadFile(name, f"expected {len(header)} columns; got {len(record)}", line)

    return _Table(name, tuple(header), rows())


def _records(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Records that are not empty, each with the line it starts at."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetFormatError(
            f"expected a table; got {visible(str(error))}", path=name, line=line, hint="repair this line"
        ) from error


def _entry(
    row: _Row,
    table: _Table,
    columns: _Columns,
    named: SplitName | None,
    seen: dict[str, tuple[str, str | None]],
    findings: Findings,
) -> Candidate | BadFile:
    try:
        return _candidate(row, table, columns, named, seen, findings)
    except Unusable as error:
        return BadFile(table.name, visible(str(error)), row.line)


def _candidate(
    row: _Row,
    table: _Table,
    columns: _Columns,
    named: SplitName | None,
    seen: dict[str, tuple[str, str | None]],
    findings: Findings,
) -> Candidate:
    cells = row.cells
    path = str(relative_path(_plain(cells.get(columns.path), "path")))
    label = _label(cells, columns, findings)
    where = f"{table.name}:{row.line}"
    if path in seen:
        first, other = seen[path]
        said = "the same picture again" if other == label else f"the class {label!r} for what was {other!r}"
        raise Unusable(f"expected each picture once; got {said} ({visible(path)}, first at {first})")
    seen[path] = (where, label)
    split = split_name(_plain(cells.get(columns.split), "split")) if columns.split else None
    filled = {name: value for name, value in cells.items() if value != ""}
    known = {columns.path, columns.label, columns.split, "unlabelled"}
    extra = table_extras(filled, known=known, ours=columns.ours)
    return Candidate(
        id=extra.id or visible(path),
        label=label,
        split=split or named,
        path=path,
        where=table.name,
        line=row.line,
        caption=extra.caption,
        attributes=extra.attributes,
        probabilities=extra.probabilities,
        origin=extra.origin,
    )


def _plain(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable(f"expected a {what} as text; got {type(value).__name__}")
    return value


def _label(cells: Mapping[str, object], columns: _Columns, findings: Findings) -> str | None:
    value = cells.get(columns.label)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise Unusable(f"expected one label; got {type(value).__name__}")
    if not value or not value.strip():
        if cells.get("unlabelled") in ("yes", True):
            return None
        raise Unusable("expected a label; got an empty cell")
    return findings.class_name(value)


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``labels.csv`` and the pictures under ``images/``; the number of pictures."""
    names, rows, extra = FileNames(), list[dict[str, object]](), set[str]()
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        path = names.free(f"images/{split}" if split else "images", sample.id, suffix)
        target.add(path, data)
        class_id = sample.annotation.class_id if sample.annotation else None
        row: dict[str, object] = {"path": path, "label": "" if class_id is None else dataset.classes[class_id]}
        row.update(split=split or "", unlabelled="yes" if class_id is None else "")
        row.update(provenance(sample))
        attributes = row.pop("attributes", {})
        assert isinstance(attributes, dict)
        own_columns = {name: value for name, value in attributes.items() if _has_own_column(name, value)}
        row.update(own_columns)
        if others := {name: value for name, value in attributes.items() if name not in own_columns}:
            row["attributes"] = others
        extra.update(row)
        rows.append({key: json.dumps(v) if isinstance(v, list | tuple | dict) else v for key, v in row.items()})
    buffer = io.StringIO(newline="")
    table = csv.DictWriter(buffer, [*WRITTEN_COLUMNS, *sorted(extra - set(WRITTEN_COLUMNS))], restval="")
    table.writeheader()
    table.writerows(rows)
    target.add("labels.csv", buffer.getvalue().encode())
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())
    return len(rows)


def _has_own_column(name: str, value: object) -> bool:
    """Whether an attribute comes back from a column of its own: no other meaning, and not an empty cell."""
    return value != "" and name.strip().casefold() not in MEANT_COLUMNS
