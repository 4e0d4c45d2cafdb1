"""Pilot pictures of a generator as the loop weighs them: from the same slots at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata import measure
from twinset.dataset import Dataset
from twinset.embedding.embedder import embed_dataset
from twinset.embedding.random_convolution import RandomConvolution
from twinset.executors.local import LocalProcesses
from twinset.images import ImageSpec
from twinset.pipeline.closing.weighing import Pictures
from twinset.progress import Progress
from twinset.randomness import Stream
from twinset.stages import Filter, Generator, Slot

MEASURED = ("box_area", "aspect_ratio", "centre_x", "centre_y", "count", "brightness", "contrast")
"""The metadata measures that steps are weighed by."""

CHUNK = 12
"""Pictures that a worker makes at a time."""


@dataclass(frozen=True, eq=False)
class MakePilot:
    """A task for a worker: the pictures of these slots."""

    generator: Generator
    slots: tuple[Slot, ...]
    classes: tuple[str, ...]


def make_pilot(task: MakePilot) -> Dataset:
    """The pictures of one task."""
    return Dataset.of(task.generator.generate(task.slots), classes=task.classes, name="pilot")


def pilot(
    generator: Generator,
    images: int,
    *,
    classes: Sequence[str],
    rng: Stream,
    executor: LocalProcesses,
    progress: Progress,
) -> Dataset:
    """``images`` pictures; those of one ``rng`` have the same slots, whatever the generator."""
    slots = [Slot(n, 0, rng.child("slot", n).seed, 0, "close_gap", n) for n in range(images)]
    tasks = [MakePilot(generator, tuple(slots[at : at + CHUNK]), tuple(classes)) for at in range(0, images, CHUNK)]
    pieces: dict[int, Dataset] = {}
    for number, piece in executor.map(make_pilot, tasks):
        pieces[number] = piece
        progress(sum(len(one) for one in pieces.values()), images, "images")
    whole = pieces[0]
    for number in range(1, len(tasks)):
        whole = whole.concat(pieces[number])
    return whole


def passing(dataset: Dataset, filters: Sequence[Filter]) -> NDArray[np.bool_]:
    """(N,) pictures that no filter rejects."""
    kept = np.ones(len(dataset), dtype=np.bool_)
    for one in filters:
        kept &= np.array([reason is None for reason in one.judge(dataset).reasons], dtype=np.bool_)
    return kept


def pictures_of(
    dataset: Dataset, spec: ImageSpec, families: NDArray[np.integer], *, keep: NDArray[np.bool_] | None = None
) -> Pictures:
    """Measures and features of a dataset, or of the pictures of it that are kept."""
    rows = np.arange(len(dataset)) if keep is None else np.flatnonzero(keep)
    chosen = dataset if keep is None else dataset.take(rows)
    return Pictures(
        measure(chosen, measures=MEASURED), embed_dataset(RandomConvolution(), chosen, spec=spec), families[rows]
    )
