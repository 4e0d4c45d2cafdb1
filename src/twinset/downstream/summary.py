"""All cells of a study to one table: each arm as its best recipe on validation, scored on test with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.downstream.arms import (
    ARMS,
    WITH_SYNTHETIC,
    WITHOUT_SYNTHETIC,
    ArmName,
    CellResult,
    Recipe,
    UtilityPlan,
)
from twinset.downstream.cells import UtilityData
from twinset.downstream.intervals import Difference, interval_of_mean, paired_difference
from twinset.downstream.metrics import balanced_accuracy, macro_f1, recall_per_class
from twinset.randomness import Stream


@dataclass(frozen=True)
class ArmSummary:
    """An arm on the test set: balanced accuracy (``mean`` over runs, 95 % interval) and what goes with it.

    ``values`` has one balanced accuracy per run; ``validation`` is the mean on validation that picked ``recipe``.
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
    accuracy: float
    macro_f1: float
    recall: tuple[float | None, ...]

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
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "recall": list(self.recall),
            "strength": self.recipe.strength,
            "synthetic_share": self.recipe.share,
        }


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried, and its mean balanced accuracy on validation."""

    recipe: Recipe
    validation: float


@dataclass(frozen=True)
class Utility:
    """The outcome of a study. ``difference`` is None when there was no synthetic image to train on."""

    arms: dict[ArmName, ArmSummary]
    trials: tuple[Trial, ...]
    without_synthetic: Recipe
    with_synthetic: Recipe | None
    difference: Difference | None
    n_train: int
    n_synthetic: int
    n_validation: int
    n_test: int
    n_test_families: int
    seconds: float

    def to_json(self) -> dict[str, object]:
        """``{arm: {mean, low, high, seeds, …}}``, the ``utility`` of a run's JSON."""
        return {name: arm.to_json() for name, arm in self.arms.items()}


def summarise(results: Iterable[CellResult], *, data: UtilityData, plan: UtilityPlan) -> Utility:
    """The table of arms, the picked pair and its difference on test.

    Raises ``ValueError`` if cells are missing or belong to another study.
    """
    results = sorted(results, key=lambda result: result.cell)
    _check_complete(results, data, plan)
    rng = Stream(plan.seed).child("utility-bootstrap")
    arms: dict[ArmName, ArmSummary] = {}
    for arm in ARMS if plan.synthetic else WITHOUT_SYNTHETIC:
        recipe = plan.pick(results, (arm,), data.validation_labels.tolist())
        arms[arm] = _summarise_arm(recipe, results, data=data, plan=plan, rng=rng)
    labels = data.validation_labels.tolist()
    without, with_synthetic, difference = plan.pick(results, WITHOUT_SYNTHETIC, labels), None, None
    if plan.synthetic:
        with_synthetic = plan.pick(results, WITH_SYNTHETIC, labels)
        difference = paired_difference(
            _correct(with_synthetic, results, data, plan),
            _correct(without, results, data, plan),
            labels=data.test_labels,
            families=data.test_families,
            rng=rng.child("difference"),
        )
    recipes = dict.fromkeys(result.cell.recipe for result in results)
    return Utility(
        arms=arms,
        trials=tuple(Trial(recipe, _validation(recipe, results, data, plan)) for recipe in recipes),
        without_synthetic=without,
        with_synthetic=with_synthetic,
        difference=difference,
        n_train=len(data.training(0)[0]),
        n_synthetic=len(data.synthetic(0)[0]),
        n_validation=len(data.validation_labels),
        n_test=len(data.test_labels),
        n_test_families=len(np.unique(data.test_families)),
        seconds=sum(result.seconds for result in results),
    )


def _check_complete(results: Sequence[CellResult], data: UtilityData, plan: UtilityPlan) -> None:
    if len({result.study for result in results}) > 1:
        raise ValueError("expected cells of one study; got several; remove the results of the other plan or data")
    lengths = {(len(result.validation_predictions), len(result.test_predictions)) for result in results}
    if lengths - {(len(data.validation_labels), len(data.test_labels))}:
        raise ValueError(f"expected predictions for this validation and test set; got lengths {sorted(lengths)}")
    due = plan.due(results, validation_labels=data.validation_labels.tolist())
    if due:
        raise ValueError(f"expected a complete study; got {len(due)} cells without a result, first {due[0].key}")


def _of(recipe: Recipe, results: Sequence[CellResult]) -> list[CellResult]:
    return [result for result in results if result.cell.recipe == recipe]


def _validation(recipe: Recipe, results: Sequence[CellResult], data: UtilityData, plan: UtilityPlan) -> float:
    labels = data.validation_labels
    runs = [run for run in _of(recipe, results) if run.cell.seed < plan.seeds]
    scores = [balanced_accuracy(np.array(run.validation_predictions), labels) for run in runs]
    return float(np.mean(scores))


def _correct(recipe: Recipe, results: Sequence[CellResult], data: UtilityData, plan: UtilityPlan) -> NDArray[np.bool_]:
    """bool (subsets, seeds, N_test), in order of subset and seed."""
    runs = sorted(_of(recipe, results), key=lambda result: (result.cell.subset, result.cell.seed))
    right = np.array([np.array(run.test_predictions) == data.test_labels for run in runs])
    return right.reshape(plan.subsets, len(runs) // plan.subsets, -1)


def _summarise_arm(
    recipe: Recipe, results: Sequence[CellResult], *, data: UtilityData, plan: UtilityPlan, rng: Stream
) -> ArmSummary:
    runs = [np.array(result.test_predictions) for result in _of(recipe, results)]
    labels = data.test_labels
    recalls = np.mean([recall_per_class(run, labels, data.n_classes) for run in runs], axis=0)
    spread = interval_of_mean(
        _correct(recipe, results, data, plan),
        labels=labels,
        families=data.test_families,
        rng=rng.child("arm", recipe.arm),
    )
    return ArmSummary(
        recipe=recipe,
        mean=spread.value,
        low=spread.low,
        high=spread.high,
        seeds=len(runs) // plan.subsets,
        subsets=plan.subsets,
        values=tuple(balanced_accuracy(run, labels) for run in runs),
        validation=_validation(recipe, results, data, plan),
        accuracy=float(np.mean([(run == labels).mean() for run in runs])),
        macro_f1=float(np.mean([macro_f1(run, labels) for run in runs])),
        recall=tuple(None if np.isnan(value) else float(value) for value in recalls),
    )
