"""The networks that a cell can train, by name: scenes in, a predictor of other scenes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Task
from twinset.downstream.arms import Recipe
from twinset.downstream.placed_settings import PlacedSettings, Weights
from twinset.errors import MissingModelError
from twinset.instances import Instances
from twinset.models.detection import DetectorSettings, Scenes, fit_detector, scene_augmentation
from twinset.models.segmentation import PixelScenes, SegmenterSettings, fit_segmenter
from twinset.models.segmentation import scene_augmentation as pixel_augmentation
from twinset.models.vision import (
    SceneMasks,
    VisionDetectorSettings,
    VisionSegmenterSettings,
    fit_vision_detector,
    fit_vision_segmenter,
)
from twinset.models.vision.segmenter import VisionSegmenterName
from twinset.models.vision.settings import TorchvisionName
from twinset.randomness import Stream
from twinset.stages import Progress, silent

MASKED = "maskrcnn_resnet50_fpn"
ONE_SIZE = "ssdlite320_mobilenet_v3_large"
"""Brings every picture to 320 × 320 itself, so that smaller ones are no quicker."""

DETECTORS: tuple[str, ...] = tuple(name for name in get_args(TorchvisionName) if name != MASKED)
SEGMENTERS: tuple[str, ...] = get_args(VisionSegmenterName)
FITTING: Mapping[Task, tuple[str, ...]] = {
    "classification": (),
    "detection": ("dense", *DETECTORS),
    "instance-segmentation": ("dense", *DETECTORS, MASKED),
    "semantic-segmentation": ("unet", *SEGMENTERS),
}
"""What can be trained in a task; the first is our own small network."""


class FindsObjects(Protocol):
    """A trained detector."""

    def predict(self, scenes: Scenes) -> list[Instances]:
        """The objects of every picture with confidences, in pixels of its original; labels are not read."""
        ...


class ClassifiesPixels(Protocol):
    """A trained segmenter."""

    def predict(self, scenes: PixelScenes) -> list[NDArray[np.int32]]:
        """int32 (H, W) class ids of every picture, in its original size; labels are not read."""
        ...


@dataclass(frozen=True)
class Lesson:
    """How a cell trains: the study's settings, the cell's recipe, and whether pictures may be mirrored."""

    settings: PlacedSettings
    recipe: Recipe
    flip: bool

    @property
    def flips(self) -> Literal["none", "horizontal", "all"]:
        """How maps may be mirrored."""
        return "all" if self.settings.turn else "horizontal" if self.flip else "none"

    @property
    def start(self) -> str | None:
        """The file that training starts from."""
        return None if self.settings.weights is None else self.settings.weights.path


def check_weights(model: str, path: Path) -> None:
    """:class:`MissingModelError`, in no time, unless this is a safetensors file that can be opened."""
    from safetensors import SafetensorError, safe_open

    if model in SEGMENTERS:
        VisionSegmenterSettings(name=model, weights=str(path)).check()  # type: ignore[arg-type]
    else:
        VisionDetectorSettings(name=model, weights=str(path)).check()  # type: ignore[arg-type]
    try:
        with safe_open(path, framework="np") as file:
            file.keys()
    except (OSError, SafetensorError) as error:
        raise MissingModelError(f"{path}: expected weights of {model} as safetensors; got {error}") from error


def usable_weights(model: str | None, path: Path | None) -> Weights | None:
    """The weights if they are there and can be opened, to time trainings with; None otherwise."""
    if model is None or path is None:
        return None
    try:
        check_weights(model, path)
    except MissingModelError:
        return None
    return Weights.of(path)


def fit_objects(
    scenes: Scenes,
    lesson: Lesson,
    *,
    n_classes: int,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    masks: SceneMasks | None = None,
    progress: Progress = silent,
) -> FindsObjects:
    """A trained detector; ``source`` (N,) is 0 for real and 1 for synthetic scenes, ``masks`` go to Mask R-CNN."""
    chosen, recipe = lesson.settings, lesson.recipe
    augmentation = scene_augmentation(recipe.strength, flip=lesson.flip, turn=chosen.turn)
    if chosen.model is None:
        settings = DetectorSettings(
            steps=chosen.steps,
            batch=chosen.batch,
            width=chosen.network_width,
            stride=chosen.stride,
            class_balanced=recipe.balanced,
            synthetic_share=recipe.share,
            crop=chosen.crop,
            augmentation=augmentation,
        )
        return fit_detector(scenes, n_classes=n_classes, settings=settings, rng=rng, source=source, progress=progress)
    if chosen.crop is not None:
        raise ValueError(f"expected no crop with {chosen.model}; got {chosen.crop}")
    vision = VisionDetectorSettings(
        name=chosen.model,  # type: ignore[arg-type]
        weights=lesson.start,
        steps=chosen.steps,
        batch=chosen.batch,
        class_balanced=recipe.balanced,
        synthetic_share=recipe.share,
        augmentation=augmentation,
    )
    return fit_vision_detector(
        scenes, n_classes=n_classes, settings=vision, rng=rng, source=source, masks=masks, progress=progress
    )


def fit_pixels(
    scenes: PixelScenes,
    lesson: Lesson,
    *,
    n_classes: int,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    progress: Progress = silent,
) -> ClassifiesPixels:
    """A trained segmenter; arguments as those of :func:`fit_objects`."""
    chosen, recipe = lesson.settings, lesson.recipe
    augmentation = pixel_augmentation(recipe.strength, flips=lesson.flips)
    if chosen.model is None:
        settings = SegmenterSettings(
            steps=chosen.steps,
            batch=chosen.batch,
            width=chosen.network_width,
            class_balanced=recipe.balanced,
            synthetic_share=recipe.share,
            crop=chosen.crop,
            augmentation=augmentation,
        )
        return fit_segmenter(scenes, n_classes=n_classes, settings=settings, rng=rng, source=source, progress=progress)
    vision = VisionSegmenterSettings(
        name=chosen.model,  # type: ignore[arg-type]
        weights=lesson.start,
        steps=chosen.steps,
        batch=chosen.batch,
        class_balanced=recipe.balanced,
        synthetic_share=recipe.share,
        crop=chosen.crop,
        augmentation=augmentation,
    )
    return fit_vision_segmenter(scenes, n_classes=n_classes, settings=vision, rng=rng, source=source, progress=progress)
