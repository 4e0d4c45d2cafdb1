"""The network of LPIPS (Zhang, Isola, Efros, Shechtman and Wang 2018) from two files on this machine.

A picture passes through AlexNet or VGG16 of torchvision; after five of their ReLUs each pixel's features are divided by
their norm. The distance of two pictures is, summed over these layers, the spatial mean of the squared differences,
weighted by channel (eq. 1 of the paper). Nothing is ever downloaded, and pickled weights are refused. Wanted are

* the backbone, ``alexnet.safetensors`` or ``vgg16.safetensors``: torchvision's state dict, of which
  ``features.<n>.weight`` and ``features.<n>.bias`` are read (n = 0, 3, 6, 8, 10 or
  0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28);
* the heads, ``lpips-alex.safetensors`` or ``lpips-vgg.safetensors``: the lpips package's weights, version 0.1, that is
  ``lin0.model.1.weight`` … ``lin4.model.1.weight``, each (1, C, 1, 1) with C = 64, 192, 384, 256, 256 or
  64, 128, 256, 512, 512, none negative.

Since no weight is negative the distance is a squared Euclidean one, between vectors that are made once per picture
(:meth:`PerceptualNetwork.vectors`): with them LPIPS has exact neighbours, and a mean over all pairs of a set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from twinset.embedding.embedder import as_rgb, in_fixed_batches
from twinset.embedding.weights import LpipsName, check_lpips, lpips_files, lpips_hints
from twinset.errors import MissingModelError

Name = LpipsName
BATCH = 8
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation, for pictures in [−1, 1]."""

EPSILON = 1e-10


@dataclass(frozen=True)
class _Layout:
    """After which layers of a variant's backbone it looks, their channels, and what pictures it takes."""

    taps: tuple[int, ...]
    channels: tuple[int, ...]
    smallest: int


LAYOUTS: Mapping[Name, _Layout] = {
    "alex": _Layout((1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31),
    "vgg": _Layout((3, 8, 15, 22, 29), (64, 128, 256, 512, 512), 16),
}


@dataclass(frozen=True)
class Lpips:
    """Which variant, and the paths of its two files.

    Without a path they are looked for in ``$TWINSET_MODELS`` (default ``~/.cache/twinset/models``).
    """

    name: Name = "alex"
    backbone: str | None = None
    heads: str | None = None

    def __post_init__(self) -> None:
        if self.name not in LAYOUTS:
            raise ValueError(f"expected one of {', '.join(LAYOUTS)}; got {self.name!r}; no other variant is supported")

    def files(self) -> tuple[Path, Path]:
        """Backbone and heads: the files that are, or should be, there."""
        return lpips_files(self.name, self.backbone, self.heads)

    def check(self) -> None:
        """Raises :class:`MissingModelError`, in no time, if a file is not there or is a pickle."""
        check_lpips(self.name, self.backbone, self.heads)

    def load(self) -> PerceptualNetwork:
        """The network; its name holds the first twelve digits of the sha256 of both files.

        Raises :class:`MissingModelError` for files that are missing, damaged, of another layout or not finite.
        """
        self.check()
        layout, (backbone, heads) = LAYOUTS[self.name], self.files()
        hints = lpips_hints(self.name)
        features = _features(self.name, _tensors(backbone, hints[0]), backbone, hints[0])
        weights = _heads(layout, _tensors(heads, hints[1]), heads, hints[1])
        digest = hashlib.sha256()
        for path in (backbone, heads):
            digest.update(path.read_bytes())
        name = f"lpips-{self.name}-{digest.hexdigest()[:12]}"
        return PerceptualNetwork(features, layout.taps, weights, layout.smallest, name)


@dataclass(frozen=True, eq=False)
class PerceptualNetwork:
    """Layers, after which of them it looks, the weights (C,) of each look, and the smallest side of a picture."""

    features: nn.Sequential
    taps: tuple[int, ...]
    weights: tuple[torch.Tensor, ...]
    smallest: int
    name: str

    def vectors(self, images: torch.Tensor) -> NDArray[np.float32]:
        """float32 (N, 1 or 3, H, W) in [−1, 1] to float32 (N, D); squared distances between rows are LPIPS.

        D grows with the pictures: 31,872 for 64 × 64 and 640,128 for 256 × 256 pixels with AlexNet.
        """
        if images.ndim != 4 or min(images.shape[-2:]) < self.smallest:
            raise ValueError(
                f"expected pictures (N, C, H, W) of at least {self.smallest} pixels a side; got {tuple(images.shape)}"
            )
        return in_fixed_batches(self._forward, images.to("cpu", torch.float32), batch=BATCH).numpy()

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        shift, scale = (torch.tensor(values)[None, :, None, None] for values in (SHIFT, SCALE))
        hidden, looks = (as_rgb(images) - shift) / scale, []
        for number, layer in enumerate(self.features):
            hidden = layer(hidden)
            if number in self.taps:
                weight = self.weights[self.taps.index(number)] / (hidden.shape[-2] * hidden.shape[-1])
                norm = hidden.square().sum(dim=1, keepdim=True).sqrt()
                looks.append((hidden / (norm + EPSILON) * weight.sqrt()[None, :, None, None]).flatten(1))
        return torch.cat(looks, dim=1)


def _tensors(path: Path, hint: str) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise MissingModelError(f"{path}: expected weights of LPIPS; got {error}", hint=hint) from error
    bad = next((key for key, t in tensors.items() if t.is_floating_point() and not bool(t.isfinite().all())), None)
    if bad is not None:
        raise MissingModelError(f"{path}: expected finite weights; got NaN or infinity in {bad}", hint=hint)
    return tensors


def _features(name: Name, tensors: Mapping[str, torch.Tensor], path: Path, hint: str) -> nn.Sequential:
    from torchvision import models

    with torch.device("meta"):  # no storage, and no draw from the global generator
        built = (models.alexnet if name == "alex" else models.vgg16)(weights=None).features
    network = nn.Sequential(*list(built)[: LAYOUTS[name].taps[-1] + 1])
    state = {}
    for key, value in network.state_dict().items():
        found = tensors.get(f"features.{key}")
        if found is None or found.shape != value.shape:
            got = "none" if found is None else f"shape {tuple(found.shape)}"
            raise MissingModelError(f"{path}: expected features.{key} {tuple(value.shape)}; got {got}", hint=hint)
        state[key] = found.float()
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _heads(layout: _Layout, tensors: Mapping[str, torch.Tensor], path: Path, hint: str) -> tuple[torch.Tensor, ...]:
    heads = []
    for number, channels in enumerate(layout.channels):
        key = f"lin{number}.model.1.weight"
        found = tensors.get(key)
        if found is None or found.shape != (1, channels, 1, 1) or bool((found < 0).any()):
            got = "none" if found is None else f"shape {tuple(found.shape)} from {float(found.min()):.3g} on"
            raise MissingModelError(f"{path}: expected {key} (1, {channels}, 1, 1), none below 0; got {got}", hint=hint)
        heads.append(found.float().flatten())
    return tuple(heads)
