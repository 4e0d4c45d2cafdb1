"""What runs left on the disk, to the study: cells are written by hand here, nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from twinset.dataset import Dataset
from twinset.downstream.arms import Cell, CellResult, Recipe
from twinset.downstream.placed_cells import found_digest, write_found
from twinset.downstream.placed_data import placed_data
from twinset.downstream.placed_scores import PlacedStudy, found_path
from twinset.evaluation.sample_study import score_without_training
from twinset.formats import read
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.pipeline.fidelity import Features
from twinset.pipeline.real import RealData, RealFacts
from twinset.pipeline.sample_study import samples_of
from twinset.pipeline.samples import ArmSamples, Samples, sample_facts
from twinset.randomness import Stream
from twinset.store import write_json

REAL, MIXED, ALONE = (
    Recipe("real", "none", 0.0),
    Recipe("real+synthetic", "none", 0.5),
    Recipe("synthetic", "none", 1.0),
)
TEST = 14


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    """Six training, two validation and fourteen test images, validation and test taking turns at first."""
    dataset, _ = read("builtin:digit-scenes")
    chosen = dataset.take(np.arange(6 + 2 + TEST))
    return chosen.with_splits([*["train"] * 6, "test", "validation", "test", "validation", *["test"] * (TEST - 2)])


def open_run(dataset: Dataset, families: np.ndarray | None = None, task: str = "detection") -> SimpleNamespace:
    facts = RealFacts("digest", "scenes", None, "", (), (), task)  # type: ignore[arg-type]
    numbers = np.arange(len(dataset)) if families is None else families
    return SimpleNamespace(real=RealData(dataset, numbers, ImageSpec(24, 24, 1), facts), stream=Stream(0))


def features_of(dataset: Dataset) -> Features:
    """One dimension: held-out image n lies at n + 1, the synthetic images at 0."""
    held = np.arange(1.0, 1 + sum(split != "train" for split in dataset.splits))[:, None]
    return Features("line", np.zeros((6, 1)) - 1, held, np.zeros((10, 1)))


def utility() -> SimpleNamespace:
    return SimpleNamespace(
        without_synthetic=REAL, with_synthetic=MIXED, arms={"synthetic": SimpleNamespace(recipe=ALONE)}
    )


def study_of(dataset: Dataset, folder: Path) -> PlacedStudy:
    parts = {
        name: dataset.where([split == name for split in dataset.splits]) for name in ("train", "validation", "test")
    }
    data = placed_data(
        **parts, synthetic=parts["train"], test_families=np.arange(TEST), kind="objects", size=(48, 48), channels=1
    )
    return PlacedStudy(data, folder)


def shrunk(instances: Instances, share: float) -> Instances:
    """The true boxes with this share of their width left."""
    boxes = instances.boxes.copy()
    boxes[:, 2] = boxes[:, 0] + share * (boxes[:, 2] - boxes[:, 0])
    return Instances(instances.size, instances.class_ids, boxes, confidences=np.full(len(boxes), 0.9, dtype=np.float32))


def commit(study: PlacedStudy, recipe: Recipe, seed: int, found: list[Instances]) -> None:
    cell = Cell(recipe, 0, seed)
    digest = write_found(found_path(study.cells, cell.key, study.data), found)
    result = CellResult(cell, "study", 0.5, 0.5, 1.0, found=digest)
    write_json(study.cells / f"{result.cell.key}.json", result.to_json())


@pytest.fixture
def finished(scenes: Dataset, tmp_path: Path) -> PlacedStudy:
    """Real alone finds everything in one run and nothing in another; synthetic alone fades over the test images."""
    study = study_of(scenes, tmp_path)
    truth = study.data.instances("test")
    commit(study, REAL, 0, [shrunk(one, 1.0) for one in truth])
    commit(study, REAL, 1, [Instances.none(one.size) for one in truth])
    commit(study, MIXED, 0, [shrunk(one, 1.0) for one in truth])
    commit(study, ALONE, 0, [shrunk(one, 1 - n / 20) for n, one in enumerate(truth)])
    return study


def test_distances_are_those_of_the_test_images_in_the_order_of_what_was_found(
    scenes: Dataset, finished: PlacedStudy
) -> None:
    samples = samples_of(open_run(scenes), features_of(scenes), finished, utility(), None)  # type: ignore[arg-type]
    assert samples is not None
    assert samples.distances is not None
    assert samples.distances.tolist() == [1, 3, *range(5, 17)]
    assert list(samples.ids) == list(scenes.where([split == "test" for split in scenes.splits]).ids)
    assert [arm.role for arm in samples.arms] == ["without synthetic", "with synthetic", "synthetic alone"]
    real, mixed, alone = samples.arms
    assert real.runs == 2
    assert real.quality.tolist() == pytest.approx([0.5] * TEST, abs=1e-5)
    assert mixed.quality.tolist() == pytest.approx([1.0] * TEST, abs=1e-5)
    assert alone.correlation is not None
    assert alone.correlation.value == pytest.approx(-1)
    assert alone.correlation.counts == {"real": TEST, "synthetic": 10}
    assert [one.quality["synthetic alone"] for one in samples.bins] == sorted(
        (one.quality["synthetic alone"] for one in samples.bins), reverse=True
    )


def test_misses_are_told_by_run_and_shown_as_their_mean(scenes: Dataset, finished: PlacedStudy) -> None:
    samples = samples_of(open_run(scenes), features_of(scenes), finished, utility(), None)  # type: ignore[arg-type]
    assert samples is not None
    objects = sum(one.objects for one in samples.arms[0].errors)
    assert objects == sum(len(one) for one in finished.data.instances("test"))
    assert sum(one.missed[0] for one in samples.arms[0].errors) == 0
    assert sum(one.missed[1] for one in samples.arms[0].errors) == pytest.approx(objects / TEST)
    shown = sample_facts(samples)
    assert sum(shown.arms[0].missed) == pytest.approx(objects / TEST / 2)
    assert sum(shown.arms[0].false_alarms) == 0
    json.dumps(samples.to_json(), allow_nan=False)


def test_one_family_of_test_images_gives_no_correlation(scenes: Dataset, finished: PlacedStudy) -> None:
    run = open_run(scenes, np.zeros(len(scenes), dtype=np.int64))
    samples = samples_of(run, features_of(scenes), finished, utility(), None)  # type: ignore[arg-type]
    assert samples is not None
    assert all(arm.correlation and "got 1" in arm.correlation.undefined_because for arm in samples.arms)


def test_without_features_or_without_trainings_the_rest_is_told(scenes: Dataset, finished: PlacedStudy) -> None:
    run = open_run(scenes)
    no_features = samples_of(run, None, finished, utility(), None)  # type: ignore[arg-type]
    assert no_features is not None
    assert no_features.distances is None
    assert no_features.bins == ()
    assert all(arm.correlation is None and arm.errors for arm in no_features.arms)
    untrained = samples_of(run, features_of(scenes), None, None, None)  # type: ignore[arg-type]
    assert untrained is not None
    assert untrained.arms == ()
    assert untrained.without_training.feature_ratio is not None
    assert "no measure" in untrained.without_training.score.undefined_because
    for samples in (no_features, untrained):
        json.dumps(samples.to_json(), allow_nan=False)
        sample_facts(samples)


def test_nothing_is_said_in_classification(scenes: Dataset) -> None:
    assert samples_of(open_run(scenes, task="classification"), None, None, None, None) is None  # type: ignore[arg-type]


@pytest.mark.slow
def test_segmenters_are_judged_by_the_confusions_of_each_image(scenes: Dataset, tmp_path: Path) -> None:
    data = SimpleNamespace(kind="pixels", instances=lambda part: pytest.fail(f"no objects in {part}"))
    study = PlacedStudy(data, tmp_path)  # type: ignore[arg-type]
    wrong = np.arange(TEST)
    confusions = np.zeros((TEST, 2, 2), dtype=np.int64)
    confusions[:, 0, 0], confusions[:, 0, 1] = 20 - wrong, wrong
    for recipe in (REAL, MIXED, ALONE):
        cell = Cell(recipe, 0, 0)
        file = found_path(study.cells, cell.key, study.data)
        save_file({"confusions": confusions}, file)
        result = CellResult(cell, "study", 0.5, 0.5, 1.0, found=found_digest(file))
        write_json(study.cells / f"{result.cell.key}.json", result.to_json())
    run = open_run(scenes, task="semantic-segmentation")
    samples = samples_of(run, features_of(scenes), study, utility(), None)  # type: ignore[arg-type]
    assert samples is not None
    assert samples.quality_is == "mIoU"
    assert samples.arms[0].quality.tolist() == pytest.approx((1 - wrong / 20).tolist())
    assert samples.arms[0].correlation is not None
    assert samples.arms[0].correlation.value == pytest.approx(-1)
    assert samples.close_up is None
    assert sample_facts(samples).sizes == ()
    json.dumps(samples.to_json(), allow_nan=False)


def test_double_finds_are_told_of_close_ups_first() -> None:
    bare = score_without_training(None, None, rng=Stream(0))
    doubles = np.array([3.0, 1.0, 0.0, 0.0])
    arm = ArmSamples("with synthetic", MIXED, 1, np.ones(4), doubles)
    close_up = np.array([True, True, False, False])
    samples = Samples(("a", "b", "c", "d"), "overlap", bare, arms=(arm,), close_up=close_up)
    assert sample_facts(samples).arms[0].doubles == (2.0, 0.0)
    assert sample_facts(samples).close_ups == 2
    told = json.loads(json.dumps(samples.to_json()))["arms"]["with synthetic"]["double_finds"]
    assert told["close_ups"] == {"images": 2, "pairs_per_image": 2.0}
    assert told["elsewhere"] == {"images": 2, "pairs_per_image": 0.0}
    none = Samples(("a", "b", "c", "d"), "overlap", bare, arms=(arm,), close_up=np.zeros(4, dtype=np.bool_))
    assert sample_facts(none).arms[0].doubles == (None, 1.0)
