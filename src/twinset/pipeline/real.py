"""The real side of a run: read once, checked, split, brought to one size, and kept in the run folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twinset import transforms
from twinset.dataset import SCHEMA, SPLITS, TASKS, Dataset, Sample, SplitName, Task, read_checked
from twinset.errors import DataError, RunFolderError
from twinset.families import GroupRule, families
from twinset.formats import ReadReport, read
from twinset.formats.threads import ordered_map
from twinset.images import FULL_RANGE, ImageSpec, Window, encode_png
from twinset.pipeline.subgroups import check_subgroups
from twinset.randomness import Stream
from twinset.recipe import ImagePart, Recipe, WrittenRecipe
from twinset.sample import in_schema
from twinset.splits import split
from twinset.store import read_json, read_table, write_json, write_table

AUTO_SIDE = 32
LOOK_SIDE = 48
"""Longer side, in pixels, of the small copies by which pictures with objects are compared: gate, fidelity, map."""

HAS: Mapping[Task, tuple[Task, ...]] = {
    "classification": ("classification",),
    "detection": ("detection", "instance-segmentation"),
    "instance-segmentation": ("instance-segmentation",),
    "semantic-segmentation": ("semantic-segmentation",),
}
"""Which labels do for a task."""


@dataclass(frozen=True)
class RealFacts:
    """What was found in the real dataset; goes into the report."""

    digest: str
    name: str
    licence: str | None
    size: str
    notes: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    task: Task = "classification"


@dataclass(frozen=True, eq=False)
class RealData:
    """The real images with their final splits and families (N,).

    In classification they have the size ``spec``. In other tasks they keep their own, or are brought to the one that
    the recipe names; ``spec`` is then the small size at which pictures are compared as wholes.
    """

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
    def task(self) -> Task:
        """What the labels are used for."""
        return self.facts.task

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
    if task_of(written.recipe, dataset) == "classification":
        _check_classes(str(written.source), dataset)
    else:
        _check_places(str(written.source), dataset)
    return dataset, report


def task_of(recipe: Recipe, dataset: Dataset) -> Task:
    """What a run of this recipe on this dataset is about; :class:`DataError` if its labels are not good for that."""
    found = dataset.task
    if recipe.task == "auto":
        return found
    if found not in HAS[recipe.task]:
        fitting = [task for task in TASKS if found in HAS[task]]
        raise DataError(
            f"expected labels for task {recipe.task}; got those of {found}",
            hint=f"set task: {' or '.join(fitting)} in the recipe, or leave it out",
        )
    return recipe.task


def _check_classes(source: str, dataset: Dataset) -> None:
    if not dataset.classes or (dataset.class_ids < 0).any():
        raise DataError(
            f"{source}: expected a class for every image; got {int((dataset.class_ids < 0).sum())} without",
            hint="put the images into one folder per class, or give a table with path and label",
        )
    if len(dataset.classes) < 2:
        raise DataError(
            f"{source}: expected at least two classes; got {', '.join(dataset.classes)}",
            hint="point to the folder that holds the class folders",
        )


def _check_places(source: str, dataset: Dataset) -> None:
    column = dataset.table.column("semantic" if dataset.task == "semantic-segmentation" else "instances")
    if column.null_count:
        raise DataError(
            f"{source}: expected objects or a mask for every image; got {column.null_count} images without a word",
            hint="leave these images out; one that shows nothing has an empty label file, or no annotation in COCO",
        )
    if not any(dataset.label_counts().values()):
        raise DataError(f"{source}: expected objects; got none in {len(dataset)} images", hint="check the label files")


def _check_something_to_find(names: dict[str, str], dataset: Dataset) -> None:
    """Every part must show something: without, there is nothing to learn, to pick by, or to measure."""
    for name in SPLITS:
        part = dataset.where([names.get(id_) == name for id_ in dataset.ids])
        # Crowds and difficult objects are neither learnt nor counted.
        left_out = part.object_column("crowd").astype(bool) | part.object_column("difficult").astype(bool)
        found = int((~left_out).sum())
        if dataset.task == "semantic-segmentation":
            found = sum(part.label_counts().values())
        if not found:
            raise DataError(
                f"expected something to find in the {name} images; got {len(part)} images without any object or class",
                hint="move some images that show objects into this part, or leave the parts to split:",
            )


def looking_spec(dataset: Dataset) -> ImageSpec:
    """The small size at which pictures are compared as wholes: the commonest shape, 48 pixels on its longer side."""
    shapes = Counter(ordered_map(Sample.shape, dataset))
    (height, width, _), _ = shapes.most_common(1)[0]
    scale = min(1.0, LOOK_SIDE / max(height, width))
    channels = 3 if any(shape[2] == 3 for shape in shapes) else 1
    return ImageSpec(max(8, round(height * scale)), max(8, round(width * scale)), channels, "stretch")


def _sizes(dataset: Dataset) -> str:
    """What the pictures of a dataset measure, for people."""
    shapes = Counter(ordered_map(Sample.shape, dataset))
    found = sorted({(h, w) for h, w, _ in shapes})
    colours = "RGB" if any(c == 3 for *_, c in shapes) else "grey"
    low, high = found[0], found[-1]
    came = f"{low[1]} × {low[0]}" if low == high else f"{low[1]} × {low[0]} … {high[1]} × {high[0]}"
    return f"{came} {colours}"


def choose_spec(image: ImagePart, dataset: Dataset) -> tuple[ImageSpec, str]:
    """The run's image size, and a sentence on what it means for these images."""
    shapes = Counter(ordered_map(Sample.shape, dataset))
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
    task = task_of(recipe, dataset)
    check_subgroups(recipe, dataset)
    names: dict[str, str] = {}
    for name, part in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
        names.update(dict.fromkeys(part.ids, name))
    digest = dataset.source_digest()
    dataset = dataset.with_splits([names.get(id_) for id_ in dataset.ids])
    facts = RealFacts(
        digest=digest,
        name=dataset.name,
        licence=recipe.data.licence or next((s.origin.licence for s in dataset if s.origin.licence), None),
        size="",
        notes=(*report.warnings, *parts.notes),
        problems=tuple((bad.where, bad.problem) for bad in report.bad_files),
        task=task,
    )
    _check_sizes(names, dataset, least=len(dataset.classes) if task == "classification" else 1)
    if task != "classification":
        _check_something_to_find(names, dataset)
    prepared, spec, size = at_run_size(dataset, task, recipe.image)
    _write(folder, dataset, prepared, spec, family_ids, replace(facts, size=size))
    return load_real(folder)


