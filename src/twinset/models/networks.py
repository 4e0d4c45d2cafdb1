"""The two networks that a diffusion model of ours can have: a small U-Net and a patch transformer.

Both map ``(x, noise, class_ids, augmentation) -> F`` with F shaped like x: the raw network F_θ of Karras et al. (2022),
before preconditioning. Both know the noise level and the class twice: as an embedding that scales and shifts every
normalised feature map, and (the class) as tokens of a learned vocabulary that image features attend to. The last
entry of the vocabulary is the null class, the unconditional branch of guidance.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Family = Literal["unet", "transformer"]
HEAD_WIDTH = 32
GROUP_WIDTH = 16


@dataclass(frozen=True)
class NetworkSettings:
    """Size of a network.

    ``patch``: side of the square of pixels that one position of the first feature map stands for (1 = pixels).
    ``depth``: residual blocks per resolution (U-Net), or transformer blocks. ``levels``: resolutions of the U-Net, each
    half the one before (a transformer has one). ``width``: channels at the first resolution (the others have twice as
    many), or the token width. ``tokens``: vocabulary entries per class.
    """

    family: Family = "unet"
    width: int = 64
    depth: int = 2
    levels: int = 2
    patch: int = 1
    tokens: int = 4

    def __post_init__(self) -> None:
        if self.family not in ("unet", "transformer"):
            raise ValueError(f"expected family 'unet' or 'transformer'; got {self.family!r}")
        if self.width < HEAD_WIDTH or self.width % HEAD_WIDTH:
            raise ValueError(f"expected a width that is a positive multiple of {HEAD_WIDTH}; got {self.width}")
        if min(self.depth, self.levels, self.patch, self.tokens) < 1:
            raise ValueError(f"expected depth, levels, patch and tokens ≥ 1; got {self}")
        if self.family == "transformer" and self.levels != 1:
            raise ValueError(f"expected levels = 1 of a transformer; got {self.levels}")

    @property
    def multiple(self) -> int:
        """Heights and widths are padded to a multiple of this."""
        return int(self.patch * 2 ** (self.levels - 1))

    def to_dict(self) -> dict[str, str | int]:
        """Plain names and numbers."""
        return dict(asdict(self))


class Network(nn.Module):
    """What a U-Net and a patch transformer share: padding, patches, and the condition.

    ``forward(x, noise, class_ids, augmentation)``: x float32 (N, C, H, W), noise (N,) = c_noise(σ), class_ids int64
    (N,) in 0…classes (``classes`` itself is the null class), augmentation float32 (N, A). Returns F (N, C, H, W).
    """

    def __init__(self, settings: NetworkSettings, channels: int, classes: int, augmentations: int) -> None:
        super().__init__()
        self.settings, self.channels, self.classes = settings, channels, classes
        self.condition = Condition(settings, classes, augmentations)

    def forward(
        self, x: torch.Tensor, noise: torch.Tensor, class_ids: torch.Tensor, augmentation: torch.Tensor
    ) -> torch.Tensor:
        """The raw network F_θ."""
        height, width = x.shape[2:]
        multiple, patch = self.settings.multiple, self.settings.patch
        x = functional.pad(x, (0, -width % multiple, 0, -height % multiple))
        embedding, tokens = self.condition(noise, class_ids, augmentation)
        features = functional.pixel_unshuffle(x, patch) if patch > 1 else x
        features = self.features(features, embedding, tokens)
        out = functional.pixel_shuffle(features, patch) if patch > 1 else features
        return out[:, :, :height, :width]

    def features(self, x: torch.Tensor, embedding: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N, C·patch², H/patch, W/patch) to the same shape."""
        raise NotImplementedError


