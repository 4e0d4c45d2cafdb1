from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.text_image import cler
from twinset.evaluation.text_image.cler import class_centres
from twinset.randomness import Stream

CENTRES = Stream(0).numpy().normal(size=(4, 12))


def images(seed: int, n: int, *, noise: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    draw = Stream(seed).numpy()
    labels = draw.integers(4, size=n)
    return CENTRES[labels] + draw.normal(size=(n, 12)) * noise + shift, labels


def test_centres_are_means_of_directions_not_of_features() -> None:
    features = np.array([[10.0, 0.0], [0.0, 1.0], [0.0, -3.0]])
    found = class_centres(features, np.array([0, 0, 2]), n_classes=3)
    assert found == pytest.approx(np.array([[np.sqrt(0.5), np.sqrt(0.5)], [0, 0], [0, -1]]))


def test_it_equals_the_accuracy_of_the_nearest_centre() -> None:
    made, labels = images(1, 200)
    test, truth = images(2, 150)
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    centres = np.stack([unit[labels == c].mean(0) for c in range(4)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    expected = ((test @ centres.T).argmax(1) == truth).mean()
    assert cler(made, labels, test, truth)[0].value == pytest.approx(expected)


def test_real_and_synthetic_are_told_apart_and_their_difference_is_paired() -> None:
    test, truth = images(3, 300, noise=1.5)
    good, bad = images(4, 200), images(5, 200)
    shuffled = Stream(6).numpy().permutation(bad[1])
    scores = {s.name: s for s in cler(bad[0], shuffled, test, truth, real=good[0], real_labels=good[1])}
    alone = cler(*good, test, truth)[0]
    assert scores["cler_real"].value == alone.value
    difference = scores["cler_difference"]
    assert difference.value == pytest.approx(scores["cler"].value - scores["cler_real"].value)  # type: ignore[operator]
    assert difference.interval is not None
    assert difference.interval.high < 0
    same = {s.name: s for s in cler(*good, test, truth, real=good[0], real_labels=good[1])}["cler_difference"]
    assert same.value == 0
    assert same.interval is not None
    assert same.interval.low == pytest.approx(-same.interval.high)
    assert 0 < same.interval.high < 0.02


def test_a_class_without_a_synthetic_image_is_wrong_and_warned_about() -> None:
    made, labels = images(7, 200, noise=0.1)
    test, truth = images(8, 100, noise=0.1)
    score = cler(made[labels != 2], labels[labels != 2], test, truth)[0]
    assert score.value == pytest.approx((truth != 2).mean())
    assert score.warnings[0].startswith(f"{(truth == 2).sum()} test images are of classes without")


def test_equal_centres_share_the_point() -> None:
    made = np.ones((4, 3))
    assert cler(made, np.arange(4), np.ones((8, 3)), np.arange(8) % 4)[0].value == pytest.approx(1 / 4)


def test_texts_move_the_centres() -> None:
    made, labels = images(9, 40, noise=4.0)
    test, truth = images(10, 200, noise=0.5)
    plain, helped = cler(made, labels, test, truth)[0], cler(made, labels, test, truth, class_texts=CENTRES)[0]
    assert plain.value is not None
    assert helped.value is not None
    assert helped.value > plain.value
    assert helped.settings["centres"] == "images and texts"


def test_families_of_test_images_widen() -> None:
    made, labels = images(11, 200)
    test, truth = images(12, 60, noise=2.0)
    many = cler(made, labels, np.repeat(test, 4, axis=0), np.repeat(truth, 4), families=np.repeat(np.arange(60), 4))[0]
    once = cler(made, labels, test, truth)[0]
    assert many.value == pytest.approx(once.value)
    assert once.interval is not None
    assert many.interval is not None
    assert many.interval.low < once.interval.low


def test_missing_images_are_undefined_and_wrong_shapes_refused() -> None:
    made, labels = images(13, 20)
    assert cler(made[:0], labels[:0], made, labels)[0].value is None
    with pytest.raises(ValueError, match="of one D"):
        cler(made[:, :5], labels, made, labels)
    with pytest.raises(ValueError, match="with their labels"):
        cler(made, labels, made, labels, real=made)
    with pytest.raises(ValueError, match="text feature"):
        cler(made, labels, made, labels, class_texts=CENTRES[:2])
