"""The real side of a run: read once, checked, split, brought to one size, and kept in the run folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twinset.dataset import SCHEMA, Dataset, SplitName, read_checked
from twinset.errors import DataError, RunFolderError
from twinset.families import GroupRule, families
from twinset.formats import ReadReport, read
from twinset.images import FULL_RANGE, ImageSpec, Window, encode_png
from twinset.randomness import Stream
from twinset.recipe import ImagePart, Recipe, WrittenRecipe
from twinset.splits import split
from twinset.store import read_json, read_table, write_json, write_table

AUTO_SIDE = 32


@dataclass(frozen=True)
class RealFacts:
    """What was found in the real dataset; goes into the report."""

    digest: str
    name: str
    licence: str | None
    size: str
    notes: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class RealData:
    """The real images at the run's size, with their final splits and families (N,)."""

    dataset: Dataset
    families: np.ndarray
    spec: ImageSpec
    facts: RealFacts

    def part(self, name: SplitName) -> Dataset:
        """One split."""
        return self.dataset.where([split == name for split in self.dataset.splits])

    def part_families(self, *names: SplitName) -> np.ndarray:
        """The families of the images of these splits, in order."""
        return self.families[[split in names for split in self.dataset.splits]]

    @property
    def training(self) -> Dataset:
        """The exposed images: all that generators and classifiers may learn from."""
        return self.part("train")

    @property
    def holdout(self) -> Dataset:
        """Validation and test images: nothing is ever fitted on them, copies are measured against them."""
        return self.dataset.where([split in ("validation", "test") for split in self.dataset.splits])


def read_real(written: WrittenRecipe) -> tuple[Dataset, ReadReport]:
    """The dataset of a recipe; a dataset with problems is refused unless the recipe says to skip them."""
    window = written.recipe.data.window
    dataset, report = read(
        written.source,
        on_bad_input=written.recipe.on_bad_input,
        window=Window(*window) if window else FULL_RANGE,
    )
    if not dataset.classes or (dataset.class_ids < 0).any():
        raise DataError(
            f"{written.source}: expected a class for every image; got {int((dataset.class_ids < 0).sum())} without",
            hint="put the images into one folder per class, or give a table with path and label",
        )
    if len(dataset.classes) < 2:
        raise DataError(
            f"{written.source}: expected at least two classes; got {', '.join(dataset.classes)}",
            hint="point to the folder that holds the class folders",
        )
    return dataset, report


def choose_spec(image: ImagePart, dataset: Dataset) -> tuple[ImageSpec, str]:
    """The run's image size, and a sentence on what it means for these images."""
    shapes = Counter(sample.pixels().shape for sample in dataset)
    (height, width, _), _ = shapes.most_common(1)[0]
    found = sorted({(h, w) for h, w, _ in shapes})
    channels = image.channels if image.channels != "auto" else (3 if any(c == 3 for *_, c in shapes) else 1)
    if image.size == "auto":
        scale = min(1.0, AUTO_SIDE / max(height, width)) if len(found) == 1 else AUTO_SIDE / max(height, width)
        height, width = max(4, round(height * scale)), max(4, round(width * scale))
    else:
        height, width = (image.size, image.size) if isinstance(image.size, int) else image.size
    spec = ImageSpec(height, width, channels, image.fit)
    colours = "grey" if channels == 1 else "RGB"
    text = f"{width} × {height} {colours}"
    if found == [(height, width)]:
        return spec, f"{text}, as they came"
    low, high = found[0], found[-1]
    came = f"{low[1]} × {low[0]}" if low == high else f"{low[1]} × {low[0]} … {high[1]} × {high[0]}"
    return spec, f"{text}, resized from {came} ({image.fit}, antialiased bicubic)"


