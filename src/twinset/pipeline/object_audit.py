"""What an audit sees of pictures with marked objects: the objects too, cut out and at one size.

A picture of many objects that is looked at as a whole is mostly its background: an object that was copied onto another
one is not seen. So objects are audited beside the whole pictures, as images of their own: within their class, those of
one picture (or of one family of pictures) as one witness. An object that lies across others, or that was scaled or
turned, may still not be found.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.copying import SIDE
from twinset.copytest import Known
from twinset.crops import crop_batches, crop_owners, object_crops, objects_of
from twinset.dataset import Dataset, Sample
from twinset.images import ImageSpec, Pixels
from twinset.pipeline.reference_images import FEWEST
from twinset.randomness import Stream

if TYPE_CHECKING:
    from twinset.pipeline.auditing import Audited

MOST = 2_000
"""Objects of a side that are audited, drawn at random."""

MARK = "#"
"""Stands between the id of a picture and the number of the object in it."""


def audited_objects(audited: Audited, *, rng: Stream) -> Audited | None:
    """The objects of the same sets; None where one of them has too few, or no objects at all."""
    if any(len(crop_owners(side)[0]) < FEWEST for side in (audited.synthetic, audited.training, audited.holdout)):
        return None
    synthetic, _ = _objects(audited.synthetic, np.arange(len(audited.synthetic)), rng=rng.child("synthetic"))
    count = len(audited.training)
    families, others = audited.of_training.families, audited.of_holdout.families
    if families is None or others is None:
        families, others = np.arange(count), np.arange(count, count + len(audited.holdout))
    training, families = _objects(audited.training, families, rng=rng.child("training"))
    holdout, others = _objects(audited.holdout, others, rng=rng.child("holdout"))
    reference = audited.reference
    if reference is not None:
        few = len(crop_owners(reference)[0]) < FEWEST
        drawn = rng.child("reference")
        reference = None if few else _objects(reference, np.arange(len(reference)), rng=drawn)[0]
    number = {name: at for at, name in enumerate(sorted({*training.classes, *holdout.classes}))}
    known = [
        Known(np.array([number[side.classes[each]] for each in side.class_ids], dtype=np.int64), own)
        for side, own in ((training, families), (holdout, others))
    ]
    return replace(
        audited,
        synthetic=synthetic,
        training=training,
        holdout=holdout,
        reference=reference,
        spec=ImageSpec(SIDE, SIDE, 3),
        of_training=known[0],
        of_holdout=known[1],
    )


def object_named(dataset: Dataset, id_: str) -> Pixels:
    """uint8 (side, side, 3): the object that an audit calls ``PICTURE#NUMBER``; ``KeyError`` for an unknown picture."""
    picture, _, number = id_.rpartition(MARK)
    sample = dataset[dataset.row_of(picture)]
    instances = objects_of(sample)
    one = instances.take(np.flatnonzero(~instances.is_crowd)[[int(number)]])
    return next(iter(object_crops(sample.pixels(), one, side=SIDE)))


def _objects(dataset: Dataset, families: NDArray[np.integer], *, rng: Stream) -> tuple[Dataset, NDArray[np.int64]]:
    """At most :data:`MOST` objects of a dataset as images, with the families of their pictures."""
    rows, class_ids = crop_owners(dataset)
    chosen = np.sort(rng.numpy().permutation(len(rows))[:MOST])
    wanted = set(chosen.tolist())
    numbers = np.arange(len(rows)) - np.searchsorted(rows, rows)
    ids = dataset.ids
    samples = (
        Sample(f"{ids[rows[at]]}{MARK}{numbers[at]}", Annotation(class_id=int(class_ids[at])), image=crop)
        for at, crop in enumerate(crop for batch in crop_batches(dataset, side=SIDE) for crop in batch)
        if at in wanted
    )
    of = np.asarray(families, dtype=np.int64)[rows[chosen]]
    return Dataset.of(samples, classes=dataset.classes, name=dataset.name), of
