"""SDEdit on our own diffusion model: noise a real image part of the way, denoise it as its class.

Source: Meng et al. 2022, "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from twinset.dataset import Dataset, Sample
from twinset.editing.origin import edited
from twinset.images import ImageSpec
from twinset.models.calibration import calibrate
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.networks import NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.randomness import RandomSource, Stream
from twinset.stages import Workspace

DEFAULT_SECONDS = 60.0


@dataclass(frozen=True)
class SDEdit:
    """``strength`` in (0, 1]: how far towards noise. Network and training None: decided by calibration."""

    strength: float = 0.5
    width: int | None = None
    patch: int | None = None
    steps: int | None = None
    batch: int | None = None
    augment: float | None = None
    sampler_steps: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise ValueError(f"expected 0 < strength ≤ 1; got {self.strength}")

    def resolve(
        self, spec: ImageSpec, *, n_classes: int, n_training: int, seconds: float, threads: int, device: str = "cpu"
    ) -> SDEdit:
        """The same settings with nothing left open."""
        if None not in (self.width, self.patch, self.steps, self.batch, self.augment):
            return self
        plan = calibrate(
            spec, n_classes=n_classes, n_training=n_training, seconds=seconds, threads=threads, device=device
        )
        return replace(
            self,
            width=self.width or plan.network.width,
            patch=self.patch or plan.network.patch,
            steps=self.steps or plan.steps,
            batch=self.batch or plan.batch,
            augment=plan.augment if self.augment is None else self.augment,
        )

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = Workspace()) -> SDEditor:  # noqa: B008
        """Trains the diffusion model that edits."""
        spec = ImageSpec(*training[0].pixels().shape)
        settled = self.resolve(
            spec,
            n_classes=len(training.classes),
            n_training=len(training),
            seconds=DEFAULT_SECONDS,
            threads=workspace.threads,
            device=workspace.device,
        )
        holdout = workspace.holdout
        model = fit_diffusion(
            training.prepared(spec),
            training.class_ids,
            n_classes=len(training.classes),
            settings=settled._settings(),
            rng=Stream.of(rng),
            folder=workspace.folder,
            holdout=holdout.prepared(spec) if holdout is not None else None,
            holdout_classes=holdout.class_ids if holdout is not None else None,
            device=workspace.device,
            progress=workspace.progress,
        )
        return SDEditor(model, self.strength)

    def _settings(self) -> DiffusionSettings:
        steps = self.steps or 1
        return DiffusionSettings(
            NetworkSettings("unet", self.width or 0, 2, 2, self.patch or 0),
            TrainingSettings(steps=steps, batch=self.batch or 0, augment=self.augment or 0.0),
            SamplingSettings(steps=self.sampler_steps, batch=8),
            looks=min(4, steps),
        )

    def load(self, folder: Path, *, device: str = "cpu") -> SDEditor:
        """The editor that a finished fit left in this folder."""
        return SDEditor(DiffusionModel.load(folder, device=device), self.strength)


@dataclass(frozen=True, eq=False)
class SDEditor:
    """Edits with a trained model; the label is kept, the parent recorded."""

    model: DiffusionModel
    strength: float

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A variation of this sample; near ``strength`` 0 a copy, at 1 a fresh image of its class."""
        if sample.annotation is None or sample.annotation.class_id is None:
            raise ValueError(f"expected a labelled sample; got {sample.id} without a class")
        pixels = self.model.spec.prepare(sample.pixels())
        varied = self.model.vary(
            pixels[None], [sample.annotation.class_id], [rng.child("sdedit")], strength=self.strength
        )
        return edited(sample, varied[0], method="sdedit", rng=rng)
