"""Parquet tables with an ``image`` column: our own, and those of the Hugging Face hub (``{bytes, path}`` structs).

What we write is read by ``datasets.load_dataset("parquet", data_dir=…)`` with ``image`` and ``label`` as features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from twinset.dataset import Dataset, Sample, SplitName
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, first_line, relative_path, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing, split_name
from twinset.formats.sidecars import ORIGIN_KEYS, RESERVED_KEYS, provenance, table_extras
from twinset.formats.webdataset import shard_split
from twinset.formats.writing import Encode, Target, picture

IMAGE_COLUMNS = ("image", "img", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "target", "class_id", "fine_label")
METADATA_KEY = b"twinset"
METADATA_SCHEMA = "twinset/parquet/1"
BATCH_ROWS = 64
GROUP_ROWS = 1024
GROUP_BYTES = 32 << 20

EXPORT_SCHEMA = pa.schema(
    [
        pa.field("image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])),
        pa.field("label", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("id", "caption", "class_probabilities", "attributes")),
        *(pa.field(name, pa.int64() if name == "seed" else pa.string()) for name in ORIGIN_KEYS),
    ]
)
"""One row a sample; ``class_probabilities``, ``attributes`` and ``parents`` are JSON text."""


@dataclass(frozen=True)
class _File:
    """One Parquet file, what its columns mean, and which are read."""

    path: str
    image: str
    label: str | None
    classes: tuple[str, ...] | None
    split: SplitName | None
    columns: tuple[str, ...]
    ours: bool


def listing(folder: Folder, files: Sequence[str], name: str) -> Listing:
    """The rows of these Parquet files of a folder."""
    findings = Findings()
    opened = [_inspect(folder, file) for file in files]
    classes = next((file.classes for file in opened if file.classes is not None), None)
    for file in opened:
        if file.classes is not None and file.classes != classes:
            raise DatasetFormatError("expected the same classes in all files; got others", path=visible(file.path))

    def entries() -> Iterator[Candidate | BadFile]:
        for file in opened:
            yield from _rows(folder, file, classes, findings)

    names = tuple(findings.class_name(name) for name in classes) if classes is not None else None
    if names is not None and len(set(names)) != len(names):
        raise DatasetFormatError(
            "expected distinct class names; got some that are the same once control characters are written out",
            path=visible(opened[0].path),
            hint="rename these classes",
        )
    return Listing("parquet", entries(), findings, folder, name, names)


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
    meant = {image, label, "split", *RESERVED_KEYS, *(ORIGIN_KEYS if ours else ())}
    columns = tuple(field.name for field in schema if field.name in meant or _is_plain(field.type))
    return _File(file, image, label, classes, split, columns, ours)


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
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        return split, None
    return split, tuple(names)


def _rows(
    folder: Folder, file: _File, classes: tuple[str, ...] | None, findings: Findings
) -> Iterator[Candidate | BadFile]:
    number = 0
    try:
        with folder.open(file.path) as handle, pq.ParquetFile(handle) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=list(file.columns)):
                for at in range(batch.num_rows):
                    number += 1
                    yield _row(batch.slice(at, 1), number, file, classes, findings)
    except (pa.ArrowException, OSError) as error:
        yield BadFile(visible(file.path), f"expected whole Parquet data; got {first_line(error)}", number + 1)


def _row(
    batch: pa.RecordBatch, number: int, file: _File, classes: tuple[str, ...] | None, findings: Findings
) -> Candidate | BadFile:
    """What the one row of a batch says."""
    try:
        row = _values(batch, file)
        data, path = _image(row[file.image])
        given = row.get("split")
        split = split_name(given) if isinstance(given, str) else None
        known = {file.image, file.label, *(("path", "sha256") if file.ours else ())}
        known |= {"split"} if given is None or isinstance(given, str) else set()
        extra = table_extras(row, known=known, ours=file.ours)
        return Candidate(
            id=extra.id or f"{visible(file.path[: -len('.parquet')])}/{number - 1:06d}",
            label=_label(row.get(file.label) if file.label else None, classes, findings),
            split=split or file.split,
            data=data,
            path=path,
            where=visible(file.path),
            line=number,
            caption=extra.caption,
            attributes=extra.attributes,
            probabilities=extra.probabilities,
            origin=extra.origin,
        )
    except Unusable as error:
        return BadFile(visible(file.path), str(error), number)


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


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``data/train-00000-of-00001.parquet`` and so on, in row groups of at most 1,024 rows; the number of pictures."""
    groups: dict[str | None, list[int]] = {}
    for row, split in enumerate(dataset.splits):
        groups.setdefault(split, []).append(row)
    for split, rows in groups.items():
        schema = EXPORT_SCHEMA.with_metadata(_export_metadata(dataset.classes, split))
        with (
            target.open(f"data/{split or 'train'}-00000-of-00001.parquet") as handle,
            pq.ParquetWriter(handle, schema, compression="zstd") as writer,
        ):
            pending: list[dict[str, object]] = []
            size = 0
            for row in rows:
                data, fields = _export_row(dataset[row], encode)
                pending.append(fields)
                size += len(data)
                if len(pending) >= GROUP_ROWS or size >= GROUP_BYTES:
                    writer.write_table(pa.Table.from_pylist(pending, schema=schema))
                    pending, size = [], 0
            if pending:
                writer.write_table(pa.Table.from_pylist(pending, schema=schema))
    return len(dataset)


def _export_row(sample: Sample, encode: Encode | None) -> tuple[bytes, dict[str, object]]:
    data, suffix = picture(sample, encode)
    fields = provenance(sample)
    for name in ("class_probabilities", "attributes", "parents"):
        if name in fields:
            fields[name] = json.dumps(fields[name], sort_keys=True)
    fields["image"] = {"bytes": data, "path": f"{sample.id.rsplit('/', 1)[-1].removesuffix(suffix)}{suffix}"}
    fields["label"] = sample.annotation.class_id if sample.annotation else None
    return data, fields


def _export_metadata(classes: Sequence[str], split: str | None) -> dict[bytes, bytes]:
    features: dict[str, object] = {
        field.name: {"dtype": str(field.type), "_type": "Value"} for field in EXPORT_SCHEMA if field.name != "image"
    }
    features["image"] = {"_type": "Image"}
    features["label"] = {"names": list(classes), "_type": "ClassLabel"}
    ordered = {name: features[name] for name in EXPORT_SCHEMA.names}
    ours = {"schema": METADATA_SCHEMA, "classes": list(classes), "split": split}
    return {
        b"huggingface": json.dumps({"info": {"features": ordered}}).encode(),
        METADATA_KEY: json.dumps(ours).encode(),
    }
