"""Datasets: samples in order, with their classes, over one Arrow table.

The same columns (:data:`SCHEMA`) hold a user's folder, a shard of a run and a Parquet export, so nothing
is converted on its way through the house.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.annotations import AttributeValue, SemanticMap
from twinset.errors import DatasetFormatError
from twinset.images import FULL_RANGE, ImageSpec, PixelBatch, Window
from twinset.instances import OBJECT
from twinset.randomness import RandomSource, Stream
from twinset.sample import (
    GEOMETRY,
    PLACED,
    REAL,
    SCHEMA,
    Origin,
    Sample,
    canonical_labels,
    read_checked,
    sample_digest,
    sample_from_row,
    sample_row,
)

if TYPE_CHECKING:
    from twinset.formats import WriteReport
    from twinset.formats.writing import WritableFormat
    from twinset.splits import Split

__all__ = [
    "ARRAY_BYTES",
    "PLACED",
    "REAL",
    "SCHEMA",
    "SPLITS",
    "TASKS",
    "UNITS",
    "Dataset",
    "Origin",
    "Sample",
    "SplitName",
    "Task",
    "read_checked",
    "sample_digest",
    "sample_from_row",
    "sample_row",
]

Task = Literal["classification", "detection", "instance-segmentation", "semantic-segmentation"]
TASKS: tuple[Task, ...] = get_args(Task)
UNITS: Mapping[Task, str] = {
    "classification": "images",
    "detection": "objects",
    "instance-segmentation": "objects",
    "semantic-segmentation": "images that show it",
}
"""What :meth:`Dataset.label_counts` counts."""

ARRAY_BYTES = (1 << 31) - 1
"""Most image bytes that one Arrow array can hold; datasets beyond that keep theirs in several."""

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """An ordered set of samples with its classes. Every operation returns a new dataset.

    ``table`` has :data:`SCHEMA`; ``root`` is the folder that relative paths start from. Pickles to workers.
    """

    classes: tuple[str, ...]
    table: pa.Table
    root: Path | None = None
    window: Window = FULL_RANGE
    name: str = "dataset"
    _index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.table.schema.equals(SCHEMA):
            raise ValueError(f"expected the columns of twinset.dataset.SCHEMA; got {self.table.column_names}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"expected distinct classes; got {self.classes}")
        index = {id_: row for row, id_ in enumerate(self.table.column("id").to_pylist())}
        if len(index) != self.table.num_rows:
            raise DatasetFormatError(f"expected unique sample ids; got {self.table.num_rows - len(index)} repeated")
        class_ids = self.class_ids
        if class_ids.size and class_ids.max() >= len(self.classes):
            raise ValueError(f"expected class ids below {len(self.classes)}; got {class_ids.max()}")
        of_objects = self.object_column("class_id")
        if of_objects.size and of_objects.max() >= len(self.classes):
            raise ValueError(f"expected class ids of objects below {len(self.classes)}; got {of_objects.max()}")
        object.__setattr__(self, "_index", index)

    @staticmethod
    def of(
        samples: Iterable[Sample],
        *,
        classes: Sequence[str],
        splits: Sequence[str | None] | None = None,
        root: Path | None = None,
        name: str = "dataset",
    ) -> Dataset:
        """A dataset of these samples, all of one window; pictures held as pixels are encoded as PNG."""
        rows: list[dict[str, object]] = []
        windows: set[Window] = set()
        for sample in samples:
            rows.append(sample_row(sample))
            if not isinstance(sample.image, np.ndarray):
                windows.add(sample.window)
        if len(windows) > 1:
            raise ValueError(f"expected samples of one window of grey values; got {windows}; read them with the same")
        if splits is not None:
            for row, split in zip(rows, splits, strict=True):
                row["split"] = split
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        return Dataset(tuple(classes), table, root=root, window=next(iter(windows), FULL_RANGE), name=name)

    def __reduce__(self) -> tuple[object, ...]:
        """As its columns; objects as an Arrow stream, since Arrow pickles a buffer that many arrays share with each."""
        at = SCHEMA.get_field_index("instances")
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, pa.schema([SCHEMA.field(at)])) as stream:
            stream.write_table(self.table.select([at]))
        others = self.table.remove_column(at)
        return _unpickled, (self.classes, others, sink.getvalue(), self.root, self.window, self.name)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, row: int) -> Sample:
        if not -len(self) <= row < len(self):
            raise IndexError(f"expected a row below {len(self)}; got {row}")
        return self._sample(self.table.slice(row % len(self), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Sample]:
        for batch in self.table.to_batches(max_chunksize=256):
            for row in batch.to_pylist():
                yield self._sample(row)

    def _sample(self, row: Mapping[str, object]) -> Sample:
        return sample_from_row(row, root=self.root, window=self.window)

    def row_of(self, sample_id: str) -> int:
        """The row of a sample id; ``KeyError`` if it is not here."""
        return self._index[sample_id]

    @property
    def ids(self) -> list[str]:
        """All sample ids, in order."""
        return list(self._index)

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """(N,) class of every sample, −1 where unlabelled."""
        column = self.table.column("class_id").fill_null(-1)
        return np.asarray(column.to_numpy(), dtype=np.int64)

    @property
    def splits(self) -> list[str | None]:
        """The given split of every sample, where the source had one."""
        return list(self.table.column("split").to_pylist())

    def class_counts(self) -> dict[str, int]:
        """Images per class, in class order, zeros included."""
        labelled = self.class_ids[self.class_ids >= 0]
        counts = np.bincount(labelled, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def attribute(self, name: str) -> list[AttributeValue | None]:
        """What every sample says of this attribute, in order; None where it says nothing."""
        texts = self.table.column("attributes").to_pylist()
        return [json.loads(text).get(name) if text else None for text in texts]

    @property
    def task(self) -> Task:
        """What the labels are good for: that of the richest kind that any sample has."""
        if self.table.column("semantic").null_count < len(self):
            return "semantic-segmentation"
        if self.table.column("instances").null_count == len(self):
            return "classification"
        masks = (self._of_objects(name) for name in ("rle", "polygons"))
        return "instance-segmentation" if any(len(m) > m.null_count for m in masks) else "detection"

    def _of_objects(self, name: str) -> pa.ChunkedArray:
        """A field of all objects of all samples, one after the other."""
        objects = [pc.list_flatten(pc.struct_field(chunk, "objects")) for chunk in self._instances().chunks]
        return pa.chunked_array([chunk.field(name) for chunk in objects], OBJECT.field(name).type)

    def _instances(self) -> pa.ChunkedArray:
        return self.table.column("instances")

    def object_column(self, name: str) -> NDArray[np.generic]:
        """A number or flag of every object of every sample (a field of :data:`twinset.instances.OBJECT`), in order."""
        return np.asarray(self._of_objects(name).to_numpy())

    def object_counts(self) -> NDArray[np.int64]:
        """(N,) objects of every sample; 0 where nothing is said."""
        lengths = pc.fill_null(pc.list_value_length(pc.struct_field(self._instances(), "objects")), 0)
        return np.asarray(lengths.to_numpy(), dtype=np.int64)

    def object_boxes(self) -> NDArray[np.float32]:
        """float32 (M, 4): the box of every object of every sample, xyxy in pixels."""
        return np.stack([self._of_objects(name).to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)

    def object_sizes(self) -> NDArray[np.int64]:
        """int64 (N, 2): height and width of every sample as its objects have it; 0 where nothing is said."""
        sides = [pc.fill_null(pc.struct_field(self._instances(), name), 0).to_numpy() for name in ("height", "width")]
        return np.stack(sides, axis=1).astype(np.int64)

    def object_class_counts(self) -> dict[str, int]:
        """Objects per class, in class order, zeros included."""
        counts = np.bincount(self.object_column("class_id").astype(np.int64), minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def label_counts(self) -> dict[str, int]:
        """In class order: images of each class; of a dataset with objects, objects; with semantic maps, images that
        show the class."""
        if self.task == "classification":
            return self.class_counts()
        if self.task != "semantic-segmentation":
            return self.object_class_counts()
        counts = np.zeros(len(self.classes), dtype=np.int64)
        for png in self.table.column("semantic").to_pylist():
            if png is not None:
                shown = np.unique(SemanticMap(png).dense())
                counts[shown[shown >= 0]] += 1
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Dataset:
        """The samples at these rows, in this order."""
        return replace(self, table=_taken(self.table, np.asarray(rows, dtype=np.int64)))

    def where(self, keep: Sequence[bool] | NDArray[np.bool_]) -> Dataset:
        """The samples at which ``keep`` (N,) is true."""
        return self.take(np.flatnonzero(np.asarray(keep, dtype=bool)))

    def with_splits(self, splits: Sequence[str | None]) -> Dataset:
        """The same samples with other split names."""
        at = SCHEMA.get_field_index("split")
        return replace(self, table=self.table.set_column(at, SCHEMA.field(at), pa.array(splits, pa.string())))

    def with_window(self, window: Window) -> Dataset:
        """The same samples, their 16-bit and float pictures shown through another range of grey values."""
        return replace(self, window=window)

    def concat(self, other: Dataset) -> Dataset:
        """Both, one after the other; classes and window must be the same. Files of another root get absolute paths."""
        if other.classes != self.classes:
            raise ValueError(f"expected the same classes; got {self.classes} and {other.classes}")
        if other.window != self.window:
            raise ValueError(
                f"expected the same window of grey values; got {self.window} and {other.window}; "
                "give one of them the other's by with_window"
            )
        added = other.table if other.root == self.root else other.with_absolute_paths().table
        return replace(self, table=pa.concat_tables([self.table, added]))

    def with_absolute_paths(self) -> Dataset:
        """The same samples; the files of pictures named from the root of the disk."""
        root, at = (self.root or Path()).absolute(), SCHEMA.get_field_index("path")
        inside = self.table.column("image").is_valid().to_pylist()
        paths = [
            path if path is None or held else str(root / path)
            for path, held in zip(self.table.column("path").to_pylist(), inside, strict=True)
        ]
        return replace(self, table=self.table.set_column(at, SCHEMA.field(at), pa.array(paths, pa.string())), root=None)

    def prepared(self, spec: ImageSpec) -> PixelBatch:
        """All pictures at one size: uint8 (N, H, W, C)."""
        batch = np.empty((len(self), *spec.shape), dtype=np.uint8)
        for row, sample in enumerate(self):
            batch[row] = spec.prepare(sample.pixels())
        return batch

    def digest(self) -> str:
        """sha256 over canonical rows and decoded pixels; independent of encodings, file names and shards."""
        total = hashlib.sha256(json.dumps(list(self.classes)).encode())
        for sample in self:
            total.update(sample_digest(sample))
        return total.hexdigest()

    def source_digest(self) -> str:
        """sha256 over ids, labels, given splits, attributes and encoded bytes, as they were read; nothing is decoded.

        A sample without attributes counts as it did before they were part of this.
        """
        total = hashlib.sha256(json.dumps(list(self.classes)).encode())
        columns = ["id", "sha256", "image", "class_id", "split", "attributes", *PLACED]
        for batch in self.table.select(columns).to_batches(max_chunksize=256):
            for row in batch.to_pylist():
                content = row["sha256"] or hashlib.sha256(row["image"]).hexdigest()
                values = [row["id"], content, row["class_id"], row["split"]]
                said = {"attributes": row["attributes"], **canonical_labels(row)}
                values += [_told(name, value) for name, value in said.items() if value is not None]
                total.update(json.dumps(values, sort_keys=True, default=str).encode())
        return total.hexdigest()

    def split(
        self,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        *,
        rng: RandomSource,
        shots: int | None = None,
    ) -> Split:
        """Training, validation and test parts; near duplicates stay together, given splits are respected."""
        from twinset.families import families
        from twinset.splits import split

        return split(self, fractions=fractions, shots=shots, families=families(self), rng=Stream.of(rng))

    def export(self, destination: str | Path, *, format: WritableFormat) -> WriteReport:
        """Writes a new folder in ``format``; synthetic images carry their provenance."""
        from twinset.formats import write
        from twinset.provenance import encode_with_provenance

        return write(self, Path(destination), format, encode=encode_with_provenance)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} images, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        from twinset.notebook import dataset_html

        return dataset_html(self)


def _told(name: str, value: object) -> object:
    """A label in :meth:`Dataset.source_digest`: those that came later carry their name."""
    return {name: value} if name in GEOMETRY else value


def _unpickled(
    classes: tuple[str, ...], others: pa.Table, objects: pa.Buffer, root: Path | None, window: Window, name: str
) -> Dataset:
    at = SCHEMA.get_field_index("instances")
    column = pa.ipc.open_stream(objects).read_all().column(0)
    return Dataset(classes, others.add_column(at, SCHEMA.field(at), column), root, window, name)


def _taken(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """These rows, in this order; images array by array where a single array could not hold them."""
    images = table.column("image")
    if images.nbytes <= ARRAY_BYTES:
        return table.take(pa.array(rows)).combine_chunks()
    others = table.drop_columns(["image"]).take(pa.array(rows)).combine_chunks()
    starts = np.cumsum([0, *(len(chunk) for chunk in images.chunks)])
    home = np.searchsorted(starts, rows, side="right") - 1
    runs = pairwise([*np.flatnonzero(np.diff(home, prepend=-1)).tolist(), len(rows)])
    pieces = [images.chunk(int(home[a])).take(pa.array(rows[a:b] - starts[home[a]])) for a, b in runs]
    at = SCHEMA.get_field_index("image")
    return others.add_column(at, SCHEMA.field(at), pa.chunked_array(list(_packed(pieces)), pa.binary()))


def _packed(pieces: Iterable[pa.Array]) -> Iterator[pa.Array]:
    """The same values in as few arrays as can hold them."""
    held: list[pa.Array] = []
    size = 0
    for piece in pieces:
        if held and size + piece.nbytes > ARRAY_BYTES:
            yield pa.concat_arrays(held)
            held, size = [], 0
        held.append(piece)
        size += piece.nbytes
    if held:
        yield pa.concat_arrays(held)
