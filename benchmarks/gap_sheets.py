"""Contact sheets of `benchmarks/gap.py`: a row of real pictures, and one of every step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from twinset.dataset import Dataset
from twinset.images import convert_channels, encode_png
from twinset.store import write_bytes

ACROSS = 4
TALL, WIDE, MARGIN, HEADING = 180, 280, 6, 22


def write_sheet(path: Path, sets: Mapping[str, Dataset]) -> None:
    """One row for each set: its name, and pictures evenly among it, with boxes drawn in the last of them."""
    rows = []
    for name, dataset in sets.items():
        heading = np.full((HEADING, ACROSS * (WIDE + MARGIN), 3), 255, dtype=np.uint8)
        cv2.putText(heading, name, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        at = [k * len(dataset) // ACROSS for k in range(ACROSS)]
        shown = [_picture(dataset, row, boxes=k == ACROSS - 1) for k, row in enumerate(at)]
        rows += [heading, np.concatenate(shown, axis=1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, encode_png(np.concatenate(rows)))


def _picture(dataset: Dataset, row: int, *, boxes: bool) -> np.ndarray:
    sample = dataset[row]
    pixels = np.ascontiguousarray(convert_channels(sample.pixels(), 3)).copy()
    instances = sample.annotation.instances if sample.annotation is not None else None
    if boxes and instances is not None:
        for x1, y1, x2, y2 in np.rint(instances.boxes).astype(int).tolist():
            cv2.rectangle(pixels, (x1, y1), (x2 - 1, y2 - 1), (255, 230, 0), 2)
    scale = min(TALL / pixels.shape[0], WIDE / pixels.shape[1])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    framed = np.full((TALL + MARGIN, WIDE + MARGIN, 3), 255, dtype=np.uint8)
    framed[: small.shape[0], : small.shape[1]] = small
    return framed
