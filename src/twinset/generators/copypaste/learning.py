"""What placement is learnt from: boxes, numbers, crowding, context, and the marginals that a target moves."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.generators.copypaste.context import learn
from twinset.generators.copypaste.gathering import Gathered
from twinset.generators.copypaste.layout import Placement
from twinset.generators.copypaste.marginals import MEASURES, BoxTarget, PlacementTarget, Reference
from twinset.generators.copypaste.placement import Counts, Fitted, Ints, Uniform, fit_boxes, overlaps
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.steering import Steering, values_of
from twinset.generators.copypaste.stores import Cutouts
from twinset.randomness import Stream

UNIFORM_COUNT = (1, 20)
SIMULATED = 400
"""Layouts that are drawn to know what marginals placement has by itself."""


def learn_placement(
    settings: CopyPaste,
    training: Dataset,
    cutouts: Cutouts,
    gathered: Gathered,
    rng: Stream,
) -> Placement:
    """Where, how large and how many, as the settings want it."""
    sizes = np.array(gathered.sizes, dtype=np.int64)
    fitted = settings.placement != "uniform"
    model: Uniform | Fitted = fit_boxes(training, sizes) if fitted else Uniform(settings.size)
    counts = _counts(settings, training, cutouts)
    starts = np.cumsum([0, *training.object_counts()])
    boxes = training.object_boxes().astype(np.float64)
    crowding = np.sort(overlaps(boxes, starts)) if fitted else np.zeros(0)
    context = None
    if settings.placement == "context":
        frames = np.repeat(sizes[:, ::-1], np.diff(starts), axis=0)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / frames
        ids = training.object_column("class_id").astype(np.int64)
        split = starts[1:-1]
        context = learn(
            np.stack(gathered.shown),
            np.stack(gathered.cleaned),
            np.split(centres, split),
            np.split(ids, split),
            len(training.classes),
        )
    steering = _steering(settings, training, model, counts, sizes, rng)
    return Placement(model, counts, steering, crowding, context)


def _counts(settings: CopyPaste, training: Dataset, cutouts: Cutouts) -> Counts:
    table = np.zeros((len(training), len(training.classes)), dtype=np.int64)
    rows = np.repeat(np.arange(len(training)), training.object_counts())
    np.add.at(table, (rows, training.object_column("class_id").astype(np.int64)), 1)
    shares = None
    target = settings.target
    if target is not None and target.class_shares:
        known_classes(target.class_shares, training.classes)
        shares = np.array([target.class_shares.get(name, 0.0) for name in training.classes])
    available = np.unique(cutouts.class_ids[cutouts.class_ids >= 0])
    span = settings.count or (UNIFORM_COUNT if settings.placement == "uniform" else None)
    return Counts(table, span, shares, settings.balance, available)


def known_classes(names: Collection[str], classes: tuple[str, ...]) -> None:
    """:class:`DataError` for names that are no classes."""
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise DataError(f"expected target classes out of {', '.join(classes)}; got {', '.join(unknown)}")


def _steering(
    settings: CopyPaste, training: Dataset, model: Uniform | Fitted, counts: Counts, sizes: Ints, rng: Stream
) -> Steering:
    """The marginals of placement left to itself, by simulation, for targets and configurations to start from."""
    target = settings.target or PlacementTarget()
    known_classes(target.per_class, training.classes)
    per_class: dict[int, BoxTarget] = {training.classes.index(name): own for name, own in target.per_class.items()}
    draws = rng.child("marginals").numpy()
    size = (int(np.median(sizes[:, 0])), int(np.median(sizes[:, 1])))
    drawn = []
    for _ in range(SIMULATED):
        ids = counts.classes(max(1, min(counts.total(draws), 50)), draws)
        boxes = model.draw(ids, int(draws.integers(len(sizes))), draws)
        drawn.append((ids, values_of(boxes, size)))
    ids = np.concatenate([c for c, _ in drawn])
    values = {name: np.concatenate([v[name] for _, v in drawn]) for name in MEASURES}
    pooled = Reference.of(values)
    own = {}
    for c in per_class:
        rows = ids == c
        own[c] = Reference.of({name: v[rows] for name, v in values.items()}) if rows.any() else pooled
    first = {name: v[:, 0] if v.ndim == 2 else v for name, v in values.items()}
    return Steering(pooled, own, settings.target, per_class, simulated=first)
