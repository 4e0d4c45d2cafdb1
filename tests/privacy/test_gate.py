import numpy as np
import pytest

from twinset.copying import nearest_copies
from twinset.privacy.gate import copy_gate, feature_gate


@pytest.fixture(scope="module")
def pools():
    """Training, holdout and a third pool of real scanned digits: three times uint8 (599, 8, 8, 1)."""
    from sklearn.datasets import load_digits

    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    return np.array_split(images[np.random.default_rng(0).permutation(len(images))], 3)


def gate(pools, candidates, accepted=None):
    training, holdout, _ = pools
    return copy_gate(
        candidates=candidates,
        accepted=candidates if accepted is None else accepted,
        training=training,
        holdout=holdout,
    )


def filtered(pools, images):
    distances, _ = nearest_copies(images, pools[0], k=2)
    return images[distances[:, 0] > 0.5 * distances[:, 1]]


def noisy(images, deviation):
    noise = np.random.default_rng(1).normal(0, deviation, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def test_a_generator_that_hands_out_unseen_real_images_passes(pools):
    found = gate(pools, pools[2][:500])
    assert found.passed
    assert found.reasons == ()
    assert found.released is found.made
    assert "no copying detected" in found.finding


def test_a_copier_is_blocked_and_its_pairs_are_named(pools):
    found = gate(pools, pools[0][:300])
    assert not found.passed
    assert found.pairs[0].synthetic == found.pairs[0].training
    assert any("copying detected" in reason for reason in found.reasons)
    assert any("the generator copies: 100.0%" in reason for reason in found.reasons)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_copier_whose_copies_are_filtered_out_is_blocked_all_the_same(pools, share):
    copies = round(300 * share)
    candidates = np.concatenate([pools[0][:copies], pools[2][: 300 - copies]])
    accepted = filtered(pools, candidates)
    assert len(accepted) == 300 - copies
    found = gate(pools, candidates, accepted)
    assert not found.passed
    assert any("the generator copies" in reason for reason in found.reasons)


@pytest.mark.slow
def test_a_copier_with_noise_on_top_is_blocked_with_and_without_alignment(pools):
    candidates = noisy(pools[0][:400], 20)
    assert not gate(pools, candidates).passed
    assert not gate(pools, candidates, filtered(pools, candidates)).passed


def test_ten_copies_in_five_hundred_are_blocked(pools):
    found = gate(pools, np.concatenate([pools[2][:490], pools[0][:10]]))
    assert not found.passed
    assert found.released.flagged


def test_released_test_images_block_because_they_void_the_figures(pools):
    found = gate(pools, np.concatenate([pools[2][:480], pools[1][:20]]))
    assert not found.passed
    assert "20 of the images to be released are held-out real images" in found.finding


def test_one_released_training_image_is_one_too_many(pools):
    found = gate(pools, np.concatenate([pools[2][:499], pools[0][41:42]]))
    assert not found.passed
    assert not found.released.flagged
    assert found.reasons == ("1 of the images to be released are training images",)


def test_a_natural_repeat_does_not_excuse_copies_of_other_images(pools):
    """One held-out image is a training image: that says nothing about copies of a training image that is not."""
    holdout = np.concatenate([pools[1], pools[0][:1]])
    images = np.concatenate([pools[2][:486], np.repeat(pools[0][41:43], 7, axis=0)])
    found = copy_gate(candidates=images, accepted=images, training=pools[0], holdout=holdout)
    assert found.released.counts["repeats"] == 1
    assert "14 of the images to be released are training images" in found.finding


def test_a_generator_that_makes_one_training_image_over_and_over_is_a_copier(pools):
    candidates = np.concatenate([pools[2][:200], np.repeat(noisy(pools[0][:1], 10), 100, axis=0)])
    found = gate(pools, candidates, filtered(pools, candidates))
    assert not found.passed
    assert found.made.training_hits == 1


def test_a_few_copies_among_the_candidates_that_alignment_caught_are_no_copier(pools):
    candidates = np.concatenate([pools[2][:480], pools[0][:20]])
    found = gate(pools, candidates, filtered(pools, candidates))
    assert found.made.flagged
    assert found.passed


def test_an_empty_release_of_a_copier_still_names_the_copier(pools):
    found = gate(pools, pools[0][:100], pools[0][:0])
    assert found.released is None
    assert not found.passed


def test_what_cannot_be_tested_is_not_passed(pools):
    found = copy_gate(candidates=pools[2], accepted=pools[2], training=pools[0], holdout=pools[1][:1])
    assert not found.passed
    assert "599 training and 1 held-out images" in found.finding


class Flattened:
    """An embedder that returns pixels; ``fitted_on`` as given."""

    name = "flattened"

    def __init__(self, fitted_on):
        self.fitted_on = frozenset(fitted_on)

    def embed(self, images):
        return images.flatten(1).numpy()


def test_features_of_an_embedder_that_saw_the_images_are_refused(pools):
    features = [pool.reshape(len(pool), -1).astype(np.float32) for pool in pools]
    sets = {"training": features[0], "holdout": features[1]}
    with pytest.raises(ValueError, match="flattened, trained on 2"):
        feature_gate(Flattened(["a", "b", "z"]), accepted=features[2], **sets, ids=["a", "b", "c"])
    assert feature_gate(Flattened(["z"]), accepted=features[2], **sets, ids=["a", "b"]).passed
    assert not feature_gate(Flattened([]), accepted=features[0], **sets, ids=["a"]).passed
