import numpy as np
import pytest

from twinset.alignment.metadata import Bins, bhattacharyya, compare_measures, measure_boxes
from twinset.alignment.metadata.distance import halves
from twinset.randomness import Stream


def pool(measures_of, rng, images, *, mean=0.0, per_image=8, family_spread=0.0, name="centre_y"):
    """Measures of a normal variable; objects of one image share a part of it."""
    rows = np.repeat(np.arange(images), per_image)
    values = mean + rng.normal(0, 1, len(rows)) + family_spread * rng.normal(0, 1, images)[rows]
    return measures_of({name: values}, rows, images)


def test_distance_of_known_histograms():
    assert bhattacharyya(np.array([3, 1]), np.array([30, 10])) == pytest.approx(0, abs=1e-12)
    assert bhattacharyya(np.array([1, 3]), np.array([3, 1])) == pytest.approx(-np.log(np.sqrt(3) / 2))
    assert bhattacharyya(np.array([1, 0]), np.array([0, 1])) == np.inf
    with pytest.raises(ValueError, match="got an empty one"):
        bhattacharyya(np.array([0, 0]), np.array([0, 1]))


def test_distance_of_two_gaussians_comes_near_its_closed_form():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 200_000), rng.normal(1, 2, 200_000)
    bins = Bins.of([a, b])
    expected = 0.25 * 1 / 5 + 0.5 * np.log(5 / 4)
    assert bhattacharyya(bins.counts(a), bins.counts(b)) == pytest.approx(expected, rel=0.03)
    assert bhattacharyya(bins.counts(a), bins.counts(b)) == bhattacharyya(bins.counts(b), bins.counts(a))


def test_bins_have_open_ends_and_whole_steps():
    values = np.arange(1000.0)
    bins = Bins.of([values])
    assert bins.edges[0] == pytest.approx(4.995)
    assert bins.edges[-1] == pytest.approx(994.005)
    assert len(bins) == 20
    assert bins.counts(np.array([-1e9, 1e9]))[[0, -1]].tolist() == [1, 1]
    assert Bins.of([np.array([0.0, 3.0])], step=1.0).edges.tolist() == [0.5, 1.5, 2.5]
    wide = Bins.of([np.arange(100.0)], step=1.0)
    assert len(wide) <= 10
    assert np.all(np.diff(wide.edges) == np.round(np.diff(wide.edges)))
    assert np.all(wide.edges % 1 == 0.5)
    assert len(Bins.of([np.full(9, 2.0)])) == 1


def test_counts_by_image_add_up():
    rng = np.random.default_rng(1)
    values, rows = rng.normal(size=50), np.sort(rng.integers(0, 7, 50))
    bins = Bins.of([values])
    by_image = bins.counts_by_image(values, rows, 8)
    assert by_image.sum(axis=1).tolist() == np.bincount(rows, minlength=8).tolist()
    assert by_image.sum(axis=0).tolist() == bins.counts(values).tolist()


def test_exchangeable_sets_are_at_the_floor_and_shifted_ones_are_not(measures_of):
    at_floor, excess = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        real, same = (pool(measures_of, rng, 60, family_spread=0.5) for _ in range(2))
        far = pool(measures_of, rng, 60, mean=1.0, family_spread=0.5)
        gap = compare_measures(real, {"same": same, "far": far}, rng=Stream(seed), repeats=40)["centre_y"]
        at_floor.append((gap.at_floor["same"], gap.at_floor["far"]))
        excess.append((gap.excess["same"], gap.excess["far"]))
    same, far = np.mean(at_floor, axis=0)
    assert same >= 0.85
    assert far == 0
    assert abs(np.mean(excess, axis=0)[0]) < 0.005
    assert np.mean(excess, axis=0)[1] > 0.05


def test_which_set_is_before_matters(measures_of):
    rng = np.random.default_rng(2)
    real, near, far = (pool(measures_of, rng, 80, mean=mean) for mean in (0.0, 0.3, 1.5))
    gap = compare_measures(real, {"before": far, "after": near}, rng=Stream(0))["centre_y"]
    back = compare_measures(real, {"before": near, "after": far}, rng=Stream(0))["centre_y"]
    assert 0.8 < gap.fall() < 1
    assert back.fall() is None or back.fall() < -3
    assert gap.images == 40
    assert gap.values == {"real": 640, "before": 640, "after": 640}


