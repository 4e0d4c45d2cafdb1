"""What a user may say about a diffusion model, and how the rest is decided; shared by the generator and the editor."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from twinset.images import ImageSpec
from twinset.models.calibrated import CalibratedChoices, others_of
from twinset.models.calibration import SAMPLING_SHARE, DiffusionPlan, calibrate, seconds_per_step
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.networks import Family, NetworkSettings
from twinset.models.sampling import Sampler, SamplingSettings
from twinset.models.training import TrainingSet, TrainingSettings
from twinset.randomness import Stream
from twinset.stages import Workspace
from twinset.threads import torch_threads


@dataclass(frozen=True)
class DiffusionChoices(CalibratedChoices[DiffusionPlan, DiffusionModel]):
    """Settings; what is None is decided by calibration for the image size and the time budget.

    Network: ``family``, ``width``, ``depth``, ``levels``, ``patch``. Training: ``steps``, ``batch``,
    ``learning_rate``, ``augment`` (probability of each told augmentation), ``flip`` (a mirrored image is still of its
    class), ``ema`` (relative width of the average). Sampling: ``sampler``, ``sampler_steps``, ``guidance`` on
    ``guidance_low``…``guidance_high`` (noise levels in units of the data's standard deviation), ``sample_batch`` (rows
    of the fixed-shape batch). ``looks``: how often training stops to look for copies.
    """

    learner: ClassVar[str] = "diffusion"
    plan_type: ClassVar[type[object]] = DiffusionPlan
    decided: ClassVar[tuple[str, ...]] = ("family", "width", "depth", "levels", "patch", "steps", "batch", "augment")

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
    sampler: Sampler = "dpm++2m"
    sampler_steps: int = 20
    guidance: float = 1.0
    guidance_low: float = 0.2
    guidance_high: float = 5.0
    sample_batch: int = 16
    looks: int = 4

    def __post_init__(self) -> None:
        self.settings()

    def settings(self) -> DiffusionSettings:
        """The settings of the model; what is open stands at a default that is never trained with."""
        steps = 1000 if self.steps is None else self.steps
        return DiffusionSettings(
            self._network(NetworkSettings("transformer", 64, 4, 1, 2) if self.family == "transformer" else _SMALL),
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

    def _network(self, default: NetworkSettings) -> NetworkSettings:
        """This network with what was asked for in place of its own."""
        return NetworkSettings(
            self.family or default.family,
            default.width if self.width is None else self.width,
            default.depth if self.depth is None else self.depth,
            default.levels if self.levels is None else self.levels,
            default.patch if self.patch is None else self.patch,
        )

    def fit_seconds(self, spec: ImageSpec, *, n_classes: int, threads: int, device: str = "cpu") -> float:
        """What a fit with nothing left open takes here, by a probe."""
        settings = self.settings()
        network, training = settings.network, settings.training
        with torch_threads(threads):
            step = seconds_per_step(network, spec, n_classes, training.batch, device=device, clock=time.perf_counter)
        return step * training.steps / SAMPLING_SHARE

    def _plan(
        self, spec: ImageSpec, n_classes: int, n_training: int, seconds: float, threads: int, device: str
    ) -> DiffusionPlan:
        return calibrate(
            spec,
            n_classes=n_classes,
            n_training=n_training,
            seconds=seconds,
            threads=threads,
            device=device,
            family=self.family,
            adapt=self._network,
        )

    def _with_plan(self, plan: DiffusionPlan) -> Self:
        return replace(
            self,
            family=plan.network.family,
            width=plan.network.width,
            depth=plan.network.depth,
            levels=plan.network.levels,
            patch=plan.network.patch,
            steps=plan.steps if self.steps is None else self.steps,
            batch=plan.batch if self.batch is None else self.batch,
            augment=plan.augment if self.augment is None else self.augment,
        )

    def _fit(self, data: TrainingSet, n_classes: int, rng: Stream, workspace: Workspace) -> DiffusionModel:
        return fit_diffusion(
            *data,
            n_classes=n_classes,
            settings=self.settings(),
            rng=rng,
            folder=workspace.folder,
            others=others_of(workspace, data),
            device=workspace.device,
            progress=workspace.progress,
        )


_SMALL = NetworkSettings("unet", 64, 1, 2, 2)
