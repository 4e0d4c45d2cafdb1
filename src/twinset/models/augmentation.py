"""Augmentation that is told to the network, so that it widens a small training set without leaking into samples.

Karras et al. 2020 and 2022 (non-leaking augmentation): every training image is moved by a random small map, and the
network gets the map's parameters as a condition; at sampling the parameters are zero, "not moved".
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

PARAMETERS = ("flip", "shift_y", "shift_x", "zoom", "turn", "aspect")
LARGEST_SHIFT = 0.125
LARGEST_LOG_ZOOM = 0.15
LARGEST_TURN = math.radians(12)
LARGEST_LOG_ASPECT = 0.1


def draw_augmentations(count: int, *, probability: float, flip: bool, generator: torch.Generator) -> torch.Tensor:
    """float32 (count, 6) in [-1, 1]: each of :data:`PARAMETERS` is nonzero with ``probability``, a flip with half.

    Zero everywhere means "unchanged".
    """
    values = torch.rand(count, len(PARAMETERS), generator=generator) * 2 - 1
    chosen = torch.rand(count, len(PARAMETERS), generator=generator) < probability
    values = torch.where(chosen, values, 0.0)
    values[:, 0] = (values[:, 0] > 0).float() if flip else 0.0
    return values


def augment(images: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) moved by these parameters (N, 6); reflected at the border, bilinear; zero rows stay bitwise.

    Units of ±1: shift ⅛ of the side, zoom ±15 %, turn ±12°, aspect ±10 %.
    """
    moved = parameters.abs().sum(dim=1) > 0
    if not bool(moved.any()):
        return images
    flip, shift_y, shift_x, zoom, turn, aspect = parameters[moved].unbind(dim=1)
    zoom, turn = (zoom * LARGEST_LOG_ZOOM).exp(), turn * LARGEST_TURN
    stretch = (aspect * LARGEST_LOG_ASPECT).exp()
    mirror, ratio = 1 - 2 * flip, images.shape[2] / images.shape[3]
    cosine, sine = turn.cos() / zoom, turn.sin() / zoom
    rows_x = torch.stack([mirror * cosine * stretch, -mirror * sine * ratio, -2 * LARGEST_SHIFT * shift_x], dim=1)
    rows_y = torch.stack([sine / ratio, cosine / stretch, -2 * LARGEST_SHIFT * shift_y], dim=1)
    grid = functional.affine_grid(torch.stack([rows_x, rows_y], dim=1), list(images[moved].shape), align_corners=False)
    out = images.clone()
    out[moved] = functional.grid_sample(images[moved], grid, padding_mode="reflection", align_corners=False)
    return out