def prepare_real(recipe: Recipe, dataset: Dataset, report: ReadReport, folder: Path) -> RealData:
    """Splits, resizes and writes ``real/`` of the run folder."""
    groups = recipe.split.groups
    rule = GroupRule(column=groups.column, regex=groups.regex, folder=groups.folder) if groups else None
    family_ids = families(dataset, groups=rule)
    parts = split(
        dataset,
        fractions=(recipe.split.train, recipe.split.validation, recipe.split.test),
        shots=recipe.split.shots,
        families=family_ids,
        rng=Stream(recipe.seed).child("split"),
    )
    spec, size = choose_spec(recipe.image, dataset)
    names: dict[str, str] = {}
    for name, part in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
        names.update(dict.fromkeys(part.ids, name))
    digest = dataset.source_digest()
    dataset = dataset.with_splits([names.get(id_) for id_ in dataset.ids])
    facts = RealFacts(
        digest=digest,
        name=dataset.name,
        licence=recipe.data.licence or next((s.origin.licence for s in dataset if s.origin.licence), None),
        size=size,
        notes=(*report.warnings, *parts.notes),
        problems=tuple((bad.path, bad.problem) for bad in report.bad_files),
    )
    _check_sizes(names, dataset)
    _write(folder, dataset, spec, family_ids, facts)
    return load_real(folder)


def _check_sizes(names: dict[str, str], dataset: Dataset) -> None:
    count = Counter(names.values())
    for name in ("train", "validation", "test"):
        if count[name] < len(dataset.classes):
            raise DataError(
                f"expected at least {len(dataset.classes)} {name} images (one per class); got {count[name]}",
                hint="bring more images, or change split: in the recipe",
            )


def _write(folder: Path, dataset: Dataset, spec: ImageSpec, family_ids: np.ndarray, facts: RealFacts) -> None:
    images = [encode_png(spec.prepare(sample.pixels())) for sample in dataset]
    at = SCHEMA.get_field_index("image")
    prepared = dataset.table.set_column(at, SCHEMA.field(at), pa.array(images, pa.binary()))
    manifest = dataset.table.select(["id", "path", "sha256", "class_id", "split"]).append_column(
        "family", pa.array(family_ids, pa.int64())
    )
    real = folder / "real"
    write_table(real / "prepared.parquet", prepared)
    write_table(real / "manifest.parquet", manifest)
    values = {
        "classes": list(dataset.classes),
        "spec": {"height": spec.height, "width": spec.width, "channels": spec.channels, "fit": spec.fit},
        "root": str(dataset.root) if dataset.root else None,
        "facts": {**facts.__dict__},
    }
    write_json(folder / "split.json", values)


def load_real(folder: Path) -> RealData:
    """What :func:`prepare_real` left in a run folder."""
    values = read_json(folder / "split.json")
    assert isinstance(values, dict)
    prepared = read_table(folder / "real" / "prepared.parquet").cast(SCHEMA)
    manifest = read_table(folder / "real" / "manifest.parquet")
    stored = values["facts"]
    facts = replace(
        RealFacts(**stored),
        notes=tuple(stored["notes"]),
        problems=tuple((path, problem) for path, problem in stored["problems"]),
    )
    dataset = Dataset(tuple(values["classes"]), prepared, name=facts.name)
    return RealData(dataset, np.asarray(manifest.column("family").to_numpy()), ImageSpec(**values["spec"]), facts)


def changed_files(folder: Path) -> list[tuple[str, str]]:
    """Files of the real dataset that are no longer the ones this run began with."""
    values = read_json(folder / "split.json")
    assert isinstance(values, dict)
    if values["root"] is None:
        return []
    manifest = read_table(folder / "real" / "manifest.parquet")
    changed = []
    for row in manifest.to_pylist():
        if row["path"] is None:
            continue
        try:
            read_checked(Path(values["root"]) / row["path"], row["sha256"])
        except DataError as error:
            changed.append((row["path"], error.message))
    return changed


def refuse_another_dataset(folder: Path, digest: str) -> None:
    """A run goes on only with the dataset that it began with."""
    recorded = load_real(folder).facts.digest
    if recorded != digest:
        raise RunFolderError(
            f"{folder}: expected the dataset that this run began with ({recorded[:12]}…); got another ({digest[:12]}…)",
            hint="give the changed dataset a run of its own with --out or name:",
        )
