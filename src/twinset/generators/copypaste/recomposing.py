"""A generator that moves regions of some training pictures into others, maps exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.generators.copypaste.backgrounds import Backgrounds
from twinset.generators.copypaste.foregrounds import Cut, gather
from twinset.generators.copypaste.generator import CopyPasteGenerator
from twinset.generators.copypaste.learning import known_classes
from twinset.generators.copypaste.regions import Regions, cut_regions, small_classes
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.stores import Packer
from twinset.images import convert_channels
from twinset.randomness import Stream


def fit_regions(settings: CopyPaste, training: Dataset, rng: Stream) -> CopyPasteGenerator:
    """A generator that recomposes semantic maps."""
    others = settings.background_path or settings.foreground_path
    if settings.backgrounds == "procedural" or settings.fill == "alike" or others:
        raise DataError(
            "expected the training pictures as foregrounds and backgrounds of semantic maps; got others",
            hint="leave out backgrounds, fill, background_path and foreground_path",
        )
    rows = np.arange(len(training))
    if len(rows) > settings.most_backgrounds:
        rows = np.sort(rng.child("backgrounds").numpy().choice(rows, settings.most_backgrounds, replace=False))
    kept = [sample for sample in training.take(rows) if sample.annotation and sample.annotation.semantic]
    maps = [sample.annotation.semantic.dense() for sample in kept if sample.annotation and sample.annotation.semantic]
    known_classes(settings.recompose, training.classes)
    moved = [training.classes.index(name) for name in settings.recompose]
    moved = moved or small_classes(maps, len(training.classes))
    packer = Packer(limit_bytes=settings.memory_mb << 19)
    found: list[tuple[Cut, NDArray[np.float64]]] = []
    grey = True
    for sample, ids in zip(kept, maps, strict=True):
        pixels = sample.pixels()
        grey &= pixels.shape[2] == 1
        pixels = convert_channels(pixels, 3)
        packer.add(pixels)
        found += cut_regions(pixels, ids, moved, sample.id, sample.origin.licence)
    if not found:
        raise DataError(
            "expected regions of a class to move about in the semantic maps; got none",
            hint="name classes under recompose",
        )
    found = _thinned(found, settings, rng)
    names = ", ".join(training.classes[c] for c in sorted({cut.class_id for cut, _ in found}))
    return CopyPasteGenerator(
        settings=settings,
        classes=training.classes,
        cutouts=gather([cut for cut, _ in found], limit_bytes=settings.memory_mb << 19),
        backgrounds=Backgrounds(
            packer.done(),
            tuple(sample.id for sample in kept),
            tuple(sample.origin.licence for sample in kept),
            np.arange(len(kept)),
            tuple(sample.annotation.semantic if sample.annotation else None for sample in kept),
        ),
        noise=None,
        placement=None,
        regions=Regions(np.array([home for _, home in found])),
        grey=grey,
        with_masks=False,
        remarks=(f"{len(found)} regions of {names} are moved about.",),
    )


def _thinned(
    found: list[tuple[Cut, NDArray[np.float64]]], settings: CopyPaste, rng: Stream
) -> list[tuple[Cut, NDArray[np.float64]]]:
    """At most ``most_cutouts`` regions of every class, in order of class as the store has them."""
    draws = rng.child("regions").numpy()
    kept = []
    for c in sorted({cut.class_id for cut, _ in found}):
        own = [pair for pair in found if pair[0].class_id == c]
        rows = np.arange(len(own))
        if len(own) > settings.most_cutouts:
            rows = np.sort(draws.choice(rows, settings.most_cutouts, replace=False))
        kept += [own[int(row)] for row in rows]
    return kept
