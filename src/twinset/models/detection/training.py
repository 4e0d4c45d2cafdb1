"""Training a detector from scratch for a fixed number of steps.

AdamW with warm-up and cosine decay, weights averaged over the last steps. Everything random is drawn on the CPU from
named streams: a picture's augmentation depends on its place in the order of its source, not on what shares its batch.
Equal scenes, settings and stream give equal weights on one machine and one thread.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from twinset.errors import UsageError
from twinset.images import PixelBatch
from twinset.models.detection.augmentation import augment_scene, scene_augmentation
from twinset.models.detection.detector import Detector
from twinset.models.detection.loss import Targets, detection_loss, targets_of
from twinset.models.detection.network import DetectionNetwork, new_network, to_network
from twinset.models.detection.sampling import batch_rows, class_weights
from twinset.models.detection.scenes import Scenes
from twinset.models.detection.settings import DetectorSettings
from twinset.models.optimisers import AdamW
from twinset.randomness import Stream
from twinset.stages import Progress, silent
from twinset.threads import torch_threads

WARM_UP_SHARE = 0.05
AVERAGED_SHARE = 0.04
LARGEST_GRADIENT = 10.0
PROBE_STEPS = 3
PROBES = 3


def fit_detector(
    scenes: Scenes,
    *,
    n_classes: int,
    settings: DetectorSettings,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Detector:
    """A detector trained for ``settings.steps`` steps.

    ``source`` (N,) is 0 for real and 1 for synthetic pictures: where both occur, every batch holds
    ``settings.synthetic_share`` of the latter. On a CUDA device the network runs in bfloat16 where it can.

    Raises ``ValueError`` for no pictures, no object to learn, unlabelled pictures, class ids that do not fit, sides
    that are not multiples of 16 or a source other than 0 and 1; ``UsageError`` for a loss that is not finite.
    """
    scenes.check_learnable(n_classes)
    unit = _unit(scenes)
    where = torch.device(device)
    shape = {"channels": scenes.images.shape[3], "n_classes": n_classes, "width": settings.width}
    network, averaged = (
        new_network(**shape, stride=settings.stride, generator=rng.child("weights").torch()).to(where) for _ in range(2)
    )
    optimizer = AdamW(_groups(network, settings.weight_decay), lr=1.0, betas=(0.9, 0.99), fused=True)
    for step, (images, targets) in enumerate(_batches(scenes, n_classes, settings, source, rng)):
        with _autocast(where):
            output = network(to_network(images, where))
        loss = detection_loss(output, targets.to(where), unit=unit, stride=settings.stride)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        if not math.isfinite(float(norm)):
            raise UsageError(
                f"expected a finite loss; got a gradient of {float(norm)} at step {step}",
                hint=f"a learning_rate below {settings.learning_rate:g}",
            )
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings.steps)
        optimizer.step()
        _average(averaged, network, step, settings.steps)
        if step % 20 == 19 or step + 1 == settings.steps:
            progress(step + 1, settings.steps, "detector")
    return Detector(
        averaged.eval().cpu(),
        channels=scenes.images.shape[3],
        n_classes=n_classes,
        width=settings.width,
        stride=settings.stride,
        unit=unit,
    )


def step_seconds(height: int, width: int, channels: int, *, n_classes: int, settings: DetectorSettings) -> float:
    """What a training step takes on one thread of this machine: the median of some probes (a few seconds)."""
    rng = Stream(0).child("probe")
    scenes = _probe_scenes(height, width, channels, n_classes, settings.batch, rng)

    def seconds(steps: int) -> float:
        probe = replace(settings, steps=steps, augmentation=scene_augmentation("strong"))
        started = time.perf_counter()
        fit_detector(scenes, n_classes=n_classes, settings=probe, rng=rng)
        return time.perf_counter() - started

    with torch_threads(1):
        seconds(1)
        found = [(seconds(PROBE_STEPS + 1) - seconds(1)) / PROBE_STEPS for _ in range(PROBES)]
    return max(1e-4, statistics.median(found))


def _probe_scenes(height: int, width: int, channels: int, n_classes: int, n: int, rng: Stream) -> Scenes:
    """Noise with a dozen objects in each picture."""
    generator = rng.numpy()
    corners = generator.uniform(0, 0.8, (n, 12, 2)) * np.array([width, height])
    boxes = np.concatenate([corners, corners + np.array([width, height]) * 0.15], axis=2).astype(np.float32)
    return Scenes(
        generator.integers(256, size=(n, height, width, channels), dtype=np.uint8),
        tuple(boxes),
        tuple(np.arange(12) % n_classes for _ in range(n)),
        tuple(np.zeros(12, dtype=np.bool_) for _ in range(n)),
        np.ones((n, 2)),
        np.zeros((n, 2)),
        np.tile(np.array([[height, width]]), (n, 1)),
        np.ones(n, dtype=np.bool_),
    )


def _unit(scenes: Scenes) -> float:
    """The unit of boxes: the median side (root of the area) of the objects to learn, in pixels."""
    kept = np.concatenate(scenes.boxes)[~np.concatenate(scenes.ignored)]
    return float(np.median(np.sqrt((kept[:, 2:] - kept[:, :2]).prod(1))))


def _batches(
    scenes: Scenes, n_classes: int, settings: DetectorSettings, source: NDArray[np.integer] | None, rng: Stream
) -> Iterator[tuple[PixelBatch, Targets]]:
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
    height, width = settings.crop or scenes.images.shape[1:3]
    weights = class_weights(scenes.class_ids, n_classes) if settings.class_balanced else None
    for step in range(settings.steps):
        found = []
        for place in range(settings.batch):
            name, size = ("real", n_real) if place < n_real else ("synthetic", settings.batch - n_real)
            turn = step * size + place - (0 if place < n_real else n_real)
            pictures = [(scenes.images[row], scenes.objects(row)) for row in rows[step, place]]
            stream = rng.child("augment", name, turn)
            found.append(
                augment_scene(pictures, settings.augmentation, frame=(height, width), class_weights=weights, rng=stream)
            )
        grid = (height // settings.stride, width // settings.stride)
        targets = targets_of([o for _, o in found], n_classes=n_classes, grid=grid, stride=settings.stride)
        yield np.stack([pixels for pixels, _ in found]), targets


def _groups(network: DetectionNetwork, weight_decay: float) -> list[dict[str, object]]:
    """Kernels decay, norms and biases do not."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _schedule(step: int, steps: int) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine down to zero."""
    done = (step + 1) / (steps + 1)
    if done < WARM_UP_SHARE:
        return done / WARM_UP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, step: int, steps: int) -> None:
    """Moves the average toward the network; the horizon is a share of all steps, shorter at the start."""
    horizon = min(max(1.0, AVERAGED_SHARE * steps), (10 + step) / 9)
    torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1 / horizon)


def _autocast(device: torch.device) -> torch.autocast | nullcontext[None]:
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()
