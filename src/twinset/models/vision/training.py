"""Training the detectors of torchvision and transformers for a fixed number of steps on one CPU thread.

Both libraries draw from PyTorch's global generator; it is seeded by our own streams around every step and put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.images import PixelBatch, Pixels
from twinset.masks import Rle
from twinset.models.detection import Scenes
from twinset.models.detection.augmentation import augment_scene
from twinset.models.detection.sampling import batch_rows, class_weights
from twinset.models.vision.detector import VisionDetector, model_of, unit_pictures
from twinset.models.vision.masks import SceneMasks, dense
from twinset.models.vision.models import Targets, freeze_norms, seeded
from twinset.models.vision.optimising import Optimisation
from twinset.models.vision.settings import VisionDetectorSettings
from twinset.models.vision.torchvision_detectors import start_torchvision
from twinset.models.vision.transformer_detectors import start_transformer
from twinset.randomness import Stream
from twinset.stages import Progress, silent


def fit_vision_detector(
    scenes: Scenes,
    *,
    n_classes: int,
    settings: VisionDetectorSettings,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    masks: SceneMasks | None = None,
    progress: Progress = silent,
) -> VisionDetector:
    """A detector trained for ``settings.steps`` steps.

    ``source`` (N,) is 0 for real and 1 for synthetic pictures: where both occur, every batch holds
    ``settings.synthetic_share`` of the latter. ``masks`` (:func:`~twinset.models.vision.scene_masks`) are what
    Mask R-CNN needs; its pictures are mirrored and relit only, not moved. Ignored objects are not learnt, but what
    lies there counts as background, since neither library knows better.

    Raises ``ValueError`` for scenes that do not fit, :class:`MissingModelError` and :class:`MissingExtraError` for
    what is not on this machine, ``UsageError`` for a loss that is not finite.
    """
    settings.check()
    scenes.check_learnable(n_classes)
    _check_masks(scenes, settings, masks)
    height, width, channels = scenes.images.shape[1:]
    config = ""
    with seeded(rng.child("weights")):
        if settings.is_transformer:
            network, config = start_transformer(settings, n_classes=n_classes, size=(height, width))
        else:
            network = start_torchvision(settings, n_classes=n_classes, size=(height, width))
    network.train()
    if settings.weights is not None or settings.backbone is not None:
        freeze_norms(network)
    model = model_of(network, settings)
    descent = Optimisation(
        network, steps=settings.steps, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    for step, (images, targets) in enumerate(_batches(scenes, n_classes, settings, source, masks, rng)):
        with seeded(rng.child("step", step)):
            descent.advance(model.loss(unit_pictures(images), targets))
        if step % 10 == 9 or step + 1 == settings.steps:
            progress(step + 1, settings.steps, "detector")
    return VisionDetector(descent.averaged.eval(), settings, (height, width, channels), n_classes, config)


def _check_masks(scenes: Scenes, settings: VisionDetectorSettings, masks: SceneMasks | None) -> None:
    if settings.has_masks != (masks is not None):
        raise ValueError(f"expected masks for Mask R-CNN and for no other; got {settings.name}")
    if masks is not None and [len(row) for row in masks] != [len(boxes) for boxes in scenes.boxes]:
        raise ValueError("expected a mask, or None, for every object of every scene; got another number")


def _batches(
    scenes: Scenes,
    n_classes: int,
    settings: VisionDetectorSettings,
    source: NDArray[np.integer] | None,
    masks: SceneMasks | None,
    rng: Stream,
) -> Iterator[tuple[PixelBatch, list[Targets]]]:
    """Pictures uint8 (batch, H, W, C) and targets of every step."""
    rows, n_real = batch_rows(
        scenes.class_ids,
        source,
        steps=settings.steps,
        batch=settings.batch,
        synthetic_share=settings.synthetic_share,
        class_balanced=settings.class_balanced,
        rng=rng.child("batches"),
    )
    frame = (scenes.images.shape[1], scenes.images.shape[2])
    weights = class_weights(scenes.class_ids, n_classes) if settings.class_balanced else None
    for step in range(settings.steps):
        found = []
        for place in range(settings.batch):
            name, size = ("real", n_real) if place < n_real else ("synthetic", settings.batch - n_real)
            stream = rng.child("augment", name, step * size + place - (0 if place < n_real else n_real))
            if masks is not None:
                row = int(rows[step, place, 0])
                found.append(_with_masks(scenes, row, masks[row], settings, stream))
                continue
            pictures = [(scenes.images[row], scenes.objects(row)) for row in rows[step, place]]
            pixels, (boxes, class_ids, ignored) = augment_scene(
                pictures, settings.augmentation, frame=frame, class_weights=weights, rng=stream
            )
            found.append((pixels, _targets(boxes, class_ids, ~ignored, None)))
        yield np.stack([pixels for pixels, _ in found]), [targets for _, targets in found]


def _with_masks(
    scenes: Scenes, row: int, masks: Sequence[Rle | None], settings: VisionDetectorSettings, rng: Stream
) -> tuple[Pixels, Targets]:
    """The picture relit and mirrored, with the masks of its objects; those without one are not learnt."""
    augmentation = settings.augmentation
    light = replace(augmentation, scale=1.0, aspect=1.0, translate=0.0, mosaic=0.0, flip=False, turn=False)
    pixels, (boxes, class_ids, ignored) = augment_scene(
        [(scenes.images[row], scenes.objects(row))],
        light,
        frame=scenes.images.shape[1:3],
        class_weights=None,
        rng=rng.child("light"),
    )
    shown = dense(masks, scenes.images.shape[1:3])
    known = ~ignored & shown.any((1, 2))
    if augmentation.flip and rng.child("flip").numpy().random() < 0.5:
        width = pixels.shape[1]
        pixels, shown = pixels[:, ::-1], shown[:, :, ::-1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    return pixels, _targets(boxes, class_ids, known, shown)


def _targets(
    boxes: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    keep: NDArray[np.bool_],
    masks: NDArray[np.uint8] | None,
) -> Targets:
    return Targets(
        torch.from_numpy(np.ascontiguousarray(boxes[keep])),
        torch.from_numpy(class_ids[keep].astype(np.int64)),
        None if masks is None else torch.from_numpy(np.ascontiguousarray(masks[keep])),
    )
