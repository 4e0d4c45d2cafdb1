"""Augmentation that gradients pass, of everything that the discriminator sees: DiffAugment (Zhao et al. 2020).

"Differentiable Augmentation for Data-Efficient GAN Training": real and made pictures are changed alike, so a small set
is not learnt by heart and what the generator makes is not changed itself. Colour (brightness, saturation, contrast),
translation by up to ⅛ of the side, and a square hole of half the side. A mirror image can be one of its class too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

Change = Literal["colour", "translation", "cutout"]
CHANGES: tuple[Change, ...] = ("colour", "translation", "cutout")
LARGEST_SHIFT = 0.125
HOLE = 0.5


class Drawn(NamedTuple):
    """What is done to N pictures: uniform numbers in [0, 1), float32 (N, 8), and which changes are made at all."""

    numbers: torch.Tensor
    changes: tuple[Change, ...]
    flip: bool

    def to(self, device: torch.device) -> Drawn:
        """The same on another device."""
        return self._replace(numbers=self.numbers.to(device))


def draw_changes(count: int, changes: Sequence[Change], *, flip: bool, generator: torch.Generator) -> Drawn:
    """Changes for ``count`` pictures."""
    return Drawn(torch.rand(count, 8, generator=generator), tuple(changes), flip)


def change(images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
    """Images (N, C, H, W) in [-1, 1] changed as drawn, differentiable in the images; values may leave the range.

    Where the paper fills with zeros, translation repeats the border here: pictures on a dark ground get no grey bars.
    """
    numbers = drawn.numbers
    if drawn.flip:
        images = torch.where((numbers[:, 0] < 0.5)[:, None, None, None], images.flip(3), images)
    if "colour" in drawn.changes:
        images = _coloured(images, numbers[:, 1:4])
    if "translation" in drawn.changes:
        images = _moved(images, numbers[:, 4:6])
    if "cutout" in drawn.changes:
        images = _holed(images, numbers[:, 6:8])
    return images


def _coloured(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    brightness, saturation, contrast = (part[:, None, None, None] for part in numbers.unbind(dim=1))
    images = images + (brightness - 0.5)
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5)


def _moved(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    height, width = images.shape[2:]
    down, right = (
        _whole(part, round(LARGEST_SHIFT * side)) for part, side in zip(numbers.T, (height, width), strict=True)
    )
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def _whole(uniform: torch.Tensor, reach: int) -> torch.Tensor:
    """Whole numbers from −reach to reach."""
    return (uniform * (2 * reach + 1)).floor().long() - reach


def _holed(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The hole is 0, mid-grey, and may stick out of the picture."""
    height, width = images.shape[2:]
    wanted = []
    for part, side in zip(numbers.T, (height, width), strict=True):
        hole = round(HOLE * side)
        first = (part * (side + (1 - hole % 2))).floor().long() - hole // 2
        place = torch.arange(side, device=images.device)
        wanted.append((place >= first[:, None]) & (place < first[:, None] + hole))
    hidden = wanted[0][:, None, :, None] & wanted[1][:, None, None, :]
    return torch.where(hidden, 0.0, images)
