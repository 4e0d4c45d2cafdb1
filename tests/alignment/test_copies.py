import pickle

import numpy as np
import pytest

from twinset.alignment.copies import NearCopies
from twinset.images import ImageSpec
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
