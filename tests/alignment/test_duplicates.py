import numpy as np
import pytest

from twinset.alignment.duplicates import Duplicates, first_alike
from twinset.copying import copy_features
from twinset.images import ImageSpec

SPEC = ImageSpec(8, 8, 1)


def images_of(*values):
    """One smooth ramp per value; equal values are equal pictures, neighbouring ones are not."""
    ramps = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 1), dtype=np.uint8)
    return ramps[list(values)]


def test_the_first_of_equal_pictures_stays():
    assert first_alike(images_of(3, 5, 3, 5, 3), before=None, nearer_than=0.02) == [0, 1, 0, 1, 0]


def test_pictures_accepted_before_come_first():
    assert first_alike(images_of(5, 7), before=images_of(1, 5), nearer_than=0.02) == [1, 3]


def test_more_equal_pictures_than_neighbours_looked_at_are_all_found():
    assert first_alike(images_of(*[2] * 100), before=None, nearer_than=0.02) == [0] * 100


def collapsed(count):
    """What a collapsed generator makes: all within 0.02 of the first, in five clusters nearer to themselves."""
    rng = np.random.default_rng(3)
    base = rng.integers(60, 190, (16, 16, 1))
    clusters = rng.integers(-1, 2, (5, 16, 16, 1)) * (rng.random((5, 16, 16, 1)) < 0.35)
    noise = rng.integers(-1, 2, (count, 16, 16, 1)) * (rng.random((count, 16, 16, 1)) < 0.05)
    pictures = base + clusters[np.arange(count) % 5] + noise
    pictures[0] = base
    return pictures.astype(np.uint8)


def test_a_collapsed_generator_keeps_one_picture():
    pictures = collapsed(400)
    features = copy_features(pictures)
    assert np.linalg.norm(features - features[0], axis=1).max() < 0.02
    assert first_alike(pictures, before=None, nearer_than=0.02) == [0] * 400
    assert first_alike(pictures[1:], before=pictures[:1], nearer_than=0.02) == [0] * 399


def one_by_one(images, before, limit):
    """The definition, without blocks: every image against all that were kept before it."""
    features = copy_features(np.concatenate([before, images])).astype(float)
    kept, found = list(range(len(before))), []
    for row in range(len(before), len(features)):
        alike = [other for other in kept if np.linalg.norm(features[row] - features[other]) <= limit]
        found.append(min(alike, default=row))
        kept += [] if alike else [row]
    return found, features[kept[len(before) :]]


@pytest.mark.parametrize("block", [1, 7, 2048])
def test_no_two_kept_pictures_are_alike_whatever_the_block_size(block, monkeypatch):
    monkeypatch.setattr("twinset.alignment.duplicates.BLOCK", block)
    pictures = collapsed(120)
    for limit in (0.0, 0.005, 0.01, 0.02):
        expected, kept = one_by_one(pictures[20:], pictures[:20], limit)
        assert first_alike(pictures[20:], before=pictures[:20], nearer_than=limit) == expected
        apart = np.linalg.norm(kept[:, None] - kept[None], axis=-1) + 9 * np.eye(len(kept))
        assert (apart > limit).all()


def test_chains_do_not_pull_different_pictures_together():
    base = np.random.default_rng(1).integers(60, 190, (1, 16, 16, 1)).astype(float)
    step = np.random.default_rng(2).normal(0, 3, base.shape)
    chain = np.concatenate([base + n * step for n in range(3)]).round().astype(np.uint8)
    features = copy_features(chain)
    one, two = np.linalg.norm(features[1] - features[0]), np.linalg.norm(features[2] - features[0])
    assert first_alike(chain, before=None, nearer_than=float(one + two) / 2) == [0, 0, 2]


def test_reasons_name_the_sample_that_stays(real, dataset_of):
    _, _, made = real
    pixels = made.prepared(SPEC)[:4]
    again = dataset_of(pixels[[0, 2, 0]], [0, 0, 0], prefix="later", synthetic=True)
    found = Duplicates().judge_set(again, accepted=made.take(range(2)))
    assert found == ("duplicate of made/0000", None, "duplicate of made/0000")
    assert Duplicates().judge_set(again, accepted=None) == (None, None, "duplicate of later/0000")
    assert Duplicates().judge_set(again.take([]), accepted=made) == ()


def test_different_scans_are_no_duplicates(real):
    _, _, made = real
    assert sum(reason is not None for reason in Duplicates().judge_set(made, accepted=None)) == 0


def test_an_impossible_distance_is_refused():
    with pytest.raises(ValueError, match="0 ≤ distance < 2"):
        Duplicates(distance=2)
