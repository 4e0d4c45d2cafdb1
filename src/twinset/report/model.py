"""What a report shows: plain numbers, words and small pictures. The pipeline fills it, :mod:`.html` draws it.

Every part but the title is optional, so that one page serves a whole run and a bare comparison of two
datasets. All texts are data: nothing in here is ever taken as markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from twinset.images import Pixels, check_pixels
from twinset.scores import Decision, Score

if TYPE_CHECKING:
    from twinset.report.explain import ExplanationFacts

MapSet = Literal["real train", "real held out", "synthetic", "rejected"]


@dataclass(frozen=True)
class Difference:
    """A paired difference on the real test images, synthetic arm minus real arm, in units of ``metric`` (0…1)."""

    value: float
    low: float
    high: float
    metric: str = "balanced accuracy"
    level: float = 0.95

    def __post_init__(self) -> None:
        _check_interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Verdict:
    """The answer: a decision, one sentence, and the difference it rests on (None when the gate blocked first)."""

    decision: Decision
    sentence: str
    difference: Difference | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A small picture with a name: uint8 (H, W, 1) or (H, W, 3)."""

    id: str
    pixels: Pixels

    def __post_init__(self) -> None:
        check_pixels(self.pixels)


@dataclass(frozen=True)
class Problem:
    """Something found wrong with the input, how often, and a few places where."""

    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """One dataset. ``counts`` maps a split ("train", "validation", "test" or "all") to images by class, in class order.

    Where images have no class of their own, ``counts`` are of the ``unit`` that is named ("objects"), and ``pictures``
    has the images of every split.
    ``size`` says what the images are and what was done to them: ``"8 × 8 grey, as they came"`` or
    ``"32 × 32 RGB, resized from 1024 × 900 … 640 × 480"``.
    """

    name: str
    kind: Literal["real", "synthetic"]
    counts: Mapping[str, tuple[int, ...]]
    size: str
    licence: str | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unit: str = "images"
    pictures: Mapping[str, int] | None = None

    @property
    def images(self) -> int:
        """Images over all splits and classes."""
        return sum(self.images_of(split) for split in self.counts)

    def images_of(self, split: str) -> int:
        """Images of one split; 0 if there is none of that name."""
        return sum(self.counts.get(split, ())) if self.pictures is None else self.pictures.get(split, 0)


@dataclass(frozen=True)
class Twin:
    """A synthetic picture beside the real training picture nearest to it, and how far that is."""

    synthetic: Picture
    nearest: Picture | None = None
    distance: float | None = None


@dataclass(frozen=True)
class ClassGrid:
    """Pictures of one class, by ``class_id`` into the report's classes; None where images have no class."""

    class_id: int | None
    real: tuple[Picture, ...]
    synthetic: tuple[Twin, ...]


@dataclass(frozen=True)
class Gallery:
    """Real and synthetic pictures by class. ``distance_in`` names the space and unit of the twin distances.

    ``marked`` says that objects are drawn in the pictures, which are then shown larger and without neighbours.
    """

    grids: tuple[ClassGrid, ...]
    distance_in: str = "pixels, root mean square, 0…1"
    marked: bool = False


@dataclass(frozen=True, eq=False)
class ScoreValues:
    """One alignment score of all accepted and all rejected images, each float (N,); whichever filter rejected."""

    name: str
    accepted: NDArray[np.floating]
    rejected: NDArray[np.floating]


