"""Pictures as a handful of numbers that need no network: a thumbnail, and statistics of their finest structure.

The thumbnail says what a picture shows. The rest says how its pixels were made: marginals per channel,
moments of residuals, their correlation between neighbours and between channels (a camera interpolates
colours, a generator does not), and how often pairs of neighbouring residuals occur together, as in
steganalysis (Fridrich and Kodovský 2012, of which this is a small part: one residual, T = 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability.residuals import check_batch, luminance, median_residual
from twinset.images import PixelBatch

Array = NDArray[np.float64]
MOMENTS = ("rms", "mean size", "kurtosis", "share of zeros", "neighbours in rows", "neighbours in columns")
RESIDUALS = ("median residual", "differences in rows", "differences in columns")
MARGINALS = ("mean", "spread", "root of third moment", "share of 0", "share of 255")
REACH = 2


@dataclass(frozen=True)
class PixelStatistics:
    """Settings: the thumbnail has ``thumbnail`` × ``thumbnail`` pixels."""

    thumbnail: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.thumbnail <= 64:
            raise ValueError(f"expected 1 ≤ thumbnail ≤ 64; got {self.thumbnail}")

    def names(self, channels: int) -> tuple[str, ...]:
        """The name of each of the F features of pictures with this many channels."""
        side = range(self.thumbnail)
        parts = [f"thumbnail {row}, {column}, {c}" for row in side for column in side for c in range(channels)]
        parts += [f"{name} of channel {channel}" for channel in range(channels) for name in MARGINALS]
        parts += [f"{name} of {what}" for what in RESIDUALS for name in MOMENTS]
        reach = range(-REACH, REACH + 1)
        parts += [f"neighbours {a}, {b}" for a in reach for b in reach]
        pairs = [(0, 1), (0, 2), (1, 2)] if channels == 3 else []
        return (*parts, *(f"residuals of channels {a} and {b}" for a, b in pairs))


def pixel_features(pictures: PixelBatch, *, settings: PixelStatistics | None = None) -> Array:
    """float64 (B, F) of uint8 (B, H, W, 1 or 3) pictures, of any size; F depends on C and the thumbnail only.

    Raises ``ValueError`` for other dtypes or shapes and for sides under 8.

    >>> flat = np.full((1, 16, 16, 1), 51, dtype=np.uint8)
    >>> found = pixel_features(flat, settings=PixelStatistics(thumbnail=1))[0, :3]  # thumbnail, mean, spread
    >>> [round(abs(float(value)), 6) for value in found]
    [0.2, 0.2, 0.0]
    """
    check_batch(pictures)
    size = (settings or PixelStatistics()).thumbnail
    grey = luminance(pictures)
    residual = median_residual(grey)
    values = grey.astype(np.float64)
    fine = (residual, np.diff(values, axis=2), np.diff(values, axis=1))
    parts = [thumbnails(pictures, size).reshape(len(pictures), -1), _marginals(pictures)]
    parts += [_moments(each) for each in fine]
    parts.append(_together(residual))
    if pictures.shape[3] == 3:
        parts.append(_between_channels(pictures))
    return np.concatenate(parts, axis=1)


def thumbnails(pictures: PixelBatch, size: int) -> Array:
    """float64 (B, size, size, C) in [0, 1]: the mean over the area of each cell, cells cutting pixels in shares."""
    number, height, width, channels = pictures.shape
    down, right = _cells(height, size) / 255.0, _cells(width, size)
    rows = np.matmul(down, pictures.reshape(number, height, width * channels).astype(np.float64))
    return np.asarray(np.matmul(right, rows.reshape(number, size, width, channels)))


def _cells(length: int, size: int) -> Array:
    """(size, length) shares of pixels in cells of equal length; every row sums to 1."""
    edges = np.arange(size + 1) * (length / size)
    starts = np.arange(length)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.asarray(np.clip(overlap, 0.0, None) * (size / length))


def _marginals(pictures: PixelBatch) -> Array:
    """(B, 5·C): see :data:`MARGINALS`, from the counts of grey values; values in [0, 1]."""
    number, channels = len(pictures), pictures.shape[3]
    offset = (np.arange(number)[:, None] * channels + np.arange(channels)) * 256
    codes = pictures.astype(np.int64) + offset[:, None, None, :]
    share = np.bincount(codes.ravel(), minlength=offset.size * 256).reshape(number, channels, 256)
    share = share / (pictures.shape[1] * pictures.shape[2])
    level = np.arange(256) / 255.0
    mean = share @ level
    away = level - mean[..., None]
    spread, third = np.sqrt((share * away**2).sum(axis=2)), np.cbrt((share * away**3).sum(axis=2))
    columns = (mean, spread, third, share[..., 0], share[..., 255])
    return np.stack(columns, axis=2).reshape(number, -1)


def _moments(residual: Array) -> Array:
    """(B, 6): see :data:`MOMENTS`; sizes on a log scale, in grey values."""
    flat = residual.reshape(len(residual), -1)
    square = (flat**2).mean(axis=1)
    kurtosis = np.log10(((flat**4).mean(axis=1) + 1e-3) / (square**2 + 1e-3))
    columns = (np.log10(np.sqrt(square) + 0.1), np.log10(np.abs(flat).mean(axis=1) + 0.1), kurtosis)
    neighbours = (
        (residual[:, :, 1:] * residual[:, :, :-1]).mean(axis=(1, 2)) / (square + 1e-3),
        (residual[:, 1:] * residual[:, :-1]).mean(axis=(1, 2)) / (square + 1e-3),
    )
    return np.stack([*columns, (flat == 0).mean(axis=1), *neighbours], axis=1)


def _together(residual: Array) -> Array:
    """(B, 25): root shares of pairs of neighbouring residuals, cut to −2…2, over rows, columns and both orders."""
    cut = np.clip(residual, -REACH, REACH).astype(np.int64) + REACH
    levels = 2 * REACH + 1
    counts = np.zeros((len(cut), levels * levels))
    offset = np.arange(len(cut))[:, None] * levels * levels
    for one, other in ((cut[:, :, 1:], cut[:, :, :-1]), (cut[:, 1:], cut[:, :-1])):
        code = (one * levels + other).reshape(len(cut), -1) + offset
        counts += np.bincount(code.ravel(), minlength=counts.size).reshape(counts.shape)
    table = counts.reshape(-1, levels, levels)
    table = table + table.transpose(0, 2, 1)
    return np.asarray(np.sqrt(table / table.sum(axis=(1, 2), keepdims=True)).reshape(len(cut), -1))


def _between_channels(pictures: PixelBatch) -> Array:
    """(B, 3) correlations of the channels' median residuals."""
    red, green, blue = (median_residual(pictures[..., channel]) for channel in range(3))

    def alike(one: Array, other: Array) -> Array:
        both = np.sqrt((one**2).mean(axis=(1, 2)) * (other**2).mean(axis=(1, 2)))
        return np.asarray((one * other).mean(axis=(1, 2)) / (both + 1e-3))

    return np.stack([alike(red, green), alike(red, blue), alike(green, blue)], axis=1)
