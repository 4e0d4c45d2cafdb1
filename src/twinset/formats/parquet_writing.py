"""Writing Parquet: one file a split, in row groups, with class names in the metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from twinset.dataset import PLACED, SCHEMA, Dataset, Sample
from twinset.formats.sidecars import ORIGIN_KEYS, provenance
from twinset.formats.writing import Encode, Target, picture
from twinset.instances import to_value
from twinset.sample import camera_value

METADATA_KEY = b"twinset"
METADATA_SCHEMA = "twinset/parquet/1"
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
"""One row a sample; ``class_probabilities``, ``attributes`` and ``parents`` are JSON text.

A dataset with objects, semantic maps, depth, normals or cameras has those columns of :data:`twinset.dataset.SCHEMA`
after these (:mod:`twinset.geometry` says how depth and normals are packed).
"""


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``data/train-00000-of-00001.parquet`` and so on, in row groups of at most 1,024 rows; the number of pictures."""
    groups: dict[str | None, list[int]] = {}
    for row, split in enumerate(dataset.splits):
        groups.setdefault(split, []).append(row)
    said = [SCHEMA.field(name) for name in PLACED if dataset.table.column(name).null_count < len(dataset)]
    columns = pa.schema([*EXPORT_SCHEMA, *said])
    for split, rows in groups.items():
        schema = columns.with_metadata(_export_metadata(columns, dataset.classes, split))
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
    annotation = sample.annotation
    fields["label"] = annotation.class_id if annotation else None
    if annotation is not None and annotation.instances is not None:
        fields["instances"] = to_value(annotation.instances)
    if annotation is not None and annotation.semantic is not None:
        fields["semantic"] = annotation.semantic.png
    if annotation is not None and annotation.depth_metres is not None:
        fields["depth"] = annotation.depth_metres.packed
    if annotation is not None and annotation.normals is not None:
        fields["normals"] = annotation.normals.packed
    if annotation is not None and annotation.camera is not None:
        fields["camera"] = camera_value(annotation.camera)
    return data, fields


def _export_metadata(columns: pa.Schema, classes: Sequence[str], split: str | None) -> dict[bytes, bytes]:
    features = {field.name: _feature(field.type) for field in columns}
    features["image"] = {"_type": "Image"}
    features["label"] = {"names": list(classes), "_type": "ClassLabel"}
    ours = {"schema": METADATA_SCHEMA, "classes": list(classes), "split": split}
    return {
        b"huggingface": json.dumps({"info": {"features": features}}).encode(),
        METADATA_KEY: json.dumps(ours).encode(),
    }


def _feature(kind: pa.DataType) -> object:
    """A column's type as the ``datasets`` library spells it."""
    if pa.types.is_struct(kind):
        return {kind.field(at).name: _feature(kind.field(at).type) for at in range(kind.num_fields)}
    if pa.types.is_list(kind):
        return [_feature(kind.value_type)]
    return {"dtype": {"float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}
