"""What a conditional generator learns where an attribute is asked for: the cells of class and attribute value.

Every cell that the training images have becomes a label of its own, so that a network for classes needs no other one.
Images that say nothing of the attribute form a cell by class too: they teach what the class looks like, and are not
drawn from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.annotations import PAIR, AttributeValue
from twinset.dataset import SCHEMA, Dataset
from twinset.errors import DataError, RunFolderError
from twinset.randomness import Stream
from twinset.store import read_json, write_json

CELLS_FILE = "cells.json"
FEW = 10
"""Training images of a cell below which a generator says so."""


@dataclass(frozen=True)
class Cell:
    """A class and a value of the attribute (None: unknown), and how many training images are of both."""

    class_id: int
    value: AttributeValue | None
    images: int

    @property
    def name(self) -> str | None:
        """The value as recipes and reports name it."""
        return None if self.value is None else str(self.value)


@dataclass(frozen=True)
class Cells:
    """The cells by the attribute ``by``; the label of a cell is its place in ``cells``."""

    by: str
    classes: tuple[str, ...]
    cells: tuple[Cell, ...]

    @staticmethod
    def of(training: Dataset, by: str) -> Cells:
        """The cells of labelled images; :class:`DataError` if none says anything of the attribute.

        Values that read the same (``1`` and ``"1"``) are one, the first of them.
        """
        values = training.attribute(by)
        if by == PAIR or all(value is None for value in values):
            raise DataError(
                f"by: expected an attribute of the training images; got {by!r}, which "
                + ("names pairs of synthetic images" if by == PAIR else "none has"),
                hint="a table's columns are attributes",
            )
        first: dict[str, AttributeValue] = {}
        for value in values:
            if value is not None:
                first.setdefault(str(value), value)
        names = [None if value is None else str(value) for value in values]
        counts = Counter(zip(training.class_ids.tolist(), names, strict=True))
        ordered = sorted(counts, key=lambda cell: (cell[0], cell[1] is None, cell[1] or ""))
        cells = (Cell(c, None if name is None else first[name], counts[c, name]) for c, name in ordered)
        return Cells(by, tuple(training.classes), tuple(cells))

    def relabelled(self, dataset: Dataset) -> Dataset:
        """The same images with their cells as classes; those of cells that no training image has get one by class."""
        known = {(cell.class_id, cell.name): at for at, cell in enumerate(self.cells)}
        labels = [
            known.get((class_id, None if value is None else str(value)), len(self.cells) + class_id)
            for class_id, value in zip(dataset.class_ids.tolist(), dataset.attribute(self.by), strict=True)
        ]
        beyond = max(labels, default=0) >= len(self.cells)
        names = tuple(str(at) for at in range(len(self.cells) + (len(self.classes) if beyond else 0)))
        at = SCHEMA.get_field_index("class_id")
        table = dataset.table.set_column(at, SCHEMA.field(at), pa.array(labels, pa.int32()))
        return replace(dataset, classes=names, table=table)

    def number(self, class_id: int, value: str) -> int:
        """The label of a cell; ``ValueError`` where no training image is of both."""
        for at, cell in enumerate(self.cells):
            if cell.class_id == class_id and cell.name == value:
                return at
        raise ValueError(
            f"expected a cell with training images; got class {self.classes[class_id]!r} with {self.by} {value!r}"
        )

    def drawn(self, class_id: int, rng: Stream) -> int:
        """A label of this class, in the proportions of training; that of unknown values only if there is no other."""
        mine = self._of(class_id)
        known = [at for at in mine if self.cells[at].value is not None] or mine
        if not known:
            raise ValueError(f"expected a class with training images; got {self.classes[class_id]!r}")
        weights: NDArray[np.float64] = np.array([self.cells[at].images for at in known], dtype=np.float64)
        return known[int(rng.numpy().choice(len(known), p=weights / weights.sum()))]

    def values(self, class_id: int) -> list[str]:
        """The known values that training images of this class have."""
        return [name for at in self._of(class_id) if (name := self.cells[at].name) is not None]

    def attributes(self, label: int) -> dict[str, AttributeValue]:
        """What an image of this label says of itself."""
        value = self.cells[label].value
        return {} if value is None else {self.by: value}

    def _of(self, class_id: int) -> Sequence[int]:
        return [at for at, cell in enumerate(self.cells) if cell.class_id == class_id]

    @property
    def shares(self) -> tuple[float, ...]:
        """(C,) class proportions of the training set."""
        counts = np.zeros(len(self.classes))
        for cell in self.cells:
            counts[cell.class_id] += cell.images
        return tuple((counts / counts.sum()).tolist())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What has to be known of cells with few images, and of unknown values."""
        found = []
        known = [cell.images for cell in self.cells if cell.value is not None]
        few = [images for images in known if images < FEW]
        if few:
            found.append(
                f"{len(few)} of {len(known)} cells of class and {self.by} have fewer than {FEW} training images (the "
                f"least {min(few)}): what is made of them varies little, and may repeat them."
            )
        if unknown := sum(cell.images for cell in self.cells if cell.value is None):
            found.append(
                f"{unknown} training images say nothing of {self.by}: they are learnt from as a group of their own in "
                "each class, of which no image is made where the class has others."
            )
        return tuple(found)

    def save(self, folder: Path) -> None:
        """Writes ``cells.json``."""
        write_json(folder / CELLS_FILE, asdict(self))

    @staticmethod
    def load(folder: Path) -> Cells:
        """What :meth:`save` left in this folder."""
        path = folder / CELLS_FILE
        values = read_json(path, hint="remove the folder of this model and fit again")
        try:
            assert isinstance(values, dict)
            cells = tuple(Cell(int(each["class_id"]), each["value"], int(each["images"])) for each in values["cells"])
            return Cells(str(values["by"]), tuple(map(str, values["classes"])), cells)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"{path}: expected the cells of a conditional model; got {error!r}",
                hint="remove the folder of this model and fit again",
            ) from error
