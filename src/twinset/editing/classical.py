"""The classical editors: flip, crop, affine and colour; and TrivialAugment. Labels are kept.

The pixel operations are torchvision's; the draws are ours, because torchvision draws from PyTorch's global
generator. Nothing is mirrored unless asked for: a mirrored digit or letter is another sign or none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from twinset.dataset import Sample, Task
from twinset.editing.origin import edited
from twinset.images import Pixels
from twinset.randomness import Stream


def _to_tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _to_pixels(image: torch.Tensor) -> Pixels:
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))


@dataclass(frozen=True)
class Classical:
    """Random crop and zoom, small affine map, brightness, contrast, saturation; optionally mirrored.

    ``crop`` is the smallest share of the side that is kept; ``brightness``, ``contrast`` and ``saturation`` are
    largest relative changes; ``translate`` is a fraction of the side.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    flip: bool = False
    crop: float = 0.85
    rotate_degrees: float = 10.0
    translate: float = 0.08
    shear_degrees: float = 8.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        changes = (self.rotate_degrees, self.translate, self.shear_degrees)
        shares = (self.brightness, self.contrast, self.saturation)
        if not 0 < self.crop <= 1 or min(*changes, *shares) < 0 or max(shares) > 1:
            raise ValueError(f"expected crop in (0, 1], changes ≥ 0 and colour changes ≤ 1; got {self}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A varied copy of this sample, of the same size."""
        draws = rng.numpy()
        image = _to_tensor(sample.pixels())
        if self.flip and draws.random() < 0.5:
            image = image.flip(2)
        image = self._crop(image, draws)
        image = self._move(image, draws)
        return edited(sample, _to_pixels(self._relight(image, draws)), method="classical", rng=rng)

    def _crop(self, image: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
        from torchvision.transforms.v2 import InterpolationMode, functional

        height, width = image.shape[1:]
        share_y, share_x = draws.uniform(self.crop, 1, size=2)
        tall, wide = max(1, round(height * share_y)), max(1, round(width * share_x))
        top, left = int(draws.integers(height - tall + 1)), int(draws.integers(width - wide + 1))
        if (tall, wide) == (height, width):
            return image
        resized: torch.Tensor = functional.resized_crop(
            image, top, left, tall, wide, [height, width], interpolation=InterpolationMode.BICUBIC, antialias=True
        )
        return resized

    def _move(self, image: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
        height, width = image.shape[1:]
        angle, shear_x, shear_y, right, down = (float(draw) for draw in draws.uniform(-1, 1, size=5))
        return _affine(
            image,
            angle=angle * self.rotate_degrees,
            right=right * self.translate * width,
            down=down * self.translate * height,
            shear_x=shear_x * self.shear_degrees,
            shear_y=shear_y * self.shear_degrees,
        )

    def _relight(self, image: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
        from torchvision.transforms.v2 import functional

        brightness, contrast, saturation = 1 + draws.uniform(-1, 1, size=3) * (
            self.brightness,
            self.contrast,
            self.saturation,
        )
        image = functional.adjust_contrast(functional.adjust_brightness(image, brightness), contrast)
        return functional.adjust_saturation(image, saturation) if image.shape[0] == 3 else image


@dataclass(frozen=True)
class TrivialAugment:
    """One random operation at one random strength (Müller and Hutter 2021, algorithm 1).

    The operations and ranges are those of the paper's "wide" space, except for rotation, which goes to
    ``rotate_degrees`` instead of 135°, and translation, to ``translate`` of the side instead of 32 px: the wide
    ranges turn a 6 into a 9 and empty a small picture. Colour operations change RGB pictures only.
    """

    rotate_degrees: float = 30.0
    translate: float = 0.3

    def __post_init__(self) -> None:
        if not (0 <= self.rotate_degrees <= 180 and 0 <= self.translate < 1):
            raise ValueError(f"expected rotate_degrees in [0, 180] and translate in [0, 1); got {self}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A varied copy of this sample, of the same size."""
        draws = rng.numpy()
        image = _to_tensor(sample.pixels())
        operations = self._operations(image)
        name = list(operations)[int(draws.integers(len(operations)))]
        strength, sign = draws.integers(31) / 30, 1 if draws.random() < 0.5 else -1
        image = operations[name](image, float(strength), sign)
        return edited(sample, _to_pixels(image), method=f"trivialaugment.{name}", rng=rng)

    def _operations(self, image: torch.Tensor) -> dict[str, Callable[[torch.Tensor, float, int], torch.Tensor]]:
        """Each operation of strength in [0, 1] and sign ±1."""
        from torchvision.transforms.v2 import functional as tv

        height, width = image.shape[1:]
        operations: dict[str, Callable[[torch.Tensor, float, int], torch.Tensor]] = {
            "identity": lambda x, _m, _s: x,
            "rotate": lambda x, m, s: _affine(x, angle=s * m * self.rotate_degrees),
            "shear_x": lambda x, m, s: _affine(x, shear_x=s * math.degrees(math.atan(0.99 * m))),
            "shear_y": lambda x, m, s: _affine(x, shear_y=s * math.degrees(math.atan(0.99 * m))),
            "translate_x": lambda x, m, s: _affine(x, right=s * m * self.translate * width),
            "translate_y": lambda x, m, s: _affine(x, down=s * m * self.translate * height),
            "brightness": lambda x, m, s: tv.adjust_brightness(x, 1 + 0.99 * s * m),
            "contrast": lambda x, m, s: tv.adjust_contrast(x, 1 + 0.99 * s * m),
            "sharpness": lambda x, m, s: tv.adjust_sharpness(x, 1 + 0.99 * s * m) if min(height, width) > 2 else x,
            "posterize": lambda x, m, _s: tv.posterize(x, 8 - round(6 * m)),
            "solarize": lambda x, m, _s: tv.solarize(x, 255 - round(255 * m)),
            "autocontrast": lambda x, _m, _s: tv.autocontrast(x),
            "equalize": lambda x, _m, _s: tv.equalize(x),
        }
        if image.shape[0] == 3:
            operations["colour"] = lambda x, m, s: tv.adjust_saturation(x, 1 + 0.99 * s * m)
        return operations


def _affine(
    image: torch.Tensor,
    *,
    angle: float = 0.0,
    right: float = 0.0,
    down: float = 0.0,
    shear_x: float = 0.0,
    shear_y: float = 0.0,
) -> torch.Tensor:
    """One affine map about the centre; angles in degrees, shifts in pixels.

    The picture is first continued by its border pixels, because torchvision darkens the seam to a fill colour.
    """
    from torchvision.transforms.v2 import InterpolationMode, functional

    if angle == right == down == shear_x == shear_y == 0:
        return image
    height, width = image.shape[1:]
    moved: torch.Tensor = functional.affine(
        functional.pad(image, [width, height], padding_mode="edge"),
        angle=angle,
        translate=[right, down],
        scale=1.0,
        shear=[shear_x, shear_y],
        interpolation=InterpolationMode.BILINEAR,
    )
    return moved[:, height : 2 * height, width : 2 * width]
