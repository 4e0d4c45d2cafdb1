"""The architecture on one page: what the stages of a run hand to each other.

``real dataset → split → generate / edit → align → evaluate + audit → release + report``

Every method of twinset, and every plug-in, implements one of these protocols. ``rng`` is always a
:class:`~twinset.randomness.Stream`, keyword-only and without a default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import PAIR, Annotation
from twinset.dataset import Dataset, Origin, Sample, Task
from twinset.images import ImageSpec, Pixels
from twinset.progress import Progress as Progress
from twinset.progress import silent as silent
from twinset.randomness import Stream

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Slot:
    """One place of the plan: what to make (``class_id``, 0 where images have no class), of which try, which seed.

    ``rank`` counts the tries of the same source and class before this one, so that a source with a fixed
    stock can hand out each of its images once. ``attribute`` is what the image is to be besides (name and value; None:
    as it comes), for methods that take it (:class:`ConditionalMethod`). Slots of one ``pair``, which is the index of
    its first, have one seed: their images differ by what was asked for alone.
    """

    index: int
    attempt: int
    seed: int
    class_id: int
    recipe_digest: str
    rank: int = 0
    attribute: tuple[str, str] | None = None
    pair: int | None = None

    @property
    def id(self) -> str:
        """The sample id of this slot at this attempt."""
        return f"{self.index:06d}-{self.attempt}"

    @property
    def rng(self) -> Stream:
        """The stream of this sample, its own and no other's."""
        return Stream(self.seed)

    def sample(
        self,
        pixels: Pixels,
        *,
        method: str,
        annotation: Annotation | None = None,
        parents: Sequence[str] = (),
        licence: str | None = None,
    ) -> Sample:
        """A sample for this slot with its origin filled in; labelled with the slot's class unless said otherwise.

        One of a pair says which, in its attribute :data:`~twinset.annotations.PAIR`.
        """
        said = annotation or Annotation(class_id=self.class_id)
        if self.pair is not None:
            said = replace(said, attributes={**said.attributes, PAIR: f"{self.pair:06d}-{self.attempt}"})
        return Sample(
            id=self.id,
            image=pixels,
            annotation=said,
            origin=Origin(method, self.seed, self.recipe_digest, tuple(parents), licence),
        )


class Generator(Protocol):
    """Makes samples. The same slot gives the same sample, whatever else is asked for in the same call."""

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order."""
        ...


class Method(Protocol):
    """Settings of a way to make samples; fitting gives a :class:`Generator`. There are no half-fitted objects."""

    def fit(self, training: Dataset, *, rng: Stream) -> Generator:
        """A generator fitted on the exposed training images (all of one size)."""
        ...


@runtime_checkable
class FiniteGenerator(Protocol):
    """A :class:`Generator` with a fixed stock: slots of ``rank`` at or above their class's stock stay empty."""

    def stock(self, class_id: int) -> int:
        """How many images of this class there are."""
        ...

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """As :meth:`Generator.generate`."""
        ...


@dataclass(frozen=True)
class Workspace:
    """What a long fit may use: a folder for checkpoints, validation images, where to compute, whom to tell."""

    folder: Path | None = None
    holdout: Dataset | None = None
    device: str = "cpu"
    threads: int = 1
    progress: Progress = silent


@runtime_checkable
class ResumableMethod(Protocol):
    """A :class:`Method` whose fit is long: it keeps checkpoints in a workspace, and saves what it fitted.

    A fit that is killed and started again in the same workspace ends in the same generator.
    """

    def fit(self, training: Dataset, *, rng: Stream, workspace: Workspace = ...) -> Generator:
        """As :meth:`Method.fit`, continuing from the checkpoint in ``workspace.folder`` if there is one."""
        ...

    def load(self, folder: Path, *, device: str = "cpu") -> Generator:
        """The generator that a finished fit left in this folder (safetensors and JSON, no pickle)."""
        ...


