"""The image-by-image study of a run: what its arms found in each test image, beside its distance to the twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from twinset import report
from twinset.downstream import CellResult, Utility
from twinset.downstream.arms import Recipe
from twinset.downstream.placed_cells import read_found
from twinset.downstream.placed_scores import PlacedStudy
from twinset.evaluation.detection_errors import (
    CLOSE_UP,
    CONFIDENCE,
    DOUBLE,
    MEETING,
    SizeBin,
    close_ups,
    confident,
    double_finds,
    errors_by_size,
    object_quality,
    pixel_quality,
    size_bins,
)
from twinset.evaluation.sample_study import (
    NEIGHBOURS,
    DistanceBin,
    Excess,
    FeatureSets,
    WithoutTraining,
    distance_bins,
    rank_correlation,
    score_without_training,
    synthetic_distances,
)
from twinset.instances import Instances
from twinset.pipeline.metadata import Metadata
from twinset.pipeline.opening import Run
from twinset.pipeline.placed import committed, kind_of
from twinset.randomness import Stream
from twinset.scores import Score

if TYPE_CHECKING:
    from twinset.pipeline.measuring import Features

Role = Literal["without synthetic", "with synthetic", "synthetic alone"]


@dataclass(frozen=True)
class MeanErrors:
    """Errors on boxes of one size, per test image: one figure a run."""

    bin: SizeBin
    objects: int
    missed: tuple[float, ...]
    false_alarms: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ArmSamples:
    """What the runs of one recipe did on the N test images.

    ``quality`` float64 (N,), mean over runs, is NaN where there is nothing to find; ``doubles`` float64 (N,) likewise,
    None in segmentation. ``correlation`` of quality with distance is None where no distances were measured.
    """

    role: Role
    recipe: Recipe
    runs: int
    quality: NDArray[np.float64]
    doubles: NDArray[np.float64] | None = None
    errors: tuple[MeanErrors, ...] = ()
    correlation: Score | None = None


@dataclass(frozen=True, eq=False)
class Samples:
    """The study: test images by ``ids``, their ``distances`` (N,) to the twin, and how each arm did on them.

    ``arms`` is empty where usefulness was not measured. ``close_up`` bool (N,), None in segmentation.
    """

    ids: tuple[str, ...]
    quality_is: Literal["overlap", "mIoU"]
    without_training: WithoutTraining
    distances: NDArray[np.float64] | None = None
    extractor: str = ""
    arms: tuple[ArmSamples, ...] = ()
    bins: tuple[DistanceBin, ...] = ()
    close_up: NDArray[np.bool_] | None = None

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON types, images one by one included."""
        found = self.without_training
        rules = {"confidence": CONFIDENCE, "meeting": MEETING, "double": DOUBLE, "close_up": CLOSE_UP, "k": NEIGHBOURS}
        return {
            "rules": rules,
            "extractor": self.extractor or None,
            "quality_is": self.quality_is,
            "without_training": {
                **found.score.to_json(),
                "measures": dict(found.measures),
                "feature_ratio": found.feature_ratio,
            },
            "bins": [{**vars(one), "quality": dict(one.quality)} for one in self.bins],
            "arms": {arm.role: self._arm(arm) for arm in self.arms},
            "images": [self._image(row) for row in range(len(self.ids))],
        }

    def _arm(self, arm: ArmSamples) -> dict[str, object]:
        return {
            "recipe": arm.recipe.text,
            "runs": arm.runs,
            "correlation": arm.correlation.to_json() if arm.correlation else None,
            "by_size": [
                {
                    "size": one.bin.name,
                    "share_above": one.bin.low,
                    "share_up_to": one.bin.high,
                    "objects": one.objects,
                    "missed_per_image": list(one.missed),
                    "false_alarms_per_image": list(one.false_alarms),
                }
                for one in arm.errors
            ],
            "double_finds": self._doubles(arm),
        }

    def _doubles(self, arm: ArmSamples) -> dict[str, object] | None:
        if arm.doubles is None or self.close_up is None:
            return None
        parts = {"close_ups": self.close_up, "elsewhere": ~self.close_up}
        return {
            name: {
                "images": int(mine.sum()),
                "pairs_per_image": float(arm.doubles[mine].mean()) if mine.any() else None,
            }
            for name, mine in parts.items()
        }

    def _image(self, row: int) -> dict[str, object]:
        qualities = {arm.role: float(arm.quality[row]) for arm in self.arms}
        return {
            "id": self.ids[row],
            "distance": None if self.distances is None else float(self.distances[row]),
            "quality": {role: value if np.isfinite(value) else None for role, value in qualities.items()},
        }


def samples_of(
    run: Run, features: Features | None, study: PlacedStudy | None, utility: Utility | None, metadata: Metadata | None
) -> Samples | None:
    """The study of a run; None in classification. What was not measured (features, usefulness, metadata) is left out.

    ``study`` and ``utility`` are there together or not at all.
    """
    real = run.real
    if real.task == "classification":
        return None
    rng = run.stream.child("samples")
    at_test = np.array([split == "test" for split in real.holdout.splits], dtype=np.bool_)
    test = None if features is None else features.holdout[at_test]
    distances = None if features is None or test is None else synthetic_distances(test, features.accepted)
    families = real.part_families("test")
    arms = [] if study is None or utility is None else _arms(study, utility, distances, families, rng)
    if features is not None:
        arms = [_of_features(arm, features) for arm in arms]
    close_up = close_ups(study.data.instances("test")) if study is not None and study.data.kind == "objects" else None
    return Samples(
        ids=tuple(real.part("test").ids),
        quality_is="mIoU" if kind_of(real.task) == "pixels" else "overlap",
        without_training=_without_training(features, test, metadata, rng),
        distances=distances,
        extractor=features.extractor if features is not None else "",
        arms=tuple(arms),
        bins=() if distances is None else distance_bins(distances, {arm.role: arm.quality for arm in arms}),
        close_up=close_up,
    )


