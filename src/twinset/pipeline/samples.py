"""What is known of a run's test images one by one, as JSON and as the report shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset import report
from twinset.downstream.arms import Recipe
from twinset.evaluation.predictions.detection_errors import CLOSE_UP, CONFIDENCE, DOUBLE, MEETING, SizeBin
from twinset.evaluation.sample_study import NEIGHBOURS, DistanceBin, WithoutTraining
from twinset.scores import Score

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
