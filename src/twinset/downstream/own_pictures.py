"""The pictures of a study as files, for trainers outside of twinset: written once, copied for every training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.images import encode_png
from twinset.instances import INSTANCES
from twinset.semantic import IGNORE, SemanticMap
from twinset.store import read_table, write_bytes, write_table

Part = Literal["train", "validation", "test", "synthetic"]
LISTED = pa.schema(
    [
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("instances", INSTANCES),
        pa.field("semantic", pa.binary()),
    ]
)
QUICK = 1
"""PNG compression that costs little; the files are copied within one disk."""


def save_pictures(dataset: Dataset, folder: Path, part: Part, *, labels: bool) -> None:
    """Every picture as a PNG of its decoded pixels, without metadata, and a table of sizes and, if asked, labels."""
    rows = []
    for row, sample in enumerate(dataset):
        pixels = sample.pixels()
        write_bytes(_file(folder, part, row), encode_png(pixels, compress_level=QUICK))
        semantic = sample.annotation.semantic if sample.annotation is not None and labels else None
        rows.append({"height": pixels.shape[0], "width": pixels.shape[1], "semantic": semantic and semantic.png})
    table = pa.Table.from_pylist([{**row, "instances": None} for row in rows], LISTED)
    if labels:
        at = LISTED.get_field_index("instances")
        table = table.set_column(at, LISTED.field(at), dataset.table.column("instances").cast(INSTANCES))
    write_table(folder / f"{part}.parquet", table)


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one part, as :func:`save_pictures` left them."""

    folder: Path
    part: Part
    table: pa.Table

    @staticmethod
    def load(folder: Path, part: Part) -> Pictures:
        """The part of this name."""
        return Pictures(folder, part, read_table(folder / f"{part}.parquet"))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of every picture."""
        columns = (self.table.column(name).to_pylist() for name in ("height", "width"))
        return list(zip(*columns, strict=True))

    def take(self, rows: NDArray[np.integer] | Sequence[int]) -> pa.Table:
        """Sizes and labels of these rows."""
        return self.table.take(pa.array(np.asarray(rows, dtype=np.int64)))

    def copy(self, row: int, to: Path) -> None:
        """Copies one picture; a copy, since the trainer may do with it what it likes."""
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_file(self.folder, self.part, row), to)

    def copy_map(self, row: int, to: Path) -> None:
        """Writes the class of every pixel as a grey PNG, 255 where it is unknown."""
        png = self.table.column("semantic")[row].as_py()
        if png is None:
            png = SemanticMap.of(np.full(self.sizes[row], IGNORE)).png
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(png)


def _file(folder: Path, part: Part, row: int) -> Path:
    return folder / part / f"{row:06d}.png"
