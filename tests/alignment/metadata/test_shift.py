import numpy as np
import pytest

from twinset.alignment.metadata import detect_shift, measure_boxes
from twinset.alignment.metadata.shift import holm
from twinset.randomness import Stream


def pool(measures_of, rng, images, *, shift=0.0, spread=1.0):
    rows = np.repeat(np.arange(images), 6)
    own = rng.normal(0, 1, images)[rows]
    columns = {
        "centre_y": shift + spread * (rng.normal(size=len(rows)) + own),
        "centre_x": rng.normal(size=len(rows)) + own,
        "box_area": np.exp(rng.normal(size=len(rows)) + own),
    }
    return measures_of(columns, rows, images)


@pytest.mark.slow
def test_without_a_shift_alarms_are_as_rare_as_the_level_says(measures_of):
    alarms, raw = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = detect_shift(pool(measures_of, rng, 25), pool(measures_of, rng, 30), rng=Stream(seed), permutations=199)
        alarms += any(shift.detected for shift in found)
        raw.append(found[0].excess)
    assert alarms <= 8  # 3 expected; objects of an image are alike, a test over objects gives far more
    assert abs(np.mean(raw)) < 0.02


def test_a_shift_is_named_with_its_direction(measures_of):
    rng = np.random.default_rng(0)
    found = detect_shift(pool(measures_of, rng, 60), pool(measures_of, rng, 50, shift=1.5), rng=Stream(0))
    assert [shift.detected for shift in found] == [True, False, False]
    first = found[0]
    assert first.measure == "centre_y"
    assert first.effect > 0.3
    assert first.medians[0] < first.medians[1]
    assert first.excess > 0.05
    assert first.sentence.startswith("centre_y is larger in the other images")
    back = detect_shift(pool(measures_of, rng, 60, shift=1.5), pool(measures_of, rng, 50), rng=Stream(0))[0]
    assert back.effect < -0.3
    assert "is smaller in the other images" in back.sentence


def test_a_change_of_spread_alone_is_found_too(measures_of):
    rng = np.random.default_rng(1)
    first = detect_shift(pool(measures_of, rng, 80), pool(measures_of, rng, 80, spread=3.0), rng=Stream(0))[0]
    assert first.detected
    assert first.measure == "centre_y"
    assert "differs in spread or shape" in first.sentence


def test_few_families_cannot_prove_anything_and_say_so(measures_of):
    rng = np.random.default_rng(2)
    exposed, other = pool(measures_of, rng, 30), pool(measures_of, rng, 30, shift=5.0)
    families = (np.repeat([0, 1], 15), np.repeat([2, 3], 15))
    found = detect_shift(exposed, other, rng=Stream(0), families=families)
    assert not any(shift.detected for shift in found)
    shift = next(shift for shift in found if shift.measure == "centre_y")
    assert shift.smallest_p == pytest.approx(0.5)
    assert "this cannot tell" in shift.sentence
    assert shift.excess > 0.3
    with pytest.raises(ValueError, match="1 in both"):
        detect_shift(exposed, other, rng=Stream(0), families=(np.arange(30), np.arange(29, 59)))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_measures_with_few_values_are_left_out(measures_of):
    rng = np.random.default_rng(3)
    few = measures_of({"centre_y": rng.normal(size=10), "count": np.ones(40)}, np.arange(10), 40)
    assert [shift.measure for shift in detect_shift(few, few, rng=Stream(0))] == ["count"]


def test_flights_differ_in_box_area(aerial_cars):
    exposed, other = (measure_boxes(aerial_cars[split], classes=list("abcde")) for split in ("train", "test"))
    found = {shift.measure: shift for shift in detect_shift(exposed, other, rng=Stream(0))}
    for name in ("box_area", "box_area_px"):
        assert found[name].detected
        assert found[name].effect < -0.5
        assert found[name].excess > 0.3
        assert "is smaller in the other images" in found[name].sentence


def test_random_splits_do_not_differ(bccd):
    exposed, other = (measure_boxes(bccd[split], classes=list("abc")) for split in ("train", "test"))
    found = detect_shift(exposed, other, rng=Stream(0))
    assert len(found) == 7
    assert not any(shift.detected for shift in found)
    assert all(shift.excess < 0.01 for shift in found)
