from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from twinset.downstream import (
    ARMS,
    Cell,
    CellResult,
    Utility,
    UtilityData,
    UtilityPlan,
    decide,
    run_cell,
    summarise,
)
from twinset.label_scores import balanced_accuracy
from twinset.models.classifier import ClassifierSettings
from twinset.randomness import Stream

PLAN = UtilityPlan(ClassifierSettings(), seed=5)


def pretend(cell: Cell, data: UtilityData, gain: float) -> CellResult:
    """A run that reads 70 % of the images, and ``gain`` more where synthetic images took part."""
    accuracy = 0.7 + gain * (cell.recipe.share > 0) + 0.02 * (cell.recipe.strength == "medium")
    hard = Stream(9).numpy().random(len(data.test_labels))
    test = np.where(hard < accuracy, data.test_labels, 1 - data.test_labels)
    easy = np.arange(len(data.validation_labels)) / len(data.validation_labels)
    validation = np.where(easy < accuracy, data.validation_labels, 1 - data.validation_labels)
    score = balanced_accuracy(validation, data.validation_labels)
    return CellResult(cell, "s", score, 1 - accuracy, 0.5, tuple(validation.tolist()), tuple(test.tolist()))


def big(data: UtilityData) -> UtilityData:
    """The fixture's data with many test and validation images."""
    return replace(
        data,
        test_images=np.tile(data.test_images, (20, 1, 1, 1)),
        test_labels=np.tile(data.test_labels, 20),
        test_families=np.arange(800),
        validation_images=np.tile(data.validation_images, (10, 1, 1, 1)),
        validation_labels=np.tile(data.validation_labels, 10),
    )


def study(data: UtilityData, plan: UtilityPlan, gain: float) -> Utility:
    results: list[CellResult] = []
    while cells := plan.due(results):
        results += [pretend(cell, data, gain) for cell in cells]
    return summarise(results, data=data, plan=plan)


@pytest.mark.parametrize(("gain", "decision"), [(0.1, "use"), (-0.1, "do_not_use"), (0.0, "no_measurable_difference")])
def test_the_verdict_follows_the_difference_on_test(lights_data: UtilityData, gain: float, decision: str) -> None:
    utility = study(big(lights_data), PLAN, gain)
    verdict = decide(utility)
    assert verdict.decision == decision
    assert verdict.difference is not None
    assert verdict.difference.value == pytest.approx(gain, abs=0.03)
    assert set(utility.arms) == set(ARMS)
    assert utility.without_synthetic.strength == "medium"


def test_the_table_of_arms_is_plain_json_with_the_promised_keys(lights_data: UtilityData) -> None:
    utility = study(big(lights_data), PLAN, 0.1)
    table = json.loads(json.dumps(utility.to_json()))
    assert set(table) == set(ARMS)
    for arm in table.values():
        assert arm["low"] <= arm["mean"] <= arm["high"]
        assert arm["seeds"] == len(arm["values"])
    assert table["real"]["seeds"] == 3
    assert table["real+classical"]["seeds"] == 5
    assert table["real"]["mean"] == pytest.approx(0.7, abs=0.04)
    verdict = json.loads(json.dumps(decide(utility).to_json()))
    assert set(verdict) == {"decision", "sentence", "difference"}
    assert set(verdict["difference"]) == {"value", "low", "high"}
    assert len(utility.trials) == 9


def test_a_refused_gate_blocks_whatever_the_difference(lights_data: UtilityData) -> None:
    verdict = decide(study(big(lights_data), PLAN, 0.1), gate_failure="12 images copy training images.")
    assert verdict.decision == "blocked_by_gate"
    assert "12 images copy training images" in verdict.sentence
    assert verdict.difference is not None


def test_an_empty_synthetic_set_is_not_used_and_says_so(lights_data: UtilityData) -> None:
    utility = study(big(lights_data), replace(PLAN, synthetic=False), 0.0)
    verdict = decide(utility)
    assert verdict.decision == "do_not_use"
    assert "no synthetic image" in verdict.sentence
    assert verdict.to_json()["difference"] == {"value": None, "low": None, "high": None}
    assert set(utility.arms) == {"real", "real+classical"}


def test_the_pick_is_made_on_validation_even_if_test_disagrees(lights_data: UtilityData) -> None:
    data = big(lights_data)
    results: list[CellResult] = []
    while cells := PLAN.due(results):
        results += [pretend(cell, data, 0.1) for cell in cells]
    spoiled = [
        replace(r, test_predictions=tuple((1 - data.test_labels).tolist())) if r.cell.recipe.strength == "medium" else r
        for r in results
    ]
    utility = summarise(spoiled, data=data, plan=PLAN)
    assert utility.without_synthetic.strength == "medium"
    assert utility.arms["real+classical"].mean == 0


def test_incomplete_mixed_or_foreign_results_are_refused(lights_data: UtilityData) -> None:
    data = big(lights_data)
    results: list[CellResult] = []
    while cells := PLAN.due(results):
        results += [pretend(cell, data, 0.1) for cell in cells]
    for wrong, message in (
        (results[1:], "complete study"),
        ([replace(results[0], study="other"), *results[1:]], "one study"),
        ([replace(results[0], test_predictions=(1,)), *results[1:]], "this validation and test set"),
    ):
        with pytest.raises(ValueError, match=message):
            summarise(wrong, data=data, plan=PLAN)


def few_digits(*, shuffled: bool) -> UtilityData:
    """Five scanned digits a class to train on, a hidden pool of 500 as "synthetic", 1,047 to test on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = Stream(0).child("digits").numpy().permutation(len(digits.target))
    images = np.rint(digits.images[order] * 255 / 16).astype(np.uint8)[..., None]
    labels = digits.target[order].astype(np.int64)
    train = np.concatenate([np.flatnonzero(labels == c)[:5] for c in range(10)])
    rest = np.setdiff1d(np.arange(len(labels)), train)
    validation, pool, test = rest[:200], rest[200:700], rest[700:]
    targets = Stream(1).numpy().permutation(labels[pool]) if shuffled else labels[pool]
    parts = [(images[rows], labels[rows]) for rows in (train, validation, test)]
    return UtilityData(10, *parts[0], *parts[1], *parts[2], np.arange(len(test)), images[pool], targets)


DIGITS = UtilityPlan(
    ClassifierSettings(width=16, steps=200), seed=0, extra_seeds=0, strengths=("light", "medium"), shares=(0.5,)
)


@pytest.fixture(scope="module")
def without_synthetic() -> list[CellResult]:
    """Trainings on real images alone, which are the same whatever the labels of the synthetic ones."""
    data = few_digits(shuffled=False)
    cells = [cell for cell in DIGITS.due([]) if cell.recipe.share == 0]
    return [run_cell(cell, data, plan=DIGITS, study="test") for cell in cells]


@pytest.mark.slow(seconds=25)
@pytest.mark.parametrize(("shuffled", "decision"), [(False, "use"), (True, "do_not_use")])
def test_hidden_real_images_are_worth_using_and_shuffled_labels_are_not(
    shuffled: bool, decision: str, without_synthetic: list[CellResult]
) -> None:
    data = few_digits(shuffled=shuffled)
    results = list(without_synthetic)
    while cells := DIGITS.due(results):
        results += [run_cell(cell, data, plan=DIGITS, study="test") for cell in cells]
    assert decide(summarise(results, data=data, plan=DIGITS)).decision == decision
