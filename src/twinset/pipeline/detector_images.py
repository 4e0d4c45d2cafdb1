"""Reads the images that a detector of generated images is fitted on or judges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError, ImageError
from twinset.evaluation.detectability.confounders import Equalise
from twinset.formats import ReadReport, read
from twinset.formats.reading import Look
from twinset.pipeline.tools import source_of

SMALLEST = 8


def read_images(
    source: str, *, skip: bool, equalise: Equalise, look: Look | None = None
) -> tuple[Dataset, list[str], NDArray[np.uint8] | None]:
    """The images, warnings, and what ``look`` gave for each."""
    dataset, report = read(
        source_of(source), on_bad_input="skip" if skip else "refuse", to_skip="give --on-bad-input skip", look=look
    )
    if not len(dataset):
        raise DataError(f"{source}: expected at least one image; got none", hint="see `twinset inspect`")
    if equalise.size is None:
        _refuse_small(dataset, report)
    left = [f"{len(report.bad_files)} bad files left out, first {report.bad_files[0]}"] if report.bad_files else []
    return dataset, [*report.warnings, *left], report.looks


def _refuse_small(dataset: Dataset, report: ReadReport) -> None:
    """The detector looks at blocks of 8 × 8 pixels; pictures are looked through only if the reader met small ones."""
    if all(min(map(int, size.split("x"))) >= SMALLEST for size in report.stats.sizes):
        return
    for sample in dataset:
        height, width = sample.shape()[:2]
        if min(height, width) < SMALLEST:
            raise ImageError(
                f"{sample.id}: expected pictures of at least {SMALLEST} × {SMALLEST} pixels; got {width} × {height}",
                hint="leave it out, or enlarge it",
            )
