"""What real data are good for: the task of their labels, and a refusal where there is nothing to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from twinset.dataset import SPLITS, TASKS, Dataset, Task
from twinset.errors import DataError
from twinset.recipe import Recipe

HAS: Mapping[Task, tuple[Task, ...]] = {
    "classification": ("classification",),
    "detection": ("detection", "instance-segmentation"),
    "instance-segmentation": ("instance-segmentation",),
    "semantic-segmentation": ("semantic-segmentation",),
}
"""Which labels do for a task."""


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


def check_classes(source: str, dataset: Dataset) -> None:
    """:class:`DataError` unless every image has one of two or more classes."""
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


def check_places(source: str, dataset: Dataset) -> None:
    """:class:`DataError` unless every image has objects or a mask, and some show something."""
    column = dataset.table.column("semantic" if dataset.task == "semantic-segmentation" else "instances")
    if column.null_count:
        raise DataError(
            f"{source}: expected objects or a mask for every image; got {column.null_count} images without a word",
            hint="leave these images out; one that shows nothing has an empty label file, or no annotation in COCO",
        )
    if not any(dataset.label_counts().values()):
        raise DataError(f"{source}: expected objects; got none in {len(dataset)} images", hint="check the label files")


def check_something_to_find(names: dict[str, str], dataset: Dataset) -> None:
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


def check_sizes(names: dict[str, str], dataset: Dataset, *, least: int) -> None:
    """:class:`DataError` unless every split of ``names``, id → split, has ``least`` images."""
    count = Counter(names.values())
    for name in ("train", "validation", "test"):
        if count[name] < least:
            each = " (one per class)" if least == len(dataset.classes) > 1 else ""
            raise DataError(
                f"expected at least {least} {name} images{each}; got {count[name]}",
                hint="bring more images, or change split: in the recipe",
            )
