"""Metadata of real images: features of pictures and of objects by every extractor, and what follows from them.

A benchmark of extractors by itself: each measure names the extractor that foretells it best, and how well the others
did. Objects are looked at as crops, with a little of their surroundings and where they are; pictures as a whole and by
the mean of their objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference import Inference, InferenceSettings, infer, inferred_measures
from twinset.alignment.metadata import MEASURES, Measures, measure
from twinset.crops import crop_batches, crop_owners, objects_of
from twinset.dataset import Dataset, Sample
from twinset.embedding.embedder import embed_dataset, embed_stream
from twinset.errors import DataError
from twinset.images import ImageSpec
from twinset.randomness import Stream
from twinset.stages import Embedder
from twinset.threads import torch_threads

Features = dict[str, NDArray[np.float64]]

CROP_SIDE = 48
MARGINS = {"crops": 0.1, "surroundings": 0.5}
"""Two looks at an object: itself, and what is around it, in shares of its sides."""

WHOLE_SIDE = 128
PICTURES = ("camera_elevation_degrees", "sun_elevation_degrees", "sun_strength", "ambient", "brightness")
OBJECTS = (
    "distance_metres",
    "visible_fraction",
    "occlusion",
    "background_similarity",
    "box_brightness",
)
SHAPE = "shape_id"
MOST_SHAPES = 40
"""Of more different shapes than this the families are told apart, and not the shapes."""


@dataclass(frozen=True, eq=False)
class Looked:
    """Features of a dataset's N pictures and M objects by extractor; ``rows`` (M,) whose each object is."""

    pictures: Features
    objects: Features
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Check:
    """A measure that real pictures show themselves: root mean square errors there, and held out, on its scale."""

    measure: str
    error: float
    held_out: float

    @property
    def sentence(self) -> str:
        """Both errors in words."""
        return (
            f"Check: {self.measure} can be measured on the real pictures; inferred, it is off by {self.error:.3g} "
            f"there, and by {self.held_out:.3g} on held-out synthetic ones."
        )


@dataclass(frozen=True, eq=False)
class InferredMetadata:
    """What was found of pictures and of objects of ``real`` (None: nothing could be looked at).

    ``checks`` are of measures that real pictures show themselves: if those are off, the others may be.
    """

    pictures: Inference | None
    objects: Inference | None
    real: Dataset
    checks: tuple[Check, ...] = ()

    @property
    def found(self) -> tuple[Inference, ...]:
        """Both, where they are there."""
        return tuple(one for one in (self.pictures, self.objects) if one is not None)

    def measures(self) -> Measures:
        """The restored values, for targets and distances; ``ValueError`` where nothing is inferable."""
        rows, class_ids = crop_owners(self.real)
        return inferred_measures(
            pictures=self.pictures,
            objects=self.objects,
            images=len(self.real),
            image_rows=rows,
            class_ids=class_ids,
            classes=self.real.classes,
        )


def look_at(dataset: Dataset, embedders: Sequence[Embedder], *, crop_side: int = CROP_SIDE) -> Looked:
    """Features by all extractors; objects carry where and how large they are, pictures how many they have."""
    rows, _ = crop_owners(dataset)
    with torch_threads(1):
        whole = {
            each.name: embed_dataset(each, dataset, spec=ImageSpec(WHOLE_SIDE, WHOLE_SIDE, 3)).astype(np.float64)
            for each in embedders
        }
        objects: Features = {}
        if len(rows):
            places = _places(dataset)
            objects["boxes alone"] = places
            for each in embedders:
                for look, margin in MARGINS.items():
                    seen = embed_stream(each, crop_batches(dataset, side=crop_side, margin=margin))
                    objects[f"{each.name}, {look}"] = np.concatenate([seen.astype(np.float64), places], axis=1)
    counts = np.bincount(rows, minlength=len(dataset)).astype(np.float64)[:, None]
    means = {
        f"{name}, mean of objects": np.concatenate([_means(part, rows, len(dataset)), counts], axis=1)
        for name, part in objects.items()
        if name.endswith("crops")
    }
    return Looked({**whole, **means}, objects, rows)


def known_values(dataset: Dataset) -> tuple[dict[str, NDArray[np.generic]], dict[str, NDArray[np.generic]]]:
    """What is known of a synthetic dataset's pictures and objects, on the measures' scales; shapes as classes."""
    held = measure(dataset, measures=(*PICTURES, *OBJECTS))
    scaled = {name: MEASURES[name].scaled(held.columns[name]) for name in held.columns}
    shapes = [shape for sample in dataset for shape in _shapes(sample)]
    objects: dict[str, NDArray[np.generic]] = {name: scaled[name] for name in OBJECTS}
    if len(set(shapes) - {None}) > MOST_SHAPES:
        shapes = [None if shape is None else shape.rpartition("/")[0] or shape for shape in shapes]
    objects[SHAPE] = np.array(shapes, dtype=object)
    return {name: scaled[name] for name in PICTURES}, objects


