"""What a user may say about a GAN, and how the rest is decided."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import ClassVar, Self

from twinset.images import ImageSpec
from twinset.models.calibrated import CalibratedChoices, others_of
from twinset.models.gan.augmentation import Change
from twinset.models.gan.calibration import (
    PRIVATE,
    TRAINING_SHARE,
    USUAL,
    GanPlan,
    calibrate,
    private_plan,
    private_seconds_per_step,
    seconds_per_step,
)
from twinset.models.gan.fitting import fit_gan
from twinset.models.gan.model import GanModel, GanSettings
from twinset.models.gan.networks import GanNetworkSettings
from twinset.models.gan.training import GanTrainingSettings
from twinset.models.private.accounting import Privacy, check_opacus
from twinset.models.training import TrainingSet
from twinset.randomness import Stream
from twinset.stages import Workspace


@dataclass(frozen=True)
class GanChoices(CalibratedChoices[GanPlan, GanModel]):
    """Settings; what is None is decided by calibration for the image size and the time budget.

    Networks: ``width``, ``discriminator_width``, ``latent``. Training: ``steps`` of the discriminator, of which every
    ``discriminator_steps``-th is followed by one of the generator; ``batch``, ``learning_rate`` and, of the
    discriminator, ``discriminator_rate``; ``r1``, ``changes`` (DiffAugment), ``flip`` (a mirrored image is still of its
    class), ``ema`` (relative width of the average). Sampling: ``sample_batch`` (rows of the fixed-shape batch).
    ``looks``: how often training stops to look for copies.

    ``privacy``: train the discriminator with differential privacy (DP-SGD; extra ``dp``). ``batch`` is then how many
    images a step draws on average, nothing looks for copies while it trains, and there is no ``r1``.
    """

    learner: ClassVar[str] = "a GAN"
    plan_type: ClassVar[type[object]] = GanPlan
    decided: ClassVar[tuple[str, ...]] = tuple(field.name for field in fields(GanPlan))

    width: int | None = None
    discriminator_width: int | None = None
    latent: int = 64
    steps: int | None = None
    batch: int | None = None
    discriminator_steps: int | None = None
    learning_rate: float | None = None
    discriminator_rate: float | None = None
    r1: float = 0.0
    changes: tuple[Change, ...] = ("translation",)
    flip: bool = False
    ema: float = 0.05
    sample_batch: int = 64
    looks: int = 4
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        self.settings(PRIVATE if self.privacy is not None else USUAL)

    def settings(self, plan: GanPlan) -> GanSettings:
        """The settings of the model; what is open is that of the plan."""
        asked = {name: getattr(self, name) for name in self.decided}
        plan = replace(plan, **{name: value for name, value in asked.items() if value is not None})
        steps, between = plan.steps, plan.discriminator_steps
        if self.discriminator_steps is None:
            between = min(between, steps)
        elif self.steps is None:
            steps = max(steps, between)
        return GanSettings(
            GanNetworkSettings(plan.width, plan.discriminator_width, self.latent),
            GanTrainingSettings(
                steps=steps,
                batch=plan.batch,
                discriminator_steps=between,
                learning_rate=plan.learning_rate,
                discriminator_rate=plan.discriminator_rate,
                r1=self.r1,
                changes=self.changes,
                flip=self.flip,
                ema=self.ema,
            ),
            looks=0 if self.privacy is not None else min(self.looks, steps),
            sample_batch=self.sample_batch,
        )

    def check(self) -> None:
        """:class:`MissingExtraError` where privacy is asked for and opacus is not there."""
        if self.privacy is not None:
            check_opacus()

    def fit_seconds(self, spec: ImageSpec, *, n_classes: int, threads: int, device: str = "cpu") -> float:
        """What a fit with nothing left open takes here, by a probe."""
        settings = self.settings(USUAL)
        if self.privacy is not None:
            step = private_seconds_per_step(settings, self.privacy, spec, n_classes, threads=threads, device=device)
            return step * settings.training.steps
        step = seconds_per_step(settings, spec, n_classes, threads=threads, device=device)
        return step * settings.training.steps / TRAINING_SHARE

    def _plan(
        self, spec: ImageSpec, n_classes: int, n_training: int, seconds: float, threads: int, device: str
    ) -> GanPlan:
        decide = calibrate if self.privacy is None else partial(private_plan, privacy=self.privacy)
        return decide(
            spec,
            self.settings,
            n_classes=n_classes,
            n_training=n_training,
            seconds=seconds,
            threads=threads,
            device=device,
        )

    def _with_plan(self, plan: GanPlan) -> Self:
        fitting = self.settings(plan).training
        plan = replace(plan, steps=fitting.steps, discriminator_steps=fitting.discriminator_steps)
        return replace(self, **{name: getattr(plan, name) for name in self.open})

    def _fit(self, data: TrainingSet, n_classes: int, rng: Stream, workspace: Workspace) -> GanModel:
        settings = self.settings(USUAL)
        if self.privacy is None:
            return fit_gan(
                *data,
                n_classes=n_classes,
                settings=settings,
                rng=rng,
                folder=workspace.folder,
                others=others_of(workspace, data),
                device=workspace.device,
                progress=workspace.progress,
            )
        from twinset.models.private.gan import fit_private_gan

        return fit_private_gan(
            *data,
            n_classes=n_classes,
            settings=settings,
            privacy=self.privacy,
            folder=workspace.folder,
            device=workspace.device,
            progress=workspace.progress,
        )