class Condition(nn.Module):
    """The condition as an embedding (N, E) and as tokens (N, T, width)."""

    def __init__(self, settings: NetworkSettings, classes: int, augmentations: int) -> None:
        super().__init__()
        width = embedding_width(settings)
        self.width, self.tokens = settings.width, settings.tokens
        self.noise = nn.Sequential(nn.Linear(settings.width, width), nn.SiLU(), nn.Linear(width, width))
        self.classes = table(classes + 1, width)
        self.augmentation = zero_start(nn.Linear(augmentations, width, bias=False))
        self.vocabulary = table(classes + 1, settings.tokens * settings.width)

    def forward(
        self, noise: torch.Tensor, class_ids: torch.Tensor, augmentation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding (N, E) after its nonlinearity, tokens (N, T, width)."""
        embedding = self.noise(fourier(noise, self.width)) + self.classes(class_ids) + self.augmentation(augmentation)
        tokens = self.vocabulary(class_ids).view(len(class_ids), self.tokens, self.width)
        return functional.silu(embedding), tokens


def table(rows: int, width: int) -> nn.Embedding:
    """An embedding to be filled later: PyTorch's own filling, on no device, loads its compiler, which takes seconds."""
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


def embedding_width(settings: NetworkSettings) -> int:
    """Width of the condition embedding."""
    return settings.width * (4 if settings.family == "unet" else 1)


def fourier(noise: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) to (N, width): cosines and sines at geometric frequencies from 1 to 100 per unit of c_noise = ¼ ln σ."""
    frequencies = torch.logspace(0, 2, width // 2, device=noise.device, dtype=noise.dtype)
    angles = noise[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1) * math.sqrt(2)


class UNet(Network):
    """Residual blocks at ``levels`` resolutions down and up again, with attention at the lowest."""

    def __init__(self, settings: NetworkSettings, channels: int, classes: int, augmentations: int) -> None:
        super().__init__(settings, channels, classes, augmentations)
        widths = [settings.width * (1 if level == 0 else 2) for level in range(settings.levels)]
        embedding, inside = embedding_width(settings), channels * settings.patch**2
        self.first = nn.Conv2d(inside, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, width = [widths[0]], widths[0]
        for level, next_width in enumerate(widths):
            for block in range(settings.depth):
                self.down.append(ResidualBlock(width, next_width, embedding, half=level > 0 and block == 0))
                width = next_width
                skips.append(width)
        self.middle = nn.ModuleList([AttentionBlock(width, settings.width), ResidualBlock(width, width, embedding)])
        for level, next_width in reversed(list(enumerate(widths))):
            for block in range(settings.depth + (level == 0)):
                last = level > 0 and block == settings.depth - 1
                self.up.append(ResidualBlock(width + skips.pop(), next_width, embedding, double=last))
                width = next_width
        self.norm = nn.GroupNorm(width // GROUP_WIDTH, width)
        self.last = zero_start(nn.Conv2d(width, inside, 3, padding=1))

    def features(self, x: torch.Tensor, embedding: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Down, middle, up."""
        h = self.first(x)
        skips = [h]
        for block in self.down:
            h = block(h, embedding)
            skips.append(h)
        attention, residual = self.middle
        h = residual(attention(h, tokens), embedding)
        for block in self.up:
            h = block(torch.cat([h, skips.pop()], dim=1), embedding)
        out: torch.Tensor = self.last(functional.silu(self.norm(h)))
        return out


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))) · (1 + scale) + shift)), at the same, half or double resolution."""

    def __init__(self, inside: int, outside: int, embedding: int, *, half: bool = False, double: bool = False) -> None:
        super().__init__()
        self.halves, self.doubles = half, double
        self.norm = nn.GroupNorm(inside // GROUP_WIDTH, inside)
        self.conv = nn.Conv2d(inside, outside, 3, padding=1)
        self.modulation = zero_start(nn.Linear(embedding, 2 * outside))
        self.norm_again = nn.GroupNorm(outside // GROUP_WIDTH, outside)
        self.conv_again = zero_start(nn.Conv2d(outside, outside, 3, padding=1))
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """(N, inside, h, w) to (N, outside, h', w')."""
        if self.halves:
            x = functional.avg_pool2d(x, 2)
        h = self.conv(functional.silu(self.norm(x)))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm_again(h), 1 + scale)
        x = self.skip(x) + self.conv_again(functional.silu(h))
        return functional.interpolate(x, scale_factor=2, mode="nearest") if self.doubles else x


class Attention(nn.Module):
    """Multi-head attention from (N, L, width) to (N, T, context), queries and keys normalised; ends in a zero start."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(context, 2 * width)
        self.out = zero_start(nn.Linear(width, width))

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """(N, L, width)."""
        query = _heads(self.query(x))
        key, value = (_heads(part) for part in self.key_value(context).chunk(2, dim=2))
        query, key = (functional.rms_norm(part, (HEAD_WIDTH,)) for part in (query, key))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


