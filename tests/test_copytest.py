import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from twinset.copying import usual_distance
from twinset.copytest import Known, copy_test
from twinset.errors import DataError
from twinset.neighbours import nearest


def textures(count, *, side=32, seed=0):
    smooth = gaussian_filter(np.random.default_rng(seed).standard_normal((count, side, side, 3)), (0, 2.5, 2.5, 0))
    smooth -= smooth.min(axis=(1, 2, 3), keepdims=True)
    return np.rint(40 + 170 * smooth / smooth.max(axis=(1, 2, 3), keepdims=True)).astype(np.uint8)


def clouds(count, seed, *, scale=1.0, dimension=12):
    return scale * np.random.default_rng(seed).standard_normal((count, dimension))


def test_verbatim_copies_are_flagged_and_named():
    training, holdout = clouds(100, 1), clouds(100, 2)
    found = copy_test(training[::-1], training, holdout)
    assert found.flagged
    assert found.p_value < 1e-20
    assert (found.training_hits, found.holdout_hits) == (100, 0)
    assert all(pair.training == 99 - pair.synthetic for pair in found.pairs)
    assert found.membership_auc > 0.99
    assert "copying detected" in found.finding


def test_the_test_is_one_sided():
    training, holdout = clouds(100, 1), clouds(100, 2)
    found = copy_test(holdout, training, holdout)
    assert not found.flagged
    assert found.pairs == ()
    assert found.membership_auc < 0.01


def test_ten_copies_in_five_hundred_are_found_by_distinct_hits():
    training, holdout = clouds(200, 1), clouds(200, 2)
    synthetic = np.concatenate([clouds(490, 3), training[:10]])
    found = copy_test(synthetic, training, holdout)
    assert found.flagged
    assert found.p_values["distinct_hits"] == pytest.approx(0.5**10)
    assert found.p_values["gan_leaks"] > 0.01


def test_one_image_copied_a_hundred_times_is_one_hit():
    training, holdout = clouds(200, 1), clouds(200, 2)
    found = copy_test(np.concatenate([clouds(400, 3), np.repeat(training[:1], 100, axis=0)]), training, holdout)
    assert found.training_hits == 1
    assert found.training_share == pytest.approx(0.2)


def test_a_density_generator_without_a_single_copy_is_flagged():
    training, holdout = clouds(200, 1), clouds(200, 2)
    found = copy_test(training + clouds(200, 3, scale=0.9), training, holdout)
    assert found.flagged
    assert found.p_values["distinct_hits"] > 0.01
    assert found.membership_auc > 0.6


def test_a_reference_adds_a_calibrated_test_that_finds_the_same_leak():
    training, holdout, reference = clouds(200, 1), clouds(200, 2), clouds(200, 4)
    leak = copy_test(training + clouds(200, 3, scale=0.6), training, holdout, reference=reference)
    assert leak.p_values["gan_leaks_calibrated"] < 1e-6
    fair = copy_test(clouds(200, 3), training, holdout, reference=reference)
    assert fair.p_values["gan_leaks_calibrated"] > 0.01


def test_copies_of_images_that_stand_in_training_twice_are_found():
    once, holdout = clouds(100, 1), clouds(100, 2)
    training = np.concatenate([once, once[:20]])
    found = copy_test(np.concatenate([clouds(100, 3), once[:20]]), training, holdout)
    assert found.flagged
    assert found.training_hits == 20
    assert found.counts["training"] == 100


def test_held_out_images_that_are_training_images_count_as_training():
    training = clouds(100, 1)
    holdout = np.concatenate([clouds(100, 2), training[:30]])
    found = copy_test(training[:30], training, holdout)
    assert found.flagged
    assert (found.counts["repeats"], found.counts["holdout"]) == (30, 100)
    with pytest.raises(DataError, match="none of them"):
        copy_test(training, training, training[:50])


@pytest.mark.parametrize("make", [lambda training: training, lambda _: clouds(150, 3)], ids=["copier", "fair"])
def test_scaling_all_distances_changes_nothing(make):
    training, holdout = clouds(150, 1), clouds(150, 2)
    found = copy_test(make(training), training, holdout)
    scaled = copy_test(8 * make(training), 8 * training, 8 * holdout)
    assert scaled.p_values == found.p_values
    assert scaled.membership_auc == found.membership_auc


def test_a_holdout_with_more_of_the_diffuse_class_is_not_a_leak():
    def sets(narrow, wide, seed):
        return np.concatenate([clouds(narrow, seed, scale=0.2), clouds(wide, seed + 50)])

    classes = np.repeat([0, 1], [160, 40]), np.repeat([0, 1], [40, 160])
    training, holdout, synthetic = sets(160, 40, 1), sets(40, 160, 2), sets(160, 40, 3)
    found = copy_test(synthetic, training, holdout, of_training=Known(classes[0]), of_holdout=Known(classes[1]))
    assert not found.flagged
    leak = copy_test(training, training, holdout, of_training=Known(classes[0]), of_holdout=Known(classes[1]))
    assert leak.flagged


def test_a_harder_holdout_is_not_a_leak_and_hides_none():
    training, synthetic, holdout = clouds(200, 1), clouds(200, 3), clouds(200, 2, scale=1.5)
    assert not copy_test(synthetic, training, holdout).flagged
    assert copy_test(training + clouds(200, 4, scale=0.3), training, holdout).flagged


