"""The pictures of the report: real ones beside what was made, by class or with what is marked in them."""

from __future__ import annotations

import numpy as np

from twinset import report
from twinset.copying import nearest_copies
from twinset.dataset import Dataset
from twinset.drawing import overlay_scaled
from twinset.pipeline import page
from twinset.pipeline.measuring import Measured
from twinset.pipeline.opening import Run

PER_CLASS = 12
OVERLAYS = 12
OVERLAY_SIDE = 448


def gallery_facts(run: Run, measured: Measured) -> report.Gallery | None:
    """Of classification the first pictures of every class beside the nearest training images; else what is marked."""
    training, accepted, spec = run.real.training, measured.accepted, run.real.spec
    if not len(accepted):
        return None
    if run.real.task != "classification":
        return _overlays(training, accepted)
    shown = {
        class_id: np.flatnonzero(accepted.class_ids == class_id)[:PER_CLASS]
        for class_id in range(len(training.classes))
    }
    rows = np.concatenate(list(shown.values())).astype(np.int64)
    images = accepted.take(rows).prepared(spec)
    distances, nearest = nearest_copies(images, training.prepared(spec), k=1)
    twin_of = {int(row): (float(distances[at, 0]), int(nearest[at, 0])) for at, row in enumerate(rows)}
    grids = []
    for class_id, mine in shown.items():
        real = np.flatnonzero(training.class_ids == class_id)[:PER_CLASS]
        twins = tuple(
            report.Twin(
                page.picture(accepted, int(row)), page.picture(training, twin_of[int(row)][1]), twin_of[int(row)][0]
            )
            for row in mine
        )
        grids.append(report.ClassGrid(class_id, tuple(page.picture(training, int(row)) for row in real), twins))
    return report.Gallery(tuple(grids), "normalised pixels under flips and small shifts, 0…2")


def _overlays(training: Dataset, accepted: Dataset) -> report.Gallery:
    """Real and synthetic pictures with what is marked in them."""

    def pictures(dataset: Dataset) -> tuple[report.Picture, ...]:
        rows = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), OVERLAYS)).round().astype(int))
        return tuple(
            report.Picture(sample.id, overlay_scaled(sample, dataset.classes, OVERLAY_SIDE))
            for sample in (dataset[int(row)] for row in rows)
        )

    twins = tuple(report.Twin(picture) for picture in pictures(accepted))
    return report.Gallery((report.ClassGrid(None, pictures(training), twins),), marked=True)
