"""DP-MERF for small images: one noisy mean embedding (:mod:`twinset.models.private.mean_embedding`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from twinset.dataset import Dataset, Sample, Task
from twinset.generators.asking import sample_dataset
from twinset.images import ImageSpec
from twinset.models.calibrated import check_classes
from twinset.models.private.accounting import Privacy
from twinset.models.private.mean_embedding import MeanEmbeddingModel, MeanEmbeddingSettings, fit_mean_embedding
from twinset.randomness import RandomSource
from twinset.stages import Slot, Workspace
from twinset.threads import torch_threads

LARGEST_SIDE = 64


@dataclass(frozen=True)
class MeanEmbedding(MeanEmbeddingSettings):
    """Settings of :class:`MeanEmbeddingSettings`, and ``privacy``: ε and δ of the one release.

    ``privacy.clip`` and ``privacy.draws`` are of no use here. Pictures are small (up to 64 pixels a side) and simple.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    privacy: Privacy = Privacy(None)  # noqa: RUF009

    def fit(
        self,
        training: Dataset,
        *,
        rng: RandomSource,
        workspace: Workspace = Workspace(),  # noqa: B008
    ) -> MeanEmbeddingGenerator:
        """A generator fitted on the release; its randomness comes from a secret, not from ``rng``."""
        del rng
        check_classes(training, "a mean embedding")
        spec = ImageSpec(*training[0].pixels().shape)
        if max(spec.height, spec.width) > LARGEST_SIDE:
            raise ValueError(
                f"expected images of at most {LARGEST_SIDE} pixels a side, which a mean embedding can tell apart; got "
                f"{spec.height} × {spec.width}; use diffusion with privacy"
            )
        with torch_threads(workspace.threads):
            model = fit_mean_embedding(
                training.prepared(spec),
                training.class_ids,
                n_classes=len(training.classes),
                settings=MeanEmbeddingSettings(
                    self.features,
                    self.bandwidth,
                    self.count_weight,
                    self.width,
                    self.steps,
                    self.batch,
                    self.learning_rate,
                ),
                privacy=self.privacy,
                folder=workspace.folder,
                progress=workspace.progress,
            )
        return MeanEmbeddingGenerator(model, tuple(training.classes))

    def load(self, folder: Path, *, device: str = "cpu") -> MeanEmbeddingGenerator:
        """The generator that a finished fit left in this folder; its classes are called by their numbers."""
        del device
        model = MeanEmbeddingModel.load(folder)
        return MeanEmbeddingGenerator(model, tuple(str(c) for c in range(model.n_classes)))


@dataclass(frozen=True, eq=False)
class MeanEmbeddingGenerator:
    """Samples a fitted network; an image depends on the network and its slot alone."""

    model: MeanEmbeddingModel
    classes: tuple[str, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.remarks

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order."""
        images = self.model.sample([slot.class_id for slot in slots], [slot.rng for slot in slots])
        for slot, pixels in zip(slots, images, strict=True):
            yield slot.sample(pixels, method="mean-embedding")

    def sample(self, wanted: int | Sequence[int], *, rng: RandomSource) -> Dataset:
        """A dataset of ``wanted`` images with classes in the released proportions, or of one image per class id."""
        return sample_dataset(self, wanted, classes=self.classes, shares=self.model.shares, rng=rng)
