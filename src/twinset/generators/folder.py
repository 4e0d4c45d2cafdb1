"""Anybody's synthetic images: a folder takes the place of a generator, and goes through all that follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample, Task
from twinset.errors import DataError
from twinset.formats import read
from twinset.images import ImageSpec, Pixels, convert_channels
from twinset.paths import expanded
from twinset.randomness import Stream
from twinset.stages import Slot

OBJECTS: tuple[Task, ...] = ("detection", "instance-segmentation")


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
        dataset, _ = read(expanded(self.path), on_bad_input="refuse")
        if self.content is not None and dataset.source_digest() != self.content:
            raise DataError(
                f"{self.path}: expected the images that this recipe was resolved with ({self.content[:12]}…); "
                f"got others ({dataset.source_digest()[:12]}…)",
                hint="start a new run, or leave out `content`",
            )
        return dataset

    def fit(self, training: Dataset, *, rng: Stream) -> FolderGenerator:
        """Matches the folder's classes with the training images' and fixes the order of its images.

        :class:`DataError` for classes that the training images have not, and for images without the kind of labels
        that those have: a class each, objects, or a semantic map.
        """
        dataset = self.read()
        unknown = sorted(set(dataset.classes) - set(training.classes))
        if unknown:
            raise DataError(
                f"{self.path}: expected the classes {', '.join(training.classes)}; got {', '.join(unknown)} too",
                hint="give the synthetic images the real ones' class names",
            )
        self._check_labels(dataset, training.task)
        ids = np.asarray([training.classes.index(name) for name in dataset.classes] + [-1], dtype=np.int64)
        order = rng.child("order").numpy().permutation(len(dataset))
        if training.task == "classification":
            mine = ids[dataset.class_ids]
            rows = tuple(tuple(int(row) for row in order if mine[row] == c) for c in range(len(training.classes)))
        else:
            rows = (tuple(int(row) for row in order),)
        spec = ImageSpec(*training[0].pixels().shape)
        return FolderGenerator(dataset, rows, spec, self.licence, ids, placed=training.task != "classification")

    def _check_labels(self, dataset: Dataset, task: Task) -> None:
        """:class:`DataError` if these images are not labelled as those of ``task`` are."""
        if task == "classification":
            missing, what = int((dataset.class_ids < 0).sum()), "a class"
        else:
            column = dataset.table.column("instances" if task in OBJECTS else "semantic")
            missing, what = column.null_count, "objects" if task in OBJECTS else "a semantic map"
        if missing:
            raise DataError(
                f"{self.path}: expected {what} for every image, as the real ones have; got {missing} of {len(dataset)} "
                "without",
                hint="label them, or take them out of the folder; an image that shows no object has an empty label"
                if task in OBJECTS
                else "label them, or take them out of the folder",
            )


@dataclass(frozen=True, eq=False)
class FolderGenerator:
    """Hands out the images of a dataset. ``rows`` lists them by class, or, where images are ``placed``, in one list.

    Images with a class come at the run's size. Those with objects or a semantic map keep their own, with all that is
    marked in them, and get the channels of ``spec``. ``class_ids`` (classes of the folder + 1,) are the run's; the
    last, −1, stands for none.
    """

    dataset: Dataset
    rows: tuple[tuple[int, ...], ...]
    spec: ImageSpec
    licence: str | None
    class_ids: NDArray[np.int64]
    placed: bool = False

    def stock(self, class_id: int) -> int:
        """How many images of this class there are."""
        return len(self.rows[class_id])

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """The ``slot.rank``-th image of the slot's class; ``IndexError`` past the stock."""
        for slot in slots:
            sample = self.dataset[self.rows[slot.class_id][slot.rank]]
            pixels, annotation = self._prepared(sample)
            licence = self.licence or sample.origin.licence
            yield slot.sample(pixels, method="folder", annotation=annotation, licence=licence)

    def _prepared(self, sample: Sample) -> tuple[Pixels, Annotation | None]:
        """An image as the run gets it; no annotation where the slot's class says it all."""
        pixels = sample.pixels()
        if not self.placed:
            return self.spec.prepare(pixels), None
        assert sample.annotation is not None
        return convert_channels(pixels, self.spec.channels), self._renumbered(sample.annotation)

    def _renumbered(self, annotation: Annotation) -> Annotation:
        """What is marked, with the run's class ids; a class of the whole picture has no place in such a run."""
        instances, semantic = annotation.instances, annotation.semantic
        if instances is not None:
            instances = replace(instances, class_ids=self.class_ids[instances.class_ids])
        if semantic is not None:
            semantic = SemanticMap.of(self.class_ids[semantic.dense()])
        return replace(annotation, class_id=None, class_probabilities=None, instances=instances, semantic=semantic)
