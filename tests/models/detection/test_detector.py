from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.dataset import Dataset
from twinset.errors import RunFolderError
from twinset.instances import Instances
from twinset.models.checkpoint import save_tensors
from twinset.models.detection import Detector, DetectorSettings, Scenes, fit_detector, scene_augmentation
from twinset.models.detection.training import _batches
from twinset.randomness import Stream

Shapes = Callable[..., Dataset]
QUICK = DetectorSettings(steps=60, width=8, learning_rate=4e-3, augmentation=scene_augmentation("light"))


def average_precision(truth: Scenes, found: list[Instances], n_classes: int) -> float:
    """Mean area under precision and recall at IoU .5, for originals of the network's size."""
    values = []
    for class_id in range(n_classes):
        hits: list[tuple[float, bool]] = []
        total = 0
        for i, instances in enumerate(found):
            boxes = truth.boxes[i][truth.class_ids[i] == class_id]
            total += len(boxes)
            free = np.ones(len(boxes), bool)
            for row in np.flatnonzero(instances.class_ids == class_id):
                overlaps = overlap(instances.boxes[row], boxes) * free
                hit = bool(len(boxes)) and overlaps.max() > 0.5
                if hit:
                    free[overlaps.argmax()] = False
                assert instances.confidences is not None
                hits.append((float(instances.confidences[row]), hit))
        right = np.array([hit for _, hit in sorted(hits, reverse=True)])
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        values.append(float(precision[right].sum() / total) if len(right) else 0.0)
    return float(np.mean(values))


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    return common / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - common)


@pytest.fixture(scope="module")
def training(shapes: Shapes) -> Scenes:
    return Scenes.of(shapes(48), height=64, width=64, channels=3)


@pytest.fixture(scope="module")
def test_set(shapes: Shapes) -> Scenes:
    return Scenes.of(shapes(40, seed=1), height=64, width=64, channels=3)


@pytest.fixture(scope="module")
def fitted(training: Scenes) -> Detector:
    return fit_detector(training, n_classes=2, settings=QUICK, rng=Stream(0))


@pytest.mark.slow
def test_shapes_are_learnt_in_a_few_steps(fitted: Detector, test_set: Scenes) -> None:
    assert average_precision(test_set, fitted.predict(test_set), 2) > 0.9


@pytest.mark.slow
def test_labels_of_other_pictures_teach_nothing(training: Scenes, test_set: Scenes) -> None:
    order = Stream(0).numpy().permutation(len(training))
    other = training.take(order)
    moved = (other.boxes, other.class_ids, other.ignored, training.scales, training.offsets, training.sizes)
    shuffled = Scenes(training.images, *moved, training.labelled)
    detector = fit_detector(shuffled, n_classes=2, settings=QUICK, rng=Stream(0))
    assert average_precision(test_set, detector.predict(test_set), 2) < 0.3


@pytest.mark.slow
def test_objects_lie_in_the_originals_pixels_best_first(fitted: Detector, shapes: Shapes) -> None:
    large = shapes(6, seed=2)
    wide = [
        replace(s, image=np.pad(np.kron(s.pixels(), np.ones((2, 2, 1), np.uint8)), ((0, 0), (0, 40), (0, 0))))
        for s in large
    ]
    scenes = Scenes.of(
        Dataset.of([replace(s, annotation=None) for s in wide], classes=large.classes), height=64, width=64, channels=3
    )
    plain = fitted.predict(Scenes.of(large, height=64, width=64, channels=3))
    for instances in fitted.predict(scenes):
        assert instances.size == (128, 168)
        assert instances.confidences is not None
        assert (np.diff(instances.confidences) <= 0).all()
        assert len(instances) <= 100
        assert instances.confidences.min(initial=1) >= 0.01
    assert plain[0].size == (64, 64)


def test_a_prediction_does_not_depend_on_its_company(fitted: Detector, test_set: Scenes) -> None:
    together = fitted.predict(test_set)
    alone = fitted.predict(test_set.take([9]))[0]
    np.testing.assert_allclose(alone.boxes, together[9].boxes, atol=1e-3)
    assert fitted.predict(test_set.take([])) == []


def test_saved_and_loaded_it_predicts_the_same(fitted: Detector, test_set: Scenes, tmp_path: Path) -> None:
    fitted.save(tmp_path / "detector.safetensors")
    again = Detector.load(tmp_path / "detector.safetensors")
    part = test_set.take(range(8))
    assert again.predict(part) == fitted.predict(part)
    assert again.n_classes == 2
    assert any(len(instances) for instances in again.predict(part))