def test_a_measure_at_the_floor_has_no_fall(measures_of):
    rng = np.random.default_rng(3)
    real, before, after = (pool(measures_of, rng, 80) for _ in range(3))
    gap = compare_measures(real, {"before": before, "after": after}, rng=Stream(0))["centre_y"]
    assert gap.at_floor["before"]
    assert gap.fall() is None


def test_families_raise_the_floor_to_what_new_families_would_have(measures_of):
    rng = np.random.default_rng(4)
    family = np.repeat(np.arange(10), 8)
    offset = rng.normal(0, 1, 10)[family]
    rows = np.repeat(np.arange(80), 8)
    real = measures_of({"centre_y": rng.normal(size=640) + offset[rows]}, rows, 80)
    synthetic = pool(measures_of, rng, 80)
    single = compare_measures(real, synthetic, rng=Stream(0))["centre_y"]
    together = compare_measures(real, synthetic, rng=Stream(0), families=family)["centre_y"]
    assert together.floor > 3 * single.floor
    first, second = halves(family, np.random.default_rng(0))
    assert not set(family[first]) & set(family[second])
    assert sorted([*first, *second]) == list(range(80))


def test_the_floor_can_come_from_other_real_images(measures_of):
    rng = np.random.default_rng(5)
    real, other, synthetic = (
        pool(measures_of, rng, 50),
        pool(measures_of, rng, 50, mean=0.8),
        pool(measures_of, rng, 70),
    )
    gap = compare_measures(real, synthetic, floor_from=other, rng=Stream(0))["centre_y"]
    assert gap.images == 50
    assert gap.excess["synthetic"] < 0 < gap.floor


def test_what_cannot_be_compared_is_named(measures_of):
    rng = np.random.default_rng(6)
    few = measures_of({"centre_y": rng.normal(size=10), "centre_x": rng.normal(size=10)}, np.arange(10), 10)
    many = pool(measures_of, rng, 30)
    table = compare_measures(many, few, rng=Stream(0))
    assert table.gaps == ()
    assert "at least 20 values" in table.left_out["centre_y"]
    with pytest.raises(KeyError):
        table["centre_y"]
    with pytest.raises(ValueError, match="at least 4 real images"):
        compare_measures(many.take([0, 1, 2]), many, rng=Stream(0))
    with pytest.raises(ValueError, match="of two families"):
        compare_measures(many, many, rng=Stream(0), families=np.zeros(30))


def test_by_class_only_measures_of_objects_and_count(measures_of):
    rng = np.random.default_rng(7)
    rows, classes = np.repeat(np.arange(40), 4), np.tile([0, 0, 0, 1], 40)
    columns = {
        "count": np.full(40, 4.0),
        "centre_y": rng.normal(size=160) + 3 * classes,
        "entropy": rng.normal(size=40),
    }
    real = measures_of(columns, rows, 40, classes)
    table = compare_measures(real, real, rng=Stream(0), class_id=1)
    assert {gap.measure for gap in table.gaps} == {"count", "centre_y"}
    assert table["centre_y"].values == {"real": 40, "synthetic": 40}


def test_uniform_boxes_are_far_from_real_ones_and_resampled_ones_at_the_floor(bccd, instances_of):
    rng = np.random.default_rng(0)
    real = measure_boxes(bccd["test"], classes=["RBC", "WBC", "Platelets"])
    boxes = np.concatenate([picture.boxes for picture in bccd["test"]])

    def made(draw):
        counts = [len(picture) for picture in bccd["test"]]
        return measure_boxes([instances_of(draw(k), (480, 640)) for k in rng.choice(counts, 244)], classes=["RBC"])

    def uniform(k):
        sides = np.exp(rng.uniform(np.log(20), np.log(300), (k, 2)))
        low = rng.uniform(size=(k, 2)) * ([640, 480] - sides)
        return np.concatenate([low, low + sides], axis=1)

    sets = {"before": made(uniform), "after": made(lambda k: boxes[rng.integers(0, len(boxes), k)])}
    table = compare_measures(real, sets, rng=Stream(0))
    for name in ("box_area", "aspect_ratio"):
        assert table[name].excess["before"] > 0.2
        assert table[name].fall() > 0.98
    for name in ("box_area", "aspect_ratio", "centre_x", "count"):
        assert table[name].at_floor["after"]
        assert table[name].excess["after"] < 0.02
