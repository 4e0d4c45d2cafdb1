"""Class-conditional diffusion, trained from scratch on the user's images (method: :mod:`twinset.models.diffusion`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample, Task
from twinset.generators.asking import check_class_ids, class_shares, sample_dataset
from twinset.generators.cells import Cells
from twinset.images import ImageSpec
from twinset.models.calibrated import check_classes
from twinset.models.calibration import DiffusionPlan
from twinset.models.choices import DiffusionChoices
from twinset.models.diffusion import DiffusionModel
from twinset.models.private.accounting import Privacy, check_opacus
from twinset.models.training import TrainingSet
from twinset.randomness import RandomSource, Stream
from twinset.stages import Slot, Workspace


@dataclass(frozen=True)
class Diffusion(DiffusionChoices):
    """A diffusion model that fills slots; its settings are those of :class:`DiffusionChoices`.

    ``privacy``: train with differential privacy (DP-SGD; extra ``dp``). ``batch`` is then how many images a step draws
    on average, ``steps`` and the size of the network weigh against noise, and nothing looks for copies while it trains.

    ``by``: an attribute of the training images (a column such as sex), which is learnt beside the class and can be
    asked for; every image then carries it.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    privacy: Privacy | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by is not None and self.privacy is not None:
            raise ValueError(
                f"expected by or privacy; got both: that a group is there (by: {self.by}) is nothing that ε covers"
            )

    def check(self) -> None:
        """:class:`MissingExtraError` where privacy is asked for and opacus is not there."""
        if self.privacy is not None:
            check_opacus()

    def fit_seconds(self, spec: ImageSpec, *, n_classes: int, threads: int, device: str = "cpu") -> float:
        """What a fit with nothing left open takes here, by a probe."""
        if self.privacy is None:
            return super().fit_seconds(spec, n_classes=n_classes, threads=threads, device=device)
        from twinset.models.private.calibration import seconds_per_step

        settings = self.settings()
        step = seconds_per_step(settings, self.privacy, spec, n_classes, threads=threads, device=device)
        return step * settings.training.steps

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = Workspace()) -> DiffusionGenerator:  # noqa: B008
        """A generator fitted on labelled images of one size; continues from ``workspace.folder``.

        With ``privacy`` the fit's own randomness comes from a secret, not from ``rng``; class shares are equal.
        """
        self.check()
        if self.by is not None:
            return self._fit_cells(training, Cells.of(training, self.by), Stream.of(rng), workspace)
        model = self.train(training, rng=Stream.of(rng), workspace=workspace)
        shares = class_shares(training) if self.privacy is None else None
        return DiffusionGenerator(model, tuple(training.classes), shares)

    def _fit_cells(self, training: Dataset, cells: Cells, rng: Stream, workspace: Workspace) -> DiffusionGenerator:
        """Cells take the place of classes; they are kept before the model, which is of no use without them."""
        check_classes(training, self.learner)
        if workspace.folder is not None:
            cells.save(workspace.folder)
        holdout = None if workspace.holdout is None else cells.relabelled(workspace.holdout)
        model = self.train(cells.relabelled(training), rng=rng, workspace=replace(workspace, holdout=holdout))
        return DiffusionGenerator(model, cells.classes, cells.shares, cells)

    def _plan(
        self, spec: ImageSpec, n_classes: int, n_training: int, seconds: float, threads: int, device: str
    ) -> DiffusionPlan:
        if self.privacy is None:
            return super()._plan(spec, n_classes, n_training, seconds, threads, device)
        from twinset.models.private.calibration import private_plan

        return private_plan(
            spec,
            self.privacy,
            n_classes=n_classes,
            n_training=n_training,
            seconds=seconds,
            threads=threads,
            device=device,
            adapt=self._network,
        )

    def _fit(self, data: TrainingSet, n_classes: int, rng: Stream, workspace: Workspace) -> DiffusionModel:
        if self.privacy is None:
            return super()._fit(data, n_classes, rng, workspace)
        from twinset.models.private.diffusion import fit_private_diffusion

        return fit_private_diffusion(
            *data,
            n_classes=n_classes,
            settings=replace(self, looks=0).settings(),
            privacy=self.privacy,
            folder=workspace.folder,
            device=workspace.device,
            progress=workspace.progress,
        )

    def load(self, folder: Path, *, device: str = "cpu") -> DiffusionGenerator:
        """The generator that a finished fit left in this folder; without ``by`` its classes are called by numbers."""
        model = DiffusionModel.load(folder, device=device)
        if self.by is not None:
            cells = Cells.load(folder)
            return DiffusionGenerator(model, cells.classes, cells.shares, cells)
        return DiffusionGenerator(model, tuple(str(c) for c in range(model.n_classes)), None)