def _heads(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(*x.shape[:2], -1, HEAD_WIDTH).transpose(1, 2)


class AttentionBlock(nn.Module):
    """Self-attention among positions, then cross-attention to the condition tokens, on a feature map."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm, self.norm_again = nn.LayerNorm(width), nn.LayerNorm(width)
        self.among = Attention(width, width)
        self.across = Attention(width, context)

    def forward(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N, width, h, w) to the same shape."""
        h = x.flatten(2).transpose(1, 2)
        normed = self.norm(h)
        h = h + self.among(normed, normed)
        h = h + self.across(self.norm_again(h), tokens)
        out: torch.Tensor = h.transpose(1, 2).reshape(x.shape)
        return out


class PatchTransformer(Network):
    """Patches as tokens through transformer blocks (DiT, Peebles & Xie 2023) with cross-attention to the condition."""

    def __init__(self, settings: NetworkSettings, channels: int, classes: int, augmentations: int) -> None:
        super().__init__(settings, channels, classes, augmentations)
        inside, width = channels * settings.patch**2, settings.width
        self.first = nn.Conv2d(inside, width, 3, padding=1)
        self.blocks = nn.ModuleList(TransformerBlock(width) for _ in range(settings.depth))
        self.modulation = zero_start(nn.Linear(width, 2 * width))
        self.last = zero_start(nn.Conv2d(width, inside, 3, padding=1))

    def features(self, x: torch.Tensor, embedding: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Patches in, patches out."""
        h = self.first(x)
        size = h.shape[2:]
        h = h.flatten(2).transpose(1, 2)
        h = h + position_code(size[0], size[1], h.shape[2]).to(h)
        for block in self.blocks:
            h = block(h, embedding, tokens)
        scale, shift = self.modulation(embedding)[:, None].chunk(2, dim=2)
        h = torch.addcmul(shift, functional.layer_norm(h, h.shape[2:]), 1 + scale)
        out: torch.Tensor = self.last(h.transpose(1, 2).reshape(len(h), h.shape[2], *size))
        return out


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention and a feed-forward layer, scaled, shifted and gated by the embedding (adaLN)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = zero_start(nn.Linear(width, 6 * width))
        self.among, self.across = Attention(width, width), Attention(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), zero_start(nn.Linear(4 * width, width))

    def forward(self, h: torch.Tensor, embedding: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to the same shape."""
        parts = self.modulation(embedding)[:, None].chunk(6, dim=2)
        normed = torch.addcmul(parts[1], functional.layer_norm(h, h.shape[2:]), 1 + parts[0])
        h = torch.addcmul(h, self.among(normed, normed), 1 + parts[2])
        h = h + self.across(functional.layer_norm(h, h.shape[2:]), tokens)
        normed = torch.addcmul(parts[4], functional.layer_norm(h, h.shape[2:]), 1 + parts[3])
        return torch.addcmul(h, self.narrow(functional.gelu(self.wide(normed), approximate="tanh")), 1 + parts[5])


def position_code(height: int, width: int, channels: int) -> torch.Tensor:
    """(height·width, channels): sines and cosines of row and column at geometric wavelengths (Vaswani et al. 2017)."""
    frequencies = torch.logspace(0, -2, channels // 4) * (math.pi / 2)
    rows = torch.arange(height)[:, None] * frequencies
    columns = torch.arange(width)[:, None] * frequencies
    of_rows = torch.cat([rows.sin(), rows.cos()], dim=1)[:, None].expand(-1, width, -1)
    of_columns = torch.cat([columns.sin(), columns.cos()], dim=1)[None].expand(height, -1, -1)
    return torch.cat([of_rows, of_columns], dim=2).reshape(height * width, channels)


def zero_start(module: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """Marks a layer whose weights begin at zero."""
    module.register_buffer("starts_at_zero", None, persistent=False)
    return module


def build_network(
    settings: NetworkSettings, *, channels: int, classes: int, augmentations: int, generator: torch.Generator
) -> Network:
    """A network with weights drawn from this generator; PyTorch's global one is not touched."""
    kind = UNet if settings.family == "unet" else PatchTransformer
    with torch.device("meta"):
        network = kind(settings, channels, classes, augmentations)
    network.to_empty(device="cpu")
    initialise(network, generator=generator)
    return network


def initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Fills every parameter, in the order of the modules.

    Matrices and kernels: normal, variance 1 / fan-in. Embeddings: standard normal. Norms: one. Biases: zero. The last
    layer of every residual branch, the modulations and the output: zero, so a fresh network is near the identity.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                spread = 0.0 if "starts_at_zero" in module._buffers else module.weight[0].numel() ** -0.5
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * spread)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
            elif isinstance(module, nn.GroupNorm | nn.LayerNorm):
                module.weight.fill_(1)
                module.bias.zero_()
