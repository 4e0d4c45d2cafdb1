"""What a user may say about a diffusion model, and how the rest is decided; shared by the generator and the editor."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from twinset.dataset import Dataset
from twinset.errors import RunFolderError
from twinset.images import ImageSpec
from twinset.models.calibration import SAMPLING_SHARE, DiffusionPlan, calibrate, seconds_per_step
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.networks import Family, NetworkSettings
from twinset.models.sampling import Sampler, SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.randomness import Stream
from twinset.stages import Workspace
from twinset.store import write_json
from twinset.threads import torch_threads

DEFAULT_SECONDS = 60.0
"""What a fit with open settings may take when nobody says."""

PLAN_FILE = "plan.json"
DECIDED = ("family", "width", "depth", "levels", "patch", "steps", "batch", "augment")


@dataclass(frozen=True)
class DiffusionChoices:
    """Settings; what is None is decided by calibration for the image size and the time budget.

    Network: ``family``, ``width``, ``depth``, ``levels``, ``patch``. Training: ``steps``, ``batch``,
    ``learning_rate``, ``augment`` (probability of each told augmentation), ``flip`` (a mirrored image is still of its
    class), ``ema`` (relative width of the average). Sampling: ``sampler``, ``sampler_steps``, ``guidance`` on
    ``guidance_low``…``guidance_high`` (noise levels in units of the data's standard deviation), ``sample_batch`` (rows
    of the fixed-shape batch). ``looks``: how often training stops to look for copies.
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
    sampler: Sampler = "dpm++2m"
    sampler_steps: int = 20
    guidance: float = 1.0
    guidance_low: float = 0.2
    guidance_high: float = 5.0
    sample_batch: int = 16
    looks: int = 4

    def __post_init__(self) -> None:
        self.settings()

    @property
    def open(self) -> tuple[str, ...]:
        """The names that calibration has yet to decide."""
        return tuple(name for name in DECIDED if getattr(self, name) is None)

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

    def resolve(
        self, spec: ImageSpec, *, n_classes: int, n_training: int, seconds: float, threads: int, device: str = "cpu"
    ) -> Self:
        """The same settings with nothing left open (:class:`twinset.stages.CalibratedMethod`)."""
        if not self.open:
            return self
        return self._with_plan(self._plan(spec, n_classes, n_training, seconds, threads, device))

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

    def train(self, training: Dataset, *, rng: Stream, workspace: Workspace) -> DiffusionModel:
        """A model of these labelled images, which are of one size; continues what it finds in the workspace."""
        check_classes(training)
        spec = ImageSpec(*training[0].pixels().shape)
        holdout = workspace.holdout
        settled = self._settled(training, spec, workspace)
        with torch_threads(workspace.threads):
            return fit_diffusion(
                training.prepared(spec),
                training.class_ids,
                n_classes=len(training.classes),
                settings=settled.settings(),
                rng=rng,
                folder=workspace.folder,
                holdout=holdout.prepared(spec) if holdout is not None else None,
                holdout_classes=holdout.class_ids if holdout is not None else None,
                device=workspace.device,
                progress=workspace.progress,
            )

    def _settled(self, training: Dataset, spec: ImageSpec, workspace: Workspace) -> Self:
        """Nothing open. What was decided here is kept in the workspace, or a second start would time otherwise."""
        if not self.open:
            return self
        path = workspace.folder / PLAN_FILE if workspace.folder is not None else None
        if path is not None and path.exists():
            return self._with_plan(_read_plan(path))
        classes, images = len(training.classes), len(training)
        plan = self._plan(spec, classes, images, DEFAULT_SECONDS, workspace.threads, workspace.device)
        if path is not None:
            write_json(path, asdict(plan))
        return self._with_plan(plan)


_SMALL = NetworkSettings("unet", 64, 1, 2, 2)


def check_classes(training: Dataset) -> None:
    """``ValueError`` where images have no class: what is learnt is one class per image, not where in it something is.

    Pictures with boxes or masks are told apart from unlabelled ones, as there is something else for them.
    """
    if not len(training):
        raise ValueError("expected labelled training images; got none")
    without = int((training.class_ids < 0).sum())
    if without and training.task != "classification":
        raise ValueError(
            f"expected training images with one class each, which is all that diffusion learns; got images for "
            f"{training.task}; use CopyPaste for those"
        )
    if without:
        raise ValueError(f"expected labelled training images; got {without} of {len(training)} without a class")


def _read_plan(path: Path) -> DiffusionPlan:
    try:
        values = json.loads(path.read_text())
        network = NetworkSettings(**values["network"])
        return DiffusionPlan(network, int(values["batch"]), int(values["steps"]), float(values["augment"]))
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path}: expected the plan of an earlier fit; got {error!r}", hint="remove this file and fit again"
        ) from error
