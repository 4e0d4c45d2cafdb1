"""Class-conditional diffusion, trained from scratch on the user's images (method: :mod:`twinset.models.diffusion`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from twinset.dataset import Dataset, Sample, Task
from twinset.models.choices import DiffusionChoices
from twinset.models.diffusion import DiffusionModel
from twinset.randomness import RandomSource, Stream
from twinset.stages import Slot, Workspace


@dataclass(frozen=True)
class Diffusion(DiffusionChoices):
    """A diffusion model that fills slots; its settings are those of :class:`DiffusionChoices`."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = Workspace()) -> DiffusionGenerator:  # noqa: B008
        """A generator fitted on labelled images of one size; continues from ``workspace.folder``."""
        model = self.train(training, rng=Stream.of(rng), workspace=workspace)
        counts = np.bincount(training.class_ids, minlength=len(training.classes))
        return DiffusionGenerator(model, tuple(training.classes), tuple((counts / counts.sum()).tolist()))

    def load(self, folder: Path, *, device: str = "cpu") -> DiffusionGenerator:
        """The generator that a finished fit left in this folder; its classes are called by their numbers."""
        model = DiffusionModel.load(folder, device=device)
        return DiffusionGenerator(model, tuple(str(c) for c in range(model.n_classes)), None)


@dataclass(frozen=True, eq=False)
class DiffusionGenerator:
    """Samples a trained model. An image depends on the model and on its slot's seed, class and index alone.

    ``shares`` (C,) are the class proportions of the training set, None if they are not known.
    """

    model: DiffusionModel
    classes: tuple[str, ...]
    shares: tuple[float, ...] | None

    def __repr__(self) -> str:
        spec, settings = self.model.spec, self.model.settings
        return (
            f"DiffusionGenerator({settings.network.family}, width {settings.network.width}, {settings.training.steps} "
            f"steps, {spec.height} × {spec.width} × {spec.channels}, {len(self.classes)} classes)"
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.remarks

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order; a slot sits in row ``index`` modulo the batch size."""
        images = self.model.sample(
            [slot.class_id for slot in slots], [slot.index for slot in slots], [slot.rng for slot in slots]
        )
        for slot, pixels in zip(slots, images, strict=True):
            yield slot.sample(pixels, method="diffusion")

    def sample(self, wanted: int | Sequence[int], *, rng: RandomSource) -> Dataset:
        """A dataset of ``wanted`` images with classes in training proportions, or of one image per class id given."""
        if isinstance(wanted, int) and wanted < 1:
            raise ValueError(f"expected at least one image; got {wanted}")
        stream = Stream.of(rng)
        class_ids = self._draw(wanted, stream) if isinstance(wanted, int) else list(wanted)
        beyond = [c for c in class_ids if not 0 <= c < len(self.classes)]
        if beyond:
            raise ValueError(f"expected class ids in 0…{len(self.classes) - 1}; got {beyond[0]}")
        slots = [
            Slot(index, 0, stream.child("slot", index).seed, class_id, "interactive")
            for index, class_id in enumerate(class_ids)
        ]
        return Dataset.of(self.generate(slots), classes=self.classes, name="synthetic")

    def _draw(self, count: int, stream: Stream) -> list[int]:
        shares = self.shares or tuple(1 / len(self.classes) for _ in self.classes)
        drawn = stream.child("classes").numpy().choice(len(self.classes), size=count, p=shares)
        return [int(c) for c in drawn]
