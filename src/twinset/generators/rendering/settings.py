"""What can be chosen about rendered scenes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from twinset.choices import check_choices
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.randomness import RandomSource, Stream

if TYPE_CHECKING:
    from twinset.generators.rendering.generator import RenderingGenerator

Map = Literal["depth", "normals"]
Backdrop = Literal["training", "photos", "room", "road", "field", "slide", "white"]

LIMITS: Mapping[str, tuple[float, float]] = {
    "count": (0, 200),
    "size": (0.005, 1.5),
    "scale": (0.01, 100),
    "centre_x": (-0.2, 1.2),
    "centre_y": (-0.2, 1.2),
    "elevation_degrees": (0, 90),
    "field_of_view_degrees": (2, 120),
    "roll_degrees": (-180, 180),
    "sun_elevation_degrees": (2, 90),
    "sun_strength": (0, 20),
    "ambient": (0, 5),
    "distractors": (0, 50),
    "noise": (0, 64),
    "blur": (0, 10),
    "jpeg_quality": (5, 100),
    "distortion": (-0.3, 0.4),
}
"""Every range of the settings stays inside these."""


Value = str | int | float | bool

NOT_DRAWN = "none"


@dataclass(frozen=True)
class ShapeSource:
    """Where the shapes of a class come from: a parametric ``family``, or a ``folder`` of meshes (or one mesh file).

    ``limits`` hold parameters of the family to less: two numbers are a least and a most, anything else is the list of
    options that stay. ``up`` is the vertical axis of the meshes (None: y for glTF, else z); their unit is ``scale``
    metres, or each is ``height_metres`` high.
    """

    family: str | None = None
    folder: str | None = None
    limits: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    up: Literal["y", "z"] | None = None
    scale: float = 1.0
    height_metres: float | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        if (self.family is None) == (self.folder is None):
            raise ValueError(f"expected a family or a folder; got {self.family} and {self.folder}; give one")
        if self.limits and self.family is None:
            raise ValueError(f"expected limits of a family only; got {dict(self.limits)} for {self.folder}")


@dataclass(frozen=True)
class Rendering:
    """Scenes of meshes in front of a backdrop, drawn with exact labels.

    ``shapes`` maps classes to the name of a parametric family (``chair``, ``car`` …), to a folder of meshes (glTF, OBJ,
    PLY, STL), or to a :class:`ShapeSource`; a class that is not named takes the family of its own name, and one with
    ``none`` is not drawn.
    ``placement``: objects rest on the ground, turned about the vertical and apart from each other, or are ``free`` in
    space and turned anyhow (the naive baseline). ``backdrop``: training pictures with their objects filled in, a folder
    of ``photos`` (``backdrop_path``), a procedural place, or white; over pictures the ground shows as the shadows that
    fall on it.

    ``gap`` is what lies at least between the footprints of two objects on the ground, in shares of the larger one's
    longer side; below 0 they may overlap by so much, the later ones a little above the earlier.

    Each pair is a least and a most, drawn evenly for every picture (``scale`` for every object): ``count`` objects;
    ``size``, what a typical object of the scene spans of the picture's longer side where the camera looks; ``centre_x``
    and ``centre_y`` of objects in shares of the picture; ``elevation_degrees`` of the camera above the ground (90 looks
    straight down), its ``field_of_view_degrees`` and ``roll_degrees``; ``sun_elevation_degrees``, ``sun_strength`` and
    ``ambient`` light; unlabelled ``distractors``; of the sensor ``noise`` (standard deviation in levels of 255),
    ``blur`` (pixels), ``jpeg_quality`` and radial ``distortion`` (k1 at the picture's half diagonal).

    ``image_size`` (height, width) is that of the training pictures where it is None. ``balance`` is the share of
    objects whose class is drawn evenly, else as often as in training. Of every class ``shapes_per_class`` shapes are
    built or read, and drawn evenly. An object of which less than ``min_visible`` is seen, or fewer than ``min_pixels``,
    is taken out of the scene. ``samples`` per pixel and axis smooth the picture, not the labels. ``maps`` are
    kept for every pixel, with the camera (none: only what the task needs). ``content`` is the
    digest of the folders named here (None: whatever is in them); a run fills it in.
    """

    shapes: Mapping[str, str | ShapeSource] = field(default_factory=dict)
    placement: Literal["surface", "free"] = "surface"
    backdrop: Backdrop = "training"
    backdrop_path: str | None = None
    image_size: tuple[int, int] | None = None
    count: tuple[int, int] = (1, 6)
    size: tuple[float, float] = (0.08, 0.4)
    scale: tuple[float, float] = (0.9, 1.1)
    centre_x: tuple[float, float] = (0.05, 0.95)
    centre_y: tuple[float, float] = (0.05, 0.95)
    elevation_degrees: tuple[float, float] = (20.0, 60.0)
    field_of_view_degrees: tuple[float, float] = (35.0, 60.0)
    roll_degrees: tuple[float, float] = (-5.0, 5.0)
    sun_elevation_degrees: tuple[float, float] = (25.0, 80.0)
    sun_strength: tuple[float, float] = (1.0, 3.0)
    ambient: tuple[float, float] = (0.4, 1.0)
    gap: float = 0.03
    distractors: tuple[int, int] = (0, 0)
    noise: tuple[float, float] = (0.0, 4.0)
    blur: tuple[float, float] = (0.0, 0.8)
    jpeg_quality: tuple[int, int] = (70, 95)
    distortion: tuple[float, float] = (0.0, 0.0)
    balance: float = 1.0
    shapes_per_class: int = 60
    min_visible: float = 0.1
    min_pixels: int = 12
    samples: int = 2
    maps: tuple[Map, ...] = ("depth", "normals")
    most_backdrops: int = 200
    content: str | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        for name, (least, most) in LIMITS.items():
            pair = getattr(self, name)
            if not (all(map(math.isfinite, pair)) and least <= pair[0] <= pair[1] <= most):
                raise ValueError(f"expected {name} as a least and a most within {least:g}…{most:g}; got {pair}")
        if not 0 <= self.balance <= 1 or not 0 <= self.min_visible <= 1 or self.min_pixels < 1:
            raise ValueError(
                f"expected balance and min_visible in 0…1 and min_pixels ≥ 1; got {self.balance}, {self.min_visible} "
                f"and {self.min_pixels}"
            )
        if not -0.9 <= self.gap <= 5:
            raise ValueError(f"expected a gap of −0.9…5; got {self.gap}")
        if set(self.maps) - {"depth", "normals"} or len(set(self.maps)) != len(self.maps):
            raise ValueError(f"expected maps out of depth and normals; got {self.maps}")
        if not 1 <= self.samples <= 2 or min(self.most_backdrops, self.shapes_per_class) < 1:
            raise ValueError(
                f"expected 1 or 2 samples, most_backdrops ≥ 1 and shapes_per_class ≥ 1; got {self.samples}, "
                f"{self.most_backdrops} and {self.shapes_per_class}"
            )
        if self.image_size is not None and not (min(self.image_size) >= 16 and max(self.image_size) <= 4096):
            raise ValueError(f"expected an image_size of 16…4096 pixels a side; got {self.image_size}")
        if (self.backdrop == "photos") != (self.backdrop_path is not None):
            raise ValueError(
                f"expected backdrop_path with backdrop: photos, and only then; got {self.backdrop} and "
                f"{self.backdrop_path}"
            )

    def check(self) -> None:
        """Raises :class:`~twinset.errors.MissingExtraError` where numba or trimesh are not installed."""
        from twinset.generators.rendering.extra import check_extra

        check_extra()

    def pinned(self) -> Rendering:
        """The same settings, bound to what is in their folders now (:class:`twinset.stages.PinnedMethod`)."""
        return replace(self, content=self.folders_digest()) if self.folders else self

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that are read: of photos, and of meshes."""
        sources = [self.source(name) for name in sorted(self.shapes)]
        named = [source.folder for source in sources if source is not None]
        return tuple(Path(name).expanduser() for name in (self.backdrop_path, *named) if name is not None)

    def source(self, class_name: str) -> ShapeSource | None:
        """Where a class takes its shapes from; None for one that is not drawn, or that nothing is known of."""
        from twinset.generators.rendering.shapes import family_names

        known = family_names()
        given = self.shapes.get(class_name)
        if given == NOT_DRAWN:
            return None
        if isinstance(given, ShapeSource):
            return given
        if given is not None:
            return ShapeSource(family=given) if given in known else ShapeSource(folder=given)
        lower = class_name.lower()
        return next((ShapeSource(family=own) for own in (lower, lower.rstrip("s")) if own in known), None)

    def folders_digest(self) -> str:
        """sha256 over names and bytes of all files in the folders; :class:`DataError` where there is no folder."""
        total = hashlib.sha256()
        for folder in self.folders:
            if not folder.exists():
                raise DataError(f"{folder}: expected a family, or a folder of files; got neither", hint="correct it")
            files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
            for file in files:
                total.update(f"{file.relative_to(folder)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()

    def fit(self, training: Dataset, *, rng: RandomSource) -> RenderingGenerator:
        """Gathers shapes for the training set's classes, and backdrops.

        :class:`~twinset.errors.DataError` for a class without a family or folder.
        """
        from twinset.generators.rendering.fitting import fit

        return fit(self, training, rng=Stream.of(rng))
