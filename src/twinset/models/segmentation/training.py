"""Training a segmenter from scratch: crops, cross-entropy plus soft Dice, a fixed number of steps on one CPU thread.

Equal scenes, settings and stream give equal weights on one machine.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from twinset.errors import UsageError
from twinset.models.optimisers import AdamW
from twinset.models.segmentation.network import build_unet
from twinset.models.segmentation.sampling import batch_rows, draw_batch, pixels_by_class
from twinset.models.segmentation.scenes import PixelScenes
from twinset.models.segmentation.segmenter import Segmenter
from twinset.models.segmentation.settings import SegmenterSettings
from twinset.randomness import Stream
from twinset.semantic import IGNORE
from twinset.stages import Progress, silent

WARM_UP_SHARE = 0.1
AVERAGED_SHARE = 0.05


def fit_segmenter(
    scenes: PixelScenes,
    *,
    n_classes: int,
    settings: SegmenterSettings,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    progress: Progress = silent,
) -> Segmenter:
    """A segmenter trained for ``settings.steps`` steps.

    ``source`` (N,) is 0 for real and 1 for synthetic: where both occur, every batch holds
    ``settings.synthetic_share`` of the latter. Batches go through each source in fresh random order, without
    replacement.

    Raises ``ValueError`` for class ids that do not fit, scenes without any labelled pixel, or a source other than 0
    and 1; :class:`UsageError` if the loss diverges.
    """
    pixels = pixels_by_class(scenes, n_classes)
    schedule = batch_rows(pixels, source, settings, rng.child("batches"))
    shape = {"channels": scenes.shape[2], "n_classes": n_classes, "width": settings.width, "depth": settings.depth}
    network, averaged = (build_unet(**shape, generator=rng.child("weights").torch()) for _ in range(2))
    optimizer = AdamW(
        _decayed_groups(network, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.99), fused=True
    )
    for step, (rows, classes) in enumerate(schedule):
        images, maps = draw_batch(scenes, rows, classes, settings, rng.child("step", step))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings.steps)
        loss = segmentation_loss(network(images), maps, dice_share=settings.dice_share)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(loss.item()):
            raise UsageError(
                f"expected a finite loss; got {loss.item()} at step {step}",
                hint=f"a learning_rate below {settings.learning_rate:g}",
            )
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        _average(averaged, network, step, settings.steps)
        if step % 20 == 19 or step + 1 == settings.steps:
            progress(step + 1, settings.steps, "segmenter")
    return Segmenter(averaged.eval(), scenes.shape, n_classes, settings.width, settings.depth)


def segmentation_loss(logits: torch.Tensor, maps: torch.Tensor, *, dice_share: float) -> torch.Tensor:
    """(1 − d) · cross-entropy + d · soft Dice over the batch; float (N, K, H, W) and int64 (N, H, W), −1 = ignore.

    Dice (Milletari et al. 2016, with plain sums in the denominator) is averaged over the classes that occur, so that
    rare ones count as much as common ones. Ignored pixels have no part in either; without any other the loss is 0.
    """
    known = maps != IGNORE
    entropy = functional.cross_entropy(logits, maps, ignore_index=IGNORE, reduction="sum") / known.sum().clamp(min=1)
    if not dice_share:
        return entropy
    probabilities = torch.softmax(logits, dim=1) * known[:, None]
    truth = functional.one_hot(maps.clamp(min=0), logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    counts = truth.sum((0, 2, 3))
    shared = (probabilities * truth).sum((0, 2, 3))
    overlap = 2 * shared / (probabilities.sum((0, 2, 3)) + counts).clamp(min=1e-6)
    present = counts > 0
    dice = ((1 - overlap) * present).sum() / present.sum().clamp(min=1)
    return (1 - dice_share) * entropy + dice_share * dice


def _decayed_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Kernels decay; norms and biases do not."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _schedule(step: int, steps: int) -> float:
    """Learning-rate factor: linear warm-up over the first tenth, then half a cosine to zero."""
    done = (step + 1) / (steps + 1)
    return min(done / WARM_UP_SHARE, 1.0) * 0.5 * (1 + math.cos(math.pi * max(0.0, done - WARM_UP_SHARE)))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, step: int, steps: int) -> None:
    """Moves the average toward the network; the horizon is a share of all steps, shorter at the start."""
    horizon = min(max(1.0, AVERAGED_SHARE * steps), (10 + step) / 9)
    torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1 / horizon)
