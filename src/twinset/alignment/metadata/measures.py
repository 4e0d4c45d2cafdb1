"""Measures of pictures and objects: what a generator should get right beside the pixels.

One pass over a dataset, a picture at a time: memory beside the columns does not grow with the number of pictures.
Measures of boxes come from the dataset's columns and touch no picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.alignment.metadata.image_measures import TEXTURE, texture
from twinset.alignment.metadata.object_measures import (
    GEOMETRY,
    background_similarities,
    box_overlaps,
    geometry,
    mask_overlaps,
    visible_fractions,
)
from twinset.alignment.metadata.scene_measures import OF_OBJECTS, OF_SCENES, scene_values
from twinset.dataset import Dataset, Sample
from twinset.formats.threads import ordered_map
from twinset.instances import Instances

Values = NDArray[np.float64]

Level = Literal["image", "object"]


@dataclass(frozen=True)
class Measure:
    """A measure by name: of an image or an object, on which ``scale`` it is compared, and what it is read from.

    ``scene`` is what the maker of a picture said of it. ``log`` is for what varies by factors. ``step`` is the least
    difference between two values (1 for counts).
    """

    name: str
    level: Level
    scale: Literal["linear", "log"]
    source: Literal["boxes", "masks", "pixels", "scene"]
    step: float = 0.0

    def scaled(self, values: Values) -> Values:
        """Values on this measure's scale; of zero and below there is no logarithm: NaN."""
        if self.scale == "linear":
            return values
        return np.log(np.where(values > 0, values, np.nan))

    def original(self, scaled: float) -> float:
        """One value on the scale back in the measure's own unit."""
        return float(scaled if self.scale == "linear" else np.exp(scaled))


def _table() -> Mapping[str, Measure]:
    log = {"sharpness", "box_area", "box_area_px", "aspect_ratio", *OF_OBJECTS}
    rows = [Measure(name, "image", "log" if name in log else "linear", "pixels") for name in TEXTURE]
    rows.append(Measure("count", "image", "linear", "boxes", step=1.0))
    rows += [Measure(name, "object", "log" if name in log else "linear", "boxes") for name in GEOMETRY]
    rows.append(Measure("box_overlap", "object", "linear", "boxes"))
    rows += [Measure(f"box_{name}", "object", "log" if name in log else "linear", "pixels") for name in TEXTURE]
    rows += [Measure(name, "object", "linear", "masks") for name in ("visible_fraction", "mask_overlap")]
    rows.append(Measure("background_similarity", "object", "linear", "pixels"))
    rows += [Measure(name, "image", "linear", "scene") for name in OF_SCENES]
    rows += [Measure(name, "object", "log", "scene") for name in OF_OBJECTS]
    return MappingProxyType({row.name: row for row in rows})


MEASURES: Mapping[str, Measure] = _table()
"""All measures by name; :func:`texture`, :func:`geometry`, :func:`scene_values` and their neighbours explain them."""


