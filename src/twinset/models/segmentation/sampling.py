"""Which scenes make up every batch, and where their crops lie."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.images import to_model
from twinset.models.segmentation.augmentation import crop_and_augment
from twinset.models.segmentation.scenes import PixelScenes
from twinset.models.segmentation.settings import PixelTrainingSettings
from twinset.randomness import Stream
from twinset.semantic import IGNORE

BALANCED_SHARE = 0.5
"""Share of the crops that are drawn around a pixel of a class, all classes in turn, where crops are class-balanced."""


def pixels_by_class(scenes: PixelScenes, n_classes: int) -> NDArray[np.int64]:
    """int64 (N, K): how many pixels of each class each scene has."""
    counts = np.zeros((len(scenes), n_classes + 1), dtype=np.int64)
    for row, values in enumerate(scenes.maps):
        if values.min() < IGNORE or values.max() >= n_classes:
            raise ValueError(f"expected class ids −1…{n_classes - 1}; got {values.min()}…{values.max()} in scene {row}")
        counts[row] = np.bincount(values.ravel().astype(np.int64) + 1, minlength=n_classes + 1)
    if not counts[:, 1:].any():
        raise ValueError(f"expected scenes with labelled pixels; got none in {len(scenes)}")
    return counts[:, 1:]


def batch_rows(
    pixels: NDArray[np.int64], source: NDArray[np.integer] | None, settings: PixelTrainingSettings, rng: Stream
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows (B,) of every batch and the class (B,) that each crop is to contain, −1 for any.

    Drawn up front; what is drawn from one source does not depend on what the other holds.
    """
    sources = np.zeros(len(pixels), dtype=np.int64) if source is None else np.asarray(source)
    if sources.shape != (len(pixels),) or not np.isin(sources, (0, 1)).all():
        raise ValueError(f"expected source ({len(pixels)},) of zeros and ones; got {sources.shape}")
    useful = pixels.any(1)
    real, synthetic = np.flatnonzero((sources == 0) & useful), np.flatnonzero((sources == 1) & useful)
    n_synthetic = round(settings.batch * settings.synthetic_share)
    if not len(real) or not len(synthetic):
        n_synthetic = settings.batch if len(synthetic) else 0
    parts = [
        _order(pixels, rows, size, settings, rng.child(name).numpy())
        for name, rows, size in (("real", real, settings.batch - n_synthetic), ("synthetic", synthetic, n_synthetic))
        if size
    ]
    return list(
        zip(np.concatenate([p[0] for p in parts], axis=1), np.concatenate([p[1] for p in parts], axis=1), strict=True)
    )


def _order(
    pixels: NDArray[np.int64],
    rows: NDArray[np.int64],
    size: int,
    settings: PixelTrainingSettings,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(steps, size) rows in random passes, and classes: those of balanced crops in passes over the classes."""

    def passes(items: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        return np.concatenate([generator.permutation(items) for _ in range(-(-n // len(items)))])[:n]

    count = size * settings.steps
    order, classes = passes(rows, count), np.full(count, IGNORE, dtype=np.int64)
    if settings.class_balanced:
        places = np.flatnonzero(np.arange(count) % size < round(size * BALANCED_SHARE))
        classes[places] = passes(np.flatnonzero(pixels[rows].any(0)), len(places))
        for class_id in np.unique(classes[places]):
            here = np.flatnonzero(classes == class_id)
            order[here] = passes(rows[pixels[rows, class_id] > 0], len(here))
    return order.reshape(settings.steps, size), classes.reshape(settings.steps, size)


def draw_batch(
    scenes: PixelScenes,
    rows: NDArray[np.int64],
    classes: NDArray[np.int64],
    settings: PixelTrainingSettings,
    rng: Stream,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of these scenes: float32 (B, C, h, w) in [-1, 1] and int64 maps (B, h, w); ``classes`` (B,), −1 for any."""
    generator = rng.child("targets").numpy()
    targets = np.full((len(rows), 2), np.nan, dtype=np.float32)
    for place, (row, class_id) in enumerate(zip(rows, classes, strict=True)):
        if class_id != IGNORE:
            found = np.flatnonzero(scenes.maps[row] == class_id)
            y, x = divmod(int(found[generator.integers(len(found))]), scenes.shape[1])
            targets[place] = x + 0.5, y + 0.5
    images, maps = crop_and_augment(
        to_model(scenes.images[rows]),
        torch.from_numpy(scenes.maps[rows].astype(np.int64)),
        torch.from_numpy(targets),
        crop=settings.crop or scenes.shape[:2],
        settings=settings.augmentation,
        rng=rng,
    )
    return images.contiguous(memory_format=torch.channels_last), maps
