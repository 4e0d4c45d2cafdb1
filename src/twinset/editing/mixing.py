"""Mixing: mixup and CutMix (two images, a soft label), cutout and PatchShuffle (one image, its label kept).

In both mixtures the edited sample keeps at least half, so that it stays of its own class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample, Task
from twinset.editing.origin import edited
from twinset.images import ImageSpec, Pixels
from twinset.randomness import Stream


@dataclass(frozen=True)
class Mixup:
    """λ·a + (1 − λ)·b, pixels and labels alike, λ ~ Beta(α, α) folded to [½, 1] (Zhang et al. 2018, equation 1)."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    alpha: float = 0.4

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)

    def fit(self, training: Dataset, *, rng: Stream) -> MixingEditor:  # noqa: ARG002 (nothing is random in this fit)
        """An editor that draws partners from the labelled training images."""
        return MixingEditor(self, _labelled(training))

    def blend(self, a: Pixels, b: Pixels, draws: np.random.Generator) -> tuple[Pixels, float]:
        """The mixture, and the share of ``a`` in it."""
        share = _folded_beta(self.alpha, draws)
        mixed = share * a.astype(np.float64) + (1 - share) * b
        return np.rint(mixed).astype(np.uint8), share


@dataclass(frozen=True)
class CutMix:
    """A box of b pasted into a, labels in proportion to visible area (Yun et al. 2019, equations 1 and 2).

    The box has area 1 − λ ≤ ½ and a's proportions, its centre anywhere; cut off at the border, so λ is recomputed.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)

    def fit(self, training: Dataset, *, rng: Stream) -> MixingEditor:  # noqa: ARG002 (nothing is random in this fit)
        """An editor that draws partners from the labelled training images."""
        return MixingEditor(self, _labelled(training))

    def blend(self, a: Pixels, b: Pixels, draws: np.random.Generator) -> tuple[Pixels, float]:
        """The mixture, and the share of ``a`` in it."""
        side = float(np.sqrt(1 - _folded_beta(self.alpha, draws)))
        rows, columns = _box(a.shape[:2], side, draws, largest=0.5)
        mixed = a.copy()
        mixed[rows, columns] = b[rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed, 1 - pasted / (a.shape[0] * a.shape[1])


@dataclass(frozen=True, eq=False)
class MixingEditor:
    """Mixes a sample with a random training image, which becomes its second parent."""

    method: Mixup | CutMix
    partners: Dataset

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """The mixture with its soft label; ``ValueError`` for an unlabelled sample."""
        draws = rng.numpy()
        partner = self.partners[int(draws.integers(len(self.partners)))]
        pixels = sample.pixels()
        height, width, channels = pixels.shape
        other = ImageSpec(height, width, channels).prepare(partner.pixels())
        mixed, share = self.method.blend(pixels, other, draws)
        n_classes = len(self.partners.classes)
        soft = share * _label(sample, n_classes) + (1 - share) * _label(partner, n_classes)
        assert sample.annotation is not None
        own = sample.annotation.class_id
        class_id = own if own is not None and soft[own] == soft.max() else int(soft.argmax())
        annotation = replace(sample.annotation, class_id=class_id, class_probabilities=tuple(soft.tolist()))
        name = type(self.method).__name__.lower()
        return edited(sample, mixed, method=name, rng=rng, annotation=annotation, extra_parents=(partner.id,))


@dataclass(frozen=True)
class Cutout:
    """One box, ``side`` of the picture's side, set to the picture's mean colour (DeVries and Taylor 2017)."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    side: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.side <= 1:
            raise ValueError(f"expected side in (0, 1]; got {self.side}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A copy with a box cut out; the box's centre lies anywhere, so part of it may fall outside."""
        pixels = sample.pixels()
        rows, columns = _box(pixels.shape[:2], self.side, rng.numpy(), largest=1.0)
        holed = pixels.copy()
        holed[rows, columns] = np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
        return edited(sample, holed, method="cutout", rng=rng)


@dataclass(frozen=True)
class PatchShuffle:
    """Pixels shuffled within ``patch`` × ``patch`` tiles, each tile with probability ``share`` (Kang et al. 2017).

    The paper shuffles whole images with probability .05 during training; here every edited image gets shuffled
    tiles, at a share that leaves most of the picture alone. Incomplete tiles at the border stay.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    patch: int = 2
    share: float = 0.3

    def __post_init__(self) -> None:
        if self.patch < 2 or not 0 < self.share <= 1:
            raise ValueError(f"expected patch ≥ 2 and share in (0, 1]; got {self}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A copy with some tiles shuffled; the multiset of its pixels is unchanged."""
        draws = rng.numpy()
        pixels = sample.pixels()
        height, width, channels = pixels.shape
        p, down, across = self.patch, height // self.patch, width // self.patch
        whole = pixels[: down * p, : across * p]
        tiles = whole.reshape(down, p, across, p, channels).transpose(0, 2, 1, 3, 4).reshape(-1, p * p, channels)
        order = np.argsort(draws.random(tiles.shape[:2]), axis=1)
        kept = draws.random(len(tiles)) >= self.share
        order[kept] = np.arange(p * p)
        tiles = np.take_along_axis(tiles, order[..., None], axis=1)
        shuffled = pixels.copy()
        shuffled[: down * p, : across * p] = (
            tiles.reshape(down, across, p, p, channels).transpose(0, 2, 1, 3, 4).reshape(whole.shape)
        )
        return edited(sample, shuffled, method="patchshuffle", rng=rng)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < float("inf"):
        raise ValueError(f"expected a finite alpha > 0; got {alpha}")


def _folded_beta(alpha: float, draws: np.random.Generator) -> float:
    share = float(draws.beta(alpha, alpha))
    return max(share, 1 - share)


def _box(shape: Sequence[int], side: float, draws: np.random.Generator, *, largest: float) -> tuple[slice, slice]:
    """Rows and columns of a box, ``side`` of the picture's sides, centred anywhere, cut at the border.

    Its sides are whole pixels; where rounding made it cover more than ``largest`` of the picture, the longer gives way.
    """
    extents = [round(length * side) for length in shape]
    if math.prod(extents) > largest * math.prod(shape):
        extents[int(np.argmax(extents))] = math.floor(largest * math.prod(shape)) // min(extents)
    spans = []
    for length, extent in zip(shape, extents, strict=True):
        start = int(draws.integers(length)) - extent // 2
        spans.append(slice(max(0, start), max(0, min(length, start + extent))))
    return spans[0], spans[1]


def _labelled(training: Dataset) -> Dataset:
    partners = training.where(training.class_ids >= 0)
    if not len(partners):
        raise ValueError("expected at least one labelled training image to mix with; got none")
    return partners


def _label(sample: Sample, n_classes: int) -> NDArray[np.float64]:
    """float64 (n_classes,): the sample's soft label, or one-hot."""
    annotation = sample.annotation
    if annotation is None or annotation.class_id is None:
        raise ValueError(f"expected a labelled sample to mix; got {sample.id!r} without a class")
    if annotation.class_probabilities is not None:
        return np.array(annotation.class_probabilities, dtype=np.float64)
    one_hot = np.zeros(n_classes)
    one_hot[annotation.class_id] = 1
    return one_hot