@dataclass(frozen=True, eq=False)
class DiffusionGenerator:
    """Samples a trained model. An image depends on the model and on its slot's seed, class and index alone.

    ``shares`` (C,) are the class proportions of the training set, None if they are not known. With ``cells`` an image
    depends on the attribute that its slot asks for, too; where it asks for none, one is drawn in training proportions.
    """

    model: DiffusionModel
    classes: tuple[str, ...]
    shares: tuple[float, ...] | None
    cells: Cells | None = None

    def __repr__(self) -> str:
        spec, settings = self.model.spec, self.model.settings
        return (
            f"DiffusionGenerator({settings.network.family}, width {settings.network.width}, {settings.training.steps} "
            f"steps, {spec.height} × {spec.width} × {spec.channels}, {len(self.classes)} classes)"
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the model and its cells."""
        return (*self.model.remarks, *(() if self.cells is None else self.cells.remarks))

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order; a slot sits in row ``index`` modulo the batch size.

        Slots of one pair begin at the same noise. ``ValueError`` where an attribute is asked for that was not learnt.
        """
        labels = [self._label(slot) for slot in slots]
        images = self.model.sample(labels, [slot.index for slot in slots], [slot.rng for slot in slots])
        for slot, label, pixels in zip(slots, labels, images, strict=True):
            told = {} if self.cells is None else self.cells.attributes(label)
            yield slot.sample(
                pixels, method="diffusion", annotation=Annotation(class_id=slot.class_id, attributes=told)
            )

    def _label(self, slot: Slot) -> int:
        """What the network calls the slot's class, or its cell."""
        if self.cells is None:
            if slot.attribute is not None:
                raise ValueError(f"expected a generator fitted by {slot.attribute[0]!r}; got one that learnt classes")
            return slot.class_id
        if slot.attribute is None:
            return self.cells.drawn(slot.class_id, slot.rng.child("attribute"))
        name, value = slot.attribute
        if name != self.cells.by:
            raise ValueError(f"expected a generator fitted by {name!r}; got one fitted by {self.cells.by!r}")
        return self.cells.number(slot.class_id, value)

    def sample(self, wanted: int | Sequence[int], *, rng: RandomSource) -> Dataset:
        """A dataset of ``wanted`` images with classes in training proportions, or of one image per class id given."""
        return sample_dataset(self, wanted, classes=self.classes, shares=self.shares, rng=rng)

    def pairs(self, class_ids: Sequence[int], *, rng: RandomSource) -> Dataset:
        """For every class id an image of each value of the attribute, from the same noise; they share ``pair``.

        ``ValueError`` for a generator that was not fitted ``by`` an attribute.
        """
        if self.cells is None:
            raise ValueError("expected a generator fitted by an attribute; got one that learnt classes")
        check_class_ids(class_ids, self.classes)
        slots: list[Slot] = []
        for number, class_id in enumerate(class_ids):
            seed, first = Stream.of(rng).child("pair", number).seed, len(slots)
            for value in self.cells.values(class_id):
                attribute = (self.cells.by, value)
                slots.append(Slot(len(slots), 0, seed, class_id, "interactive", attribute=attribute, pair=first))
        return Dataset.of(self.generate(slots), classes=self.classes, name="synthetic")
