"""Classical augmentation of whole batches: affine and elastic warps in one resampling, then light, colour and cutout.

This is the baseline that synthetic data has to beat, so it reaches up to shear, elastic warps and scale jitter
(Simard et al. 2003, "Best practices for convolutional neural networks applied to visual document analysis").
A draw depends on the stream and the batch size only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.images import PixelBatch
from twinset.randomness import Stream

Strength = Literal["none", "light", "medium", "strong"]
STRENGTHS: tuple[Strength, ...] = get_args(Strength)

ELASTIC_KNOTS = 4
"""The elastic field is drawn on this many knots a side and interpolated bicubically: smooth, a few bends an image."""

FLIP_SAMPLE = 1000


@dataclass(frozen=True)
class AugmentationSettings:
    """How far each random transform may go; zero (or scale 1) switches it off.

    ``translate``, ``elastic`` (standard deviation) and ``cutout`` (largest side) are fractions of the image side;
    ``scale`` is the largest zoom factor, in or out, drawn for each axis; ``brightness`` is added in units of the
    [-1, 1] range; ``contrast`` and ``saturation`` are largest relative changes; ``cutout_share`` is the share of
    images that lose a box. ``flip`` mirrors half of the images left to right.
    """

    rotate_degrees: float = 0.0
    translate: float = 0.0
    scale: float = 1.0
    shear_degrees: float = 0.0
    elastic: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout: float = 0.0
    cutout_share: float = 0.5
    flip: bool = False

    def __post_init__(self) -> None:
        numbers = {name: value for name, value in asdict(self).items() if name != "flip"}
        wrong = {name: value for name, value in numbers.items() if not 0 <= value < math.inf}
        if wrong or self.scale < 1 or max(self.cutout, self.cutout_share, self.contrast, self.saturation) > 1:
            raise ValueError(
                f"expected finite values ≥ 0, scale ≥ 1, and cutout, cutout_share, contrast, saturation ≤ 1; got {self}"
            )

    @property
    def warps(self) -> bool:
        """Whether pixels move at all (flips apart)."""
        return max(self.rotate_degrees, self.translate, self.scale - 1, self.shear_degrees, self.elastic) > 0


_PRESETS: dict[Strength, AugmentationSettings] = {
    "none": AugmentationSettings(),
    "light": AugmentationSettings(rotate_degrees=5, translate=0.06, scale=1.05, brightness=0.1, contrast=0.1),
    "medium": AugmentationSettings(
        rotate_degrees=12,
        translate=0.1,
        scale=1.15,
        shear_degrees=6,
        elastic=0.015,
        brightness=0.15,
        contrast=0.2,
        saturation=0.2,
    ),
    "strong": AugmentationSettings(
        rotate_degrees=18,
        translate=0.12,
        scale=1.3,
        shear_degrees=15,
        elastic=0.04,
        brightness=0.2,
        contrast=0.3,
        saturation=0.4,
        cutout=0.4,
    ),
}


def augmentation(strength: Strength, *, flip: bool = False) -> AugmentationSettings:
    """The settings of a named strength. ``flip`` adds mirroring to all but "none"; see :func:`flip_is_safe`."""
    if strength not in _PRESETS:
        raise ValueError(f"expected a strength out of {', '.join(STRENGTHS)}; got {strength!r}")
    return replace(_PRESETS[strength], flip=flip and strength != "none")


def augment(images: torch.Tensor, settings: AugmentationSettings, *, rng: Stream) -> torch.Tensor:
    """Varied copies: float (N, C, H, W) in [-1, 1] to the same shape and range; each image has its own draw."""
    if images.ndim != 4:
        raise ValueError(f"expected (N, C, H, W); got {tuple(images.shape)}")
    generator = rng.torch()
    if settings.flip:
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
    if settings.warps:
        images = functional.grid_sample(
            images, _grid(images, settings, generator), mode="bilinear", padding_mode="border", align_corners=False
        )
    images = _relight(images, settings, generator)
    return _cut_out(images, settings, generator) if settings.cutout > 0 else images


def _uniform(n: int, generator: torch.Generator, *trailing: int) -> torch.Tensor:
    return torch.rand(n, *trailing, generator=generator) * 2 - 1


def _affine(n: int, aspect: float, settings: AugmentationSettings, generator: torch.Generator) -> torch.Tensor:
    """float32 (N, 2, 3): rotation · shear, zoomed per axis, then shifted; ``aspect`` = H / W keeps angles true."""
    angle = math.radians(settings.rotate_degrees) * _uniform(n, generator)
    shear = torch.tan(math.radians(settings.shear_degrees) * _uniform(n, generator))
    both, difference = _uniform(n, generator), _uniform(n, generator)
    reach = math.log(settings.scale)
    zoom_x, zoom_y = torch.exp(reach * (both + difference) / 2), torch.exp(reach * (both - difference) / 2)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    theta = torch.empty(n, 2, 3)
    theta[:, 0, 0] = cosine * zoom_x
    theta[:, 0, 1] = (cosine * shear - sine) * zoom_x * aspect
    theta[:, 1, 0] = sine * zoom_y / aspect
    theta[:, 1, 1] = (sine * shear + cosine) * zoom_y
    theta[:, :, 2] = 2 * settings.translate * _uniform(n, generator, 2)
    return theta


def _grid(images: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator) -> torch.Tensor:
    """Where each output pixel is read from: float32 (N, H, W, 2) in grid_sample's [-1, 1] coordinates."""
    n, _, height, width = images.shape
    theta = _affine(n, height / width, settings, generator)
    grid = functional.affine_grid(theta, [n, 1, height, width], align_corners=False)
    if settings.elastic > 0:
        knots = torch.randn(n, 2, ELASTIC_KNOTS, ELASTIC_KNOTS, generator=generator) * (2 * settings.elastic)
        bend = functional.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True)
        grid = grid + bend.permute(0, 2, 3, 1)
    return grid