@pytest.mark.slow
def test_exchangeable_generators_are_rarely_flagged():
    p_values = []
    for seed in range(200):
        pool = clouds(360, 1000 + seed, dimension=8)
        p_values.append(copy_test(pool[:120], pool[120:240], pool[240:]).p_value)
    flagged = np.array(p_values)
    assert (flagged < 0.05).mean() <= 0.05
    assert (flagged < 0.01).mean() <= 0.02


def test_the_smallest_leak_that_would_have_been_seen_is_stated():
    training, holdout = clouds(100, 1), clouds(100, 2)
    found = copy_test(clouds(100, 3), training, holdout)
    assert found.smallest_detectable == 8
    assert "8 or more copied training images would have been noticed" in found.finding
    again = copy_test(np.concatenate([clouds(100, 3), training[: found.smallest_detectable]]), training, holdout)
    assert again.flagged


@pytest.mark.parametrize("twin", [0.06, 0.12, 0.17])
def test_a_copy_of_an_image_that_has_a_near_duplicate_is_named(twin):
    training, holdout, synthetic = clouds(100, 1), clouds(50, 2), clouds(100, 3)
    typical = usual_distance(nearest(holdout, training, k=1)[0][:, 0])
    step = training[1] - training[0]
    training[50] = training[0] + twin * typical * step / np.linalg.norm(step)
    synthetic[7] = training[50]
    found = copy_test(synthetic, training, holdout)
    assert (found.pairs[0].synthetic, found.pairs[0].training) == (7, 50)
    assert found.pairs[0].ratio == pytest.approx(0, abs=1e-3)


def test_pictures_are_tested_under_flips_and_shifts():
    training, holdout = textures(40, seed=1), textures(40, seed=2)
    padded = np.pad(training[:12, :, ::-1], ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    hidden = np.concatenate([textures(40, seed=3), padded[:, 2:, 2:]])
    found = copy_test(hidden, training, holdout)
    assert found.flagged
    assert {pair.training for pair in found.pairs} == set(range(12))
    assert not copy_test(hidden[:40], training, holdout).flagged


def test_bad_arguments_are_refused():
    cloud = clouds(20, 1)
    with pytest.raises(ValueError, match="0 < alpha < 1"):
        copy_test(cloud, cloud, clouds(20, 2), alpha=0)
    with pytest.raises(ValueError, match="classes of both"):
        copy_test(cloud, cloud, clouds(20, 2), of_training=Known(classes=np.zeros(20, dtype=int)))
    with pytest.raises(ValueError, match="families of both"):
        copy_test(cloud, cloud, clouds(20, 2), of_holdout=Known(families=np.zeros(20, dtype=int)))
    with pytest.raises(ValueError, match="got 1 and 20"):
        copy_test(cloud, cloud[:1], clouds(20, 2))
    with pytest.raises(ValueError, match="two sets of images or two of features"):
        copy_test(textures(5), cloud, clouds(20, 2))


def frames(centres, count, seed, *, spread=0.5):
    """``count`` points around each centre: (len(centres) · count, D)."""
    return np.repeat(centres, count, axis=0) + clouds(len(centres) * count, seed, scale=spread)


@pytest.mark.parametrize("seed", range(3))
def test_new_frames_of_training_families_are_a_leak_and_frames_of_strangers_are_none(seed):
    """A training image has relatives in training, a held-out one has none: that must neither hide nor make a leak."""
    people, strangers, others = (clouds(60, 10 * seed + k) for k in range(3))
    training, holdout = frames(people, 5, 100 + seed), frames(strangers, 5, 200 + seed)
    families = {
        "of_training": Known(families=np.repeat(np.arange(60), 5)),
        "of_holdout": Known(families=np.repeat(np.arange(60, 120), 5)),
    }
    leak = copy_test(frames(people, 5, 300 + seed), training, holdout, **families)
    assert leak.flagged
    assert leak.membership_auc > 0.9
    fair = copy_test(frames(others, 5, 400 + seed), training, holdout, **families)
    assert not fair.flagged
    assert 0.35 < fair.membership_auc < 0.65


def test_held_out_images_of_a_training_family_are_left_out():
    training, holdout = clouds(40, 1), clouds(40, 2)
    known = {
        "of_training": Known(families=np.arange(40)),
        "of_holdout": Known(families=np.concatenate([np.arange(10), np.arange(100, 130)])),
    }
    assert copy_test(clouds(40, 3), training, holdout, **known).counts["holdout"] == 30


@pytest.mark.slow
def test_exchangeable_generators_of_families_are_rarely_flagged():
    p_values = []
    for seed in range(200):
        centres = clouds(120, 5000 + seed, dimension=8)
        images = np.repeat(centres, 3, axis=0) + 0.4 * np.random.default_rng(seed).standard_normal((360, 8))
        known = Known(families=np.arange(120) // 3), Known(families=100 + np.arange(120) // 3)
        found = copy_test(images[:120], images[120:240], images[240:], of_training=known[0], of_holdout=known[1])
        p_values.append(found.p_value)
    flagged = np.array(p_values)
    assert (flagged < 0.05).mean() <= 0.05
    assert (flagged < 0.01).mean() <= 0.02
