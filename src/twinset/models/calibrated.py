"""Settings of a model that may be left open: decided for the image size and the time there is, kept, and trained with.

One abstract level between a model's settings and what a recipe says of it; shared by diffusion and the GAN.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar, cast

import pydantic

from twinset.dataset import Dataset
from twinset.errors import RunFolderError
from twinset.images import ImageSpec
from twinset.models.looking import Others
from twinset.models.training import TrainingSet
from twinset.randomness import Stream
from twinset.refusals import refusal
from twinset.stages import Workspace
from twinset.store import write_json
from twinset.threads import torch_threads

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_SECONDS = 60.0
"""What a fit with open settings may take when nobody says."""

PLAN_FILE = "plan.json"

Plan = TypeVar("Plan", bound="DataclassInstance")
Model = TypeVar("Model")


class CalibratedChoices(ABC, Generic[Plan, Model]):
    """Settings, of which those that are None are decided by calibration; a subclass is a frozen dataclass of them.

    A ``Plan`` is what calibration decides, plain numbers all; a ``Model`` is what is trained.
    """

    learner: ClassVar[str]
    """What learns, as in "all that diffusion learns"."""

    plan_type: ClassVar[type[object]]
    """The class of its plans."""

    decided: ClassVar[tuple[str, ...]]
    """The names that calibration may decide."""

    @property
    def open(self) -> tuple[str, ...]:
        """The names that calibration has yet to decide."""
        return tuple(name for name in self.decided if getattr(self, name) is None)

    def resolve(
        self, spec: ImageSpec, *, n_classes: int, n_training: int, seconds: float, threads: int, device: str = "cpu"
    ) -> Self:
        """The same settings with nothing left open (:class:`twinset.stages.CalibratedMethod`)."""
        if not self.open:
            return self
        return self._with_plan(self._plan(spec, n_classes, n_training, seconds, threads, device))

    def train(self, training: Dataset, *, rng: Stream, workspace: Workspace) -> Model:
        """A model of these labelled images, which are of one size; continues what it finds in the workspace."""
        check_classes(training, self.learner)
        spec = ImageSpec(*training[0].pixels().shape)
        settled = self._settled(training, spec, workspace)
        data = TrainingSet(training.prepared(spec), training.class_ids)
        with torch_threads(workspace.threads):
            return settled._fit(data, len(training.classes), rng, workspace)

    def _settled(self, training: Dataset, spec: ImageSpec, workspace: Workspace) -> Self:
        """Nothing open. What was decided here is kept in the workspace, or a second start would time otherwise."""
        if not self.open:
            return self
        path = workspace.folder / PLAN_FILE if workspace.folder is not None else None
        if path is not None and path.exists():
            return self._with_plan(self._kept_plan(path))
        classes, images = len(training.classes), len(training)
        plan = self._plan(spec, classes, images, DEFAULT_SECONDS, workspace.threads, workspace.device)
        if path is not None:
            write_json(path, asdict(plan))
        return self._with_plan(plan)

    def _kept_plan(self, path: Path) -> Plan:
        try:
            return cast(Plan, pydantic.TypeAdapter(self.plan_type).validate_json(path.read_bytes()))
        except pydantic.ValidationError as error:
            raise RunFolderError(
                f"{path}: expected the plan of an earlier fit; got another file: {refusal(error).message}",
                hint="remove this file and fit again",
            ) from error

    @abstractmethod
    def _plan(
        self, spec: ImageSpec, n_classes: int, n_training: int, seconds: float, threads: int, device: str
    ) -> Plan:
        """What calibration decides."""

    @abstractmethod
    def _with_plan(self, plan: Plan) -> Self:
        """The same settings with what is open taken from the plan."""

    @abstractmethod
    def _fit(self, data: TrainingSet, n_classes: int, rng: Stream, workspace: Workspace) -> Model:
        """A model trained with these settings, of which none is open."""


def others_of(workspace: Workspace, data: TrainingSet) -> Others | None:
    """The held-out images of the workspace, in the size of the training images."""
    held = workspace.holdout
    return None if held is None else Others(held.prepared(ImageSpec(*data.images.shape[1:])), held.class_ids)


def check_classes(training: Dataset, learner: str) -> None:
    """``ValueError`` where images have no class: what is learnt is one class per image, not where in it something is.

    Pictures with boxes or masks are told apart from unlabelled ones, as there is something else for them. ``learner``
    is what would learn.
    """
    if not len(training):
        raise ValueError("expected labelled training images; got none")
    without = int((training.class_ids < 0).sum())
    if without and training.task != "classification":
        raise ValueError(
            f"expected training images with one class each, which is all that {learner} learns; got images for "
            f"{training.task}; use CopyPaste for those"
        )
    if without:
        raise ValueError(f"expected labelled training images; got {without} of {len(training)} without a class")
