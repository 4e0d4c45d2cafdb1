import numpy as np
import pytest

from twinset.alignment.duplicates import Duplicates, first_alike
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


def test_chains_do_not_pull_different_pictures_together():
    base = np.random.default_rng(1).integers(60, 190, (1, 16, 16, 1)).astype(float)
    step = np.random.default_rng(2).normal(0, 3, base.shape)
    chain = np.concatenate([base + n * step for n in range(3)]).round().astype(np.uint8)
    from twinset.copying import copy_features

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
