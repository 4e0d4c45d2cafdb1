"""From settings and training pictures to a generator: shapes for the classes, backdrops, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError, TwinsetError
from twinset.generators.copypaste.removal import holes_of, without_objects
from twinset.generators.copypaste.stores import Packer
from twinset.generators.copypaste.unlabelled import unlabelled_alike
from twinset.generators.rendering.backdrops import OPEN_TILE, SURFACES, Backdrops, surface_texture
from twinset.generators.rendering.backends import backend_of
from twinset.generators.rendering.environments import Environment, prepared
from twinset.generators.rendering.generator import RenderingGenerator, Shape
from twinset.generators.rendering.layout import Layouts
from twinset.generators.rendering.materials import TILE
from twinset.generators.rendering.mesh_files import MeshReport, read_mesh
from twinset.generators.rendering.mesh_files.folders import mesh_names
from twinset.generators.rendering.mesh_files.settings import told_together
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.placement import extent
from twinset.generators.rendering.settings import Rendering
from twinset.generators.rendering.shape_sources import ShapeSource
from twinset.images import Pixels, convert_channels, decode
from twinset.instances import Instances
from twinset.paths import expanded, pictures_under
from twinset.randomness import Stream

if TYPE_CHECKING:
    from twinset.generators.rendering.shapes import Family
    from twinset.stages import Parameter

MOST_THINGS = 24
TEXTURES = 4
"""Variants of every procedural texture."""

POOL_BYTES = 400 << 20
SMALLEST = 5e-3
"""Metres: fifty times what a camera is blind to before it."""

LOOKED_AT = 12
"""Training pictures in which things without a label are looked for."""

FEW = 0.1
"""Of the labelled area: what has the objects' colours beside them and is less than that is not told."""


def fit(settings: Rendering, training: Dataset, *, rng: Stream) -> RenderingGenerator:
    """A generator for the training set's classes and task."""
    settings.check()
    if settings.content is not None and settings.folders_digest() != settings.content:
        raise DataError("expected the folders that this recipe was resolved with; got others", hint="start a new run")
    settings.check_training(training.classes, training.task)
    gathered = [shapes_of(name, settings, rng.child("shapes", name)) for name in training.classes]
    for name, (shapes, _) in zip(training.classes, gathered, strict=True):
        _refuse_tiny(name, shapes)
    stock = tuple(shapes for shapes, _ in gathered)
    backdrops, pictures, grey, forgotten = _backdrops(settings, training, rng.child("backdrops"))
    sizes = pictures if settings.image_size is None else np.array([settings.image_size], dtype=np.int64)
    return RenderingGenerator(
        settings=settings,
        classes=training.classes,
        task=training.task,
        sizes=sizes,
        shapes=stock,
        shares=_shares(settings, training, stock),
        backdrops=backdrops,
        things=_things(settings, rng.child("things")),
        grey=grey,
        layouts=_layouts(settings, training, pictures, stock),
        remarks=(
            *_remarks(training, stock),
            *forgotten,
            *_about_backend(settings),
            *_about_meshes(training, [reports for _, reports in gathered]),
        ),
    )


Stock = tuple[tuple[Shape, ...], tuple[MeshReport, ...]]
"""The shapes of a class, and what was found in the files they were read from."""


def shapes_of(name: str, settings: Rendering, rng: Stream) -> Stock:
    """The shapes of one class: drawn from its family, or read from its folder."""
    from twinset.generators.rendering.shapes import FAMILIES, built, draw, shape_id

    source = settings.source(name)
    if source is None:
        return (), ()
    if source.folder is not None:
        return _from_files(source, settings.shapes_per_class)
    family = source.held_family()
    found = []
    for number in range(settings.shapes_per_class):
        values = draw(family, rng=rng.child("shape", number))
        mesh = built(family, values) if family.name in FAMILIES else _built_elsewhere(name, family, values)
        found.append(Shape(mesh, shape_id(family, values), values))
    return tuple(found), ()


