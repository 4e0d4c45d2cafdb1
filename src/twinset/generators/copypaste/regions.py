"""Semantic maps recomposed: connected regions of one training picture laid into another, at about the same place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.foregrounds import Cut, cut_out
from twinset.generators.copypaste.layout import BOTTOM, LEFT, RIGHT, TOP, Layout, Placed
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.stores import Cutouts
from twinset.images import Pixels

SMALLEST, LARGEST = 2e-4, 0.15
"""Shares of a picture that a region to be moved may have."""
SMALL_CLASS = 0.06
"""A class is moved about by itself if its regions, weighted by area, are at most this share of a picture."""
USUAL_COUNT = (2, 10)


@dataclass(frozen=True, eq=False)
class Regions:
    """The cut-outs' places: ``homes`` float64 (M, 4) boxes xyxy in shares of their pictures' sides, in store order."""

    homes: NDArray[np.float64]


def regions_of(ids: NDArray[np.int32], classes: Sequence[int]) -> Iterator[tuple[int, NDArray[np.bool_], int, int]]:
    """(class, mask (h, w), x, y) of every connected region of these classes in a map (H, W); 8-connected."""
    for c in classes:
        count, labels, stats, _ = cv2.connectedComponentsWithStats((ids == c).astype(np.uint8), connectivity=8)
        for label in range(1, count):
            x, y, width, height, area = (int(v) for v in stats[label])
            if max(16, SMALLEST * ids.size) <= area <= LARGEST * ids.size:
                yield c, labels[y : y + height, x : x + width] == label, x, y


def small_classes(maps: Sequence[NDArray[np.int32]], n_classes: int) -> list[int]:
    """Classes that come in small regions."""
    total, weighted = np.zeros(n_classes), np.zeros(n_classes)
    for ids in maps:
        for c in np.unique(ids[ids >= 0]):
            _, _, stats, _ = cv2.connectedComponentsWithStats((ids == c).astype(np.uint8), connectivity=8)
            areas = stats[1:, cv2.CC_STAT_AREA] / ids.size
            total[c] += areas.sum()
            weighted[c] += (areas**2).sum()
    return [c for c in range(n_classes) if total[c] > 0 and weighted[c] / total[c] <= SMALL_CLASS]


def cut_regions(
    pixels: Pixels, ids: NDArray[np.int32], classes: Sequence[int], source: str, licence: str | None
) -> list[tuple[Cut, NDArray[np.float64]]]:
    """Every region of a picture (H, W, 3) with its place (4,) in shares of the sides."""
    height, width = ids.shape
    frame = np.array([width, height, width, height], dtype=np.float64)
    found = []
    for c, mask, x, y in regions_of(ids, classes):
        home = np.array([x, y, x + mask.shape[1], y + mask.shape[0]]) / frame
        found.append((cut_out(pixels, mask, (x, y), c, source, licence), home))
    return found


def draw_regions(
    regions: Regions,
    cutouts: Cutouts,
    settings: CopyPaste,
    *,
    background: int,
    own: str,
    size: tuple[int, int],
    draws: np.random.Generator,
) -> Layout:
    """A layout of regions, none of them from the picture ``own`` that they are laid on, far ones (higher up) first."""
    least, most = settings.count or USUAL_COUNT
    foreign = np.flatnonzero(np.array([name != own for name in cutouts.sources])[cutouts.source])
    total = int(draws.integers(least, most + 1)) if len(foreign) else 0
    classes = np.unique(cutouts.class_ids[foreign])
    chosen = []
    for _ in range(total):
        pool = foreign
        if draws.random() < settings.balance:
            pool = foreign[cutouts.class_ids[foreign] == classes[int(draws.integers(len(classes)))]]
        chosen.append(int(pool[int(draws.integers(len(pool)))]))
    placed = [_place(regions.homes[row], row, cutouts, settings, size, draws) for row in chosen]
    return Layout(background, size, tuple(sorted(placed, key=lambda one: one.box[3])))


def _place(
    home: NDArray[np.float64],
    row: int,
    cutouts: Cutouts,
    settings: CopyPaste,
    size: tuple[int, int],
    draws: np.random.Generator,
) -> Placed:
    """A region at its own place, moved by up to ``jitter``; what its picture cut off stays at or beyond that border."""
    cut = int(cutouts.cut[row])
    frame = np.array([size[1], size[0]], dtype=np.float64)
    hull = cutouts.hull(row)
    share = (home[2:] - home[:2]) * frame / np.ptp(hull, axis=0)
    magnify = float(np.sqrt(share.prod())) if not np.allclose(share, 1) else 1.0
    mirror = settings.flip and not cut and draws.random() < 0.5
    linear = np.diag([-magnify if mirror else magnify, magnify])
    mapped = hull @ linear.T
    low, extent = mapped.min(0), np.ptp(mapped, axis=0)
    shift = draws.uniform(-settings.jitter, settings.jitter, size=2) * frame
    for axis, (first, last) in enumerate(((LEFT, RIGHT), (TOP, BOTTOM))):
        if cut & first and cut & last:
            shift[axis] = 0.0
        elif cut & (first | last):
            shift[axis] = abs(shift[axis]) * (-1 if cut & first else 1)
            shift[axis] = np.clip(shift[axis], -0.5 * settings.truncation * extent[axis], None)
            shift[axis] = np.clip(shift[axis], None, 0.5 * settings.truncation * extent[axis])
    centre = (home[:2] + home[2:]) / 2 * frame + shift
    at = np.rint(centre - extent / 2)
    for axis, (first, last) in enumerate(((LEFT, RIGHT), (TOP, BOTTOM))):
        if not cut & (first | last):
            at[axis] = np.clip(at[axis], 0, max(frame[axis] - extent[axis], 0))
    matrix = np.concatenate([linear, (at - low)[:, None]], axis=1)
    x0, y0, x1, y1 = (float(v) for v in (*at, *(at + extent)))
    return Placed(row, int(cutouts.class_ids[row]), matrix, (x0, y0, x1, y1), bool(cut))
