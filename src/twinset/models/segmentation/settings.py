"""How to train a network that says the class of every pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from twinset.models.segmentation.augmentation import SceneAugmentation
from twinset.models.segmentation.network import GROUP


@dataclass(frozen=True)
class PixelTrainingSettings:
    """What every segmenter's training has. Steps are fixed, so that every training set gets the same effort.

    ``crop`` is the height and width of the training crops, None for whole pictures; ``class_balanced`` draws half of
    the crops around pixels of each class in turn; ``dice_share`` is the weight of the Dice loss against the
    cross-entropy; ``synthetic_share`` is the share of every batch that is drawn from the second source, where the
    training is given sources.
    """

    steps: int = 1000
    batch: int = 4
    crop: tuple[int, int] | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dice_share: float = 0.5
    class_balanced: bool = False
    synthetic_share: float = 0.5
    augmentation: SceneAugmentation = field(default_factory=SceneAugmentation)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1:
            raise ValueError(f"expected steps and batch ≥ 1; got {self}")
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise ValueError(f"expected learning_rate > 0 and weight_decay ≥ 0; got {self}")
        if not (0 <= self.dice_share <= 1 and 0 <= self.synthetic_share <= 1):
            raise ValueError(f"expected dice_share and synthetic_share in [0, 1]; got {self}")
        if self.crop is not None and (len(self.crop) != 2 or min(self.crop) < 16):
            raise ValueError(f"expected crop as height and width of 16 pixels or more; got {self.crop}")

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types; :meth:`from_dict` reads them back."""
        return {**asdict(self), "crop": None if self.crop is None else list(self.crop)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """The settings that :meth:`to_dict` wrote; unknown keys are a ``TypeError``."""
        plain = {key: value for key, value in values.items() if key not in ("augmentation", "crop")}
        nested, crop = values.get("augmentation", {}), values.get("crop")
        if not isinstance(nested, Mapping) or not (crop is None or isinstance(crop, list | tuple)):
            raise TypeError(f"expected augmentation as a mapping and crop as two numbers; got {nested!r}, {crop!r}")
        return cls(
            **plain,  # type: ignore[arg-type]
            crop=None if crop is None else tuple(crop),
            augmentation=SceneAugmentation(**nested),
        )


@dataclass(frozen=True)
class SegmenterSettings(PixelTrainingSettings):
    """How to train the small U-Net: ``width`` is the channels of its first level, ``depth`` its further levels."""

    width: int = 16
    depth: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 1 or self.width < GROUP or self.width % GROUP:
            raise ValueError(f"expected depth ≥ 1 and width a multiple of {GROUP}; got {self}")
