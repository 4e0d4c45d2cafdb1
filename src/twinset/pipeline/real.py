"""The real side of a run: read once, checked, split, brought to one size, and kept in the run folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twinset.dataset import Dataset, SplitName, Task, read_checked
from twinset.errors import DataError, RunFolderError
from twinset.families import GroupRule, families
from twinset.formats import ReadReport, read
from twinset.images import FULL_RANGE, ImageSpec, Window
from twinset.pipeline.image_sizes import at_run_size
from twinset.pipeline.real_checks import check_classes, check_places, check_sizes, check_something_to_find, task_of
from twinset.pipeline.subgroups import check_subgroups
from twinset.randomness import Stream
from twinset.recipe import Recipe, WrittenRecipe
from twinset.sample import SCHEMA, in_schema
from twinset.splits import split
from twinset.store import read_json, read_table, write_json, write_table


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
        check_classes(str(written.source), dataset)
    else:
        check_places(str(written.source), dataset)
    return dataset, report


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
    check_sizes(names, dataset, least=len(dataset.classes) if task == "classification" else 1)
    if task != "classification":
        check_something_to_find(names, dataset)
    if recipe.gate.copies != "off":
        _check_families(family_ids, [names.get(id_) == "train" for id_ in dataset.ids])
    prepared, spec, size = at_run_size(dataset, task, recipe.image)
    _write(folder, dataset, _as_first_parents(prepared), spec, family_ids, replace(facts, size=size))
    return load_real(folder)


def _check_families(family_ids: np.ndarray, training: list[bool]) -> None:
    """:class:`DataError` where the copy test would have one training image to go by: others of a family count as it."""
    if len(np.unique(family_ids[training])) < 2:
        raise DataError(
            "expected training images of at least two families for the copy test; got one: all are of one group, or "
            "near copies",
            hint="finer split.groups, more exposed images, or gate: {copies: off}",
        )


def _as_first_parents(dataset: Dataset) -> Dataset:
    """The images without the parents that they themselves record: lineage in a run begins with the images of the run.

    Editors hand on the parents of what they edit, and those would be images that nobody here has.
    """
    at = SCHEMA.get_field_index("parents")
    none = pa.array([[]] * len(dataset), SCHEMA.field(at).type)
    return replace(dataset, table=dataset.table.set_column(at, SCHEMA.field(at), none))


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
