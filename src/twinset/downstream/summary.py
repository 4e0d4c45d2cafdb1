"""All cells of a study to one table: each arm as its best recipe on validation, scored on test with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twinset.downstream.arms import (
    ARMS,
    WITH_SYNTHETIC,
    WITHOUT_SYNTHETIC,
    ArmName,
    CellResult,
    Recipe,
    StudySettings,
    UtilityPlan,
)
from twinset.downstream.intervals import Difference, Judged, interval_of_mean, paired_difference
from twinset.randomness import Stream


@dataclass(frozen=True)
class Details:
    """What is told of an arm besides its metric: ``figures`` by name, and one figure per class (None: not there).

    ``right``, in classification: of every run whether it was right on each test image, in one order of runs for all
    arms.
    """

    figures: Mapping[str, float]
    per_class_name: str
    per_class: tuple[float | None, ...]
    right: tuple[tuple[bool, ...], ...] = ()


@dataclass(frozen=True)
class Sizes:
    """How many images a study stands on, and how many families its test images are."""

    train: int
    synthetic: int
    validation: int
    test: int
    test_families: int


class StudyData(Protocol):
    """The data of a study, of whatever task: what its cells train on, and how their results are scored."""

    @property
    def metric(self) -> str:
        """What is measured, 0…1, higher is better."""
        ...

    @property
    def sizes(self) -> Sizes:
        """Numbers of images."""
        ...

    @property
    def blind(self) -> float:
        """The metric of an answer that never looks at the picture, on the test images (:mod:`.blind`)."""
        ...

    def judged(self, runs: Sequence[CellResult]) -> Judged:
        """The metric of these runs on the test images; ``ValueError`` if they are not of this data."""
        ...

    def details(self, runs: Sequence[CellResult]) -> Details:
        """What else these runs, of one arm, scored on the test images, averaged."""
        ...


@dataclass(frozen=True)
class ArmSummary:
    """An arm on the test set: the metric (``mean`` over runs, 95 % interval) and what goes with it.

    ``values`` has one figure per run; ``validation`` is the mean on validation that picked ``recipe``.
    The two recipes of the verdict have more seeds than the others.
    """

    recipe: Recipe
    mean: float
    low: float
    high: float
    seeds: int
    subsets: int
    values: tuple[float, ...]
    validation: float
    details: Details

    def to_json(self) -> dict[str, object]:
        """Plain JSON types."""
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "seeds": self.seeds,
            "subsets": self.subsets,
            "values": list(self.values),
            "validation": self.validation,
            **self.details.figures,
            self.details.per_class_name: list(self.details.per_class),
            "strength": self.recipe.strength,
            "synthetic_share": self.recipe.share,
        }


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried, and its mean metric on validation."""

    recipe: Recipe
    validation: float


@dataclass(frozen=True)
class Utility:
    """The outcome of a study. ``difference`` is None when there was no synthetic image to train on.

    ``blind`` is what an answer scores that never looks at the picture. Every way to train had ``seeds`` runs, the two
    that are compared ``extra_seeds`` more.
    """

    metric: str
    arms: dict[ArmName, ArmSummary]
    trials: tuple[Trial, ...]
    without_synthetic: Recipe
    with_synthetic: Recipe | None
    difference: Difference | None
    sizes: Sizes
    seconds: float
    blind: float
    seeds: int
    extra_seeds: int

    @property
    def seeds_text(self) -> str:
        """How often everything was trained, for people."""
        each = f"every way to train ran with {_seeds(self.seeds)}"
        return f"{each}, the two that are compared with {self.extra_seeds} more" if self.extra_seeds else each

    def to_json(self) -> dict[str, object]:
        """``{arm: {mean, low, high, seeds, …}}``, the ``utility`` of a run's JSON."""
        return {name: arm.to_json() for name, arm in self.arms.items()}


def summarise(results: Iterable[CellResult], *, data: StudyData, plan: UtilityPlan[StudySettings]) -> Utility:
    """The table of arms, the picked pair and its difference on test.

    Raises ``ValueError`` if cells are missing or belong to another study.
    """
    results = sorted(results, key=lambda result: result.cell)
    _check_complete(results, plan)
    rng = Stream(plan.seed).child("utility-bootstrap")
    arms: dict[ArmName, ArmSummary] = {}
    for arm in ARMS if plan.synthetic else WITHOUT_SYNTHETIC:
        arms[arm] = _summarise_arm(plan.pick(results, (arm,)), results, data=data, plan=plan, rng=rng)
    without, with_synthetic, difference = plan.pick(results, WITHOUT_SYNTHETIC), None, None
    if plan.synthetic:
        with_synthetic = plan.pick(results, WITH_SYNTHETIC)
        runs = [*_of(with_synthetic, results), *_of(without, results)]
        seeds = len(runs) // 2 // plan.subsets
        difference = paired_difference(
            data.judged(runs), subsets=plan.subsets, seeds=seeds, rng=rng.child("difference")
        )
    recipes = dict.fromkeys(result.cell.recipe for result in results)
    return Utility(
        metric=data.metric,
        arms=arms,
        trials=tuple(Trial(recipe, _validation(recipe, results, plan)) for recipe in recipes),
        without_synthetic=without,
        with_synthetic=with_synthetic,
        difference=difference,
        sizes=data.sizes,
        seconds=sum(result.seconds for result in results),
        blind=data.blind,
        seeds=plan.seeds,
        extra_seeds=plan.extra_seeds if plan.synthetic else 0,
    )


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _check_complete(results: Sequence[CellResult], plan: UtilityPlan[StudySettings]) -> None:
    if len({result.study for result in results}) > 1:
        raise ValueError("expected cells of one study; got several; remove the results of the other plan or data")
    due = plan.due(results)
    if due:
        raise ValueError(f"expected a complete study; got {len(due)} cells without a result, first {due[0].key}")


def _of(recipe: Recipe, results: Sequence[CellResult]) -> list[CellResult]:
    """The runs of a recipe, in order of subset and seed."""
    mine = [result for result in results if result.cell.recipe == recipe]
    return sorted(mine, key=lambda result: (result.cell.subset, result.cell.seed))


def _validation(recipe: Recipe, results: Sequence[CellResult], plan: UtilityPlan[StudySettings]) -> float:
    return float(np.mean([run.validation_score for run in _of(recipe, results) if run.cell.seed < plan.seeds]))


def _summarise_arm(
    recipe: Recipe, results: Sequence[CellResult], *, data: StudyData, plan: UtilityPlan[StudySettings], rng: Stream
) -> ArmSummary:
    runs = _of(recipe, results)
    judged, seeds = data.judged(runs), len(runs) // plan.subsets
    spread = interval_of_mean(judged, subsets=plan.subsets, seeds=seeds, rng=rng.child("arm", recipe.arm))
    values = judged.scores(np.ones((1, judged.families)))[0]
    return ArmSummary(
        recipe=recipe,
        mean=spread.value,
        low=spread.low,
        high=spread.high,
        seeds=seeds,
        subsets=plan.subsets,
        values=tuple(float(value) for value in values),
        validation=_validation(recipe, results, plan),
        details=data.details(runs),
    )
