"""What the network should say, and how wrong it is.

Heatmaps with an elliptical Gaussian for each object under a penalty-reduced focal loss (Zhou et al. 2019, equation 1),
boxes under GIoU at all cells of the Gaussian's core (Liu et al. 2020, section 3). Unlike TTFNet every object has the
same weight, whatever its area, and an ignored object silences its class inside its box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.models.detection.boxes import cell_centres, decode_boxes, generalised_iou
from twinset.models.detection.scenes import Objects

CORE = 0.54
"""The Gaussian's core as a share of the box's sides (TTFNet's alpha)."""

BOX_WEIGHT = 5.0


class Targets(NamedTuple):
    """What a batch of N pictures should give on a grid of H x W cells.

    ``heat`` float32 (N, n_classes, H, W) in [0, 1], 1 at centres; ``counted`` bool of that shape, false where an
    ignored object lies; ``boxes`` float32 (N, 4, H, W), xyxy pixels, and ``weights`` (N, H, W), which sum to 1 for each
    object (to less where another one lies in front); ``objects`` is how many there are.
    """

    heat: torch.Tensor
    counted: torch.Tensor
    boxes: torch.Tensor
    weights: torch.Tensor
    objects: int

    def to(self, device: torch.device) -> Targets:
        """The same on a device."""
        heat, counted, boxes, weights = (part.to(device) for part in self[:4])
        return Targets(heat, counted, boxes, weights, self.objects)


def targets_of(batch: Sequence[Objects], *, n_classes: int, grid: tuple[int, int], stride: int) -> Targets:
    """The targets of these pictures; ``grid`` is the cells' (rows, columns)."""
    heat = np.zeros((len(batch), n_classes, *grid), dtype=np.float32)
    counted = np.ones(heat.shape, dtype=np.bool_)
    boxes = np.zeros((len(batch), 4, *grid), dtype=np.float32)
    weights = np.zeros((len(batch), *grid), dtype=np.float32)
    total = 0
    for row, (all_boxes, class_ids, ignored) in enumerate(batch):
        for box, class_id in zip(all_boxes[ignored], class_ids[ignored], strict=True):
            (x1, y1), (x2, y2) = np.floor(box[:2] / stride).astype(int), np.ceil(box[2:] / stride).astype(int)
            counted[row, class_id, max(0, y1) : y2, max(0, x1) : x2] = False
        kept, ids = all_boxes[~ignored], class_ids[~ignored]
        total += len(kept)
        if len(kept):
            gaussians, core = _gaussians(kept, grid, stride)
            for class_id in np.unique(ids):
                heat[row, class_id] = gaussians[ids == class_id].max(0)
            boxes[row], weights[row] = _owned(kept, gaussians, core)
    counted |= heat == 1
    return Targets(
        torch.from_numpy(heat), torch.from_numpy(counted), torch.from_numpy(boxes), torch.from_numpy(weights), total
    )


def _gaussians(
    boxes: NDArray[np.float32], grid: tuple[int, int], stride: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """For K boxes: Gaussians (K, rows, columns), exactly 1 at the cell of the centre, and their cores, bool."""
    last = np.array([grid[1], grid[0]]) - 1
    centres = np.minimum(((boxes[:, :2] + boxes[:, 2:]) / 2 / stride).astype(int), last)
    reach = ((boxes[:, 2:] - boxes[:, :2]) / stride * (CORE / 2)).astype(int)
    profiles, cores = [], []
    for axis, cells in ((1, grid[0]), (0, grid[1])):
        away = np.arange(cells) - centres[:, axis, None]
        sigma = (2 * reach[:, axis, None] + 1) / 6
        profiles.append(np.exp(-np.square(away) / (2 * np.square(sigma))).astype(np.float32))
        cores.append(np.abs(away) <= reach[:, axis, None])
    core = cores[0][:, :, None] & cores[1][:, None, :]
    return profiles[0][:, :, None] * profiles[1][:, None, :] * core, core


def _owned(
    boxes: NDArray[np.float32], gaussians: NDArray[np.float32], core: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Box (4, rows, columns) and weight (rows, columns) of every cell: those of the smallest object that covers it."""
    order = np.argsort((boxes[:, 2:] - boxes[:, :2]).prod(1), kind="stable")
    owner = order[core[order].argmax(0)]
    share = gaussians / gaussians.sum((1, 2), keepdims=True)
    weight = np.take_along_axis(share, owner[None], axis=0)[0]
    return boxes[owner].transpose(2, 0, 1), np.where(core.any(0), weight, 0)


def heat_loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Penalty-reduced focal loss (α = 2, β = 4), summed over cells, for each object."""
    logits = logits.float()
    log_p, log_not = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    p = logits.sigmoid()
    at_centre = (1 - p).square() * log_p
    elsewhere = (1 - targets.heat).square().square() * p.square() * log_not
    loss = -torch.where(targets.heat == 1, at_centre, elsewhere) * targets.counted
    return loss.sum() / max(1, targets.objects)


def box_loss(raw: torch.Tensor, targets: Targets, *, unit: float, stride: int) -> torch.Tensor:
    """1 − GIoU, weighted over the cells of each object, for each object."""
    n, _, rows, columns = raw.shape
    centres = cell_centres(rows, columns, stride, raw.device).expand(n, 2, rows, columns)
    where = targets.weights > 0
    picked = [part.movedim(1, 0)[:, where] for part in (raw.float(), centres, targets.boxes)]
    overlap = generalised_iou(decode_boxes(picked[0], picked[1], unit), picked[2])
    return ((1 - overlap) * targets.weights[where]).sum() / max(1, targets.objects)


def detection_loss(
    output: tuple[torch.Tensor, torch.Tensor], targets: Targets, *, unit: float, stride: int
) -> torch.Tensor:
    """What training makes small: heat loss + 5 · box loss."""
    logits, raw = output
    return heat_loss(logits, targets) + BOX_WEIGHT * box_loss(raw, targets, unit=unit, stride=stride)
