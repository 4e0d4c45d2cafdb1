import pickle

import numpy as np
import pytest

from twinset.alignment.copies import NearCopies
from twinset.copying import nearest_copies
from twinset.images import ImageSpec
from twinset.pipeline.presenting import kind_of
from twinset.randomness import Stream

SPEC = ImageSpec(8, 8, 1)


def fitted(training, holdout, **settings):
    return NearCopies(**settings).fit(training.take([]), training=training, holdout=holdout, spec=SPEC, rng=Stream(0))


def test_copies_go_with_the_name_of_their_original_and_others_stay(real, dataset_of):
    training, holdout, made = real
    images = np.concatenate([training.prepared(SPEC)[[7, 9]], made.prepared(SPEC)[:2]])
    judgement = fitted(training, holdout).judge(dataset_of(images, [0, 0, 0, 0], prefix="x", synthetic=True))
    assert judgement.reasons[:2] == (
        "near copy of train/0007 (distance ratio 0.00)",
        "near copy of train/0009 (distance ratio 0.00)",
    )
    assert judgement.reasons[2:] == (None, None)
    assert judgement.scores["copy_distance"][:2].tolist() == [0.0, 0.0]


def test_mirrored_brighter_and_noisy_copies_go(real, dataset_of):
    training, holdout, _ = real
    images = training.prepared(SPEC)[:60]
    noise = np.random.default_rng(0).normal(0, 8, images.shape)
    disguised = np.concatenate([images[:, :, ::-1], images // 2 + 40, np.clip(images + noise, 0, 255).astype(np.uint8)])
    reasons = fitted(training, holdout).judge(dataset_of(disguised, [0] * 180, prefix="x", synthetic=True)).reasons
    assert sum(reason is not None for reason in reasons) == 180


def test_real_images_nobody_trained_on_stay(real):
    training, holdout, made = real
    reasons = fitted(training, holdout).judge(made).reasons
    assert sum(reason is None for reason in reasons) >= 0.99 * len(made)


def test_a_copy_of_an_image_that_training_holds_twice_goes(real, dataset_of):
    training, holdout, _ = real
    images, labels = training.prepared(SPEC), training.class_ids
    twice = dataset_of(np.concatenate([images, images[:5]]), np.concatenate([labels, labels[:5]]), prefix="train")
    noise = np.random.default_rng(0).normal(0, 8, images[:5].shape)
    near = np.clip(images[:5] + noise, 0, 255).astype(np.uint8)
    judgement = fitted(twice, holdout, closeness=0).judge(dataset_of(near, labels[:5], prefix="x", synthetic=True))
    assert all(reason is not None and "ratio" in reason for reason in judgement.reasons)


def test_held_out_images_that_are_training_images_do_not_disarm_the_filter(real):
    training, holdout, _ = real
    leaky = holdout.concat(training.take(range(40)))
    assert fitted(training, leaky).smallest == pytest.approx(fitted(training, holdout).smallest, rel=0.05)


def test_judgement_survives_pickling_and_does_not_depend_on_company(real):
    training, holdout, made = real
    judge = pickle.loads(pickle.dumps(fitted(training, holdout)))
    whole = judge.judge(made.take(range(40)))
    alone = judge.judge(made.take([17]))
    assert alone.scores["copy_distance"][0] == whole.scores["copy_distance"][17]
    assert alone.scores["copy_ratio"][0] == whole.scores["copy_ratio"][17]
    assert judge.judge(made.take([])).reasons == ()


def test_settings_and_sets_that_make_no_sense_are_refused(real):
    training, holdout, _ = real
    with pytest.raises(ValueError, match="0 < ratio < 1"):
        NearCopies(ratio=1.0)
    with pytest.raises(ValueError, match="got 500 and 0"):
        fitted(training, holdout.take([]))


def test_nothing_stays_nearer_than_held_out_images_usually_are(real):
    training, holdout, made = real
    judge = fitted(training, holdout, refuse_below=0.5)
    judgement = judge.judge(made)
    stays = np.array([reason is None for reason in judgement.reasons])
    usual = np.median(nearest_copies(holdout.prepared(SPEC), training.prepared(SPEC), k=1)[0])
    assert judge.thinning.edges == (pytest.approx(usual, rel=0.01),)
    assert judgement.scores["copy_distance"][stays].min() >= judge.thinning.edges[0]
    assert 0.4 < stays.mean() < 0.6
    refused = next(reason for reason in judgement.reasons if reason and "copy" not in reason)
    assert kind_of(refused) == "nearer to training images than held-out images are"


@pytest.mark.slow
def test_a_generator_that_comes_too_near_is_thinned_until_it_is_as_near_to_others(real, dataset_of):
    training, holdout, other = real
    draw = np.random.default_rng(1)
    images = np.concatenate([training.prepared(SPEC), other.prepared(SPEC)] * 2)
    noisy = np.clip(images + draw.normal(0, 55, images.shape) * draw.random((len(images), 1, 1, 1)), 0, 255)
    made = dataset_of(noisy.astype(np.uint8), [0] * len(images), prefix="x", synthetic=True)
    pilot, rest = made.take(range(1000)), made.take(range(1000, 2000))
    judge = NearCopies(thin_below=0.8).fit(pilot, training=training, holdout=holdout, spec=SPEC, rng=Stream(0))
    judgement = judge.judge(rest)
    near = judgement.scores["copy_distance"]
    stays = np.array([reason is None for reason in judgement.reasons])
    no_copy = np.array([reason is None or "near copy" not in reason for reason in judgement.reasons])
    to_others = nearest_copies(rest.prepared(SPEC)[no_copy], holdout.prepared(SPEC), k=1)[0][:, 0]
    for share in (0.25, 0.5):
        at = np.quantile(to_others, share)
        assert (near[no_copy] < at).mean() > share + 0.1
        assert (near[stays] < at).mean() == pytest.approx(share, abs=0.08)
    thinned = next(reason for reason in judgement.reasons if reason and "copy" not in reason)
    assert kind_of(thinned) == "one of too many so near to training images"
    assert judge.judge(rest.take(range(500, 520))).reasons == judgement.reasons[500:520]


def test_from_a_generator_that_never_saw_the_training_images_little_is_thinned(real):
    training, holdout, made = real
    judge = NearCopies(thin_below=0.5).fit(made, training=training, holdout=holdout, spec=SPEC, rng=Stream(0))
    assert np.mean(judge.thinning.chances) > 0.65
    assert np.mean([reason is None for reason in judge.judge(made).reasons]) > 0.8


def test_rules_for_coming_near_that_make_no_sense_are_refused(real):
    training, holdout, _ = real
    for settings in ({"refuse_below": 0.5, "thin_below": 0.5}, {"refuse_below": 1.0}, {"thin_below": -0.1}):
        with pytest.raises(ValueError, match="refuse_below or thin_below in \\(0, 1\\), or neither"):
            NearCopies(**settings)
    with pytest.raises(ValueError, match="how near the generator comes; got none"):
        fitted(training, holdout, thin_below=0.5)
