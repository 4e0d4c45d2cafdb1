"""The image-by-image study of a run: what its arms found in each test image, beside its distance to the twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.downstream import CellResult, Utility
from twinset.downstream.arms import Recipe
from twinset.downstream.cells import committed
from twinset.downstream.placed_cells import read_found
from twinset.downstream.placed_scores import PlacedStudy
from twinset.evaluation.predictions.detection_errors import (
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
from twinset.pipeline.placed import kind_of
from twinset.pipeline.samples import ArmSamples, MeanErrors, Role, Samples
from twinset.randomness import Stream

if TYPE_CHECKING:
    from twinset.pipeline.fidelity import Features


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
