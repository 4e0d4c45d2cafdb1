import pickle

import numpy as np
import pytest

from twinset.alignment.density import Density, elbow
from twinset.images import ImageSpec
from twinset.randomness import Stream

SPEC = ImageSpec(8, 8, 1)


def fitted(real, pilot, **settings):
    training, holdout, _ = real
    return Density(**settings).fit(pilot, training=training, holdout=holdout, spec=SPEC, rng=Stream(0))


@pytest.fixture(scope="module")
def noise(dataset_of):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    return dataset_of(images, np.arange(60) % 10, prefix="noise", synthetic=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["knn", "kde"])
def test_noise_goes_and_real_scans_stay(real, noise, kind):
    made = real[2]
    judge = fitted(real, made.take(range(200)).concat(noise), kind=kind)
    assert all(reason is not None and "far from all real images" in reason for reason in judge.judge(noise).reasons)
    assert sum(reason is None for reason in judge.judge(made).reasons) >= 0.98 * len(made)


@pytest.mark.slow
def test_a_pilot_of_real_scans_alone_costs_hardly_any(real):
    made = real[2]
    kept = sum(reason is None for reason in fitted(real, made).judge(made).reasons)
    assert kept >= 0.98 * len(made)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["knn", "kde"])
def test_a_pilot_of_nothing_but_noise_cannot_raise_its_own_threshold(real, noise, kind):
    judge = fitted(real, noise, kind=kind)
    assert all(reason is not None for reason in judge.judge(noise).reasons)
    assert judge.threshold <= judge.judge(real[1]).scores["distance_from_real"].max()


@pytest.mark.slow
def test_with_ten_held_out_images_the_training_images_say_how_far_real_ones_lie(real, noise):
    training, holdout, made = real
    few = holdout.take(range(10, 20))
    judge = fitted((training, few, made), noise)
    assert all(reason is not None for reason in judge.judge(noise).reasons)
    assert sum(reason is None for reason in judge.judge(made).reasons) >= 0.95 * len(made)
    farthest = judge.judge(few).scores["distance_from_real"].max()
    assert (judge.judge(made).scores["distance_from_real"] > farthest).mean() > 0.1  # which the ten would throw out


def test_without_a_pilot_the_held_out_images_set_the_threshold(real, noise):
    judge = fitted(real, noise.take([]))
    assert judge.threshold == pytest.approx(np.quantile(judge.judge(real[1]).scores["distance_from_real"], 0.99))


@pytest.mark.slow
def test_a_usual_held_out_image_scores_one(real):
    scores = fitted(real, real[2]).judge(real[1]).scores["distance_from_real"]
    assert np.median(scores) == pytest.approx(1.0, rel=1e-6)


def test_judgement_survives_pickling_and_does_not_depend_on_company(real):
    made = real[2]
    judge = pickle.loads(pickle.dumps(fitted(real, made.take(range(100)))))
    whole = judge.judge(made.take(range(30))).scores["distance_from_real"]
    assert judge.judge(made.take([11])).scores["distance_from_real"][0] == whole[11]


def test_the_elbow_is_where_a_curve_turns_up():
    assert elbow(np.array([0.0, 0.1, 0.2, 0.3, 5.0])) == 0.3
    assert elbow(np.array([1.0, 1.0])) == 1.0


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="neighbours ≥ 1"):
        Density(neighbours=0)