def _of_features(arm: ArmSamples, features: Features) -> ArmSamples:
    """With what the distances behind its correlation were measured by."""
    if arm.correlation is None:
        return arm
    counts = {**arm.correlation.counts, "synthetic": len(features.accepted)}
    settings = {**arm.correlation.settings, "k": NEIGHBOURS}
    return replace(
        arm,
        correlation=replace(arm.correlation, counts=counts, settings=settings, extractor=features.extractor),
    )


def _without_training(
    features: Features | None, test: NDArray[np.floating] | None, metadata: Metadata | None, rng: Stream
) -> WithoutTraining:
    excess = sets = None
    if metadata is not None:
        gaps = metadata.table.gaps
        excess = Excess(
            {gap.measure: gap.excess["after"] for gap in gaps},
            {gap.measure: gap.at_floor["after"] for gap in gaps},
            max((gap.images for gap in gaps), default=0),
        )
    if features is not None and test is not None:
        sets = FeatureSets(features.extractor, test, features.accepted, features.training, features.saw_training)
    return score_without_training(excess, sets, rng=rng.child("without-training"))


def _arms(
    study: PlacedStudy,
    utility: Utility,
    distances: NDArray[np.float64] | None,
    families: NDArray[np.int64],
    rng: Stream,
) -> list[ArmSamples]:
    """The picked arm without synthetic images, the picked one with, and synthetic images alone."""
    results = list(committed(study.cells))
    recipes: dict[Role, Recipe | None] = {
        "without synthetic": utility.without_synthetic,
        "with synthetic": utility.with_synthetic,
        "synthetic alone": utility.arms["synthetic"].recipe if "synthetic" in utility.arms else None,
    }
    truth = study.data.instances("test") if study.data.kind == "objects" else []
    bins = size_bins(truth)
    arms = []
    for role, recipe in recipes.items():
        runs = [result for result in results if result.cell.recipe == recipe]
        if recipe is None or not runs:
            continue
        judged = _objects(study, runs, truth, bins) if truth else _pixels(study, runs)
        correlation = None
        if distances is not None:
            correlation = rank_correlation(distances, judged.quality, families, name=role, rng=rng)
        arms.append(ArmSamples(role, recipe, len(runs), judged.quality, judged.doubles, judged.errors, correlation))
    return arms


@dataclass(frozen=True, eq=False)
class _Judged:
    quality: NDArray[np.float64]
    doubles: NDArray[np.float64] | None = None
    errors: tuple[MeanErrors, ...] = ()


def _objects(
    study: PlacedStudy, runs: Sequence[CellResult], truth: Sequence[Instances], bins: Sequence[SizeBin]
) -> _Judged:
    found = [confident(read_found(study.file(run))) for run in runs]
    by_run = [errors_by_size(truth, one, bins, n_classes=study.data.n_classes) for one in found]
    images = len(truth)
    errors = [
        MeanErrors(
            part,
            by_run[0][at].objects,
            tuple(errors[at].missed / images for errors in by_run),
            tuple(errors[at].false_alarms / images for errors in by_run),
        )
        for at, part in enumerate(bins)
    ]
    return _Judged(
        np.mean([object_quality(truth, one) for one in found], axis=0),
        np.mean([double_finds(truth, one) for one in found], axis=0),
        tuple(errors),
    )


def _pixels(study: PlacedStudy, runs: Sequence[CellResult]) -> _Judged:
    from safetensors.numpy import load_file

    return _Judged(np.mean([pixel_quality(load_file(study.file(run))["confusions"]) for run in runs], axis=0))


def sample_facts(samples: Samples) -> report.SampleFacts:
    """The study as the report shows it."""
    close_up, first = samples.close_up, next((arm for arm in samples.arms if arm.errors), None)
    return report.SampleFacts(
        ids=samples.ids,
        quality_is=samples.quality_is,
        score=samples.without_training.score,
        measures=samples.without_training.measures,
        feature_ratio=samples.without_training.feature_ratio,
        k=NEIGHBOURS,
        distances=samples.distances,
        extractor=samples.extractor,
        arms=tuple(_shown(arm, close_up) for arm in samples.arms),
        bins=tuple(
            report.SampleBin(
                one.low, one.high, one.images, one.distance, tuple(one.quality[arm.role] for arm in samples.arms)
            )
            for one in samples.bins
        ),
        sizes=tuple(
            report.BoxSize(one.bin.name, one.bin.low, one.bin.high, one.objects)
            for one in (first.errors if first else ())
        ),
        close_ups=None if close_up is None else int(close_up.sum()),
        confidence=CONFIDENCE,
        meeting=MEETING,
        double=DOUBLE,
        close_up=CLOSE_UP,
    )


def _shown(arm: ArmSamples, close_up: NDArray[np.bool_] | None) -> report.SampleArm:
    doubles: tuple[float | None, ...] = ()
    if close_up is not None and arm.doubles is not None:
        doubles = tuple(float(arm.doubles[at].mean()) if at.any() else None for at in (close_up, ~close_up))
    return report.SampleArm(
        name=arm.role,
        setting=arm.recipe.text,
        runs=arm.runs,
        quality=arm.quality,
        correlation=arm.correlation,
        missed=tuple(float(np.mean(one.missed)) for one in arm.errors),
        false_alarms=tuple(float(np.mean(one.false_alarms)) for one in arm.errors),
        doubles=doubles,
    )