@runtime_checkable
class PinnedMethod(Protocol):
    """A :class:`Method` that stands on files outside the recipe, and can say in its settings which."""

    def pinned(self) -> PinnedMethod:
        """The same settings with the digest of those files; a fit refuses others from then on."""
        ...


@runtime_checkable
class CheckedMethod(Protocol):
    """A :class:`Method`, editor, aligner or embedder that needs an extra or a model file."""

    def check(self) -> None:
        """Raises :class:`MissingExtraError` or :class:`MissingModelError`, in well under a second."""
        ...


@runtime_checkable
class ParticularMethod(Protocol):
    """A :class:`Method` that cannot make everything, and says so before anything is fitted."""

    def check_training(self, classes: Sequence[str], task: Task) -> None:
        """Raises :class:`DataError` for classes or a task that it has nothing for."""
        ...


@runtime_checkable
class BoundedMethod(Protocol):
    """A :class:`Method` that knows the configuration space of its generator (:class:`Configurable`) before a fit."""

    def bounds(self, measures: Sequence[str] | None = None) -> Mapping[str, tuple[float, float]]:
        """Lowest and highest value of each setting that moves these metadata measures, of all for None.

        ValueError where nothing moves them.
        """
        ...


@runtime_checkable
class ConditionalMethod(Protocol):
    """A :class:`Method` whose generator can be asked for images with a value of one attribute.

    It fills :attr:`Slot.attribute`, and its images carry the attribute, asked for or not.
    """

    @property
    def by(self) -> str | None:
        """The name of the attribute; None where these settings take none."""
        ...


@runtime_checkable
class CalibratedMethod(Protocol):
    """A :class:`Method` that decides open settings (None) for an image size and a time budget."""

    def resolve(
        self, spec: ImageSpec, *, n_classes: int, n_training: int, seconds: float, threads: int, device: str
    ) -> CalibratedMethod:
        """The same settings with nothing open; ``seconds`` is what its fit may take with ``threads``."""
        ...

    def fit_seconds(self, spec: ImageSpec, *, n_classes: int, threads: int, device: str) -> float:
        """What a fit with nothing open takes on this machine, roughly."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A fitted generator or editor with something to tell in the report, such as that its training stopped early."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Whole sentences."""
        ...


Configuration = Mapping[str, float]
"""A value for every setting, or some, of a configuration space."""


@runtime_checkable
class Configurable(Protocol):
    """A fitted generator some of whose settings can still be chosen, so that its images measure what is wanted."""

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        """Lowest and highest value of each setting."""
        ...

    def configured(self, weighted: Sequence[tuple[float, Configuration]]) -> Generator:
        """The same generator, following these configurations in proportion to their weights (> 0), image by image."""
        ...


@runtime_checkable
class Steerable(Configurable, Protocol):
    """A :class:`Configurable` that knows which of its settings move a metadata measure."""

    def steered_by(self, measures: Sequence[str]) -> Steerable:
        """The same generator with the space of what moves these measures; ValueError where nothing does."""
        ...

    def guess(self, means: Mapping[str, float], stds: Mapping[str, float]) -> Configuration:
        """A first configuration for measures of these means and deviations; what comes of it is measured."""
        ...


Parameter = str | int | float | bool
"""A value that a shape was made with."""


@runtime_checkable
class Curatable(Protocol):
    """A fitted generator whose objects are made from shapes, of which some can be left out."""

    @property
    def shape_parameters(self) -> Mapping[str, Mapping[str, Mapping[str, Parameter]]]:
        """Of every class with shapes their ids, each with what it was made with by name (none: nothing is known)."""
        ...

    def without(self, shapes: Mapping[str, Sequence[str]]) -> Generator:
        """The same generator without these shapes of these classes; ValueError where none of a class would stay."""
        ...


@runtime_checkable
class FollowsLayouts(Protocol):
    """A fitted generator that can place objects as the boxes of the training images lie: where, how large, how many."""

    @property
    def follows_layouts(self) -> bool:
        """Whether it does so already, in everything that it can."""
        ...

    def following_layouts(self) -> Generator:
        """The same generator, doing so; ValueError where it saw no boxes."""
        ...


