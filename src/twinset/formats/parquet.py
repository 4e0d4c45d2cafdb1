"""Parquet tables with an ``image`` column: our own, and those of the Hugging Face hub (``{bytes, path}`` structs).

What we write is read by ``datasets.load_dataset("parquet", data_dir=…)`` with ``image`` and ``label`` as features.
Objects are a column ``instances``, semantic maps a column ``semantic`` (PNG, 255 = ignore), where a dataset has any.
Of the hub's detection sets the column ``objects`` is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from twinset.dataset import PLACED, SplitName
from twinset.errors import DatasetFormatError
from twinset.formats.embedded import ClassMask, Found, class_names, read_hub, read_ours
from twinset.formats.folder import Folder, Unusable, first_line, relative_path, visible
from twinset.formats.geometry import geometry_of
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing, split_name
from twinset.formats.objects import Objects
from twinset.formats.parquet_writing import EXPORT_SCHEMA, METADATA_KEY, METADATA_SCHEMA, write
from twinset.formats.sidecars import ORIGIN_KEYS, RESERVED_KEYS, table_extras
from twinset.formats.webdataset import shard_split

__all__ = ["EXPORT_SCHEMA", "has_images", "listing", "write"]

IMAGE_COLUMNS = ("image", "img", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "target", "class_id", "fine_label")
HUB_OBJECTS = "objects"
BATCH_ROWS = 64


@dataclass(frozen=True)
class _File:
    """One Parquet file, what its columns mean, and which are read. ``object_classes`` are those of a hub's objects."""

    path: str
    image: str
    label: str | None
    classes: tuple[str, ...] | None
    object_classes: tuple[str, ...] | None
    split: SplitName | None
    columns: tuple[str, ...]
    ours: bool

    @property
    def all_classes(self) -> tuple[str, ...] | None:
        """Those of pictures, then those of objects; None where neither is stated."""
        if self.classes is None and self.object_classes is None:
            return None
        return tuple(dict.fromkeys([*(self.classes or ()), *(self.object_classes or ())]))

    @property
    def placed(self) -> frozenset[str]:
        """The columns that say where something is in a picture."""
        return frozenset(self.columns) & frozenset(PLACED if self.ours else (HUB_OBJECTS,))


def listing(folder: Folder, files: Sequence[str], name: str) -> Listing:
    """The rows of these Parquet files of a folder."""
    findings = Findings()
    opened = [_inspect(folder, file) for file in files]
    classes = next((file.all_classes for file in opened if file.all_classes is not None), None)
    objects = Objects() if any(file.placed for file in opened) else None
    for file in opened:
        if file.all_classes is not None and file.all_classes != classes:
            raise DatasetFormatError("expected the same classes in all files; got others", path=visible(file.path))

    def entries() -> Iterator[Candidate | BadFile]:
        for file in opened:
            yield from _rows(folder, file, objects, findings)

    names = tuple(findings.class_name(name) for name in classes) if classes is not None else None
    if names is not None and len(set(names)) != len(names):
        raise DatasetFormatError(
            "expected distinct class names; got some that are the same once control characters are written out",
            path=visible(opened[0].path),
            hint="rename these classes",
        )
    return Listing("parquet", entries(), findings, folder, name, names, objects)


def has_images(folder: Folder, file: str) -> bool:
    """Whether a Parquet file has an image column; :class:`DatasetFormatError` if it is no Parquet file."""
    return _image_column(_schema(folder, file)) is not None


def _schema(folder: Folder, file: str) -> pa.Schema:
    try:
        with folder.open(file) as handle:
            return pq.read_schema(handle)
    except Unusable as error:
        raise DatasetFormatError(str(error), path=visible(file), hint="put the file itself there") from error
    except (pa.ArrowException, OSError) as error:
        raise DatasetFormatError(
            f"expected a Parquet file; got {first_line(error)}",
            path=visible(file),
            hint="fetch or write the file again",
        ) from error


def _image_column(schema: pa.Schema) -> str | None:
    holding = {field.name for field in schema if _holds_images(field.type)}
    return next((column for column in IMAGE_COLUMNS if column in holding), None)


def _inspect(folder: Folder, file: str) -> _File:
    name, schema = visible(file), _schema(folder, file)
    image = _image_column(schema)
    if image is None:
        raise DatasetFormatError(
            f"expected an image column of bytes; got the columns {visible(', '.join(schema.names))}",
            path=name,
            hint=f"name it {' or '.join(IMAGE_COLUMNS)}",
        )
    if twice := sorted({column for column in schema.names if schema.names.count(column) > 1}):
        raise DatasetFormatError(
            f"expected distinct columns; got {visible(twice[0])} twice", path=name, hint="rename one of them"
        )
    label = next((column for column in LABEL_COLUMNS if column in schema.names), None)
    stated, classes = _metadata(schema, label)
    split = shard_split(file) if stated is None else SPLIT_NAMES.get(stated)
    ours = stated is not None or {*ORIGIN_KEYS} <= {*schema.names}
    meant = {image, label, "split", *RESERVED_KEYS, *((*ORIGIN_KEYS, *PLACED) if ours else (HUB_OBJECTS,))}
    columns = tuple(field.name for field in schema if field.name in meant or _is_plain(field.type))
    return _File(file, image, label, classes, None if ours else _object_names(schema), split, columns, ours)


