"""The network: a residual backbone down to stride 32, a top-down path, and one dense head.

CenterNet (Zhou et al. 2019) in the form of TTFNet (Liu et al. 2020): a heatmap of object centres for each class and a
box at every cell. GroupNorm, because batches are small and hold two domains.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from twinset.images import PixelBatch, to_model

Stride = Literal[4, 8]

GROUPS = 8
MULTIPLE = 16
"""Sides of pictures are multiples of this; the coarsest level, at stride 32, may round up."""

FIRST_SCORE = 0.1


class Convolution(nn.Module):
    """Convolution, GroupNorm and, unless it ends a residual branch, ReLU."""

    def __init__(self, into: int, out: int, *, side: int = 3, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(into, out, side, stride, side // 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out)
        self.active = active

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        h: torch.Tensor = self.norm(self.convolution(x))
        return functional.relu(h, inplace=True) if self.active else h


class Block(nn.Module):
    """Two convolutions added to the input, which is pooled and projected where the shape changes (He et al. 2016)."""

    def __init__(self, into: int, out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.first = Convolution(into, out, stride=stride)
        self.second = Convolution(out, out, active=False)
        self.project = nn.Conv2d(into, out, 1, bias=False) if into != out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        h = self.second(self.first(x))
        if self.stride > 1:
            x = functional.avg_pool2d(x, self.stride, ceil_mode=True)
        if self.project is not None:
            x = self.project(x)
        return functional.relu(h.add_(x), inplace=True)


class DetectionNetwork(nn.Module):
    """float32 (N, C, H, W) in [-1, 1], sides multiples of 16, to scores and boxes at ``stride``.

    ``width`` are the channels of the stem; the backbone has twice, four and eight times as many.
    """

    def __init__(self, *, channels: int, n_classes: int, width: int, stride: Stride) -> None:
        super().__init__()
        self.stem = Convolution(channels, width, stride=2)
        self.quarter = Block(width, 2 * width, stride=2)
        self.eighth = nn.Sequential(Block(2 * width, 4 * width, stride=2), Block(4 * width, 4 * width))
        self.sixteenth = nn.Sequential(Block(4 * width, 8 * width, stride=2), Block(8 * width, 8 * width))
        self.coarsest = Block(8 * width, 8 * width, stride=2)
        levels = [(8 * width, 4 * width), (8 * width, 4 * width), (4 * width, 4 * width)]
        if stride == 4:
            levels.append((2 * width, 4 * width))
        self.laterals = nn.ModuleList(nn.Conv2d(into, out, 1) for into, out in levels)
        self.smooth = Convolution(4 * width, 4 * width // (2 if stride == 4 else 1))
        head = 4 * width // (2 if stride == 4 else 1)
        self.tower = Convolution(head, head)
        self.scores, self.boxes = nn.Conv2d(head, n_classes, 1), nn.Conv2d(head, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of a centre (N, n_classes, H / stride, W / stride) and raw boxes (N, 4, …); see ``boxes``."""
        quarter = self.quarter(self.stem(x))
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        h: torch.Tensor = self.laterals[0](self.coarsest(sixteenth))
        for lateral, level in zip(self.laterals[1:], (sixteenth, eighth, quarter), strict=False):
            side = lateral(level)
            h = side + functional.interpolate(h, size=side.shape[2:], mode="nearest")
        h = self.tower(self.smooth(h))
        return self.scores(h), self.boxes(h)


def new_network(
    *, channels: int, n_classes: int, width: int, stride: Stride, generator: torch.Generator
) -> DetectionNetwork:
    """He-normal kernels from ``generator`` only (built on "meta": no global draws); every score starts at .1.

    Residual branches start at zero, so that a fresh network is shallow (Goyal et al. 2017, section 5.1).
    """
    with torch.device("meta"):
        network = DetectionNetwork(channels=channels, n_classes=n_classes, width=width, stride=stride)
    network = network.to_empty(device="cpu")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.GroupNorm):
                module.reset_parameters()
        for module in network.modules():
            if isinstance(module, Block):
                nn.init.zeros_(module.second.norm.weight)
        # Scores keep full-size weights: at a tenth, coloured shapes kept one class for 120 steps (AP .57 against .99).
        nn.init.constant_(_bias(network.scores), math.log(FIRST_SCORE / (1 - FIRST_SCORE)))
        network.boxes.weight.mul_(0.1)
    return network.to(memory_format=torch.channels_last)


def _bias(layer: nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias


def to_network(images: PixelBatch, device: torch.device) -> torch.Tensor:
    """uint8 (N, H, W, C) to what the network takes, channels last; ``ValueError`` for sides not multiples of 16."""
    height, width = images.shape[1:3]
    if height % MULTIPLE or width % MULTIPLE:
        raise ValueError(f"expected sides that are multiples of {MULTIPLE}; got {height} x {width}")
    return to_model(images).to(device).contiguous(memory_format=torch.channels_last)
