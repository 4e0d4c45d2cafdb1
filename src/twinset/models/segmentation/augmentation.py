"""Crops and classical augmentation of pictures together with their maps: both are read through one grid.

The picture is read bilinearly and the map by its nearest pixel, at the same places; what lies outside the picture shows
its border and counts as "ignore". A draw depends on the stream and the batch size only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from twinset.models.classical import ELASTIC_KNOTS, STRENGTHS, AugmentationSettings, Strength, augment
from twinset.randomness import Stream
from twinset.semantic import IGNORE

Flips = Literal["none", "horizontal", "all"]
"""Which mirror images and quarter turns leave a scene a scene: none (text), left–right (streets), all eight (cells)."""


@dataclass(frozen=True)
class SceneAugmentation:
    """How far each random transform may go; zero (or zoom 1) switches it off.

    ``zoom`` is the largest factor, in or out, the same on both axes; ``elastic`` the standard deviation of the bend as
    a fraction of the crop's side; ``brightness``, ``contrast`` and ``saturation`` as in
    :class:`~twinset.models.classical.AugmentationSettings`.
    """

    flips: Flips = "none"
    rotate_degrees: float = 0.0
    zoom: float = 1.0
    elastic: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        if self.flips not in ("none", "horizontal", "all"):
            raise ValueError(f"expected flips none, horizontal or all; got {self.flips!r}")
        if not (1 <= self.zoom < math.inf and 0 <= self.rotate_degrees <= 180 and 0 <= self.elastic < 0.5):
            raise ValueError(f"expected zoom ≥ 1, rotate_degrees in [0, 180], elastic in [0, 0.5); got {self}")
        self.light()

    def light(self) -> AugmentationSettings:
        """The part that changes colours only."""
        return AugmentationSettings(brightness=self.brightness, contrast=self.contrast, saturation=self.saturation)


_PRESETS: dict[Strength, SceneAugmentation] = {
    "none": SceneAugmentation(),
    "light": SceneAugmentation(zoom=1.1, brightness=0.1, contrast=0.1),
    "medium": SceneAugmentation(rotate_degrees=5, zoom=1.4, brightness=0.15, contrast=0.2, saturation=0.2),
    "strong": SceneAugmentation(
        rotate_degrees=12, zoom=2.0, elastic=0.03, brightness=0.2, contrast=0.3, saturation=0.4
    ),
}


def scene_augmentation(strength: Strength, *, flips: Flips) -> SceneAugmentation:
    """The settings of a named strength; ``flips`` are added to all but "none"."""
    if strength not in _PRESETS:
        raise ValueError(f"expected a strength out of {', '.join(STRENGTHS)}; got {strength!r}")
    preset = _PRESETS[strength]
    if strength == "none":
        return preset
    return SceneAugmentation(**{**preset.__dict__, "flips": flips})


def crop_and_augment(
    images: torch.Tensor,
    maps: torch.Tensor,
    targets: torch.Tensor,
    *,
    crop: tuple[int, int],
    settings: SceneAugmentation,
    rng: Stream,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Varied crops: float (N, C, H, W) in [-1, 1] and int64 maps (N, H, W) to the same at the size ``crop``.

    ``targets`` float (N, 2) are points x, y in pixels that a crop is to contain (up to elastic bends), NaN where any
    crop is as good. Crops stay inside their picture where they fit and reach their target there.
    """
    generator = rng.child("warp").torch()
    height, width = images.shape[2:]
    matrix = _matrices(len(images), settings, generator)
    centre = _centres(matrix, targets, (height, width), crop, generator)
    grid = _grid(matrix, centre, crop)
    if settings.elastic > 0:
        grid = grid + _bend(len(images), crop, settings.elastic, generator)
    grid = 2 * grid / torch.tensor([width, height]) - 1
    cropped = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    # Class ids are whole numbers far below 2²⁴, so float32 holds them exactly; outside the picture reads 0 = IGNORE.
    shifted = (maps - IGNORE).to(torch.float32)[:, None]
    read = functional.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return augment(cropped, settings.light(), rng=rng.child("light")), read[:, 0].to(torch.int64) + IGNORE


def _uniform(n: int, generator: torch.Generator, *trailing: int) -> torch.Tensor:
    return torch.rand(n, *trailing, generator=generator) * 2 - 1


def _matrices(n: int, settings: SceneAugmentation, generator: torch.Generator) -> torch.Tensor:
    """float32 (N, 2, 2): a step x, y in the crop to a step in the picture, that is rotation · zoom · flips."""
    angle = math.radians(settings.rotate_degrees) * _uniform(n, generator)
    zoom = torch.exp(math.log(settings.zoom) * _uniform(n, generator))
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    matrix = torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(n, 2, 2)
    mirrored, turns = torch.rand(n, generator=generator) < 0.5, torch.randint(4, (n,), generator=generator)
    if settings.flips != "none":
        mirror = torch.eye(2).repeat(n, 1, 1)
        mirror[mirrored, 0, 0] = -1
        matrix = matrix @ mirror
    if settings.flips == "all":
        quarters = torch.tensor([[1, 0, 0, 1], [0, -1, 1, 0], [-1, 0, 0, -1], [0, 1, -1, 0]]).reshape(4, 2, 2)
        matrix = matrix @ quarters[turns].to(torch.float32)
    return matrix


def _centres(
    matrix: torch.Tensor,
    targets: torch.Tensor,
    size: tuple[int, int],
    crop: tuple[int, int],
    generator: torch.Generator,
) -> torch.Tensor:
    """float32 (N, 2): the point x, y of the picture under each crop's centre."""
    whole = torch.tensor([size[1], size[0]], dtype=torch.float32)
    half = torch.tensor([crop[1], crop[0]], dtype=torch.float32) / 2
    reach = matrix.abs() @ half
    low = torch.minimum(reach, whole / 2)
    high = whole - low
    anywhere = low + (high - low) * torch.rand(len(matrix), 2, generator=generator)
    offset = half * _uniform(len(matrix), generator, 2)
    near = torch.minimum(torch.maximum(targets - _times(matrix, offset), low), high)
    # A turned crop that stays inside cannot reach the corners of its picture: the target wins.
    place = _times(torch.linalg.inv(matrix), targets - near)
    near = targets - _times(matrix, torch.clamp(place, -half, half))
    return torch.where(targets.isnan(), anywhere, near)


def _times(matrix: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    return (matrix @ points[..., None])[..., 0]


def _grid(matrix: torch.Tensor, centre: torch.Tensor, crop: tuple[int, int]) -> torch.Tensor:
    """float32 (N, h, w, 2): where in the picture, x and y in pixels, every pixel centre of the crop is read."""
    rows = torch.arange(crop[0]) + 0.5 - crop[0] / 2
    columns = torch.arange(crop[1]) + 0.5 - crop[1] / 2
    points = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    moved = points.reshape(1, -1, 2) @ matrix.transpose(1, 2)
    return (moved + centre[:, None]).reshape(len(matrix), *crop, 2)


def _bend(n: int, crop: tuple[int, int], elastic: float, generator: torch.Generator) -> torch.Tensor:
    """A smooth random displacement in pixels, (N, h, w, 2)."""
    knots = torch.randn(n, 2, ELASTIC_KNOTS, ELASTIC_KNOTS, generator=generator) * (elastic * min(crop))
    field = functional.interpolate(knots, size=crop, mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)
