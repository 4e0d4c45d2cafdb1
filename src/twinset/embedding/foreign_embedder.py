"""A network that somebody else trained, as an embedder: its own input size and normalisation, on any device.

On the processor the features of an image are the same to the bit whatever its company. On a GPU convolutions and
products stay in float32 (PyTorch would take TensorFloat-32, three digits less, for convolutions by default); bfloat16
is there for whom speed matters more, and says so in the protocol of every figure.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn

from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized

BATCH = 16
BATCH_ON_GPU = 128
DIGITS = 12
"""Of the weights' sha256, as many stand in an embedder's name."""

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, eq=False)
class ForeignEmbedder:
    """A network with its input side, mean and standard deviation; it saw none of the user's images.

    ``sha256`` is that of its weights. The same weights compute something else under another ``configuration``, of which
    this is the digest.
    """

    network: nn.Module
    name: str
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    sha256: str = ""
    configuration: str = ""
    device: str = "cpu"
    precision: Precision = "float32"

    @property
    def fitted_on(self) -> frozenset[str]:
        """None of the user's samples."""
        return frozenset()

    def on(self, device: str, *, precision: Precision = "float32") -> ForeignEmbedder:
        """The same embedder on ``cpu``, ``cuda`` or ``cuda:N``; this one stays where it is.

        Raises ``ValueError`` for bfloat16 on hardware that has none.
        """
        if precision not in get_args(Precision):
            raise ValueError(f"expected precision {' or '.join(get_args(Precision))}; got {precision!r}")
        if precision == "bfloat16" and not (
            device != "cpu" and torch.cuda.is_bf16_supported(including_emulation=False)
        ):
            raise ValueError(f"expected a GPU that computes in bfloat16; got {device}; use float32")
        if (device, precision) == (self.device, self.precision):
            return self
        layout = torch.contiguous_format if device == "cpu" else torch.channels_last
        network = copy.deepcopy(self.network).to(device).to(memory_format=layout)
        return replace(self, network=network, device=device, precision=precision)

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, D); resized with antialiasing, the whole picture."""
        batch = BATCH if self.device == "cpu" else BATCH_ON_GPU
        with plain_arithmetic(self.device, self.precision):
            features = in_fixed_batches(self._features, images.to(self.device, torch.float32), batch=batch)
        return features.float().cpu().numpy()

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        shown = (resized(as_rgb(images), (self.side, self.side)) + 1) / 2
        mean, std = (torch.tensor(each, device=self.device)[None, :, None, None] for each in (self.mean, self.std))
        normalised = (shown - mean) / std
        if self.device != "cpu":
            normalised = normalised.contiguous(memory_format=torch.channels_last)
        features: torch.Tensor = self.network(normalised)
        return features


@contextmanager
def plain_arithmetic(device: str, precision: Precision = "float32") -> Iterator[None]:
    """Whatever a network computes inside is float32 without TensorFloat-32, or bfloat16 where that is asked for."""
    if device == "cpu":
        yield
        return
    coarse = torch.backends.cuda.matmul.allow_tf32
    if coarse:
        torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bfloat16"),
        ):
            yield
    finally:
        if coarse:
            torch.backends.cuda.matmul.allow_tf32 = True


def sha256_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