@dataclass(frozen=True, eq=False)
class Measures:
    """Columns of N images and M objects, float64, NaN where a measure is undefined.

    ``columns`` are (N,) for image measures and (M,) for object measures. ``image_rows`` (M,), ascending, is the image
    of every object, ``class_ids`` (M,) its class among ``classes``. Crowds are not single objects and left out.
    """

    images: int
    columns: Mapping[str, Values]
    image_rows: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {"image": self.images, "object": len(self.image_rows)}
        for name, column in self.columns.items():
            if name not in MEASURES:
                raise ValueError(f"expected measures among {', '.join(MEASURES)}; got {name!r}")
            if column.shape != (lengths[MEASURES[name].level],):
                raise ValueError(f"expected {lengths[MEASURES[name].level]} values of {name}; got {column.shape}")
        if self.class_ids.shape != self.image_rows.shape:
            raise ValueError(f"expected a class for each of {len(self.image_rows)} objects; got {self.class_ids.shape}")
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))

    def __len__(self) -> int:
        return self.images

    def __reduce__(self) -> tuple[object, ...]:
        return (Measures, (self.images, dict(self.columns), self.image_rows, self.class_ids, self.classes))

    @property
    def names(self) -> tuple[str, ...]:
        """The measures that are here, in the order of :data:`MEASURES`."""
        return tuple(name for name in MEASURES if name in self.columns)

    def values(self, name: str, *, class_id: int | None = None) -> Values:
        """Finite values of a measure on its scale (see :meth:`Measure.scaled`); of one class if it is given."""
        return self.with_rows(name, class_id=class_id)[0]

    def with_rows(self, name: str, *, class_id: int | None = None) -> tuple[Values, NDArray[np.int64]]:
        """As :meth:`values`, with the image row of each value. Of image measures only ``count`` knows classes."""
        if name not in self.columns:
            raise KeyError(f"expected one of {', '.join(self.names)}; got {name!r}; measure it first")
        column, rows = self.columns[name], np.arange(self.images)
        if MEASURES[name].level == "object":
            rows = self.image_rows
            if class_id is not None:
                column, rows = column[self.class_ids == class_id], rows[self.class_ids == class_id]
        elif class_id is not None:
            if name != "count":
                raise ValueError(f"expected a measure of objects, or count, by class; got {name!r}")
            of_class = np.bincount(self.image_rows[self.class_ids == class_id], minlength=self.images)
            column = np.where(np.isnan(column), np.nan, of_class)
        scaled = MEASURES[name].scaled(column)
        finite = np.isfinite(scaled)
        return scaled[finite], rows[finite]

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Measures:
        """The images at these distinct rows, in this order, with their objects."""
        order = np.asarray(rows, dtype=np.int64)
        place = np.full(self.images, -1)
        place[order] = np.arange(len(order))
        kept = np.flatnonzero(place[self.image_rows] >= 0)
        kept = kept[np.argsort(place[self.image_rows[kept]], kind="stable")]
        of_level = {"image": order, "object": kept}
        columns = {name: column[of_level[MEASURES[name].level]] for name, column in self.columns.items()}
        return Measures(len(order), columns, place[self.image_rows[kept]], self.class_ids[kept], self.classes)


def measure(
    dataset: Dataset, *, pixels: bool = True, measures: Sequence[str] | None = None, workers: int = 1
) -> Measures:
    """The measures of a dataset. Without ``pixels`` no picture is opened, and only boxes (and named masks) are read.

    ``measures``: names of :data:`MEASURES`; None means all of boxes and, with ``pixels``, all others but those of
    scenes, which photographs do not have. ``workers`` threads share the pictures; the result does not depend on them.
    ``ValueError`` for unknown names, or for such as need pictures without ``pixels``.
    """
    names = _wanted(measures, pixels=pixels)
    crowd = dataset.object_column("crowd").astype(bool)
    rows = np.repeat(np.arange(len(dataset)), dataset.object_counts())[~crowd]
    class_ids = dataset.object_column("class_id").astype(np.int64)[~crowd]
    columns: dict[str, Values] = {}
    if any(MEASURES[name].source == "boxes" for name in names):
        instances = dataset.table.column("instances")
        fields = [pc.fill_null(pc.struct_field(instances, side), 0).to_numpy() for side in ("height", "width")]
        sizes = np.stack(fields, axis=1).astype(np.int64)
        labelled = instances.is_valid().to_numpy()
        columns = _box_columns(dataset.object_boxes()[~crowd], sizes, rows, labelled)
        if "box_overlap" in names:
            columns["box_overlap"] = box_overlaps(dataset.object_boxes()[~crowd], rows)
    needed = tuple(name for name in names if MEASURES[name].source != "boxes")
    if needed:
        columns |= _collected(dataset, needed, objects=len(rows), workers=workers)
    kept = {name: columns[name] for name in names}
    return Measures(len(dataset), kept, rows, class_ids, dataset.classes)


