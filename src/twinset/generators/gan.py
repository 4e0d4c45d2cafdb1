"""A class-conditional GAN, trained from scratch on the user's images (method: :mod:`twinset.models.gan`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from twinset.dataset import Dataset, Sample, Task
from twinset.generators.asking import class_shares, sample_dataset
from twinset.models.gan.choices import GanChoices
from twinset.models.gan.model import GanModel
from twinset.randomness import RandomSource, Stream
from twinset.stages import Slot, Workspace


@dataclass(frozen=True)
class GAN(GanChoices):
    """A GAN that fills slots, an image in one pass of its network; its settings are those of :class:`GanChoices`."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = Workspace()) -> GanGenerator:  # noqa: B008
        """A generator fitted on labelled images of one size; continues from ``workspace.folder``.

        With ``privacy`` the fit's own randomness comes from a secret, not from ``rng``; class shares are equal.
        """
        self.check()
        model = self.train(training, rng=Stream.of(rng), workspace=workspace)
        shares = class_shares(training) if self.privacy is None else None
        return GanGenerator(model, tuple(training.classes), shares)

    def load(self, folder: Path, *, device: str = "cpu") -> GanGenerator:
        """The generator that a finished fit left in this folder; its classes are called by their numbers."""
        model = GanModel.load(folder, device=device)
        return GanGenerator(model, tuple(str(c) for c in range(model.n_classes)), None)


@dataclass(frozen=True, eq=False)
class GanGenerator:
    """Samples a trained model. An image depends on the model and on its slot's seed, class and index alone.

    ``shares`` (C,) are the class proportions of the training set, None if they are not known.
    """

    model: GanModel
    classes: tuple[str, ...]
    shares: tuple[float, ...] | None

    def __repr__(self) -> str:
        spec, settings = self.model.spec, self.model.settings
        return (
            f"GanGenerator(width {settings.network.width}, {settings.training.steps} steps, "
            f"{spec.height} × {spec.width} × {spec.channels}, {len(self.classes)} classes)"
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the model: copies, diversity, privacy."""
        return self.model.remarks(self.classes)

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order; a slot sits in row ``index`` modulo the batch size."""
        images = self.model.sample(
            [slot.class_id for slot in slots], [slot.index for slot in slots], [slot.rng for slot in slots]
        )
        for slot, pixels in zip(slots, images, strict=True):
            yield slot.sample(pixels, method="gan")

    def sample(self, wanted: int | Sequence[int], *, rng: RandomSource) -> Dataset:
        """A dataset of ``wanted`` images with classes in training proportions, or of one image per class id given."""
        return sample_dataset(self, wanted, classes=self.classes, shares=self.shares, rng=rng)
