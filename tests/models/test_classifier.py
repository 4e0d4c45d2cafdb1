from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.errors import RunFolderError
from twinset.models.checkpoint import save_tensors
from twinset.models.classical import augmentation
from twinset.models.classifier import Classifier, ClassifierSettings, _batch_rows, fit_classifier
from twinset.randomness import Stream

QUICK = ClassifierSettings(width=8, steps=40, batch=16)


def stripes(n: int, *, size: tuple[int, int] = (8, 8), channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two easy classes: bright above, bright below; noisy."""
    labels = np.arange(n) % 2
    images = Stream(3).numpy().integers(100, size=(n, *size, channels)).astype(np.uint8)
    half = size[0] // 2
    images[labels == 0, :half] += 100
    images[labels == 1, half:] += 100
    return images, labels


def accuracy(classifier: Classifier, images: np.ndarray, labels: np.ndarray) -> float:
    return float((classifier.logits(images).argmax(1) == labels).mean())


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    images, labels = stripes(64)
    return fit_classifier(images, labels, n_classes=2, settings=QUICK, rng=Stream(0))


def test_an_easy_task_is_learnt(fitted: Classifier) -> None:
    images, labels = stripes(200)
    assert accuracy(fitted, images, labels) > 0.95


def test_logits_and_features_are_float32_rows_and_do_not_depend_on_the_batch(fitted: Classifier) -> None:
    images, _ = stripes(300)
    logits, features = fitted.logits(images), fitted.features(images)
    assert logits.dtype == features.dtype == np.float32
    assert logits.shape == (300, 2)
    assert features.shape[0] == 300
    np.testing.assert_allclose(fitted.logits(images[290:]), logits[290:], atol=1e-5)
    assert fitted.logits(images[:0]).shape == (0, 2)
    np.testing.assert_allclose(fitted.probabilities(images).sum(1), 1, atol=1e-6)


def test_equal_streams_give_equal_weights_and_the_global_generator_is_left_alone() -> None:
    images, labels = stripes(32)
    state = torch.random.get_rng_state()
    settings = ClassifierSettings(width=8, steps=6, batch=16, augmentation=augmentation("strong"))
    first, again, other = (
        fit_classifier(images, labels, n_classes=2, settings=settings, rng=Stream(seed)).logits(images)
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_saved_and_loaded_it_predicts_the_same(fitted: Classifier, tmp_path: Path) -> None:
    images, _ = stripes(10)
    fitted.save(tmp_path / "classifier.safetensors")
    np.testing.assert_array_equal(
        Classifier.load(tmp_path / "classifier.safetensors").logits(images), fitted.logits(images)
    )


def test_foreign_and_damaged_files_are_refused(fitted: Classifier, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(RunFolderError, match="expected a checkpoint of twinset"):
        Classifier.load(path)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(RunFolderError, match="expected a checkpoint of twinset"):
        Classifier.load(path)
    save_tensors(path, {}, {"format": "twinset-classifier/1", "height": 8.5})
    with pytest.raises(ValueError, match="expected whole numbers height"):
        Classifier.load(path)
    save_tensors(path, {}, {"format": "twinset-detector/1"})
    with pytest.raises(ValueError, match="expected a twinset-classifier/1 file; got 'twinset-detector/1'"):
        Classifier.load(path)
    spoiled = fit_classifier(*stripes(16), n_classes=2, settings=ClassifierSettings(width=8, steps=1), rng=Stream(0))
    with torch.no_grad():
        spoiled.network.head.bias.fill_(torch.nan)
    spoiled.save(path)
    with pytest.raises(RunFolderError, match="NaN"):
        Classifier.load(path)


def test_soft_one_hot_targets_equal_hard_ones() -> None:
    images, labels = stripes(32)
    hard = fit_classifier(images, labels, n_classes=2, settings=QUICK, rng=Stream(0)).logits(images)
    soft = fit_classifier(images, np.eye(2)[labels], n_classes=2, settings=QUICK, rng=Stream(0)).logits(images)
    np.testing.assert_allclose(soft, hard, atol=1e-3)


@pytest.mark.slow
def test_soft_targets_are_learnt_as_probabilities() -> None:
    images, labels = stripes(64)
    soft = np.where(labels[:, None] == 0, [0.8, 0.2], [0.3, 0.7])
    settings = ClassifierSettings(width=8, steps=150, batch=32, label_smoothing=0.0)
    p = fit_classifier(images, soft, n_classes=2, settings=settings, rng=Stream(0)).probabilities(images)
    assert p[labels == 0, 0].mean() == pytest.approx(0.8, abs=0.06)
    assert p[labels == 1, 0].mean() == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((28, 28), 1), ((32, 48), 3), ((64, 64), 3), ((5, 9), 1)])
def test_any_small_size_grey_or_colour_can_be_trained(size: tuple[int, int], channels: int) -> None:
    images, labels = stripes(8, size=size, channels=channels)
    settings = ClassifierSettings(width=8, steps=2, batch=8, augmentation=augmentation("strong"))
    classifier = fit_classifier(images, labels, n_classes=3, settings=settings, rng=Stream(0))
    assert classifier.logits(images).shape == (8, 3)
    with pytest.raises(ValueError, match="expected uint8 images"):
        classifier.logits(images[:, :-1])


def test_every_batch_holds_the_asked_share_of_synthetic_images() -> None:
    labels, source = np.zeros(60, dtype=np.int64), np.repeat([0, 1], [10, 50])
    settings = ClassifierSettings(steps=30, batch=20, synthetic_share=0.25)
    batches = _batch_rows(labels, source, settings, Stream(0))
    assert len(batches) == 30
    assert all((source[rows] == 1).sum() == 5 and len(rows) == 20 for rows in batches)


def test_rows_come_in_passes_without_replacement() -> None:
    rows = np.concatenate(_batch_rows(np.zeros(10, np.int64), None, ClassifierSettings(steps=5, batch=6), Stream(0)))
    assert all(sorted(rows[start : start + 10]) == list(range(10)) for start in (0, 10, 20))
    assert list(rows[:10]) != list(rows[10:20])


def test_balanced_sampling_draws_every_class_equally_often_from_every_source() -> None:
    labels = np.repeat([0, 1, 2, 0, 1], [40, 4, 1, 5, 30])
    source = np.repeat([0, 1], [45, 35])
    settings = ClassifierSettings(steps=60, batch=12, synthetic_share=0.5, class_balanced=True)
    rows = np.concatenate(_batch_rows(labels, source, settings, Stream(0)))
    assert np.bincount(labels[rows[source[rows] == 0]]).tolist() == [120, 120, 120]
    assert np.bincount(labels[rows[source[rows] == 1]]).tolist() == [180, 180]


def test_the_order_of_real_images_does_not_depend_on_the_synthetic_ones() -> None:
    settings = ClassifierSettings(steps=9, batch=8, synthetic_share=0.5)
    real = []
    for n_synthetic in (3, 40):
        source = np.repeat([0, 1], [20, n_synthetic])
        rows = np.concatenate(_batch_rows(np.zeros(len(source), np.int64), source, settings, Stream(0)))
        real.append(rows[source[rows] == 0])
    np.testing.assert_array_equal(*real)


def test_settings_survive_a_round_trip_and_unknown_keys_do_not() -> None:
    settings = ClassifierSettings(steps=7, class_balanced=True, augmentation=augmentation("strong", flip=True))
    assert ClassifierSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(TypeError):
        ClassifierSettings.from_dict({**settings.to_dict(), "momentum": 1})


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"width": 12}, {"synthetic_share": 1.5}, {"label_smoothing": 1.0}, {"learning_rate": 0.0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ClassifierSettings(**wrong)  # type: ignore[arg-type]


def test_targets_and_sources_that_do_not_fit_are_refused() -> None:
    images, labels = stripes(8)

    def fit(x: np.ndarray, y: np.ndarray, source: np.ndarray | None = None) -> Classifier:
        return fit_classifier(x, y, n_classes=2, settings=QUICK, rng=Stream(0), source=source)

    for bad_images, bad_labels in (
        (images[:0], labels[:0]),
        (images, labels[:4]),
        (images, labels + 1),
        (images, np.eye(3)[labels]),
        (images.astype(np.float32), labels),
    ):
        with pytest.raises(ValueError, match="expected"):
            fit(bad_images, bad_labels)
    with pytest.raises(ValueError, match="expected source"):
        fit(images, labels, np.full(8, 2))


@pytest.mark.slow
def test_scanned_digits_are_read_at_97_percent() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)[..., None]
    order = Stream(0).numpy().permutation(len(images))
    train, test = order[:1078], order[1437:]
    classifier = fit_classifier(
        images[train], digits.target[train], n_classes=10, settings=ClassifierSettings(steps=250), rng=Stream(0)
    )
    assert accuracy(classifier, images[test], digits.target[test]) >= 0.97