def _relight(images: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator) -> torch.Tensor:
    """Saturation, contrast about each image's mean, then brightness; clipped to [-1, 1]."""
    n, channels = images.shape[:2]
    if settings.saturation > 0 and channels == 3:
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * (1 + settings.saturation * _uniform(n, generator, 1, 1, 1))
    if settings.contrast > 0 or settings.brightness > 0:
        mean = images.mean((1, 2, 3), keepdim=True)
        gain = 1 + settings.contrast * _uniform(n, generator, 1, 1, 1)
        images = mean + (images - mean) * gain + settings.brightness * _uniform(n, generator, 1, 1, 1)
    return images.clamp(-1, 1)


def _cut_out(images: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator) -> torch.Tensor:
    """A share of the images with a box replaced by the image's mean (DeVries and Taylor 2017)."""
    n, _, height, width = images.shape
    chosen = torch.rand(n, 1, 1, 1, generator=generator) < settings.cutout_share
    side = settings.cutout * torch.rand(n, 2, generator=generator)
    centre = torch.rand(n, 2, generator=generator)
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    tall = (rows - centre[:, :1]).abs() < side[:, :1] / 2
    wide = (columns - centre[:, 1:]).abs() < side[:, 1:] / 2
    box = (tall[:, None, :, None] & wide[:, None, None, :]) & chosen
    return torch.where(box, images.mean((1, 2, 3), keepdim=True), images)


def flip_is_safe(images: PixelBatch, class_ids: NDArray[np.integer]) -> bool:
    """Whether mirrored images keep their class, judged by nearest neighbours: uint8 (N, H, W, C), int (N,).

    Each image, as it is and mirrored, is given the class of its nearest *other* image (Euclidean, pixels). Mirroring
    is called safe unless it loses more neighbours of the right class than it wins (McNemar, one standard error).
    Digits and letters fail, natural scenes pass; where neighbours tell no more than chance, the answer is no.
    Of more than ``FLIP_SAMPLE`` images, evenly spaced ones are judged.
    """
    if len(images) != len(class_ids) or len(images) < 2:
        raise ValueError(f"expected two or more images with a class each; got {len(images)} and {len(class_ids)}")
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), FLIP_SAMPLE)).round().astype(np.int64))
    images, class_ids = images[rows], class_ids[rows]
    flat = torch.from_numpy(images.reshape(len(images), -1)).float()
    mirrored = torch.from_numpy(np.ascontiguousarray(images[:, :, ::-1]).reshape(len(images), -1)).float()
    plain_right, mirrored_right = (_nearest_class(query, flat, class_ids) == class_ids for query in (flat, mirrored))
    lost, won = int((plain_right & ~mirrored_right).sum()), int((mirrored_right & ~plain_right).sum())
    counts = np.bincount(class_ids)
    chance = float(np.square(counts / counts.sum()).sum())
    return float(plain_right.mean()) > chance and lost - won <= math.sqrt(lost + won)


def _nearest_class(query: torch.Tensor, bank: torch.Tensor, class_ids: NDArray[np.integer]) -> NDArray[np.integer]:
    distances = torch.cdist(query, bank)
    distances.fill_diagonal_(math.inf)
    nearest: NDArray[np.integer] = np.asarray(class_ids)[distances.argmin(1).numpy()]
    return nearest
