"""Mosaic: four training pictures side by side, with all that is marked in them.

Source: Bochkovskiy et al. 2020, "YOLOv4", section 3.3. Where we differ: each picture covers its quarter, so nothing is
left empty; and all four say the same kinds of things (:mod:`twinset.editing.partners`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.editing.origin import edited
from twinset.editing.partners import Partners
from twinset.images import convert_channels
from twinset.joining import joined
from twinset.motion import Motion, Size
from twinset.randomness import Stream
from twinset.transforms import moved

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mosaic:
    """``centre``: the crossing lies in the middle ± this share of the side. ``zoom``: a picture is enlarged by up to
    this factor beyond what covers its quarter, and cut anywhere. ``min_visible``: objects of which a smaller share is
    left go.
    """

    centre: float = 0.2
    zoom: float = 2.0
    min_visible: float = 0.25

    def __post_init__(self) -> None:
        if not (0 <= self.centre < 0.5 and 1 <= self.zoom < math.inf and 0 <= self.min_visible <= 1):
            raise ValueError(f"expected centre in [0, 0.5), zoom ≥ 1 and min_visible in [0, 1]; got {self}")

    def fit(self, training: Dataset, *, rng: Stream) -> MosaicEditor:  # noqa: ARG002 (nothing is random in this fit)
        """An editor that draws three partners from the labelled training images."""
        return MosaicEditor(self, Partners.of(training))


@dataclass(frozen=True, eq=False)
class MosaicEditor:
    """Puts a sample into a random quarter and three training images, its other parents, into the rest."""

    method: Mosaic
    partners: Partners

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A mosaic of the sample's size, with its class, caption and attributes and with the objects of all four."""
        draws = rng.numpy()
        pixels = sample.pixels()
        height, width, channels = pixels.shape
        quarters = self._quarters((height, width), draws)
        tiles = [sample, *self.partners.draw(sample, 3, draws)]
        order = draws.permutation(4)
        canvas, placed = np.empty_like(pixels), []
        for quarter, tile in zip((quarters[i] for i in order), tiles, strict=True):
            picture = pixels if tile is sample else convert_channels(tile.pixels(), channels)
            left, top, right, bottom = quarter
            motion = self._covering((picture.shape[0], picture.shape[1]), (bottom - top, right - left), draws)
            canvas[top:bottom, left:right] = motion.picture(picture, fill=None)
            assert tile.annotation is not None
            inside = moved(tile.annotation, motion, min_visible=self.method.min_visible)
            placed.append((inside, Motion.crop(motion.size, (-left, -top, width - left, height - top))))
        assert sample.annotation is not None
        annotation = _together(sample.annotation, placed)
        parents = [parent for tile in tiles[1:] for parent in (tile.origin.parents or (tile.id,))]
        return edited(sample, canvas, method="mosaic", rng=rng, annotation=annotation, extra_parents=parents)

    def _quarters(self, size: Size, draws: np.random.Generator) -> list[Box]:
        """Four boxes that share a corner near the middle and fill the picture."""
        shares = 0.5 + draws.uniform(-self.method.centre, self.method.centre, size=2)
        height, width = size
        if min(size) < 2:
            raise ValueError(f"expected a picture of at least 2 x 2 pixels; got {width} x {height}")
        y, x = (min(max(1, round(length * share)), length - 1) for length, share in zip(size, shares, strict=True))
        return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]

    def _covering(self, source: Size, size: Size, draws: np.random.Generator) -> Motion:
        """A picture scaled evenly so that it covers a tile, and cut somewhere."""
        scale = max(size[0] / source[0], size[1] / source[1]) * self.method.zoom ** draws.random()
        free = np.maximum(0.0, scale * np.array(source) - size)
        top, left = draws.random(2) * free
        return Motion(np.array([[scale, 0, -left], [0, scale, -top]]), source, size)


def _together(own: Annotation, placed: list[tuple[Annotation, Motion]]) -> Annotation:
    """The sample's own annotation with the objects and semantic maps of all tiles where they stand.

    No camera sees four pictures at once, so there are no poses, depth and normals.
    """
    there = [moved(annotation, motion) for annotation, motion in placed]
    objects = [annotation.instances for annotation in there if annotation.instances is not None]
    maps = [annotation.semantic.dense() for annotation in there if annotation.semantic is not None]
    return replace(
        own,
        instances=replace(joined(objects), poses=None) if objects else None,
        # Outside its tile a map is −1, so the largest of all is that of the tile.
        semantic=SemanticMap.of(np.max(maps, axis=0)) if maps else None,
        depth_metres=None,
        normals=None,
        camera=None,
    )
