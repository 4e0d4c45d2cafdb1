"""How to train a detector, and at which size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.models.detection.augmentation import SceneAugmentation
from twinset.models.detection.network import GROUPS, MULTIPLE, Stride

LONGER_SIDES = (320, 416, 512)
SMALL = 24.0
"""Objects under about this many pixels, at the network's size, need stride 4 (ALGORITHMS 9)."""

TOO_SMALL = 16.0
"""Objects under this are worth a larger picture."""


@dataclass(frozen=True)
class DetectorSettings:
    """How to train a detector. Steps are fixed, so that every training set gets the same effort.

    ``width`` is the channels of the stem (eight times as many at the coarsest level); ``synthetic_share`` is the share
    of every batch that is drawn from the second source, where ``fit_detector`` is given sources; ``class_balanced``
    shows pictures with rare classes more often and lays crops around rare objects more often; ``crop`` (height, width)
    trains on crops of that size out of larger pictures (prediction takes whole ones).
    """

    steps: int = 900
    batch: int = 8
    width: int = 16
    stride: Stride = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    class_balanced: bool = False
    synthetic_share: float = 0.5
    crop: tuple[int, int] | None = None
    augmentation: SceneAugmentation = field(default_factory=SceneAugmentation)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or self.width < GROUPS or self.width % GROUPS:
            raise ValueError(f"expected steps and batch ≥ 1 and width a multiple of {GROUPS}; got {self}")
        if self.stride not in get_args(Stride):
            raise ValueError(f"expected stride 4 or 8; got {self.stride}")
        if not (self.learning_rate > 0 and self.weight_decay >= 0 and 0 <= self.synthetic_share <= 1):
            raise ValueError(f"expected learning_rate > 0, weight_decay ≥ 0, synthetic_share in [0, 1]; got {self}")
        if self.crop is not None and (min(self.crop) < MULTIPLE or any(side % MULTIPLE for side in self.crop)):
            raise ValueError(f"expected crop as positive multiples of {MULTIPLE}; got {self.crop}")

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types; :meth:`from_dict` reads them back."""
        values = asdict(self)
        return values | {"crop": None if self.crop is None else list(self.crop)}

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> DetectorSettings:
        """The settings that :meth:`to_dict` wrote; unknown keys are a ``TypeError``."""
        plain = {key: value for key, value in values.items() if key not in ("augmentation", "crop")}
        nested, crop = values.get("augmentation", {}), values.get("crop")
        if not isinstance(nested, Mapping) or not (crop is None or isinstance(crop, list | tuple)):
            raise TypeError(f"expected augmentation as a mapping and crop as two numbers; got {nested!r}, {crop!r}")
        return DetectorSettings(
            **plain,  # type: ignore[arg-type]
            crop=None if crop is None else (int(crop[0]), int(crop[1])),
            augmentation=SceneAugmentation(**nested),
        )


@dataclass(frozen=True)
class NetworkSize:
    """Height and width that pictures are brought to, and the grid's stride."""

    height: int
    width: int
    stride: Stride


def network_size(
    sizes: NDArray[np.integer], boxes: NDArray[np.floating], counts: NDArray[np.integer], *, longest: int = 512
) -> NetworkSize:
    """A size for pictures of ``sizes`` (N, 2), height and width, with ``boxes`` (M, 4), ``counts`` (N,) to each.

    The longer side is 320, or 416 or 512 where the median object would be under 16 px, at most ``longest`` and never
    beyond the pictures' own; both are multiples of 16. Stride 4 for a median object under 24 px, else 8.
    ``ValueError`` for no pictures or counts that do not fit.
    """
    if not len(sizes) or len(sizes) != len(counts) or int(np.sum(counts)) != len(boxes):
        raise ValueError(f"expected pictures and the boxes of each; got {len(sizes)}, {len(counts)} and {len(boxes)}")
    height, width = np.median(sizes, axis=0)
    own = max(height, width)
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) / np.repeat(np.max(sizes, axis=1), counts)
    typical = float(np.median(sides)) if len(boxes) else 1.0
    limit = min(own, longest)
    allowed = [side for side in LONGER_SIDES if side < limit]
    allowed.append(min(LONGER_SIDES[len(allowed)] if len(allowed) < len(LONGER_SIDES) else limit, limit))
    longer = next((side for side in allowed if typical * side >= TOO_SMALL), allowed[-1])
    stride: Stride = 4 if typical * longer < SMALL else 8
    return NetworkSize(_multiple(height * longer / own), _multiple(width * longer / own), stride)


def stride_for(dataset: Dataset, size: tuple[int, int]) -> Stride:
    """4 where the median object of these pictures, brought to ``size`` (height, width), is under 24 px, else 8."""
    boxes = dataset.object_boxes()
    if not len(boxes):
        return 8
    shapes = np.array([sample.pixels().shape[:2] for sample in dataset], dtype=np.float64)
    scales = np.repeat((np.asarray(size) / shapes).min(axis=1), dataset.object_counts())
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) * scales
    return 4 if float(np.median(sides)) < SMALL else 8


def _multiple(side: float) -> int:
    """The nearest multiple of 16, at least one."""
    return max(1, round(side / MULTIPLE)) * MULTIPLE