@dataclass(frozen=True)
class AlignmentFacts:
    """What the filters did: candidates judged, kept, dropped by reason; figures before and after.

    ``before`` and ``after`` hold the same scores (same ``name``) on all candidates and on the kept ones.
    ``by_class`` maps a class id to (kept, rejected).
    """

    judged: int
    kept: int
    reasons: Mapping[str, int]
    scores: tuple[ScoreValues, ...] = ()
    before: tuple[Score, ...] = ()
    after: tuple[Score, ...] = ()
    by_class: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.kept <= self.judged:
            raise ValueError(f"expected kept within 0…{self.judged}; got {self.kept}")


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Images as points of a plane: ``xy`` float (N, 2), ``sets`` N names, ``class_ids`` int (N,), ``ids`` N or none.

    ``method`` says how the plane was chosen (``"PCA, 61 % of the variance"``), ``extractor`` what the features were.
    """

    xy: NDArray[np.floating]
    sets: tuple[MapSet, ...]
    class_ids: NDArray[np.integer]
    method: str
    extractor: str
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.sets)
        if self.xy.shape != (n, 2) or self.class_ids.shape != (n,) or len(self.ids) not in (0, n):
            raise ValueError(
                f"expected xy (N, 2), class_ids (N,) and N ids or none for N = {n}; "
                f"got {self.xy.shape}, {self.class_ids.shape}, {len(self.ids)}"
            )
        if not np.isfinite(self.xy).all():
            raise ValueError("expected finite coordinates; got NaN or infinity")


@dataclass(frozen=True)
class MetricTable:
    """Scores under one heading, with a sentence on what was compared with what."""

    title: str
    scores: tuple[Score, ...]
    note: str = ""


@dataclass(frozen=True)
class Arm:
    """One arm of the utility test: mean over seeds on the real test split with its interval, in metric units (0…1).

    ``seeds`` are the single results; ``setting`` what was picked on validation; ``per_class`` recall by class id.
    """

    name: str
    mean: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()
    n_real: int = 0
    n_synthetic: int = 0
    setting: str = ""
    validation: float | None = None
    picked: bool = False
    per_class: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_interval(self.mean, self.low, self.high)

    @property
    def uses_synthetic(self) -> bool:
        """Whether any synthetic image trained this arm."""
        return self.n_synthetic > 0 or "synthetic" in self.name


@dataclass(frozen=True)
class Trial:
    """One setting that was tried for an arm, and its score on validation."""

    arm: str
    setting: str
    validation: float
    picked: bool = False


@dataclass(frozen=True)
class Utility:
    """Train on each arm, test on real: the arms, the trials they were picked from, and what was held equal."""

    arms: tuple[Arm, ...]
    metric: str = "balanced accuracy"
    trials: tuple[Trial, ...] = ()
    network: str = ""
    steps: int | None = None
    n_test: int | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class MeasureFacts:
    """One measure of objects or images: its histogram in every set, and how far the sets are from the real images.

    ``edges`` float (B + 1,) in the measure's own unit, ``shares`` by set float (B,), summing to one. ``distances`` are
    Bhattacharyya's, ``floor`` that of real from real; ``at_floor`` names the sets that are no further than that.
    """

    name: str
    edges: NDArray[np.floating]
    shares: Mapping[str, NDArray[np.floating]]
    floor: float
    distances: Mapping[str, float]
    at_floor: tuple[str, ...] = ()
    logarithmic: bool = False

    def __post_init__(self) -> None:
        for name, shares in self.shares.items():
            if len(shares) != len(self.edges) - 1:
                raise ValueError(f"{name}: expected {len(self.edges) - 1} shares; got {len(shares)}")


@dataclass(frozen=True)
class MetadataFacts:
    """Measures of real images, of the twin, and of what it was before; ``shifts`` are sentences on the real splits."""

    measures: tuple[MeasureFacts, ...]
    before_is: str = ""
    images: int = 0
    shifts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SampleArm:
    """What the runs of one way to train did on N test images.

    ``quality`` float (N,), 0…1, is NaN where there is nothing to find. ``missed`` and ``false_alarms`` are per image,
    one figure a size of boxes; ``doubles`` pairs of predictions of one object, per image, in close-ups and elsewhere
    (None where there is no such image).
    """

    name: str
    setting: str
    runs: int
    quality: NDArray[np.floating]
    correlation: Score | None = None
    missed: tuple[float, ...] = ()
    false_alarms: tuple[float, ...] = ()
    doubles: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class SampleBin:
    """Test images from one distance to another: how many, their mean ``distance``, and every arm's mean quality."""

    low: float
    high: float
    images: int
    distance: float
    quality: tuple[float | None, ...]


@dataclass(frozen=True)
class BoxSize:
    """Boxes that take more than ``low`` and up to ``high`` of the picture (0…1), and how many true ones there are."""

    name: str
    low: float
    high: float
    objects: int


@dataclass(frozen=True, eq=False)
class SampleFacts:
    """Test images one by one: ``distances`` float (N,) to the synthetic set, and what every arm made of them.

    ``score`` is the figure that needs no training, ``measures`` its parts (0: at the floor) beside ``feature_ratio``.
    ``close_ups`` says how many of the images are such (None in segmentation). ``confidence``, ``meeting``, ``double``
    and ``close_up`` are the rules that were counted by, ``k`` the neighbours of a distance.
    """

    ids: tuple[str, ...]
    quality_is: Literal["overlap", "mIoU"]
    score: Score
    measures: Mapping[str, float]
    feature_ratio: float | None
    k: int
    distances: NDArray[np.floating] | None = None
    extractor: str = ""
    arms: tuple[SampleArm, ...] = ()
    bins: tuple[SampleBin, ...] = ()
    sizes: tuple[BoxSize, ...] = ()
    close_ups: int | None = None
    confidence: float = 0.0
    meeting: float = 0.0
    double: float = 0.0
    close_up: float = 0.0

    def __post_init__(self) -> None:
        for arm in self.arms:
            if len(arm.quality) != len(self.ids):
                raise ValueError(f"{arm.name}: expected a quality for each of {len(self.ids)} images")