def at_run_size(dataset: Dataset, task: Task, image: ImagePart) -> tuple[Dataset, ImageSpec, str]:
    """The pictures as a run uses them, the size at which they are compared as wholes, and a sentence on it."""
    if task == "classification":
        spec, size = choose_spec(image, dataset)
        return _at_one_size(dataset, spec), spec, size
    prepared, size = _with_places(dataset, image)
    spec = looking_spec(prepared)
    return prepared, spec, f"{size}; compared as wholes at {spec.width} × {spec.height}"


def _at_one_size(dataset: Dataset, spec: ImageSpec) -> Dataset:
    images = [encode_png(spec.prepare(sample.pixels())) for sample in dataset]
    at = SCHEMA.get_field_index("image")
    table = dataset.table.set_column(at, SCHEMA.field(at), pa.array(images, pa.binary()))
    return replace(dataset, table=table, window=FULL_RANGE)


def _with_places(dataset: Dataset, image: ImagePart) -> tuple[Dataset, str]:
    """The pictures as they are, or brought to the recipe's size with all that lies in them; and a sentence on it."""
    if image.size == "auto" and image.channels == "auto":
        return dataset.with_absolute_paths(), f"{_sizes(dataset)}, as they came"
    came = _sizes(dataset)
    resized = []
    for sample in dataset:
        height, width, channels = sample.shape()
        if image.size != "auto":
            height, width = (image.size, image.size) if isinstance(image.size, int) else image.size
        spec = ImageSpec(height, width, channels if image.channels == "auto" else image.channels, image.fit)
        resized.append(transforms.prepared(sample, spec))
    made = Dataset.of(resized, classes=dataset.classes, splits=dataset.splits, name=dataset.name)
    return made, f"{_sizes(made)}, resized from {came} ({image.fit}, antialiased bicubic)"


def _check_sizes(names: dict[str, str], dataset: Dataset, *, least: int) -> None:
    count = Counter(names.values())
    for name in ("train", "validation", "test"):
        if count[name] < least:
            each = " (one per class)" if least == len(dataset.classes) > 1 else ""
            raise DataError(
                f"expected at least {least} {name} images{each}; got {count[name]}",
                hint="bring more images, or change split: in the recipe",
            )


def _write(
    folder: Path, dataset: Dataset, prepared: Dataset, spec: ImageSpec, family_ids: np.ndarray, facts: RealFacts
) -> None:
    manifest = dataset.table.select(["id", "path", "sha256", "class_id", "split"]).append_column(
        "family", pa.array(family_ids, pa.int64())
    )
    real = folder / "real"
    write_table(real / "prepared.parquet", prepared.table)
    write_table(real / "manifest.parquet", manifest)
    values = {
        "classes": list(dataset.classes),
        "spec": {"height": spec.height, "width": spec.width, "channels": spec.channels, "fit": spec.fit},
        "root": str(dataset.root) if dataset.root else None,
        "window": [prepared.window.low, prepared.window.high],
        "facts": {**facts.__dict__},
    }
    write_json(folder / "split.json", values)


def load_real(folder: Path) -> RealData:
    """What :func:`prepare_real` left in a run folder."""
    values = read_json(folder / "split.json")
    assert isinstance(values, dict)
    prepared = in_schema(read_table(folder / "real" / "prepared.parquet"))
    manifest = read_table(folder / "real" / "manifest.parquet")
    stored = values["facts"]
    facts = replace(
        RealFacts(**stored),
        notes=tuple(stored["notes"]),
        problems=tuple((path, problem) for path, problem in stored["problems"]),
    )
    window = Window(*values["window"])
    dataset = Dataset(tuple(values["classes"]), prepared, window=window, name=facts.name)
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
