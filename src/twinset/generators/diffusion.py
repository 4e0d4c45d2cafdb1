"""Class-conditional diffusion, trained from scratch on the user's images (method: :mod:`twinset.models.diffusion`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from twinset.dataset import Dataset, Sample
from twinset.images import ImageSpec
from twinset.models.calibration import calibrate
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.networks import Family, NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.randomness import RandomSource, Stream
from twinset.stages import Slot, Workspace

DEFAULT_SECONDS = 60.0


@dataclass(frozen=True)
class Diffusion:
    """Settings; what is None is decided by calibration for the image size and the time budget.

    Network: ``family``, ``width``, ``depth``, ``levels``, ``patch``. Training: ``steps``, ``batch``,
    ``learning_rate``, ``augment`` (probability of each told augmentation), ``flip`` (a mirrored image is still of its
    class), ``ema`` (relative width of the average). Sampling: ``sampler``, ``sampler_steps``, ``guidance`` on
    ``guidance_low``…``guidance_high`` (noise levels in units of the data's standard deviation). ``looks``: how often
    training stops to look for copies.
    """

    family: Family | None = None
    width: int | None = None
    depth: int | None = None
    levels: int | None = None
    patch: int | None = None
    steps: int | None = None
    batch: int | None = None
    learning_rate: float = 2e-3
    augment: float | None = None
    flip: bool = False
    ema: float = 0.05
    sampler: Literal["dpm++2m", "ddim"] = "dpm++2m"
    sampler_steps: int = 20
    guidance: float = 1.0
    guidance_low: float = 0.2
    guidance_high: float = 5.0
    sample_batch: int = 64
    looks: int = 4

    def __post_init__(self) -> None:
        self._settings()

    def _settings(self) -> DiffusionSettings:
        """The settings of the model; what is open stands at a default that is never trained with."""
        family = self.family or "unet"
        steps = 1000 if self.steps is None else self.steps
        return DiffusionSettings(
            NetworkSettings(
                family,
                64 if self.width is None else self.width,
                2 if self.depth is None else self.depth,
                (1 if family == "transformer" else 2) if self.levels is None else self.levels,
                1 if self.patch is None else self.patch,
            ),
            TrainingSettings(
                steps=steps,
                batch=128 if self.batch is None else self.batch,
                learning_rate=self.learning_rate,
                ema=self.ema,
                augment=0.0 if self.augment is None else self.augment,
                flip=self.flip,
            ),
            SamplingSettings(
                sampler=self.sampler,
                steps=self.sampler_steps,
                guidance=self.guidance,
                guidance_low=self.guidance_low,
                guidance_high=self.guidance_high,
                batch=self.sample_batch,
            ),
            looks=min(self.looks, steps),
        )

    def resolve(
        self,
        spec: ImageSpec,
        *,
        n_classes: int,
        n_training: int,
        seconds: float,
        threads: int,
        device: str = "cpu",
    ) -> Diffusion:
        """The same settings with nothing left open (:class:`twinset.stages.CalibratedMethod`)."""
        open_ = (self.family, self.width, self.depth, self.levels, self.patch, self.steps, self.batch, self.augment)
        if None not in open_:
            return self
        plan = calibrate(
            spec, n_classes=n_classes, n_training=n_training, seconds=seconds, threads=threads, device=device
        )
        found = Diffusion(
            family=plan.network.family,
            width=plan.network.width,
            depth=plan.network.depth,
            levels=plan.network.levels,
            patch=plan.network.patch,
            steps=plan.steps,
            batch=plan.batch,
            augment=plan.augment,
        )
        if self.family is not None and self.family != found.family:
            found = replace(found, levels=1 if self.family == "transformer" else 2)
        return replace_open(self, found)

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = Workspace()) -> DiffusionGenerator:  # noqa: B008
        """A generator fitted on labelled images of one size; continues from ``workspace.folder``."""
        stream = Stream.of(rng)
        if not len(training) or (training.class_ids < 0).any():
            raise ValueError("expected labelled training images; got none, or some without a class")
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
            rng=stream,
            folder=workspace.folder,
            holdout=holdout.prepared(spec) if holdout is not None else None,
            holdout_classes=holdout.class_ids if holdout is not None else None,
            device=workspace.device,
            progress=workspace.progress,
        )
        return DiffusionGenerator(model, tuple(training.classes), _shares(training))

    def load(self, folder: Path, *, device: str = "cpu") -> DiffusionGenerator:
        """The generator that a finished fit left in this folder."""
        model = DiffusionModel.load(folder, device=device)
        return DiffusionGenerator(model, tuple(str(c) for c in range(model.n_classes)), None)


def replace_open(settings: Diffusion, found: Diffusion) -> Diffusion:
    """``settings`` with every None taken from ``found``."""
    names = ("family", "width", "depth", "levels", "patch", "steps", "batch", "augment")
    changed = {name: getattr(found, name) for name in names if getattr(settings, name) is None}
    return replace(settings, **changed)


def _shares(training: Dataset) -> tuple[float, ...]:
    counts = np.bincount(training.class_ids, minlength=len(training.classes))
    return tuple((counts / counts.sum()).tolist())


@dataclass(frozen=True, eq=False)
class DiffusionGenerator:
    """Samples a trained model. An image depends on the model and on its slot's seed, class and index alone."""

    model: DiffusionModel
    classes: tuple[str, ...]
    shares: tuple[float, ...] | None

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order; a slot sits in row ``index`` modulo the batch size."""
        images = self.model.sample(
            [slot.class_id for slot in slots], [slot.index for slot in slots], [slot.rng for slot in slots]
        )
        for slot, pixels in zip(slots, images, strict=True):
            yield slot.sample(pixels, method="diffusion")

    def sample(self, count: int, *, rng: RandomSource) -> Dataset:
        """``count`` images with classes in the proportions of the training set, as a dataset."""
        stream = Stream.of(rng)
        shares = self.shares or tuple(1 / len(self.classes) for _ in self.classes)
        class_ids = stream.child("classes").numpy().choice(len(self.classes), size=count, p=shares)
        slots = [
            Slot(index, 0, stream.child("slot", index).seed, int(class_id), "interactive")
            for index, class_id in enumerate(class_ids)
        ]
        return Dataset.of(self.generate(slots), classes=self.classes, name="synthetic")
