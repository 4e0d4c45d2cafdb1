"""The sheets of `benchmarks/gap.py`: real pictures beside those of every step, and what detectors find in real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.drawing import overlay_scaled
from twinset.images import encode_png
from twinset.instances import Instances
from twinset.store import write_bytes

ACROSS = 4
TALL, WIDE, MARGIN, HEADING = 180, 280, 6, 22
WORSE, BETTER, LARGER = 4, 2, 360
"""Test images on a sheet of detectors, and the longer side of each."""


def write_sheet(path: Path, sets: Mapping[str, Dataset]) -> None:
    """One row for each set: its name, and pictures evenly among it, with boxes drawn in the last of them."""
    rows = []
    for name, dataset in sets.items():
        at = [k * len(dataset) // ACROSS for k in range(ACROSS)]
        shown = [_drawn(dataset, row, TALL, WIDE, boxes=k == ACROSS - 1) for k, row in enumerate(at)]
        pictures = np.concatenate(shown, axis=1)
        rows += [_heading([name], pictures.shape[1]), pictures]
    _write(path, rows)


def write_findings(
    path: Path, held: Dataset, found: Mapping[str, Sequence[Instances]], lost: NDArray[np.float64]
) -> None:
    """Held-out images with their objects, and what detectors found in them, a column each.

    ``lost`` (N,): how much worse the last detector does in each; shown are images where that is most, and least.
    """
    order = np.argsort(-np.nan_to_num(lost, nan=float(np.nanmedian(lost))), kind="stable")
    shown = [*order[:WORSE], *order[max(WORSE, len(order) - BETTER) :]]
    truth = [_objects(held, row) for row in range(len(held))]
    columns: Mapping[str, Sequence[Instances]] = {"what is there": truth, **found}
    rows = []
    for row in map(int, shown):
        tall = round(LARGER * truth[row].size[0] / max(truth[row].size))
        rows.append(
            np.concatenate([_drawn(held, row, tall, LARGER, objects=each[row]) for each in columns.values()], axis=1)
        )
    widest = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    _write(path, [_heading(list(columns), widest), *rows])


def _objects(dataset: Dataset, row: int) -> Instances:
    annotation = dataset[row].annotation
    assert annotation is not None
    assert annotation.instances is not None
    return annotation.instances


def _drawn(
    dataset: Dataset, row: int, tall: int, wide: int, *, boxes: bool = True, objects: Instances | None = None
) -> NDArray[np.uint8]:
    """The picture in a frame of that size, with its boxes or those given."""
    sample = dataset[row]
    found = _objects(dataset, row) if objects is None else objects
    shown = Annotation(instances=Instances(found.size, found.class_ids, found.boxes)) if boxes else None
    pixels = sample.pixels()
    height, width = pixels.shape[:2]
    side = round(max(height, width) * min(tall / height, wide / width))
    small = overlay_scaled(Sample(sample.id, shown, image=pixels), dataset.classes, side, line=2, labels=False)
    framed = np.full((tall + MARGIN, wide + MARGIN, 3), 255, dtype=np.uint8)
    framed[: small.shape[0], : small.shape[1]] = small
    return framed


def _heading(names: Sequence[str], wide: int) -> NDArray[np.uint8]:
    heading = np.full((HEADING, wide, 3), 255, dtype=np.uint8)
    for column, name in enumerate(names):
        at = (column * wide // len(names) + 4, 16)
        cv2.putText(heading, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return heading


def _write(path: Path, rows: Sequence[NDArray[np.uint8]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, encode_png(np.concatenate(rows)))
