"""Boxes at the cells of a grid: coding, and generalised overlap."""

from __future__ import annotations

import torch

MOST = 6.0
"""Largest |log(side / unit)| that a box can have: a factor of 400; keeps the exponential finite."""


def cell_centres(height: int, width: int, stride: int, device: torch.device) -> torch.Tensor:
    """float32 (2, height, width): x and y of every cell's centre in pixels.

    >>> cell_centres(1, 2, 8, torch.device("cpu"))[0].tolist()
    [[4.0, 12.0]]
    """
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def decode_boxes(raw: torch.Tensor, centres: torch.Tensor, unit: float) -> torch.Tensor:
    """xyxy in pixels, (..., 4, M), of raw (..., 4, M) at centres (..., 2, M), all float32.

    Raw are the shift of the centre in units of ``unit`` pixels, and the logarithms of width and height in that unit.
    A shift with a size can say any box; distances to four sides cannot where a cell's centre lies outside the object.
    """
    centre = centres + unit * raw[..., :2, :]
    half = unit / 2 * raw[..., 2:, :].clamp(-MOST, MOST).exp()
    return torch.cat([centre - half, centre + half], dim=-2)


def encode_boxes(boxes: torch.Tensor, centres: torch.Tensor, unit: float) -> torch.Tensor:
    """The inverse of :func:`decode_boxes`."""
    low, high = boxes[..., :2, :], boxes[..., 2:, :]
    return torch.cat([((low + high) / 2 - centres) / unit, ((high - low) / unit).log()], dim=-2)


def generalised_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """GIoU (Rezatofighi et al. 2019) of boxes (4, M) with boxes (4, M), in [-1, 1].

    >>> generalised_iou(torch.tensor([[0.], [0], [2], [2]]), torch.tensor([[1.], [0], [3], [2]])).tolist()
    [0.3333333432674408]
    """
    overlap = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod(0)
    hull = (torch.maximum(a[2:], b[2:]) - torch.minimum(a[:2], b[:2])).prod(0)
    union = (a[2:] - a[:2]).prod(0) + (b[2:] - b[:2]).prod(0) - overlap
    return overlap / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)
