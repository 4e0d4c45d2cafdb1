"""What all embedders share: batches of one fixed shape, resizing, and who may judge whom.

A network's rounding depends on the shape of its batch. So every batch has the same shape, the last one
padded, and the features of an image depend on that image alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.dataset import Dataset
from twinset.images import ImageSpec, PixelBatch, to_model
from twinset.randomness import Stream
from twinset.stages import Embedder

Vectors = NDArray[np.float32]
"""float32 (N, D), one row per image."""


class EmbedderMethod(Protocol):
    """Settings of an embedder. Fitting trains it, loads its weights, or (fixed ones) does nothing."""

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> Embedder:
        """The embedder; only a trained one looks at ``training``."""
        ...


def embed_images(embedder: Embedder, images: PixelBatch, *, batch: int = 256) -> Vectors:
    """Features (N, D) of uint8 (N, H, W, C) pictures, ``batch`` at a time; ``images`` may be a memory map."""
    if images.ndim != 4 or not len(images):
        raise ValueError(f"expected pictures as non-empty uint8 (N, H, W, C); got {images.shape}")
    return embed_stream(embedder, (images[start : start + batch] for start in range(0, len(images), batch)))


def embed_stream(embedder: Embedder, batches: Iterable[PixelBatch]) -> Vectors:
    """Features (N, D) of pictures that come in batches of one size; a smaller last one is padded to it."""
    parts: list[Vectors] = []
    size = 0
    for pixels in batches:
        size = size or len(pixels)
        features = embedder.embed(to_model(padded(pixels, size)))[: len(pixels)]
        if not np.isfinite(features).all():
            raise ValueError(f"expected finite features from {embedder.name}; got NaN or infinity; check its weights")
        parts.append(features)
    if not parts:
        raise ValueError("expected at least one batch of pictures; got none")
    return np.concatenate(parts)


def embed_dataset(embedder: Embedder, dataset: Dataset, *, spec: ImageSpec, batch: int = 256) -> Vectors:
    """Features (N, D) of a dataset at one image size, decoded ``batch`` pictures at a time."""

    def batches() -> Iterator[PixelBatch]:
        for start in range(0, len(dataset), batch):
            yield dataset.take(range(start, min(start + batch, len(dataset)))).prepared(spec)

    return embed_stream(embedder, batches())


def require_unfitted(embedder: Embedder, ids: Iterable[str]) -> None:
    """Raises ``ValueError`` if the embedder was trained on any of these samples.

    Copy and membership tests call it with the ids of training *and* holdout images: an embedder that saw
    either puts them at other distances than images that it did not see.
    """
    seen = sorted(embedder.fitted_on.intersection(ids))
    if seen:
        raise ValueError(
            f"expected an embedder that saw none of the compared images; got {embedder.name}, trained on "
            f"{len(seen)} of them (first {seen[0]!r}); use pixels, random convolutions or pretrained weights"
        )


def in_fixed_batches(
    network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, *, batch: int
) -> torch.Tensor:
    """``network`` (B, C, H, W) → (B, …) applied to (N, C, H, W) in batches of exactly ``batch``, without gradients."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"expected images as non-empty (N, 1 or 3, H, W) in [-1, 1]; got {tuple(images.shape)}")
    outputs = []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            missing = batch - len(part)
            filled = torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]) if missing else part
            outputs.append(network(filled)[: len(part)])
    return torch.cat(outputs)


def as_rgb(images: torch.Tensor) -> torch.Tensor:
    """(N, 1 or 3, H, W) with three channels; grey is repeated."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def resized(images: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """(N, C, H, W) at ``size`` (height, width): bicubic with antialiasing, the whole picture, nothing cropped."""
    height, width = size
    if images.shape[-2:] == (height, width):
        return images
    return functional.interpolate(images, (height, width), mode="bicubic", antialias=True, align_corners=False)


def padded(pixels: PixelBatch, size: int) -> PixelBatch:
    """These pictures (N, H, W, C) with the last one repeated up to ``size`` of them."""
    if len(pixels) > size:
        raise ValueError(f"expected batches of at most {size} pictures, as the first; got {len(pixels)}")
    missing = size - len(pixels)
    return np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
