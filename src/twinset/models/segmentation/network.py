"""A small U-Net (Ronneberger et al. 2015) that works at half the picture's resolution.

A strided stem halves the picture once, so that every further convolution costs a quarter; the logits are interpolated
back. Group norm (Wu and He 2018) makes a picture's answer independent of the others in its batch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

GROUP = 8
"""Channels per group of the norms; widths are multiples of it."""

WIDEST = 8
"""Channels double at every halving up to this multiple of the first."""


class ResidualPair(nn.Module):
    """Norm, ReLU, conv, norm, ReLU, conv, added to the projected input (He et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(channels_in // GROUP, channels_in)
        self.conv_1 = nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False)
        self.norm_2 = nn.GroupNorm(channels_out // GROUP, channels_out)
        self.conv_2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(channels_in, channels_out, 1, bias=False) if channels_in != channels_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H, W)."""
        h = self.conv_1(functional.relu(self.norm_1(x)))
        h = self.conv_2(functional.relu(self.norm_2(h)))
        out: torch.Tensor = h + (x if self.project is None else self.project(x))
        return out


class SmallUNet(nn.Module):
    """Stem, ``depth`` halvings, as many doublings with skips, logits; float32 (N, C, H, W) in [-1, 1], any size."""

    def __init__(self, *, channels: int, n_classes: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [min(width * 2**level, width * WIDEST) for level in range(depth + 1)]
        self.stem = nn.Conv2d(channels, width, 5, 2, 2, bias=False)
        pairs = zip([width, *widths[:-1]], widths, strict=True)
        self.down = nn.ModuleList(ResidualPair(before, after) for before, after in pairs)
        self.up = nn.ModuleList(
            ResidualPair(widths[level] + widths[level + 1], widths[level]) for level in reversed(range(depth))
        )
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 logits (N, K, H, W)."""
        size = x.shape[2:]
        x, skips = self.stem(x), []
        for level, pair in enumerate(self.down):
            x = pair(functional.max_pool2d(x, 2, ceil_mode=True) if level else x)
            skips.append(x)
        for pair, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = pair(torch.cat([functional.interpolate(x, size=skip.shape[2:], mode="nearest"), skip], dim=1))
        # No norm before the head: with unit features it is the head that has to grow, and learning takes three times
        # as many steps (measured on a toy set).
        logits = self.head(functional.relu(x))
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def build_unet(*, channels: int, n_classes: int, width: int, depth: int, generator: torch.Generator) -> SmallUNet:
    """He-normal convolutions and a zero head, drawn from ``generator`` only (built on "meta": no global draws)."""
    with torch.device("meta"):
        network = SmallUNet(channels=channels, n_classes=n_classes, width=width, depth=depth)
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.GroupNorm):
            module.reset_parameters()
    nn.init.zeros_(network.head.weight)
    assert network.head.bias is not None
    nn.init.zeros_(network.head.bias)
    return network.to(memory_format=torch.channels_last)
