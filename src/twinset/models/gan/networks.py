"""The two networks of a GAN of ours: a residual generator, and a discriminator that reads the class by projection.

The generator's blocks are those of our diffusion U-Net: group norm within an image, scaled and shifted by what was
drawn and the class. The discriminator has no normalisation layer but that of its weights (:mod:`.spectral`), so that
no image's gradient depends on another image. Sources: Miyato and Koyama 2018, "cGANs with Projection Discriminator",
equation 3 and appendix; Brock et al. 2019, "BigGAN", for the latent code at every block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from twinset.images import ImageSpec
from twinset.models.networks import GROUP_WIDTH, ResidualBlock, initialise, table

COARSEST_SIDE = 6
"""Sides are halved until they are at most this long."""

WIDEST = 4
"""Channels at the coarsest resolution, in units of those at the finest."""

SLOPE = 0.2


@dataclass(frozen=True)
class GanNetworkSettings:
    """``width``: channels of the generator at the finest resolution, a multiple of 16 (up to four times as many at
    coarser ones). ``discriminator_width``: those of the discriminator. ``latent``: numbers that a picture is drawn
    from.
    """

    width: int = 32
    discriminator_width: int = 32
    latent: int = 64

    def __post_init__(self) -> None:
        if self.width < GROUP_WIDTH or self.width % GROUP_WIDTH:
            raise ValueError(f"expected a width that is a positive multiple of {GROUP_WIDTH}; got {self.width}")
        if min(self.discriminator_width, self.latent) < 1:
            raise ValueError(
                f"expected discriminator_width and latent ≥ 1; got {self.discriminator_width} and {self.latent}"
            )


def halvings(spec: ImageSpec) -> int:
    """How often the longer side is halved.

    >>> [halvings(ImageSpec(side, side, 1)) for side in (4, 8, 28, 32, 64)]
    [0, 1, 3, 3, 4]
    """
    return max(0, math.ceil(math.log2(max(spec.height, spec.width) / COARSEST_SIDE)))


def widths(width: int, levels: int) -> list[int]:
    """Channels from the coarsest to the finest of ``levels`` + 1 resolutions.

    >>> widths(32, 3)
    [128, 128, 64, 32]
    """
    return [width * min(WIDEST, 2**level) for level in range(levels, -1, -1)]


class GanGenerator(nn.Module):
    """``forward(latent, class_ids)``: float (N, latent) from N(0, 1) and int64 (N,) to images (N, C, H, W) in [-1, 1].

    A linear layer makes the coarsest map, one block per doubling and one more at the finest resolution refine it.
    """

    def __init__(self, settings: GanNetworkSettings, spec: ImageSpec, classes: int) -> None:
        super().__init__()
        self.spec, levels = spec, halvings(spec)
        channels = widths(settings.width, levels)
        embedding = 2 * settings.width
        self.base = (channels[0], -(-spec.height // 2**levels), -(-spec.width // 2**levels))
        self.classes = table(classes, settings.latent)
        self.condition = nn.Linear(2 * settings.latent, embedding)
        self.first = nn.Linear(2 * settings.latent, math.prod(self.base))
        doubled = [ResidualBlock(inside, outside, embedding, double=True) for inside, outside in pairwise(channels)]
        self.blocks = nn.ModuleList([*doubled, ResidualBlock(channels[-1], channels[-1], embedding)])
        self.norm = nn.GroupNorm(channels[-1] // GROUP_WIDTH, channels[-1])
        self.last = nn.Conv2d(channels[-1], spec.channels, 3, padding=1)

    def forward(self, latent: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        """One pass per image."""
        drawn = torch.cat([latent, self.classes(class_ids)], dim=1)
        embedding = functional.silu(self.condition(drawn))
        h = self.first(drawn).view(-1, *self.base)
        for block in self.blocks:
            h = block(h, embedding)
        h = self.last(functional.silu(self.norm(h)))
        return torch.tanh(h[:, :, : self.spec.height, : self.spec.width])


class DiscriminatorBlock(nn.Module):
    """x + conv(lrelu(conv(lrelu(x)))), at the same resolution or halved between the two; no normalisation.

    Channels change at the second convolution, where positions are fewest: that costs a quarter of the usual order.
    """

    def __init__(self, inside: int, outside: int, *, half: bool) -> None:
        super().__init__()
        self.halves = half
        self.conv = nn.Conv2d(inside, inside, 3, padding=1)
        self.conv_again = nn.Conv2d(inside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inside, h, w) to (N, outside, ⌈h/2⌉, ⌈w/2⌉) or (N, outside, h, w)."""
        h = self.conv(functional.leaky_relu(x, SLOPE))
        if self.halves:
            x, h = (functional.avg_pool2d(each, 2, ceil_mode=True) for each in (x, h))
        out: torch.Tensor = self.skip(x) + self.conv_again(functional.leaky_relu(h, SLOPE))
        return out


class Discriminator(nn.Module):
    """``forward(images, class_ids)``: (N, C, H, W) in [-1, 1] and int64 (N,) to logits (N,), higher for real images.

    D(x, y) = w·h(x) + ⟨e_y, h(x)⟩ with h the sum of the last features over positions.
    """

    def __init__(self, settings: GanNetworkSettings, spec: ImageSpec, classes: int) -> None:
        super().__init__()
        channels = widths(settings.discriminator_width, halvings(spec))[::-1]
        self.first = nn.Conv2d(spec.channels, channels[0], 3, padding=1)
        halved = [DiscriminatorBlock(inside, outside, half=True) for inside, outside in pairwise(channels)]
        self.blocks = nn.ModuleList([*halved, DiscriminatorBlock(channels[-1], channels[-1], half=False)])
        self.head = nn.Linear(channels[-1], 1)
        self.classes = table(classes, channels[-1])

    def forward(self, images: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        """One logit per image."""
        h = self.first(images)
        for block in self.blocks:
            h = block(h)
        features = functional.leaky_relu(h, SLOPE).sum(dim=(2, 3))
        out: torch.Tensor = self.head(features)[:, 0] + (self.classes(class_ids) * features).sum(dim=1)
        return out


def build_gan(
    settings: GanNetworkSettings, spec: ImageSpec, classes: int, *, generator: torch.Generator
) -> tuple[GanGenerator, Discriminator]:
    """Both networks with weights drawn from this generator; PyTorch's global one is not touched."""
    made = build_generator(settings, spec, classes, generator=generator)
    with torch.device("meta"):
        judge = Discriminator(settings, spec, classes)
    judge.to_empty(device="cpu")
    initialise(judge, generator=generator)
    return made, judge


def build_generator(
    settings: GanNetworkSettings, spec: ImageSpec, classes: int, *, generator: torch.Generator
) -> GanGenerator:
    """A generator with freshly drawn weights."""
    with torch.device("meta"):
        made = GanGenerator(settings, spec, classes)
    made.to_empty(device="cpu")
    initialise(made, generator=generator)
    return made