@dataclass(frozen=True)
class Rejected:
    """A rejected picture, the reason and, for the curious, the score that decided."""

    picture: Picture
    reason: str
    class_id: int | None = None
    score: str = ""


@dataclass(frozen=True)
class ClosePair:
    """A synthetic picture and the training picture it comes closest to.

    ``ratio`` is that distance over what the test compares it with (held-out or second neighbour); ``flagged``
    says that the gate counts the pair as a copy.
    """

    synthetic: Picture
    training: Picture
    distance: float
    ratio: float | None = None
    flagged: bool = False
    class_id: int | None = None


@dataclass(frozen=True)
class Gate:
    """The copy gate: whether it found nothing, in what space it looked, its figures and closest pairs.

    ``blocks`` is false where copies are only reported.
    """

    passed: bool
    sentence: str
    space: str
    scores: tuple[Score, ...] = ()
    pairs: tuple[ClosePair, ...] = ()
    blocks: bool = True


@dataclass(frozen=True)
class CostOfThousand:
    """What 1,000 accepted images take: hours of the machine, price and kWh; None where it is not known."""

    name: str
    hours: float
    price: float | None = None
    kwh: float | None = None


@dataclass(frozen=True)
class Cost:
    """What it took: ``stages`` as (name, seconds), ``generated`` images out of ``generation_seconds``.

    ``thousand`` is what 1,000 accepted images take, ``labelling`` the price of labelling as many by hand.
    """

    stages: tuple[tuple[str, float], ...]
    hardware: str = ""
    generated: int | None = None
    generation_seconds: float | None = None
    peak_memory_bytes: int | None = None
    thousand: tuple[CostOfThousand, ...] = ()
    labelling: float | None = None

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(seconds for _, seconds in self.stages)

    @property
    def images_per_second(self) -> float | None:
        """Images a second while generating; None where it was not measured."""
        if self.generated is None or not self.generation_seconds:
            return None
        return self.generated / self.generation_seconds


@dataclass(frozen=True)
class ReportData:
    """Everything one page shows. ``command`` reproduces it; ``recipe`` is the recipe as written (YAML).

    ``asked`` are the main settings as (name, value); ``limits`` are sentences that only the pipeline can know,
    beside those that :mod:`.limits` derives; ``environment`` and ``digests`` map names to values.
    ``rejected`` may be a selection, ``alignment.reasons`` has the full counts.
    """

    title: str
    classes: tuple[str, ...]
    command: str
    version: str
    kind: Literal["run", "compare"] = "run"
    created: str = ""
    verdict: Verdict | None = None
    recipe: str = ""
    asked: tuple[tuple[str, str], ...] = ()
    datasets: tuple[DatasetFacts, ...] = ()
    gallery: Gallery | None = None
    alignment: AlignmentFacts | None = None
    feature_map: FeatureMap | None = None
    metrics: tuple[MetricTable, ...] = ()
    utility: Utility | None = None
    metadata: MetadataFacts | None = None
    samples: SampleFacts | None = None
    explanation: ExplanationFacts | None = None
    rejected: tuple[Rejected, ...] = ()
    gate: Gate | None = None
    cost: Cost | None = None
    limits: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.classes)
        for facts in self.datasets:
            for split, counts in facts.counts.items():
                if len(counts) != n:
                    raise ValueError(f"{facts.name}, {split}: expected {n} class counts; got {len(counts)}")
        if self.gallery is not None and any(
            grid.class_id is not None and not 0 <= grid.class_id < n for grid in self.gallery.grids
        ):
            raise ValueError(f"expected grids of class ids below {n}; got {[g.class_id for g in self.gallery.grids]}")

    def class_name(self, class_id: int | None) -> str:
        """The name of a class, or a dash where there is no label."""
        return self.classes[class_id] if class_id is not None and 0 <= class_id < len(self.classes) else "–"

    def to_json(self) -> dict[str, object]:
        """The same content as plain JSON types, ``schema: twinset/report/1``; a picture becomes id, size and sha256."""
        from twinset.report.plain import plain

        content = plain(self)
        assert isinstance(content, dict)
        return {"schema": "twinset/report/1", **content}


def _check_interval(value: float, low: float, high: float) -> None:
    if not low - 1e-9 <= value <= high + 1e-9:
        raise ValueError(f"expected low ≤ value ≤ high; got {low}, {value}, {high}")
