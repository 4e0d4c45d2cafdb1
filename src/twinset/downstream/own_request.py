"""What a trainer outside of twinset is given: a folder of pictures, what is marked in them, and ``request.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.downstream.own_pictures import Part, Pictures
from twinset.downstream.placed_data import Kind
from twinset.formats.coco.records import Image
from twinset.formats.coco.writing import write_file
from twinset.formats.shelves import Rows

REQUEST, RESPONSE = "request.json", "response.json"
SCHEMA = "twinset/trainer-request/1"


class TrainImage(Image, gc=False, omit_defaults=True):
    """A training picture in the COCO file."""

    synthetic: bool | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """One training. ``real`` and ``synthetic`` are the rows to learn from; ``values`` what else the request says.

    Pictures have ids from 1 on, those of the training set first, then validation, then test.
    """

    kind: Kind
    classes: tuple[str, ...]
    pictures: Path
    real: NDArray[np.int64]
    synthetic: NDArray[np.int64]
    values: Mapping[str, object]

    def write(self, folder: Path) -> dict[str, dict[int, tuple[int, int]]]:
        """Fills an empty folder; of validation and test the size (height, width) of the picture of every id."""
        train = self._train(folder)
        validation = self._judged(folder, "validation", len(train) + 1)
        test = self._judged(folder, "test", len(train) + len(validation) + 1)
        judged = {"validation": validation, "test": test}
        request = {
            "schema": SCHEMA,
            **self.values,
            "classes": list(self.classes),
            "annotations": "train.json" if self.kind == "objects" else None,
            "train": train,
            **{part: [_shown(part, n, size) for n, size in sizes.items()] for part, sizes in judged.items()},
            "response": RESPONSE,
        }
        (folder / REQUEST).write_text(json.dumps(request, indent=1, ensure_ascii=False))
        return judged

    def _train(self, folder: Path) -> list[dict[str, object]]:
        """Copies the training pictures with their maps, or writes their objects; the list of them."""
        found: list[dict[str, object]] = []
        tables = []
        parts: list[tuple[Part, NDArray[np.int64]]] = [("train", self.real), ("synthetic", self.synthetic)]
        for part, rows in parts:
            if not len(rows):
                continue
            pictures = Pictures.load(self.pictures, part)
            tables.append(pictures.take(rows))
            for row in rows.tolist():
                number = len(found) + 1
                entry = {**_shown("train", number, pictures.sizes[row]), "synthetic": part == "synthetic"}
                pictures.copy(row, folder / str(entry["file"]))
                if self.kind == "pixels":
                    entry["map"] = f"train-maps/{number:06d}.png"
                    pictures.copy_map(row, folder / str(entry["map"]))
                found.append(entry)
        if self.kind == "objects":
            self._write_objects(folder / "train.json", pa.concat_tables(tables).column("instances"), found)
        return found

    def _write_objects(self, path: Path, objects: pa.ChunkedArray, images: Sequence[Mapping[str, object]]) -> None:
        """The objects in COCO's format; the id of a category is the place of the class in ``classes``."""
        records = [
            TrainImage(
                int(str(each["id"])),
                str(each["file"]),
                int(str(each["width"])),
                int(str(each["height"])),
                synthetic=bool(each["synthetic"]),
            )
            for each in images
        ]
        with path.open("wb") as handle:
            write_file(handle, Rows.all_of(objects), records, self.classes, category_base=0)

    def _judged(self, folder: Path, part: Part, first: int) -> dict[int, tuple[int, int]]:
        pictures = Pictures.load(self.pictures, part)
        sizes = dict(enumerate(pictures.sizes, first))
        for row, number in enumerate(sizes):
            pictures.copy(row, folder / f"{part}/{number:06d}.png")
        return sizes


def _shown(part: str, number: int, size: tuple[int, int]) -> dict[str, object]:
    return {"id": number, "file": f"{part}/{number:06d}.png", "width": size[1], "height": size[0]}