TargetT = TypeVar("TargetT", contravariant=True)
TrialT = TypeVar("TrialT", contravariant=True)


class Proposer(Protocol[TargetT, TrialT]):
    """Searches a configuration space for what comes near a target. The pipeline generates and measures the batches.

    It keeps nothing: the next proposal follows from the history alone, so that a search that was cut short goes on.
    """

    def propose(
        self, space: Mapping[str, tuple[float, float]], target: TargetT, history: Sequence[TrialT], *, rng: Stream
    ) -> Configuration | None:
        """The next configuration to generate a batch with and to measure; None when the search is over."""
        ...


@runtime_checkable
class Editor(Protocol):
    """Real image in, varied image out; parents are recorded."""

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A varied copy of this sample."""
        ...


@runtime_checkable
class EditorMethod(Protocol):
    """Settings of an :class:`Editor` that must see the training images (mixing partners, a diffusion model) first."""

    def fit(self, training: Dataset, *, rng: Stream) -> Editor:
        """An editor fitted on the exposed training images."""
        ...


@runtime_checkable
class ResumableEditorMethod(Protocol):
    """An :class:`EditorMethod` whose fit is long, as :class:`ResumableMethod`."""

    def fit(self, training: Dataset, *, rng: Stream, workspace: Workspace = ...) -> Editor:
        """As :meth:`EditorMethod.fit`, continuing from the checkpoint in ``workspace.folder`` if there is one."""
        ...

    def load(self, folder: Path, *, device: str = "cpu") -> Editor:
        """The editor that a finished fit left in this folder."""
        ...


class Embedder(Protocol):
    """Images to feature vectors. ``fitted_on`` names the samples it was trained on, which decides what it may judge."""

    @property
    def name(self) -> str:
        """Name and, for weights from outside, digest."""
        ...

    @property
    def fitted_on(self) -> frozenset[str]:
        """Ids of the samples whose pixels shaped this embedder; empty for fixed and foreign ones."""
        ...

    def embed(self, images: torch.Tensor) -> NDArray[np.float32]:
        """float32 (N, C, H, W) in [-1, 1] to float32 (N, D)."""
        ...


@dataclass(frozen=True)
class Judgement:
    """What a filter thinks of N samples: a score each, and a reason for each that it rejects (else None)."""

    scores: Mapping[str, NDArray[np.float64]]
    reasons: tuple[str | None, ...]


class Filter(Protocol):
    """A fitted aligner. Judges each sample by itself; thresholds no longer move."""

    def judge(self, synthetic: Dataset) -> Judgement:
        """Scores and reasons for every sample, in order."""
        ...


@runtime_checkable
class Thresholded(Protocol):
    """A :class:`Filter` whose scores are cut at known values, which the report shows beside them."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The cut of each score by name; samples above it go."""
        ...


class Reviser(Protocol):
    """Changes what was made where part of it must not stay: takes labels away, or paints over."""

    def revise(self, sample: Sample) -> Sample:
        """The sample as it is to be kept; itself where nothing is wrong. The same sample gives the same."""
        ...


class Aligner(Protocol):
    """Settings of a filter; fitted once, on the training images, other real images and a pilot round."""

    def fit(self, pilot: Dataset, *, training: Dataset, holdout: Dataset, spec: ImageSpec, rng: Stream) -> Filter:
        """A filter with frozen thresholds."""
        ...


@runtime_checkable
class SetFilter(Protocol):
    """An aligner that judges samples against each other (duplicates): the one that came first stays."""

    def judge_set(self, synthetic: Dataset, *, accepted: Dataset | None) -> tuple[str | None, ...]:
        """A reason for every sample that repeats one before it in ``synthetic``, or one in ``accepted``."""
        ...


@dataclass(frozen=True)
class Alignment:
    """A synthetic set after its filters: what stayed, what went and why, and every score."""

    kept: Dataset
    rejected: Dataset
    reasons: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