def test_foreign_and_damaged_files_are_refused(fitted: Detector, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(RunFolderError, match="expected a checkpoint of twinset"):
        Detector.load(path)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(RunFolderError, match="expected a checkpoint of twinset"):
        Detector.load(path)
    save_tensors(path, {}, {"format": "twinset-segmenter/1"})
    with pytest.raises(ValueError, match="expected a twinset-detector/1 file; got 'twinset-segmenter/1'"):
        Detector.load(path)
    fitted.save(path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    spoiled = load_file(path)
    spoiled["boxes.bias"] = spoiled["boxes.bias"] * torch.nan
    save_file(spoiled, path, metadata=header)
    with pytest.raises(RunFolderError, match="NaN"):
        Detector.load(path)


def test_equal_streams_give_equal_weights_and_the_global_generator_is_left_alone(training: Scenes) -> None:
    state = torch.random.get_rng_state()
    settings = replace(QUICK, steps=3, augmentation=scene_augmentation("strong", turn=True), class_balanced=True)
    first, again, other = (
        fit_detector(training, n_classes=2, settings=settings, rng=Stream(seed)).network.state_dict()
        for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_mapped_scenes_train_the_same(training: Scenes, tmp_path: Path) -> None:
    training.save(tmp_path)
    settings = replace(QUICK, steps=2, augmentation=scene_augmentation("strong"))
    held, mapped = (
        fit_detector(scenes, n_classes=2, settings=settings, rng=Stream(0)).network.state_dict()
        for scenes in (training, Scenes.load(tmp_path))
    )
    assert all(torch.equal(held[name], mapped[name]) for name in held)


@pytest.mark.slow
def test_crops_out_of_larger_pictures_are_enough(shapes: Shapes) -> None:
    scenes = Scenes.of(shapes(24, size=(96, 128)), height=96, width=128, channels=3)
    detector = fit_detector(scenes, n_classes=2, settings=replace(QUICK, crop=(64, 64)), rng=Stream(0))
    whole = Scenes.of(shapes(20, seed=1, size=(96, 128)), height=96, width=128, channels=3)
    assert average_precision(whole, detector.predict(whole), 2) > 0.8


def test_a_real_picture_looks_the_same_in_every_arm(training: Scenes) -> None:
    """The fifth real picture is augmented alike whether it comes in the first batch or in the second."""
    settings = replace(QUICK, steps=2, augmentation=scene_augmentation("strong"), synthetic_share=0.5)
    source = np.repeat([0, 1], [24, 24])
    alone = list(_batches(training.take(range(24)), 2, settings, None, Stream(1)))
    mixed = list(_batches(training, 2, settings, source, Stream(1)))
    np.testing.assert_array_equal(mixed[0][0][:4], alone[0][0][:4])
    np.testing.assert_array_equal(mixed[1][0][:4], alone[0][0][4:])
    assert not np.array_equal(mixed[0][0][4:], alone[0][0][4:])


@pytest.mark.parametrize(("size", "channels", "stride"), [((48, 80), 1, 8), ((32, 48), 3, 4), ((16, 16), 3, 4)])
def test_any_size_grey_or_colour_can_be_trained(
    shapes: Shapes, size: tuple[int, int], channels: int, stride: int
) -> None:
    scenes = Scenes.of(shapes(10), height=size[0], width=size[1], channels=channels)
    settings = replace(QUICK, steps=2, stride=stride, augmentation=scene_augmentation("strong"))  # type: ignore[arg-type]
    detector = fit_detector(scenes, n_classes=3, settings=settings, rng=Stream(0))
    assert [instances.size for instances in detector.predict(scenes)] == [(64, 64)] * 10


def test_what_cannot_be_learnt_is_refused(training: Scenes, shapes: Shapes) -> None:
    def fit(scenes: Scenes, n_classes: int = 2) -> Detector:
        return fit_detector(scenes, n_classes=n_classes, settings=replace(QUICK, steps=1), rng=Stream(0))

    with pytest.raises(ValueError, match="expected class ids"):
        fit(training, 1)
    with pytest.raises(ValueError, match="got none in 1"):
        fit(training.take([9]))
    with pytest.raises(ValueError, match="expected one or more pictures"):
        fit(training.take([]))
    with pytest.raises(ValueError, match="unlabelled"):
        fit(replace(training, labelled=np.arange(len(training)) > 0))
    with pytest.raises(ValueError, match="multiples of 16"):
        fit(Scenes.of(shapes(3), height=60, width=64, channels=3))


def test_progress_ends_at_the_last_step(training: Scenes) -> None:
    seen: list[tuple[int, int, str]] = []
    fit_detector(
        training, n_classes=2, settings=replace(QUICK, steps=3), rng=Stream(0), progress=lambda *said: seen.append(said)
    )
    assert seen == [(3, 3, "detector")]
