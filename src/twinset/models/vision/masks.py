"""Masks of objects on their way into the scenes' frame and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.dataset import Dataset, Sample
from twinset.masks import Mask, Rle
from twinset.models.detection import Scenes
from twinset.models.segmentation.scenes import nearest

SceneMasks = tuple[tuple[Rle | None, ...], ...]
"""For every scene and every object in it, in their order, its mask in the scene's frame, None where unknown."""

THRESHOLD = 0.5


def scene_masks(dataset: Dataset, scenes: Scenes) -> SceneMasks:
    """The masks of a dataset's objects in the frames of the scenes that were made of it."""
    if len(dataset) != len(scenes):
        raise ValueError(f"expected the dataset of {len(scenes)} scenes; got one of {len(dataset)} samples")
    return tuple(tuple(_framed(sample, scenes, row)) for row, sample in enumerate(dataset))


def _framed(sample: Sample, scenes: Scenes, row: int) -> Iterable[Rle | None]:
    instances = sample.annotation.instances if sample.annotation is not None else None
    masks: tuple[Mask | None, ...] = (None,) * len(scenes.boxes[row])
    if instances is not None and instances.masks is not None:
        masks = instances.masks
    if len(masks) != len(scenes.boxes[row]):
        raise ValueError(f"expected {len(scenes.boxes[row])} objects in {sample.id}; got {len(masks)}")
    top, left, height, width = _place(scenes, row)
    for mask in masks:
        if mask is None:
            yield None
            continue
        frame = np.zeros(scenes.images.shape[1:3], dtype=np.bool_)
        frame[top : top + height, left : left + width] = nearest(mask.dense().astype(np.int16), height, width) > 0
        yield Rle.of(frame)


def masks_in_original(scenes: Scenes, row: int, probabilities: torch.Tensor) -> tuple[Rle, ...]:
    """Probabilities (K, H, W) in a scene's frame to masks in its original size, cut at one half."""
    top, left, height, width = _place(scenes, row)
    size = (int(scenes.sizes[row, 0]), int(scenes.sizes[row, 1]))
    found = []
    for mask in probabilities[:, top : top + height, left : left + width]:
        original = functional.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)
        found.append(Rle.of((original[0, 0] >= THRESHOLD).numpy()))
    return tuple(found)


def dense(masks: Iterable[Rle | None], size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (K, H, W), zero where a mask is unknown."""
    found = [np.zeros(size, np.bool_) if mask is None else mask.dense() for mask in masks]
    return np.array(found, dtype=np.uint8).reshape(len(found), *size)


def _place(scenes: Scenes, row: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the picture inside its frame."""
    left, top = (int(value) for value in scenes.offsets[row].round())
    height = round(float(scenes.sizes[row, 0] * scenes.scales[row, 1]))
    width = round(float(scenes.sizes[row, 1] * scenes.scales[row, 0]))
    return top, left, height, width
