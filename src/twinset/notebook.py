"""A dataset as a few rows of pictures for a notebook. Every name in it is escaped."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

from twinset.images import encode_png, resize

if TYPE_CHECKING:
    from twinset.dataset import Dataset

PER_CLASS = 10
CLASSES = 12
LONGEST = 96


def dataset_html(dataset: Dataset) -> str:
    """Up to twelve classes with up to ten pictures each, as one HTML fragment that loads nothing."""
    names = [*dataset.classes[:CLASSES], *(["(unlabelled)"] if (dataset.class_ids < 0).any() else [])]
    rows = []
    for number, name in enumerate(names):
        class_id = number if name != "(unlabelled)" else -1
        found = [row for row, label in enumerate(dataset.class_ids) if label == class_id]
        pictures = "".join(_picture(dataset, row) for row in found[:PER_CLASS])
        rows.append(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{len(found)}</td><td>{pictures}</td></tr>"
        )
    more = f"<p>{len(dataset.classes) - CLASSES} more classes</p>" if len(dataset.classes) > CLASSES else ""
    title = f"{html.escape(dataset.name)}: {len(dataset)} images, {len(dataset.classes)} classes"
    return f"<div><p><b>{title}</b></p><table>{''.join(rows)}</table>{more}</div>"


def _picture(dataset: Dataset, row: int) -> str:
    sample = dataset[row]
    pixels = sample.pixels()
    height, width = pixels.shape[:2]
    if max(height, width) > LONGEST:
        scale = LONGEST / max(height, width)
        pixels = resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    data = base64.b64encode(encode_png(pixels)).decode()
    label = html.escape(sample.id, quote=True)
    return (
        f"<img src='data:image/png;base64,{data}' alt='{label}' title='{label}' height='48' "
        "style='image-rendering:pixelated;margin:1px'>"
    )
