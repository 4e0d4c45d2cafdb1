from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.embedding.random_convolution import RandomConvolution
from twinset.evaluation.crops import CropDistances, CropFeatures
from twinset.evaluation.distances.frechet import frechet_distance
from twinset.evaluation.distances.kid import kernel_distance
from twinset.instances import Instances
from twinset.randomness import Stream


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
    return {score.name: score.value for score in METRIC.measure(real, synthetic, embedder=EMBEDDER, rng=Stream(0))}


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
    scores = {score.name: score for score in METRIC.measure(real, other, embedder=EMBEDDER, rng=Stream(0))}
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
    scores = METRIC.measure(real, empty, embedder=EMBEDDER, rng=Stream(0))
    assert all(score.value is None and score.undefined_because for score in scores)
    assert len(scores) == 6


def test_sets_of_other_classes_and_odd_settings_are_refused(real: Dataset) -> None:
    other = Dataset.of([real[0]], classes=["tile", "disc"])
    with pytest.raises(ValueError, match="the same classes"):
        METRIC.measure(real, other, embedder=EMBEDDER, rng=Stream(0))
    with pytest.raises(ValueError, match="side ≥ 8"):
        CropDistances(side=4)


def of_pictures(seed: int, pictures: int, *, shared: float = 0.6) -> CropFeatures:
    """Crops (M, 8) of equal laws for every seed, about eight a picture, which share a part of themselves."""
    draws = np.random.Generator(np.random.PCG64(seed))
    rows = np.repeat(np.arange(pictures), 1 + draws.poisson(7, pictures))
    common, own = draws.normal(size=(pictures, 8))[rows], draws.normal(size=(len(rows), 8))
    features = (np.sqrt(shared) * common + np.sqrt(1 - shared) * own).astype(np.float32)
    return CropFeatures(features, np.zeros(len(rows), dtype=np.int64), rows)


def test_intervals_hold_where_objects_of_a_picture_are_alike() -> None:
    found = [
        METRIC.scores(of_pictures(2 * k, 20), of_pictures(2 * k + 1, 20), names=[], extractor="none", rng=Stream(k))
        for k in range(60)
    ]
    expected = {"crop_kernel_distance": 0.0, "crop_frechet_distance": np.mean([pair[1].value for pair in found])}
    for place, (name, truth) in enumerate(expected.items()):
        intervals = [pair[place].interval for pair in found]
        held = sum(each.low <= truth <= each.high for each in intervals if each is not None)
        assert held >= 52, name


def test_the_floor_is_of_halves_that_share_no_picture() -> None:
    gaps, floors = [], []
    for k in range(12):
        one, other = (of_pictures(100 + 2 * k + side, 24) for side in range(2))
        (_, score) = METRIC.scores(one, other, names=[], extractor="none", rng=Stream(k))
        assert score.floor is not None
        floors.append(score.floor)
        gaps.append(score.settings["value_at_floor"] - score.floor)
        assert "objects, where this figure is" in score.warnings[-1]
    # Halves that share pictures would be far nearer to each other than a set of other pictures.
    assert abs(np.mean(gaps)) < 0.15 * np.mean(floors)


def test_families_of_real_pictures_count_as_one(real: Dataset) -> None:
    other = scenes(3, 30)
    families = np.arange(40) // 4
    (score, *_) = METRIC.measure(real, other, embedder=EMBEDDER, rng=Stream(0), real_families=families)
    assert score.settings["real_pictures"] == 10
    left, right = (METRIC.features(each, EMBEDDER) for each in (real, other))
    expected = frechet_distance(left.features, right.features, families=(families[left.rows], right.rows))
    found = METRIC.measure(real, other, embedder=EMBEDDER, rng=Stream(0), real_families=families)[1]
    assert found.settings["standard_error"] == pytest.approx(expected.settings["standard_error"])


def test_objects_of_one_picture_alone_say_nothing() -> None:
    alone = of_pictures(0, 1)
    kernel, frechet = METRIC.scores(of_pictures(1, 9), alone, names=[], extractor="none", rng=Stream(0))
    assert kernel.undefined_because.endswith("at least 3 pictures on each side; got 9 and 1")
    assert "at least 2 pictures" in frechet.undefined_because