def _is_plain(kind: pa.DataType) -> bool:
    """Whether a column can be an attribute. Others, such as embeddings and times, are not even read."""
    types = pa.types
    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind)
    return bool(texts or types.is_integer(kind) or types.is_floating(kind))


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _metadata(schema: pa.Schema, label: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """The split (None: not stated) and class names in the file's metadata, ours or Hugging Face's."""
    metadata = schema.metadata or {}
    try:
        ours = json.loads(metadata.get(METADATA_KEY, b"{}"))
        theirs = json.loads(metadata.get(b"huggingface", b"{}"))
        split = str(ours.get("split")) if ours.get("schema") == METADATA_SCHEMA else None
        names = ours.get("classes") or theirs.get("info", {}).get("features", {}).get(label, {}).get("names")
    except (ValueError, AttributeError, RecursionError):
        return None, None
    return split, _distinct(names)


def _distinct(names: object) -> tuple[str, ...] | None:
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        return None
    return tuple(names)


def _object_names(schema: pa.Schema) -> tuple[str, ...] | None:
    """The class names of objects in Hugging Face's metadata, wherever they stand below the column."""
    try:
        theirs = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return _distinct(_names_below(theirs["info"]["features"][HUB_OBJECTS]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _names_below(feature: object) -> object:
    inner = list(feature.values()) if isinstance(feature, dict) else feature if isinstance(feature, list) else []
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        return feature.get("names")
    return next((names for one in inner if (names := _names_below(one)) is not None), None)


def _rows(folder: Folder, file: _File, objects: Objects | None, findings: Findings) -> Iterator[Candidate | BadFile]:
    number = 0
    try:
        with folder.open(file.path) as handle, pq.ParquetFile(handle) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=list(file.columns)):
                for at in range(batch.num_rows):
                    number += 1
                    yield from _row(batch.slice(at, 1), number, file, objects, findings)
    except (pa.ArrowException, OSError) as error:
        yield BadFile(visible(file.path), f"expected whole Parquet data; got {first_line(error)}", number + 1)


def _row(
    batch: pa.RecordBatch, number: int, file: _File, objects: Objects | None, findings: Findings
) -> Iterator[Candidate | BadFile]:
    """What the one row of a batch says, and objects that cannot be used."""
    try:
        row = _values(batch, file)
        data, path = _image(row[file.image])
        given = row.get("split")
        split = split_name(given) if isinstance(given, str) else None
        known = {file.image, file.label, *file.placed, *(("path", "sha256") if file.ours else ())}
        known |= {"split"} if given is None or isinstance(given, str) else set()
        extra = table_extras(row, known=known, ours=file.ours)
        label = _label(row.get(file.label) if file.label else None, file.classes, findings)
        found = _objects(row, file, findings)
        semantic = _semantic(row, file)
    except Unusable as error:
        yield BadFile(visible(file.path), str(error), number)
        return
    yield Candidate(
        id=extra.id or f"{visible(file.path[: -len('.parquet')])}/{number - 1:06d}",
        label=label,
        split=split or file.split,
        data=data,
        path=path,
        where=visible(file.path),
        line=number,
        caption=extra.caption,
        attributes=extra.attributes,
        probabilities=extra.probabilities,
        origin=extra.origin,
        objects=None if found is None or objects is None else found.picture_in(objects),
        semantic=semantic,
        geometry=geometry_of(row, file.placed),
    )
    for problem in found.problems if found is not None else ():
        yield BadFile(visible(file.path), problem, number, "object")


def _objects(row: dict[str, object], file: _File, findings: Findings) -> Found | None:
    column = next((name for name in ("instances", HUB_OBJECTS) if name in file.placed), "")
    if row.get(column) is None:
        return None
    if file.ours:
        return read_ours(row[column], class_names(file.classes, findings.class_name))
    return read_hub(row[column], class_names(file.object_classes or file.classes, findings.class_name))


def _semantic(row: dict[str, object], file: _File) -> ClassMask | None:
    png = row.get("semantic") if "semantic" in file.placed else None
    if png is None:
        return None
    if not isinstance(png, bytes) or file.classes is None:
        raise Unusable("expected a semantic map as PNG, and class names; got others")
    return ClassMask(png, len(file.classes))


def _values(batch: pa.RecordBatch, file: _File) -> dict[str, object]:
    try:
        return {name: value for name, value in batch.to_pylist()[0].items() if name in file.columns}
    except (ValueError, OverflowError) as error:
        raise Unusable(f"expected values that can be read; got {first_line(error)}") from error


def _image(value: object) -> tuple[bytes | None, str | None]:
    if isinstance(value, bytes):
        return value, None
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        if isinstance(data, bytes):
            return data, None
        if isinstance(path, str):
            return None, str(relative_path(path))
    raise Unusable("expected the bytes of a picture; got none")


def _label(value: object, classes: tuple[str, ...] | None, findings: Findings) -> str | None:
    if value is None or value == -1 or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if classes is None:
            return str(value)
        if not 0 <= value < len(classes):
            raise Unusable(f"expected a class below {len(classes)}; got {value}")
        return findings.class_name(classes[value])
    if isinstance(value, str):
        return findings.class_name(value)
    raise Unusable(f"expected one label; got {type(value).__name__}")
