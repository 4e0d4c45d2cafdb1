"""What can be chosen about rendered scenes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from twinset.choices import check_choices
from twinset.dataset import Dataset, Task
from twinset.errors import DataError
from twinset.generators.copypaste.settings import Fill
from twinset.generators.rendering.backends import EMBEDDED, Quality, backend_of, refuse_backend
from twinset.generators.rendering.shape_sources import (
    ShapeSource,
    refuse_absent,
    refuse_classes,
    source_of,
    with_folders,
)
from twinset.paths import expanded
from twinset.randomness import RandomSource, Stream

if TYPE_CHECKING:
    from twinset.generators.rendering.generator import RenderingGenerator

Map = Literal["depth", "normals"]
Backdrop = Literal["training", "photos", "environment", "room", "road", "field", "slide", "white"]
Follow = Literal["position", "area", "aspect", "count"]
MOST_SHAPES = 10_000
"""Of a class: all are made, and held, at the fit."""

FOLLOWED: tuple[Follow, ...] = get_args(Follow)

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


@dataclass(frozen=True)
class Rendering:
    """Scenes of meshes in front of a backdrop, drawn with exact labels.

    ``shapes`` maps classes to the name of a parametric family (``chair``, ``car`` …), to a folder of meshes (glTF, OBJ,
    PLY, STL), or to a :class:`ShapeSource`; a class that is not named takes the family of its own name, and one with
    ``none`` is not drawn.
    ``placement``: objects rest on the ground, turned about the vertical and apart from each other, or are ``free`` in
    space and turned anyhow (the naive baseline). ``backdrop``: training pictures with their objects filled in, a folder
    of ``photos`` (``backdrop_path``), an ``environment`` out of a folder of equirectangular photographs, which also
    lights the objects, a procedural place, or white; over pictures the ground shows as the shadows that fall on it.
    ``fill``: of training pictures the labelled objects are filled in, or also what has their colours (``alike``).

    ``gap`` is what lies at least between the footprints of two objects on the ground, in shares of the larger one's
    longer side; below 0 they may overlap by so much, the later ones a little above the earlier.

    Each pair is a least and a most, drawn evenly for every picture (``scale`` for every object): ``count`` objects;
    ``size``, what a typical object of the scene spans of the picture's longer side where the camera looks; ``centre_x``
    and ``centre_y`` of objects in shares of the picture; ``elevation_degrees`` of the camera above the ground (90 looks
    straight down), its ``field_of_view_degrees`` and ``roll_degrees``; ``sun_elevation_degrees``, ``sun_strength`` and
    ``ambient`` light, in units of the picture's white (matte white that faces the sun shows, linear, ambient · (1 + ⅓
    its height) + sun_strength / π: below 1 in nine of ten pictures of the default ranges); unlabelled ``distractors``;
    of the sensor ``noise`` (standard deviation in levels of 255),
    ``blur`` (pixels), ``jpeg_quality`` and radial ``distortion`` (k1 at the picture's half diagonal).

    ``follow`` names what objects take from the boxes of the training pictures in place of those ranges: ``position``,
    ``area``, ``aspect`` (by the turn about the vertical), and ``count`` of which class. Boxes are drawn by class from
    all training pictures, smoothed; objects must rest on the ground.

    The share ``close_ups`` of the pictures shows one object, with up to two more, so near that it spans .4 to .8 of
    the longer side, often cut by the picture's edge; whatever the ranges, ``follow`` or a configuration say of size,
    place and number.

    ``image_size`` (height, width) is that of the training pictures where it is None. ``balance`` is the share of
    objects whose class is drawn evenly, else as often as in training. Of every class ``shapes_per_class`` shapes are
    built or read, and drawn evenly. An object of which less than ``min_visible`` is seen, or fewer than ``min_pixels``,
    is taken out of the scene. ``samples`` per pixel and axis smooth the picture, not the labels. ``backend`` names who
    draws it: ``embedded``, ``mitsuba``, ``blender``, or a plug-in; ``samples_per_pixel`` are the paths that a path
    tracer follows, and ``denoise`` whether it smooths what they leave (None: as it sees fit). ``maps`` are
    kept for every pixel, with the camera (none: only what the task needs). ``content`` is the
    digest of the folders named here (None: whatever is in them); a run fills it in.
    """

    shapes: Mapping[str, str | ShapeSource] = field(default_factory=dict)
    placement: Literal["surface", "free"] = "surface"
    backdrop: Backdrop = "training"
    backdrop_path: str | None = None
    fill: Fill = "labelled"
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
    sun_strength: tuple[float, float] = (0.8, 2.0)
    ambient: tuple[float, float] = (0.2, 0.4)
    follow: tuple[Follow, ...] = ()
    close_ups: float = 0.0
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
    backend: str = EMBEDDED
    samples_per_pixel: int | None = None
    denoise: bool | None = None
    maps: tuple[Map, ...] = ("depth", "normals")
    most_backdrops: int = 200
    content: str | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        for name, (least, most) in LIMITS.items():
            pair = getattr(self, name)
            if not (all(map(math.isfinite, pair)) and least <= pair[0] <= pair[1] <= most):
                raise ValueError(f"expected {name} as a least and a most within {least:g}…{most:g}; got {pair}")
        if not 0 <= self.close_ups <= 1:
            raise ValueError(f"expected close_ups as a share of 0…1; got {self.close_ups}")
        if not 0 <= self.balance <= 1 or not 0 <= self.min_visible <= 1 or self.min_pixels < 1:
            raise ValueError(
                f"expected balance and min_visible in 0…1 and min_pixels ≥ 1; got {self.balance}, {self.min_visible} "
                f"and {self.min_pixels}"
            )
        if not -0.9 <= self.gap <= 5:
            raise ValueError(f"expected a gap of −0.9…5; got {self.gap}")
        if set(self.follow) - set(FOLLOWED) or len(set(self.follow)) != len(self.follow):
            raise ValueError(f"expected follow out of {', '.join(FOLLOWED)}, each once; got {self.follow}")
        if self.follow and self.placement == "free":
            raise ValueError(f"expected placement: surface with follow; got free and {', '.join(self.follow)}")
        if set(self.maps) - {"depth", "normals"} or len(set(self.maps)) != len(self.maps):
            raise ValueError(f"expected maps out of depth and normals; got {self.maps}")
        if not 1 <= self.samples <= 2 or self.most_backdrops < 1 or not 1 <= self.shapes_per_class <= MOST_SHAPES:
            raise ValueError(
                f"expected 1 or 2 samples, most_backdrops ≥ 1 and shapes_per_class of 1…{MOST_SHAPES}; got "
                f"{self.samples}, {self.most_backdrops} and {self.shapes_per_class}"
            )
        refuse_backend(self.backend, self.quality)
        if self.image_size is not None and not (min(self.image_size) >= 16 and max(self.image_size) <= 4096):
            raise ValueError(f"expected an image_size of 16…4096 pixels a side; got {self.image_size}")
        if not max(self.sun_strength[1], self.ambient[1]) > 0:
            raise ValueError("expected sun_strength or ambient above 0; got 0 for both, which draws every object black")
        if (self.backdrop in ("photos", "environment")) != (self.backdrop_path is not None) or self.backdrop_path == "":
            raise ValueError(
                f"expected backdrop_path with backdrop: photos or environment, and only then; got {self.backdrop} and "
                f"{self.backdrop_path!r}"
            )

    def check(self) -> None:
        """Raises :class:`~twinset.errors.MissingExtraError` where the backend lacks something."""
        backend_of(self.backend).check(self.quality)

    @property
    def quality(self) -> Quality:
        """How well scenes are drawn."""
        return Quality(self.samples, self.samples_per_pixel, self.denoise)

    def check_training(self, classes: Sequence[str], task: Task) -> None:
        """:class:`DataError` for classes and tasks that it cannot draw (:class:`twinset.stages.ParticularMethod`).

        And where a folder that is named here is not there, or holds nothing of use.
        """
        if task == "semantic-segmentation":
            raise DataError("expected a task with objects; got semantic-segmentation", hint="use copypaste")
        refuse_classes(self.shapes, classes, every=task == "classification")
        refuse_absent(self.shapes)
        if self.backdrop_path is not None and not expanded(self.backdrop_path).is_dir():
            raise DataError(
                f"backdrop_path: expected a folder of pictures; got {self.backdrop_path}, which is none",
                hint="correct the name",
            )

    def bounds(self, measures: Sequence[str] | None = None) -> Mapping[str, tuple[float, float]]:
        """What a configuration may say (:class:`twinset.stages.BoundedMethod`)."""
        from twinset.generators.rendering.drawing import STEERED, space_of, steered_by

        return space_of(STEERED if measures is None else steered_by(measures))

    @staticmethod
    def with_paths(settings: Mapping[str, object], change: Callable[[str], str]) -> dict[str, object]:
        """Settings as they stand in a recipe, with every folder of meshes changed."""
        shapes = settings.get("shapes")
        return {**settings, "shapes": with_folders(shapes, change)} if isinstance(shapes, Mapping) else dict(settings)

    @staticmethod
    def keeps_pixels(settings: Mapping[str, object]) -> bool:
        """Of settings as they stand in a recipe: whether training pictures stand behind the objects."""
        return settings.get("backdrop", Rendering.backdrop) == "training"

    def pinned(self) -> Rendering:
        """The same settings, bound to what is in their folders now (:class:`twinset.stages.PinnedMethod`)."""
        return replace(self, content=self.folders_digest()) if self.folders else self

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that are read: of photos, and of meshes."""
        sources = [self.source(name) for name in sorted(self.shapes)]
        named = [source.folder for source in sources if source is not None]
        return tuple(expanded(name) for name in (self.backdrop_path, *named) if name is not None)

    def source(self, class_name: str) -> ShapeSource | None:
        """Where a class takes its shapes from; None for one that is not drawn, or that nothing is known of."""
        return source_of(class_name, self.shapes)

    def folders_digest(self) -> str:
        """sha256 over names and bytes of all files in the folders; :class:`DataError` where there is no folder.

        Of a single mesh it is over the files that it names, too.
        """
        total = hashlib.sha256()
        for folder in self.folders:
            if not folder.exists():
                raise DataError(f"{folder}: expected a family, or a folder of files; got neither", hint="correct it")
            for name, digest in _digests(folder).items():
                total.update(f"{name}\0{digest}\n".encode())
        return total.hexdigest()

    def fit(self, training: Dataset, *, rng: RandomSource) -> RenderingGenerator:
        """Gathers shapes for the training set's classes, and backdrops.

        :class:`~twinset.errors.DataError` for a class without a family or folder.
        """
        from twinset.generators.rendering.fitting import fit

        return fit(self, training, rng=Stream.of(rng))


def _digests(place: Path) -> Mapping[str, str]:
    """sha256 of every file that is read of a folder, or of one mesh file, by its name there."""
    from twinset.generators.rendering.mesh_files import MESH_SUFFIXES, MeshSettings, read_mesh

    if place.is_file() and place.suffix.lower() in MESH_SUFFIXES:
        return read_mesh(place, MeshSettings(missing_textures="plain"))[1].files
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return {str(file.relative_to(place)): _digest(file) for file in files}


def _digest(file: Path) -> str:
    """sha256 of a file, however large; :class:`DataError` where it cannot be read."""
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file}: expected a file that can be read; got {error.strerror or error}") from error
