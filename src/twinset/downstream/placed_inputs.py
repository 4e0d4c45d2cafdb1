"""A study's data with what some trainings need beside the scenes: masks in their frames, the original pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.downstream.own_pictures import save_pictures
from twinset.downstream.placed_data import PlacedData
from twinset.masks import Rle
from twinset.models.vision import SceneMasks
from twinset.store import read_table, write_table

PACKED = pa.schema(
    [
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("masks", pa.list_(pa.binary()), nullable=False),
    ]
)
PICTURES = "pictures"


@dataclass(frozen=True, eq=False)
class TrainingMasks:
    """The masks of all objects that may be learnt, in the frames of their scenes of ``size`` (height, width)."""

    size: tuple[int, int]
    train: SceneMasks
    synthetic: SceneMasks

    def of_rows(self, real: NDArray[np.int64], synthetic: NDArray[np.int64]) -> SceneMasks:
        """Those of these real and then these synthetic scenes."""
        return (*(self.train[row] for row in real.tolist()), *(self.synthetic[row] for row in synthetic.tolist()))

    def digest(self) -> str:
        """sha256 over all masks."""
        return self._digest(self.train, self.synthetic)

    def real_digest(self) -> str:
        """sha256 over the masks of the real scenes."""
        return self._digest(self.train)

    def _digest(self, *parts: SceneMasks) -> str:
        total = hashlib.sha256(repr(self.size).encode())
        for part in parts:
            total.update(repr([[mask and mask.counts for mask in row] for row in part]).encode())
        return total.hexdigest()

    def save(self, folder: Path) -> None:
        """Writes two files, for worker processes."""
        for name, part in (("train", self.train), ("synthetic", self.synthetic)):
            rows = [
                {"height": self.size[0], "width": self.size[1], "masks": [mask and mask.counts for mask in row]}
                for row in part
            ]
            write_table(folder / f"masks-{name}.parquet", pa.Table.from_pylist(rows, PACKED))

    @staticmethod
    def load(folder: Path) -> TrainingMasks:
        """The masks that :meth:`save` wrote."""
        train, synthetic = (read_table(folder / f"masks-{name}.parquet").to_pylist() for name in ("train", "synthetic"))

        def masks(rows: Sequence[Mapping[str, object]]) -> SceneMasks:
            return tuple(
                tuple(None if counts is None else Rle(row["height"], row["width"], counts) for counts in row["masks"])  # type: ignore[arg-type, attr-defined]
                for row in rows
            )

        return TrainingMasks((train[0]["height"], train[0]["width"]), masks(train), masks(synthetic))


class Originals(NamedTuple):
    """The datasets of a study with their pictures as they are."""

    train: Dataset
    validation: Dataset
    test: Dataset
    synthetic: Dataset

    def digest(self) -> str:
        """sha256 over all pictures and labels."""
        return hashlib.sha256(" ".join(dataset.digest() for dataset in self).encode()).hexdigest()

    def real_digest(self) -> str:
        """sha256 over the real pictures and labels."""
        real = (self.train, self.validation, self.test)
        return hashlib.sha256(" ".join(dataset.digest() for dataset in real).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Writes every picture as a file; labels of what may be learnt only."""
        save_pictures(self.train, folder, "train", labels=True)
        save_pictures(self.validation, folder, "validation", labels=False)
        save_pictures(self.test, folder, "test", labels=False)
        save_pictures(self.synthetic, folder, "synthetic", labels=True)


def _together(digest: str, more: Sequence[str]) -> str:
    """A digest, and in it those of what more there is."""
    for one in more:
        digest = hashlib.sha256(f"{digest} {one}".encode()).hexdigest()
    return digest


@dataclass(frozen=True, eq=False)
class StudyData:
    """``masks`` are there for networks that learn them, ``originals`` for trainers outside of twinset."""

    placed: PlacedData
    masks: TrainingMasks | None = None
    originals: Originals | None = None

    def digest(self) -> str:
        """sha256 over all that trainings get; that of the scenes alone where they get no more."""
        more = [part.digest() for part in (self.masks, self.originals) if part is not None]
        return _together(self.placed.digest(), more)

    def real_digest(self) -> str:
        """sha256 over all that trainings without synthetic images get, and what they are judged by."""
        more = [part.real_digest() for part in (self.masks, self.originals) if part is not None]
        return _together(self.placed.real_digest(), more)

    def save(self, folder: Path) -> None:
        """Writes everything into a folder, for worker processes; ``data.json`` comes last."""
        if self.masks is not None:
            self.masks.save(folder)
        if self.originals is not None:
            self.originals.save(folder / PICTURES)
        self.placed.save(folder)