def _built_elsewhere(name: str, family: Family, values: Mapping[str, Parameter]) -> Mesh:
    """The mesh of a family of another package; :class:`DataError` says whose fault it is where there is none."""
    from twinset.generators.rendering.shapes import built

    try:
        mesh = built(family, values)
        if not isinstance(mesh, Mesh):
            raise TypeError(f"expected a Mesh; got {type(mesh).__name__}")
    except TwinsetError:
        raise
    except Exception as error:  # code of others may raise anything
        raise DataError(
            f"shapes.{name}: expected a mesh of family {family.name} with {dict(values)}; got "
            f"{type(error).__name__}: {error}",
            hint="this family is of another package",
        ) from error
    return mesh


def _refuse_tiny(name: str, shapes: Sequence[Shape]) -> None:
    """:class:`DataError` for shapes so small that the camera would stand nearer to them than it can see."""
    for shape in shapes:
        if (size := extent(shape.mesh)) < SMALLEST:
            raise DataError(
                f"shapes.{name}: expected shapes that span at least {SMALLEST * 1000:g} mm; got {shape.shape_id} of "
                f"{size * 1000:.2g} mm",
                hint="scale or height_metres makes it larger: pictures do not depend on it, depth and poses do",
            )


def _from_files(source: ShapeSource, most: int) -> Stock:
    """At most ``most`` meshes of a folder, evenly among its files in their order."""
    assert source.folder is not None
    path = expanded(source.folder)
    if path.is_file():
        mesh, report = read_mesh(path, source.reading)
        return (Shape(mesh, path.name, frame=report.frame),), (report,)
    names = mesh_names(path)
    chosen = names if len(names) <= most else [names[k * len(names) // most] for k in range(most)]
    read = [(name, *read_mesh(path / name, source.reading, within=path)) for name in chosen]
    shapes = tuple(Shape(mesh, name, frame=report.frame) for name, mesh, report in read)
    return shapes, tuple(report for *_, report in read)


def _layouts(
    settings: Rendering, training: Dataset, sizes: NDArray[np.int64], stock: tuple[tuple[Shape, ...], ...]
) -> Layouts | None:
    """The boxes of training pictures, of classes with shapes; None where there are none to follow."""
    drawn = np.flatnonzero([bool(shapes) for shapes in stock])
    seen = {} if training.task == "classification" else training.object_class_counts()
    if not settings.follow and not any(seen.get(training.classes[at]) for at in drawn.tolist()):
        return None
    return Layouts.of(training, sizes, drawn)


def _shares(settings: Rendering, training: Dataset, stock: tuple[tuple[Shape, ...], ...]) -> NDArray[np.float64]:
    """(C,) how often each class is drawn; 0 where it has no shapes."""
    drawn = np.array([bool(shapes) for shapes in stock], dtype=np.float64)
    counts = drawn
    if training.task != "classification":
        counted = training.object_class_counts()
        seen = drawn * np.array([counted.get(name, 0) for name in training.classes], dtype=np.float64)
        counts = seen if seen.sum() else drawn
    return np.asarray(settings.balance * drawn / drawn.sum() + (1 - settings.balance) * counts / counts.sum())


def _things(settings: Rendering, rng: Stream) -> tuple[Shape, ...]:
    """Unlabelled primitives, where any are wanted."""
    from twinset.generators.rendering.shapes import FAMILIES, built, draw, shape_id

    if not settings.distractors[1]:
        return ()
    family = FAMILIES["primitive"]
    drawn = [draw(family, rng=rng.child("thing", number)) for number in range(MOST_THINGS)]
    return tuple(Shape(built(family, values), shape_id(family, values)) for values in drawn)


def _backdrops(
    settings: Rendering, training: Dataset, rng: Stream
) -> tuple[Backdrops, NDArray[np.int64], bool, tuple[str, ...]]:
    """Backdrops, the sizes (N, 2) of the training pictures, whether these are all grey, and what to say of them."""
    sizes, grey = [], True
    chosen = np.arange(len(training))
    if len(training) > settings.most_backdrops:
        chosen = rng.numpy().choice(chosen, settings.most_backdrops, replace=False)
    wanted = frozenset(chosen.tolist()) if settings.backdrop == "training" else frozenset()
    packer, ids = Packer(limit_bytes=POOL_BYTES), []
    areas: list[tuple[int, int]] = []
    for row, sample in enumerate(training):
        pixels = sample.pixels()
        sizes.append(pixels.shape[:2])
        grey &= pixels.shape[2] == 1
        if row not in wanted:
            continue
        pixels = convert_channels(pixels, 3)
        annotation = sample.annotation
        objects = annotation.instances if annotation is not None else None
        if isinstance(objects, Instances) and len(objects):
            holes, alike = _holes(pixels, objects, looked=settings.fill == "alike" or len(areas) < LOOKED_AT)
            areas.append((int(holes.sum()), int(alike.sum())))
            pixels = without_objects(pixels, holes | alike if settings.fill == "alike" else holes)
        packer.add(pixels)
        ids.append(sample.id)
    lights: tuple[NDArray[np.float64], ...] = ()
    if settings.backdrop_path is not None:
        whole = settings.backdrop == "environment"
        lights = _add_photos(packer, expanded(settings.backdrop_path), settings.most_backdrops, whole=whole)
    pictures = packer.done() if settings.backdrop in ("training", "photos", "environment") else None
    textures = _textures(settings, rng.child("textures"))
    backdrops = Backdrops(settings.backdrop, pictures, tuple(ids), textures, lights)
    forgotten = _about_forgotten(settings, areas[:LOOKED_AT])
    return backdrops, np.array(sizes, dtype=np.int64), grey, forgotten


def _holes(pixels: Pixels, objects: Instances, *, looked: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where labelled objects are, and, where that is ``looked`` for, what is like them."""
    masks = [None if mask is None else mask.dense() for mask in objects.masks or (None,) * len(objects)]
    holes = holes_of(objects.size, objects.boxes, masks)
    return holes, unlabelled_alike(pixels, holes, objects) if looked else np.zeros_like(holes)


def _about_forgotten(settings: Rendering, areas: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What looks like objects and has no label: told where it is some, but not more than what has one."""
    labelled, alike = np.sum(areas, axis=0) if areas else (0, 0)
    if settings.fill == "alike" or not FEW * labelled <= alike <= labelled or not labelled:
        return ()
    return (
        f"Beside the labelled objects, {alike / labelled:.0%} of their area has their colours. If objects without a "
        "label stand there, a detector may learn from such backdrops to leave real ones alone: `fill: alike` fills "
        "them in too.",
    )


def _add_photos(packer: Packer, folder: Path, most: int, *, whole: bool) -> tuple[NDArray[np.float64], ...]:
    """Adds a folder's pictures; of those that show all directions (``whole``), the light."""
    files = pictures_under(folder)[:most]
    if not files:
        raise DataError(f"{folder}: expected pictures; got none", hint="correct backdrop_path")
    lights = []
    for file in files:
        pixels = convert_channels(decode(file.read_bytes(), name=str(file)), 3)
        if whole:
            try:
                pixels = prepared(pixels)
                lights.append(Environment(pixels).light)
            except ValueError as error:
                raise DataError(f"{file}: {error}", hint="take it out of backdrop_path, or use photos") from error
        packer.add(pixels)
    return tuple(light for light in lights if light is not None)


def _textures(settings: Rendering, rng: Stream) -> tuple[tuple[str, Pixels], ...]:
    names = SURFACES.get(settings.backdrop, ())
    size = TILE if settings.backdrop == "room" else OPEN_TILE
    wanted = [(name, number) for name in names for number in range(TEXTURES)]
    return tuple((name, surface_texture(name, rng=rng.child(name, number), size=size)) for name, number in wanted)


def _about_backend(settings: Rendering) -> tuple[str, ...]:
    told = backend_of(settings.backend).remark()
    return (told,) if told else ()


def _remarks(training: Dataset, stock: tuple[tuple[Shape, ...], ...]) -> tuple[str, ...]:
    told = [f"{len(shapes)} of {name}" for name, shapes in zip(training.classes, stock, strict=True) if shapes]
    missing = [name for name, shapes in zip(training.classes, stock, strict=True) if not shapes]
    left = (f"Not drawn, as the settings say: {', '.join(missing)}.",) if missing else ()
    return (f"Shapes: {', '.join(told)}.", *left)


def _about_meshes(training: Dataset, reports: Sequence[Sequence[MeshReport]]) -> tuple[str, ...]:
    """What is odd about the meshes of each class that has some."""
    told = zip(training.classes, map(told_together, reports), strict=True)
    return tuple(f"Meshes of {name}: {'; '.join(found)}." for name, found in told if found)
