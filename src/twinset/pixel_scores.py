"""How well pixels are classified: confusion counts, intersection over union (IoU), Dice; and under many weightings.

IoU = TP / (TP + FP + FN), Dice = 2 TP / (2 TP + FP + FN), over all pixels of all pictures together (as PASCAL VOC and
Cityscapes count it), not as a mean over pictures. Means are over the classes that occur in the truth; a class that is
only found costs the classes whose pixels it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

IGNORE = -1

Figure = Literal["miou", "mean_dice", "pixel_accuracy"]


def confusion(truth: NDArray[np.integer], found: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """int64 (C, C): how many pixels of the true class (row) were given which class (column).

    ``truth`` and ``found`` are class ids 0…C−1 of one shape, (H, W) or any other; pixels where ``truth`` is −1 do not
    count, whatever was found there. ``ValueError`` for other ids or shapes.

    >>> confusion(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), n_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    if truth.shape != found.shape or truth.dtype.kind not in "iu" or found.dtype.kind not in "iu":
        raise ValueError(
            f"expected integer class ids of one shape; got {truth.dtype} {truth.shape}, {found.dtype} {found.shape}"
        )
    counted = truth != IGNORE
    rows, columns = truth[counted], found[counted]
    for name, ids in (("truth", rows), ("found", columns)):
        if ids.size and (ids.min() < 0 or ids.max() >= n_classes):
            raise ValueError(f"expected class ids 0…{n_classes - 1} in {name}; got {ids.min()}…{ids.max()}")
    cells = rows.astype(np.int64) * n_classes + columns.astype(np.int64)
    return np.bincount(cells, minlength=n_classes**2).astype(np.int64).reshape(n_classes, n_classes)


@dataclass(frozen=True, eq=False)
class PixelScores:
    """Figures 0…1 of all pixels together; NaN where the truth has nothing to say.

    ``iou``, ``dice`` float64 (C,), NaN for classes that the truth does not have; ``miou``, ``mean_dice`` their means
    over those it has; ``pixel_accuracy`` the share of pixels given their class; ``pixels`` int64 (C,) true pixels.
    """

    iou: NDArray[np.float64]
    dice: NDArray[np.float64]
    miou: float
    mean_dice: float
    pixel_accuracy: float
    pixels: NDArray[np.int64]

    @staticmethod
    def of(confusions: NDArray[np.int64], *, weights: NDArray[np.integer | np.floating] | None = None) -> PixelScores:
        """The figures of pictures with these confusions (N, C, C), each counted ``weights`` (N,) times (once)."""
        _check_confusions(confusions)
        once = np.ones(len(confusions), dtype=np.int64) if weights is None else np.asarray(weights)
        summed = _weighted(confusions, once[None] if once.ndim == 1 else once, n_rows=1)
        found = _figures(summed)
        return PixelScores(
            iou=found.iou[0],
            dice=found.dice[0],
            miou=float(found.miou[0]),
            mean_dice=float(found.mean_dice[0]),
            pixel_accuracy=float(found.pixel_accuracy[0]),
            pixels=summed[0].sum(axis=1).astype(np.int64),
        )

    def to_json(self) -> dict[str, object]:
        """The figures as plain JSON types, null for NaN."""
        arrays = {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}
        return {name: _or_null(value.tolist()) for name, value in arrays.items()}


def resampled(
    confusions: NDArray[np.int64], weights: NDArray[np.integer | np.floating], *, figure: Figure = "miou"
) -> NDArray[np.float64]:
    """float64 (B,): the figure under each row of ``weights`` (B, N), finite and ≥ 0; NaN where no pixel is left.

    With whole numbers it is that of the pictures (their ``confusions`` (N, C, C)) each repeated as often. A class
    without true pixels in a row is left out of that row's mean.
    """
    _check_confusions(confusions)
    found = _figures(_weighted(confusions, weights))
    values: dict[Figure, NDArray[np.float64]] = {
        "miou": found.miou,
        "mean_dice": found.mean_dice,
        "pixel_accuracy": found.pixel_accuracy,
    }
    return values[figure]


@dataclass(frozen=True)
class _Figures:
    """``iou``, ``dice`` (B, C), the rest (B,)."""

    iou: NDArray[np.float64]
    dice: NDArray[np.float64]
    miou: NDArray[np.float64]
    mean_dice: NDArray[np.float64]
    pixel_accuracy: NDArray[np.float64]


def _figures(summed: NDArray[np.float64]) -> _Figures:
    """The figures of confusions (B, C, C)."""
    met = np.diagonal(summed, axis1=1, axis2=2)
    true, given = summed.sum(axis=2), summed.sum(axis=1)
    there = true > 0
    iou = _ratio(met, true + given - met, there)
    dice = _ratio(2 * met, true + given, there)
    pixels = true.sum(axis=1)
    accuracy = _ratio(met.sum(axis=1), pixels, pixels > 0)
    return _Figures(iou, dice, _mean(iou, there), _mean(dice, there), accuracy)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=where)
    return ratio


def _mean(values: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(B,) over those of (B, C) that are there."""
    return _ratio(
        np.where(there, values, 0.0).sum(axis=1), there.sum(axis=1).astype(np.float64), np.asarray(there.any(axis=1))
    )


def _weighted(
    confusions: NDArray[np.int64], weights: NDArray[np.integer | np.floating], *, n_rows: int | None = None
) -> NDArray[np.float64]:
    """float64 (B, C, C), exact for whole weights: counts stay far below 2⁵³."""
    shape = (len(weights) if n_rows is None else n_rows, len(confusions))
    if weights.shape != shape or weights.dtype.kind not in "iuf" or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"expected weights {shape}, finite and ≥ 0; got {weights.dtype} {weights.shape}")
    flat = confusions.reshape(len(confusions), -1).astype(np.float64)
    return np.asarray((weights.astype(np.float64) @ flat).reshape(-1, *confusions.shape[1:]))


def _check_confusions(confusions: NDArray[np.int64]) -> None:
    shape = confusions.shape
    if len(shape) != 3 or not shape[0] or shape[1] != shape[2] or confusions.dtype.kind not in "iu":
        raise ValueError(f"expected confusions (N, C, C) of integers, N ≥ 1; got {confusions.dtype} {shape}")


def _or_null(value: object) -> object:
    if isinstance(value, list):
        return [_or_null(one) for one in value]
    return None if isinstance(value, float) and np.isnan(value) else value
