"""The data of a study of detectors or segmenters: scenes at the network's size, and what is true in the originals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.annotations import SemanticMap
from twinset.dataset import Dataset
from twinset.instances import INSTANCES, Instances, from_value
from twinset.models.detection import Scenes
from twinset.models.segmentation import PixelScenes
from twinset.store import read_json, read_table, write_bytes, write_json, write_table

Kind = Literal["objects", "pixels"]
"""Whether objects are found, or the class of every pixel."""

AnyScenes = Scenes | PixelScenes
PARTS = ("train", "validation", "test", "synthetic")
JUDGED = ("validation", "test")
TRUTH = pa.schema([pa.field("id", pa.string()), pa.field("instances", INSTANCES), pa.field("semantic", pa.binary())])


@dataclass(frozen=True, eq=False)
class PlacedData:
    """Scenes of one size; nothing here is ever trained on but ``train`` and ``synthetic``.

    ``truth`` of the validation and test images is kept in their own pixels. ``test_families`` (N,) says which test
    images belong together; ``train_subset`` and ``synthetic_subset``, bool (subsets, N), choose the images of each
    few-shot draw: a subset sees only the synthetic images that were made from it.
    """

    kind: Kind
    classes: tuple[str, ...]
    train: AnyScenes
    validation: AnyScenes
    test: AnyScenes
    synthetic: AnyScenes
    validation_truth: pa.Table
    test_truth: pa.Table
    test_families: NDArray[np.int64]
    train_subset: NDArray[np.bool_] | None = None
    synthetic_subset: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        for part in JUDGED:
            scenes, truth = getattr(self, part), getattr(self, f"{part}_truth")
            if not len(scenes) or len(scenes) != truth.num_rows:
                raise ValueError(f"expected {part} images with their truth; got {len(scenes)} and {truth.num_rows}")
        if len(self.test_families) != len(self.test):
            raise ValueError(
                f"expected a family for each of {len(self.test)} test images; got {len(self.test_families)}"
            )
        for part in ("train", "synthetic"):
            choice = getattr(self, f"{part}_subset")
            if choice is not None and choice.shape[1:] != (len(getattr(self, part)),):
                raise ValueError(f"expected {part}_subset (subsets, {len(getattr(self, part))}); got {choice.shape}")
        if self.synthetic_subset is not None and (
            self.train_subset is None or len(self.train_subset) != len(self.synthetic_subset)
        ):
            raise ValueError("expected as many synthetic subsets as training subsets")

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def subsets(self) -> int:
        """How many few-shot draws there are; 1 when the whole training set is used."""
        return 1 if self.train_subset is None else len(self.train_subset)

    def rows(self, part: Literal["train", "synthetic"], subset: int) -> NDArray[np.int64]:
        """Which scenes of a part belong to a subset."""
        choice = self.train_subset if part == "train" else self.synthetic_subset
        return np.arange(len(getattr(self, part))) if choice is None else np.flatnonzero(choice[subset])

    def instances(self, part: Literal["validation", "test"]) -> list[Instances]:
        """The objects of every image of a part, in the image's own pixels."""
        return [from_value(value) for value in self._truth(part).column("instances").to_pylist()]

    def maps(self, part: Literal["validation", "test"]) -> list[NDArray[np.int32]]:
        """The class of every pixel of every image of a part."""
        return [SemanticMap(png).dense() for png in self._truth(part).column("semantic").to_pylist()]

    def _truth(self, part: Literal["validation", "test"]) -> pa.Table:
        return self.validation_truth if part == "validation" else self.test_truth

    def digest(self) -> str:
        """sha256 over all scenes and truth."""
        return self._digest(PARTS, self._arrays())

    def real_digest(self) -> str:
        """sha256 over all scenes but the synthetic ones, and truth."""
        arrays = {name: array for name, array in self._arrays().items() if name != "synthetic_subset"}
        return self._digest([part for part in PARTS if part != "synthetic"], arrays)

    def _digest(self, parts: Sequence[str], arrays: Mapping[str, NDArray[np.generic]]) -> str:
        total = hashlib.sha256(json.dumps([self.kind, *self.classes]).encode())
        for part in parts:
            total.update(getattr(self, part).digest().encode())
        for judged in JUDGED:
            rows = self._truth(judged).to_pylist()  # type: ignore[arg-type]
            total.update(json.dumps(rows, sort_keys=True, default=str).encode())
        for array in arrays.values():
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        names = ("test_families", "train_subset", "synthetic_subset")
        values = {name: getattr(self, name) for name in names}
        return {name: np.ascontiguousarray(array) for name, array in values.items() if array is not None}

    def save(self, folder: Path) -> None:
        """Writes everything into a folder, for worker processes that map it."""
        from safetensors.numpy import save

        for part in PARTS:
            getattr(self, part).save(folder / part)
        for part in JUDGED:
            write_table(folder / f"{part}.parquet", self._truth(part))  # type: ignore[arg-type]
        write_bytes(folder / "arrays.safetensors", save(self._arrays()))
        write_json(folder / "data.json", {"kind": self.kind, "classes": list(self.classes)})

    @staticmethod
    def load(folder: Path) -> PlacedData:
        """The data that :meth:`save` wrote; images stay on the disk until they are used."""
        from safetensors.numpy import load_file

        values = read_json(folder / "data.json")
        assert isinstance(values, dict)
        arrays = load_file(folder / "arrays.safetensors")
        load: Callable[[Path], AnyScenes] = Scenes.load if values["kind"] == "objects" else PixelScenes.load
        return PlacedData(
            kind=values["kind"],
            classes=tuple(values["classes"]),
            train=load(folder / "train"),
            validation=load(folder / "validation"),
            test=load(folder / "test"),
            synthetic=load(folder / "synthetic"),
            validation_truth=read_table(folder / "validation.parquet"),
            test_truth=read_table(folder / "test.parquet"),
            test_families=arrays["test_families"],
            train_subset=arrays.get("train_subset"),
            synthetic_subset=arrays.get("synthetic_subset"),
        )


def placed_data(
    *,
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    synthetic: Dataset,
    test_families: NDArray[np.integer],
    kind: Kind,
    size: tuple[int, int],
    channels: int,
    train_subset: Sequence[Sequence[bool]] | NDArray[np.bool_] | None = None,
    synthetic_subset: Sequence[Sequence[bool]] | NDArray[np.bool_] | None = None,
) -> PlacedData:
    """The data of a study of these datasets, brought to ``size`` (height, width)."""
    scenes = Scenes.of if kind == "objects" else PixelScenes.of
    parts = {"train": train, "validation": validation, "test": test, "synthetic": synthetic}
    made = {name: scenes(dataset, height=size[0], width=size[1], channels=channels) for name, dataset in parts.items()}
    return PlacedData(
        kind=kind,
        classes=train.classes,
        train=made["train"],
        validation=made["validation"],
        test=made["test"],
        synthetic=made["synthetic"],
        validation_truth=_truth_of(validation),
        test_truth=_truth_of(test),
        test_families=np.asarray(test_families, dtype=np.int64),
        train_subset=None if train_subset is None else np.asarray(train_subset, dtype=np.bool_),
        synthetic_subset=None if synthetic_subset is None else np.asarray(synthetic_subset, dtype=np.bool_),
    )


def _truth_of(dataset: Dataset) -> pa.Table:
    return dataset.table.select([item.name for item in TRUTH]).cast(TRUTH).combine_chunks()
