"""From settings and training pictures to a generator: shapes for the classes, backdrops, sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.generators.copypaste.removal import holes_of, without_objects
from twinset.generators.copypaste.stores import Packer
from twinset.generators.rendering.backdrops import SURFACES, Backdrops, surface_texture
from twinset.generators.rendering.generator import RenderingGenerator, Shape
from twinset.generators.rendering.settings import NOT_DRAWN, Rendering, ShapeSource, Value
from twinset.images import SUFFIXES, Pixels, convert_channels, decode
from twinset.instances import Instances
from twinset.randomness import Stream

if TYPE_CHECKING:
    from twinset.generators.rendering.shapes import Choice, Family, Number

MOST_THINGS = 24
TEXTURES = 4
"""Variants of every procedural texture."""

POOL_BYTES = 400 << 20


def fit(settings: Rendering, training: Dataset, *, rng: Stream) -> RenderingGenerator:
    """A generator for the training set's classes and task."""
    settings.check()
    if settings.content is not None and settings.folders_digest() != settings.content:
        raise DataError("expected the folders that this recipe was resolved with; got others", hint="start a new run")
    if training.task == "semantic-segmentation":
        raise DataError("expected a task with objects; got semantic-segmentation", hint="use copypaste")
    stock = tuple(shapes_of(name, settings, rng.child("shapes", name)) for name in training.classes)
    if not any(stock):
        raise DataError("expected shapes for at least one class; got none for all", hint="correct shapes")
    backdrops, sizes, grey = _backdrops(settings, training, rng.child("backdrops"))
    if settings.image_size is not None:
        sizes = np.array([settings.image_size], dtype=np.int64)
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
        remarks=_remarks(training, stock),
    )


def shapes_of(name: str, settings: Rendering, rng: Stream) -> tuple[Shape, ...]:
    """The shapes of one class: drawn from its family, or read from its folder."""
    from twinset.generators.rendering.shapes import built, draw, family_names, shape_id

    if settings.shapes.get(name) == NOT_DRAWN:
        return ()
    source = settings.source(name)
    if source is None:
        raise DataError(
            f"expected a family or a folder of meshes for class {name!r}; got neither",
            hint=f"shapes: {{{name}: …}} with one of {', '.join(family_names())}, a folder, or none (not drawn)",
        )
    if source.folder is not None:
        return _from_files(source, settings.shapes_per_class)
    family = _family(source, name)
    found = []
    for number in range(settings.shapes_per_class):
        values = draw(family, rng=rng.child("shape", number))
        found.append(Shape(built(family, values), shape_id(family, values)))
    return tuple(found)


def _family(source: ShapeSource, name: str) -> Family:
    """The family that a source names, with its limits."""
    from twinset.generators.rendering.shapes import Narrowed, family_of

    assert source.family is not None
    family = family_of(source.family)
    if not source.limits:
        return family
    try:
        return Narrowed(family, {key: _limit(values) for key, values in source.limits.items()})
    except ValueError as error:
        raise DataError(str(error), hint=f"correct the limits of class {name!r}") from error


def _limit(values: tuple[Value, ...]) -> Number | Choice:
    from twinset.generators.rendering.shapes import Choice, Number

    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) == 2:
        return Number(float(numbers[0]), float(numbers[1]))
    return Choice(tuple(value if not isinstance(value, float) else str(value) for value in values))


def _from_files(source: ShapeSource, most: int) -> tuple[Shape, ...]:
    """At most ``most`` meshes of a folder, evenly among its files in their order."""
    from twinset.generators.rendering.mesh_files import MeshSettings, read_mesh
    from twinset.generators.rendering.mesh_files.folders import mesh_names

    assert source.folder is not None
    path = Path(source.folder).expanduser()
    reading = MeshSettings(up=source.up, scale=source.scale, height_metres=source.height_metres)
    if path.is_file():
        return (Shape(read_mesh(path, reading)[0], path.name),)
    if not path.is_dir():
        raise DataError(f"{path}: expected a family or a folder of meshes; got neither", hint="correct the name")
    names = mesh_names(path)
    chosen = names if len(names) <= most else [names[k * len(names) // most] for k in range(most)]
    return tuple(Shape(read_mesh(path / name, reading, within=path)[0], name) for name in chosen)


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


def _backdrops(settings: Rendering, training: Dataset, rng: Stream) -> tuple[Backdrops, NDArray[np.int64], bool]:
    """Backdrops, the sizes (N, 2) of the training pictures, and whether these are all grey."""
    sizes, grey = [], True
    chosen = np.arange(len(training))
    if len(training) > settings.most_backdrops:
        chosen = rng.numpy().choice(chosen, settings.most_backdrops, replace=False)
    wanted = frozenset(chosen.tolist()) if settings.backdrop == "training" else frozenset()
    packer, ids = Packer(limit_bytes=POOL_BYTES), []
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
            masks = [None if mask is None else mask.dense() for mask in objects.masks or (None,) * len(objects)]
            pixels = without_objects(pixels, holes_of(pixels.shape[:2], objects.boxes, masks))
        packer.add(pixels)
        ids.append(sample.id)
    if settings.backdrop == "photos":
        assert settings.backdrop_path is not None
        _add_photos(packer, Path(settings.backdrop_path).expanduser(), settings.most_backdrops)
    pictures = packer.done() if settings.backdrop in ("training", "photos") else None
    textures = _textures(settings, rng.child("textures"))
    return Backdrops(settings.backdrop, pictures, tuple(ids), textures), np.array(sizes, dtype=np.int64), grey


def _add_photos(packer: Packer, folder: Path, most: int) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:most]
    if not files:
        raise DataError(f"{folder}: expected pictures; got none", hint="correct backdrop_path")
    for file in files:
        packer.add(convert_channels(decode(file.read_bytes(), name=str(file)), 3))


def _textures(settings: Rendering, rng: Stream) -> tuple[tuple[str, Pixels], ...]:
    names = SURFACES.get(settings.backdrop, ())
    wanted = [(name, number) for name in names for number in range(TEXTURES)]
    return tuple((name, surface_texture(name, rng=rng.child(name, number))) for name, number in wanted)


def _remarks(training: Dataset, stock: tuple[tuple[Shape, ...], ...]) -> tuple[str, ...]:
    told = [f"{len(shapes)} of {name}" for name, shapes in zip(training.classes, stock, strict=True) if shapes]
    missing = [name for name, shapes in zip(training.classes, stock, strict=True) if not shapes]
    left = (f"Not drawn, as the settings say: {', '.join(missing)}.",) if missing else ()
    return (f"Shapes: {', '.join(told)}.", *left)
