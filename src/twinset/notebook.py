"""How a dataset looks in a notebook: a line of facts and a few pictures of each class."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from twinset.dataset import UNITS
from twinset.errors import TwinsetError
from twinset.images import Pixels, encode_png, resize

if TYPE_CHECKING:
    from twinset.dataset import Dataset

MOST_CLASSES = 12
PICTURES_PER_CLASS = 10
SIDE = 64
MARKED_PICTURES = 8
MARKED_SIDE = 240


def dataset_html(dataset: Dataset) -> str:
    """A small table of pictures by class as HTML; class and dataset names are escaped.

    At most 12 classes with 10 pictures each, evenly spread over the dataset. A picture that cannot be read
    shows as a dash: a display never raises for the state of one file.
    """
    if dataset.task != "classification":
        return _marked_html(dataset)
    shown = [(number, name) for number, name in enumerate(dataset.classes) if dataset.class_counts()[name]]
    rows = "".join(_class_row(dataset, number, name) for number, name in shown[:MOST_CLASSES])
    if not dataset.classes or (dataset.class_ids < 0).any():
        rows += _class_row(dataset, -1, "unlabelled")
    hidden = len(shown) - MOST_CLASSES
    more = f"<p>… and {hidden} more classes</p>" if hidden > 0 else ""
    synthetic = sum(method is not None for method in dataset.table.column("method").to_pylist())
    made = f", {synthetic:,} of them synthetic" if synthetic else ""
    return (
        f"<div><p><b>{escape(dataset.name)}</b>: {len(dataset):,} images in {len(dataset.classes)} classes{made}</p>"
        f'<table style="border-collapse:collapse">{rows}</table>{more}</div>'
    )


def _marked_html(dataset: Dataset) -> str:
    """A few pictures with what is marked in them."""
    from twinset.drawing import overlay_small

    rows = np.unique(np.linspace(0, len(dataset) - 1, min(MARKED_PICTURES, len(dataset))).round().astype(int))
    pictures = []
    for row in rows.tolist():
        try:
            sample = dataset[row]
            pictures.append(_image(sample.id, overlay_small(sample, dataset.classes, MARKED_SIDE), height=None))
        except TwinsetError as error:
            pictures.append(f'<span title="{escape(str(error))}">–</span>')
    counts = ", ".join(
        f"{escape(name)} {count:,}" for name, count in list(dataset.label_counts().items())[:MOST_CLASSES]
    )
    more = ", …" if len(dataset.classes) > MOST_CLASSES else ""
    unit = UNITS[dataset.task]
    return (
        f"<div><p><b>{escape(dataset.name)}</b>: {len(dataset):,} images for {dataset.task}; {unit} by class: "
        f"{counts}{more}</p><div>{''.join(pictures)}</div></div>"
    )


def _class_row(dataset: Dataset, number: int, name: str) -> str:
    members = np.flatnonzero(dataset.class_ids == number)
    if not members.size:
        return ""
    spread = np.unique(np.linspace(0, members.size - 1, min(PICTURES_PER_CLASS, members.size)).round().astype(int))
    pictures = "".join(_picture(dataset, int(row)) for row in members[spread])
    return (
        f'<tr><th style="text-align:left;padding:2px 12px 2px 0">{escape(name)}<br>'
        f'<small style="font-weight:normal">{members.size:,}</small></th>'
        f'<td style="text-align:left">{pictures}</td></tr>'
    )


def _picture(dataset: Dataset, row: int) -> str:
    try:
        sample = dataset[row]
        pixels = _small(sample.pixels())
    except TwinsetError as error:
        return f'<span title="{escape(str(error))}">–</span>'
    return _image(sample.id, pixels, height=48)


def _image(name: str, pixels: Pixels, *, height: int | None) -> str:
    source = "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode("ascii")
    side = max(pixels.shape[:2])
    size = f"height:{height}px;" if height is not None else ""
    style = f"{size}margin:1px" + (";image-rendering:pixelated" if side < SIDE else "")
    return f'<img src="{source}" alt="{escape(name)}" title="{escape(name)}" style="{style};display:inline">'


def _small(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    side = max(height, width)
    return pixels if side <= SIDE else resize(pixels, max(1, height * SIDE // side), max(1, width * SIDE // side))
