"""Anybody's synthetic images: a folder takes the place of a generator, and goes through all that follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.formats import read
from twinset.images import ImageSpec
from twinset.randomness import Stream
from twinset.stages import Slot


@dataclass(frozen=True)
class Folder:
    """The images under ``path`` (any dataset that twinset reads), each handed out once, in an order drawn by seed.

    Its classes are matched by name; ``licence`` is carried into the provenance of every image. ``content`` is the
    digest of what must be in the folder (None: whatever is); a run fills it in when it resolves its recipe.
    """

    path: str
    licence: str | None = None
    content: str | None = None

    def pinned(self) -> Folder:
        """The same folder, bound to what is in it now (:class:`twinset.stages.PinnedMethod`)."""
        return replace(self, content=self.read().source_digest())

    def read(self) -> Dataset:
        """The dataset in the folder; a bad file, or other content than recorded, is a :class:`DataError`."""
        dataset, _ = read(Path(self.path).expanduser(), on_bad_input="refuse")
        if self.content is not None and dataset.source_digest() != self.content:
            raise DataError(
                f"{self.path}: expected the images that this recipe was resolved with ({self.content[:12]}…); "
                f"got others ({dataset.source_digest()[:12]}…)",
                hint="start a new run, or leave out `content`",
            )
        return dataset

    def fit(self, training: Dataset, *, rng: Stream) -> FolderGenerator:
        """Matches the folder's classes with the training images' and fixes the order of its images."""
        dataset = self.read()
        unknown = sorted(set(dataset.classes) - set(training.classes))
        if unknown:
            raise DataError(
                f"{self.path}: expected the classes {', '.join(training.classes)}; got {', '.join(unknown)} too",
                hint="rename the class folders of the synthetic images",
            )
        names = np.asarray([dataset.classes[c] if c >= 0 else "" for c in dataset.class_ids], dtype=object)
        order = rng.child("order").numpy().permutation(len(dataset))
        rows = tuple(tuple(int(row) for row in order if names[row] == name) for name in training.classes)
        first = training[0].pixels()
        return FolderGenerator(dataset, rows, ImageSpec(*first.shape), self.licence)


@dataclass(frozen=True)
class FolderGenerator:
    """Hands out the images of a dataset, brought to the run's size; ``rows`` lists them by class."""

    dataset: Dataset
    rows: tuple[tuple[int, ...], ...]
    spec: ImageSpec
    licence: str | None

    def stock(self, class_id: int) -> int:
        """How many images of this class there are."""
        return len(self.rows[class_id])

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """The ``slot.rank``-th image of the slot's class; ``IndexError`` past the stock."""
        for slot in slots:
            sample = self.dataset[self.rows[slot.class_id][slot.rank]]
            pixels = self.spec.prepare(sample.pixels())
            yield slot.sample(pixels, method="folder", licence=self.licence or sample.origin.licence)
