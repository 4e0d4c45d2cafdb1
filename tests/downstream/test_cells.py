from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.downstream import Cell, Recipe, UtilityData, UtilityPlan, run_cell
from twinset.downstream.cells import _training_set, study_digest
from twinset.models.classifier import ClassifierSettings

PLAN = UtilityPlan(ClassifierSettings(width=8, steps=20, batch=16), seed=5)
REAL = Cell(Recipe("real", "none", 0.0), 0, 0)
SYNTHETIC = Cell(Recipe("synthetic", "none", 1.0), 0, 0)
BOTH = Cell(Recipe("real+classical+synthetic", "strong", 0.5), 0, 0)


def test_a_cell_is_a_pure_function_of_data_plan_and_cell(lights_data: UtilityData) -> None:
    first, again = (run_cell(BOTH, lights_data, plan=PLAN) for _ in range(2))
    assert replace(first, seconds=0.0) == replace(again, seconds=0.0)
    other = run_cell(replace(BOTH, seed=1), lights_data, plan=PLAN)
    assert other.validation_loss != first.validation_loss
    assert first.study == other.study == study_digest(PLAN, lights_data.digest())


def test_a_cell_does_not_depend_on_threads_and_leaves_their_number_alone(lights_data: UtilityData) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = run_cell(REAL, lights_data, plan=PLAN)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        one = run_cell(REAL, lights_data, plan=PLAN)
    finally:
        torch.set_num_threads(before)
    assert one.validation_loss == two.validation_loss
    assert one.test_predictions == two.test_predictions


def test_good_data_is_learnt_and_shuffled_synthetic_labels_are_not(lights_data: UtilityData) -> None:
    wrong = replace(lights_data, synthetic_targets=1 - lights_data.synthetic_targets)
    right = np.array(run_cell(SYNTHETIC, lights_data, plan=PLAN).test_predictions) == lights_data.test_labels
    opposite = np.array(run_cell(SYNTHETIC, wrong, plan=PLAN).test_predictions) == lights_data.test_labels
    assert right.mean() > 0.9
    assert opposite.mean() < 0.1


def test_each_arm_trains_on_its_own_images_only(lights_data: UtilityData) -> None:
    for cell, n_real, n_synthetic in ((REAL, 20, 0), (SYNTHETIC, 0, 30), (BOTH, 20, 30)):
        images, targets, source = _training_set(cell, lights_data)
        assert len(images) == len(targets) == n_real + n_synthetic
        assert np.bincount(source, minlength=2).tolist() == [n_real, n_synthetic]
        expected = np.concatenate([lights_data.train_images[:n_real], lights_data.synthetic_images[:n_synthetic]])
        np.testing.assert_array_equal(images, expected)


def test_a_subset_sees_its_own_images_and_their_descendants_only(lights_data: UtilityData) -> None:
    real, synthetic = np.zeros((2, 20), bool), np.zeros((2, 30), bool)
    real[0, :6], real[1, 6:12], synthetic[0, :4], synthetic[1, 4:9] = True, True, True, True
    data = replace(lights_data, train_subset=real, synthetic_subset=synthetic)
    images, _, source = _training_set(replace(BOTH, subset=1), data)
    assert data.subsets == 2
    np.testing.assert_array_equal(images[source == 0], data.train_images[6:12])
    np.testing.assert_array_equal(images[source == 1], data.synthetic_images[4:9])


def test_soft_synthetic_labels_meet_one_hot_real_ones(lights_data: UtilityData) -> None:
    soft = np.full((30, 2), 0.5, np.float32)
    _, targets, source = _training_set(BOTH, replace(lights_data, synthetic_targets=soft))
    np.testing.assert_array_equal(targets[source == 0], np.eye(2)[lights_data.train_labels])
    np.testing.assert_array_equal(targets[source == 1], soft)


def test_saved_data_comes_back_with_the_same_digest(lights_data: UtilityData, tmp_path: Path) -> None:
    lights_data.save(tmp_path / "data.safetensors")
    back = UtilityData.load(tmp_path / "data.safetensors")
    assert back.digest() == lights_data.digest()
    assert back.n_classes == 2
    flipped = replace(lights_data, synthetic_targets=1 - lights_data.synthetic_targets)
    assert flipped.digest() != lights_data.digest()


def test_a_study_is_named_by_plan_and_data(lights_data: UtilityData) -> None:
    digest = lights_data.digest()
    names = {study_digest(PLAN, digest), study_digest(replace(PLAN, seed=6), digest), study_digest(PLAN, "other")}
    assert len(names) == 3


def test_data_that_does_not_fit_together_is_refused(lights_data: UtilityData) -> None:
    for wrong in (
        {"train_labels": lights_data.train_labels[:-1]},
        {"test_labels": lights_data.test_labels + 1},
        {"test_families": np.arange(3)},
        {"synthetic_images": np.zeros((30, 7, 7, 1), np.uint8)},
        {
            "validation_images": lights_data.validation_images[:0],
            "validation_labels": lights_data.validation_labels[:0],
        },
        {"synthetic_subset": np.ones((2, 30), bool)},
    ):
        with pytest.raises(ValueError, match="expected"):
            replace(lights_data, **wrong)  # type: ignore[arg-type]
    empty = replace(
        lights_data, synthetic_images=np.zeros((0, 6, 6, 1), np.uint8), synthetic_targets=np.zeros(0, np.int64)
    )
    with pytest.raises(ValueError, match="expected real and synthetic images"):
        run_cell(SYNTHETIC, empty, plan=PLAN)