def measure_boxes(pictures: Sequence[Instances], *, classes: Sequence[str]) -> Measures:
    """Box measures of objects that stand in no dataset, such as a detector's predictions of N pictures."""
    kept = [instances.take(~instances.is_crowd) for instances in pictures]
    sizes = np.array([instances.size for instances in kept], dtype=np.int64).reshape(-1, 2)
    rows = np.repeat(np.arange(len(kept)), [len(instances) for instances in kept])
    boxes = np.concatenate([np.empty((0, 4), dtype=np.float32), *(instances.boxes for instances in kept)])
    class_ids = np.concatenate([np.empty(0, dtype=np.int64), *(instances.class_ids for instances in kept)])
    columns = _box_columns(boxes, sizes, rows, np.ones(len(kept), dtype=bool))
    columns["box_overlap"] = box_overlaps(boxes, rows)
    return Measures(len(kept), columns, rows, class_ids, tuple(classes))


def _wanted(measures: Sequence[str] | None, *, pixels: bool) -> tuple[str, ...]:
    if measures is None:
        known = {"boxes", "masks", "pixels"} if pixels else {"boxes"}
        return tuple(name for name, row in MEASURES.items() if row.source in known)
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise ValueError(f"expected measures among {', '.join(MEASURES)}; got {', '.join(unknown)}")
    opened = [name for name in measures if MEASURES[name].source == "pixels"]
    if opened and not pixels:
        raise ValueError(
            f"expected measures of boxes or masks without pixels; got {', '.join(opened)}; use pixels=True"
        )
    return tuple(dict.fromkeys(measures))


def _box_columns(
    boxes: NDArray[np.float32], sizes: NDArray[np.int64], rows: NDArray[np.int64], labelled: NDArray[np.bool_]
) -> dict[str, Values]:
    """Measures of boxes but for their overlaps; ``count`` is NaN where nothing is said about objects."""
    counts = np.bincount(rows, minlength=len(sizes)).astype(np.float64)
    table = geometry(boxes, sizes[rows])
    columns = {name: np.ascontiguousarray(table[:, at]) for at, name in enumerate(GEOMETRY)}
    return {"count": np.where(labelled, counts, np.nan), **columns}


def _collected(dataset: Dataset, names: tuple[str, ...], *, objects: int, workers: int) -> dict[str, Values]:
    """Columns that take a look at every sample."""
    length = {"image": len(dataset), "object": objects}
    columns = {name: np.empty(length[MEASURES[name].level]) for name in names}

    def look(sample: Sample) -> Mapping[str, Values]:
        return _of_sample(sample, names)

    found: Iterable[Mapping[str, Values]]
    found = map(look, dataset) if workers == 1 else ordered_map(look, dataset, workers=workers)
    image = first = 0
    for values in found:
        last = first
        for name in names:
            if MEASURES[name].level == "image":
                columns[name][image] = values[name][0]
            else:
                last = first + len(values[name])
                columns[name][first:last] = values[name]
        image, first = image + 1, last
    return columns


def _of_sample(sample: Sample, names: tuple[str, ...]) -> Mapping[str, Values]:
    """Measures of one sample that are not of boxes: one value for an image measure, K for an object measure."""
    found: dict[str, Values] = {}
    labelled = sample.annotation.instances if sample.annotation is not None else None
    instances = labelled.take(~labelled.is_crowd) if labelled is not None else Instances.none((1, 1))
    if "visible_fraction" in names:
        found["visible_fraction"] = visible_fractions(instances)
    if "mask_overlap" in names:
        found["mask_overlap"] = mask_overlaps(instances)
    if any(MEASURES[name].source == "scene" for name in names):
        found |= scene_values({} if sample.annotation is None else sample.annotation.attributes, instances)
    if all(MEASURES[name].source in ("masks", "scene") for name in names):
        return found
    pixels = sample.pixels()
    if "background_similarity" in names:
        found["background_similarity"] = background_similarities(pixels, instances)
    of_crops = any(name.removeprefix("box_") in TEXTURE and name.startswith("box_") for name in names)
    if of_crops or any(name in TEXTURE for name in names):
        boxes = instances.boxes if of_crops else np.empty((0, 4))
        table = texture(pixels, boxes)
        for at, name in enumerate(TEXTURE):
            found[name], found[f"box_{name}"] = table[:1, at], table[1:, at]
    return found