def infer_metadata(
    synthetic: Dataset,
    real: Dataset,
    *,
    embedders: Sequence[Embedder],
    rng: Stream,
    settings: InferenceSettings | None = None,
    families: NDArray[np.integer] | None = None,
) -> InferredMetadata:
    """Infers what synthetic pictures say of themselves on real ones, whose objects have boxes.

    ``families`` (N,) of the real pictures stay together in comparisons. ``DataError`` where neither pictures nor
    objects say anything.
    """
    settings = settings or InferenceSettings()
    made, seen = look_at(synthetic, embedders), look_at(real, embedders)
    of_pictures, of_objects = known_values(synthetic)
    family = np.arange(len(real)) if families is None else np.asarray(families)
    pictures = _inferred(
        made.pictures, of_pictures, seen.pictures, np.arange(len(synthetic)), family, settings, rng.child("pictures")
    )
    objects = None
    if len(seen.rows) and len(made.rows):
        objects = _inferred(
            made.objects, of_objects, seen.objects, made.rows, family[seen.rows], settings, rng.child("objects")
        )
    if pictures is None and objects is None:
        raise DataError(
            "expected synthetic pictures that say how they were made; got none that do",
            hint="take rendered ones, stored as Parquet, WebDataset or HDF5",
        )
    found = tuple(one for one in (pictures, objects) if one is not None)
    return InferredMetadata(pictures, objects, real, tuple(_checks(found, real)))


def _checks(found: Sequence[Inference], real: Dataset) -> Iterator[Check]:
    """Of the inferable measures those that need pixels alone, measured."""
    inferable = {one.measure: one for each in found for one in each.measures if one.predictions is not None}
    names = [name for name in inferable if name in MEASURES and MEASURES[name].source == "pixels"]
    if not names:
        return
    held = measure(real, measures=names)
    for name in names:
        values, predicted = MEASURES[name].scaled(held.columns[name]), inferable[name].predictions
        known = np.isfinite(values)
        if predicted is not None and known.any():
            error = float(np.sqrt(((predicted - values)[known] ** 2).mean()))
            yield Check(name, error, inferable[name].synthetic_error)


def _inferred(
    features: Features,
    values: Mapping[str, NDArray[np.generic]],
    real: Features,
    groups: NDArray[np.int64],
    real_groups: NDArray[np.integer],
    settings: InferenceSettings,
    rng: Stream,
) -> Inference | None:
    """None where no value is known, or an extractor is missing on a side (no objects)."""
    shared = [name for name in features if name in real]
    told = {name: column for name, column in values.items() if _says(column)}
    if not told or not shared:
        return None
    try:
        return infer(
            {name: features[name] for name in shared},
            told,
            {name: real[name] for name in shared},
            groups=groups,
            real_groups=real_groups,
            settings=settings,
            rng=rng,
        )
    except ValueError as error:
        raise DataError(str(error), hint="give more pictures on both sides") from error


def _shapes(sample: Sample) -> list[str | None]:
    """The shape of every object but crowds, None where nothing is said."""
    instances = objects_of(sample)
    found = instances.take(~instances.is_crowd).shape_ids
    return [shape if isinstance(shape, str) else None for shape in found]


def _says(column: NDArray[np.generic]) -> bool:
    if np.issubdtype(column.dtype, np.floating):
        return bool(np.isfinite(column.astype(np.float64)).any())
    return any(value is not None for value in column.tolist())


def _places(dataset: Dataset) -> NDArray[np.float64]:
    """(M, 14) log area, log aspect, centre of each object's box, and their products."""
    held = measure(dataset, pixels=False, measures=("box_area", "aspect_ratio", "centre_x", "centre_y"))
    plain = np.stack([MEASURES[name].scaled(column) for name, column in held.columns.items()], axis=1)
    products = [plain[:, i] * plain[:, j] for i in range(4) for j in range(i, 4)]
    return np.concatenate([plain, np.stack(products, axis=1)], axis=1)


def _means(features: NDArray[np.float64], rows: NDArray[np.int64], images: int) -> NDArray[np.float64]:
    """(N, D) mean of each picture's objects; pictures without any get the mean of all."""
    counts = np.bincount(rows, minlength=images)
    sums = np.zeros((images, features.shape[1]))
    np.add.at(sums, rows, features)
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], features.mean(axis=0))
