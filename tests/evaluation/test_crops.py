from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.embedding.random_convolution import RandomConvolution
from twinset.evaluation.crops import CropDistances
from twinset.evaluation.distances.kid import kernel_distance
from twinset.instances import Instances


def scenes(seed: int, count: int, *, colour: int = 200, shift: int = 0, background: int = 60) -> Dataset:
    """Pictures with a bright disc (class 0) and a striped tile (class 1); ``shift`` moves the boxes off the objects."""
    draw = np.random.Generator(np.random.PCG64(seed))
    samples = []
    y, x = np.mgrid[:20, :20] - 9.5
    for row in range(count):
        pixels = np.clip(draw.normal(background, 8, (64, 64, 3)), 0, 255)
        tops = draw.integers(0, 10, 2)
        pixels[tops[0] : tops[0] + 20, 2:22][x**2 + y**2 < 80] = [colour, 80, 40]
        pixels[tops[1] + 30 : tops[1] + 50, 32:52] = (np.arange(20) // 4 % 2 * 150 + 50)[:, None]
        pixels += draw.normal(0, 5, pixels.shape)
        boxes = np.array([[2, tops[0], 22, tops[0] + 20], [32, tops[1] + 30, 52, tops[1] + 50]], dtype=np.float32)
        boxes[:, [0, 2]] += shift
        found = Instances((64, 64), np.array([0, 1]), boxes)
        samples.append(Sample(f"{row}", Annotation(instances=found), image=np.clip(pixels, 0, 255).astype(np.uint8)))
    return Dataset.of(samples, classes=["disc", "tile"])


@pytest.fixture(scope="module")
def real() -> Dataset:
    return scenes(0, 40)


METRIC = CropDistances(side=24)
EMBEDDER = RandomConvolution()


def values(real: Dataset, synthetic: Dataset) -> dict[str, float | None]:
    return {score.name: score.value for score in METRIC.measure(real, synthetic, embedder=EMBEDDER)}


def test_only_the_class_that_looks_other_is_far(real: Dataset) -> None:
    same, redder = values(real, scenes(1, 40)), values(real, scenes(1, 40, colour=120))
    assert sorted(same) == sorted(
        f"crop_{kind}_distance{part}" for kind in ("kernel", "frechet") for part in ("", "[disc]", "[tile]")
    )
    for kind in ("kernel", "frechet"):
        disc, tile = f"crop_{kind}_distance[disc]", f"crop_{kind}_distance[tile]"
        assert redder[disc] > 5 * abs(same[disc])
        assert redder[tile] == pytest.approx(same[tile])
        assert redder[f"crop_{kind}_distance"] > same[f"crop_{kind}_distance"]


def test_boxes_beside_their_objects_are_seen(real: Dataset) -> None:
    good, wrong = (values(real, scenes(2, 40, shift=shift))["crop_kernel_distance"] for shift in (0, 12))
    assert wrong > 10 * abs(good)


def test_scores_are_those_of_the_crops(real: Dataset) -> None:
    other = scenes(3, 30)
    scores = {score.name: score for score in METRIC.measure(real, other, embedder=EMBEDDER)}
    left, right = (METRIC.features(each, EMBEDDER) for each in (real, other))
    assert (len(left.features), left.classes[:3].tolist(), left.rows[:3].tolist()) == (80, [0, 1, 0], [0, 0, 1])
    expected = kernel_distance(left.features[left.classes == 1], right.features[right.classes == 1])
    found = scores["crop_kernel_distance[tile]"]
    assert found.value == pytest.approx(expected.value)
    assert found.counts == {"real": 40, "synthetic": 30}
    assert (found.settings["real_pictures"], found.settings["crop_side"]) == (40, 24)
    assert scores["crop_frechet_distance"].counts["real"] == 80
    assert found.extractor == EMBEDDER.name


def test_a_class_or_set_without_objects_is_undefined(real: Dataset) -> None:
    empty = Dataset.of(
        [
            Sample("0", Annotation(instances=Instances.none((64, 64))), image=np.zeros((64, 64, 3), dtype=np.uint8)),
            Sample("1", Annotation(instances=Instances.none((64, 64))), image=np.zeros((64, 64, 3), dtype=np.uint8)),
        ],
        classes=["disc", "tile"],
    )
    scores = METRIC.measure(real, empty, embedder=EMBEDDER)
    assert all(score.value is None and score.undefined_because for score in scores)
    assert len(scores) == 6


def test_sets_of_other_classes_and_odd_settings_are_refused(real: Dataset) -> None:
    other = Dataset.of([real[0]], classes=["tile", "disc"])
    with pytest.raises(ValueError, match="the same classes"):
        METRIC.measure(real, other, embedder=EMBEDDER)
    with pytest.raises(ValueError, match="side ≥ 8"):
        CropDistances(side=4)
