"""Votes of real images for their nearest candidates."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.alignment.evolution import vote_sensitivity, votes_of

DRAWS = np.random.Generator(np.random.PCG64(3))
REAL = DRAWS.normal(size=(57, 5))
PICTURES = DRAWS.normal(size=(13, 3, 5))


def counted(real: np.ndarray, pictures: np.ndarray, votes: int) -> np.ndarray:
    """The same by the definition: each image in turn, candidates by their nearest picture."""
    total = np.zeros(len(pictures))
    for row in real:
        distance = np.linalg.norm(pictures - row, axis=2).min(axis=1)
        total[np.argsort(distance, kind="stable")[:votes]] += 1 / votes
    return total


@pytest.mark.parametrize("votes", [1, 2, 5, 13])
def test_votes_are_those_of_the_definition(votes: int) -> None:
    np.testing.assert_allclose(votes_of(REAL, PICTURES, votes=votes), counted(REAL, PICTURES, votes), atol=1e-12)


@pytest.mark.parametrize("votes", [1, 3])
def test_every_image_has_one_vote_in_all(votes: int) -> None:
    assert votes_of(REAL, PICTURES, votes=votes).sum() == pytest.approx(len(REAL))


def test_candidates_in_another_order_have_the_same_votes() -> None:
    order = DRAWS.permutation(len(PICTURES))
    np.testing.assert_array_equal(votes_of(REAL, PICTURES[order]), votes_of(REAL, PICTURES)[order])
    np.testing.assert_array_equal(votes_of(DRAWS.permutation(REAL), PICTURES), votes_of(REAL, PICTURES))


def test_moving_everything_changes_no_vote() -> None:
    np.testing.assert_array_equal(votes_of(1e4 + 3 * REAL, 1e4 + 3 * PICTURES), votes_of(REAL, PICTURES))


def test_of_equally_near_candidates_the_first_is_named() -> None:
    real = np.zeros((4, 2))
    pictures = np.array([[[2.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]], [[0.0, -1.0]]])
    assert votes_of(real, pictures).tolist() == [0.0, 4.0, 0.0, 0.0]
    assert votes_of(real, pictures, votes=2).tolist() == [0.0, 2.0, 2.0, 0.0]


def test_several_votes_go_to_different_candidates() -> None:
    """The first candidate's pictures are the three nearest; it is named once."""
    pictures = np.array([[[0.0], [0.1], [0.2]], [[5.0], [5.0], [5.0]], [[9.0], [9.0], [9.0]]])
    assert votes_of(np.zeros((2, 1)), pictures, votes=2).tolist() == [1.0, 1.0, 0.0]


def test_mean_looks_at_the_middle_of_a_candidates_pictures() -> None:
    pictures = np.array([[[-9.0], [9.0]], [[0.9], [1.1]]])
    assert votes_of(np.array([[0.1]]), pictures, lookahead="mean").tolist() == [1.0, 0.0]
    assert votes_of(np.array([[0.1]]), pictures, lookahead="each").tolist() == [0.0, 1.0]


def test_images_vote_for_their_own_class() -> None:
    real, pictures = np.array([[0.0], [0.0], [0.0]]), np.array([[[0.0]], [[7.0]], [[8.0]]])
    classes = (np.array([0, 1, 5]), np.array([0, 1, 1]))
    assert votes_of(real, pictures, class_ids=classes).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("votes", [1, 4])
def test_one_image_moves_the_histogram_by_its_sensitivity(votes: int) -> None:
    """For any image, however odd: what the noise is measured against."""
    before = votes_of(REAL, PICTURES, votes=votes)
    for one in (REAL[:1], 100 * REAL[1:2], np.zeros((1, 5))):
        after = votes_of(np.concatenate([REAL, one]), PICTURES, votes=votes)
        assert np.linalg.norm(after - before) == pytest.approx(vote_sensitivity(votes))


def test_one_image_in_anothers_place_moves_it_by_no_more_than_stated() -> None:
    moved = REAL.copy()
    moved[3] = 50.0
    step = float(np.linalg.norm(votes_of(moved, PICTURES) - votes_of(REAL, PICTURES)))
    assert step == pytest.approx(vote_sensitivity(neighbours="replace"))


@pytest.mark.parametrize(
    ("real", "pictures", "votes"),
    [(REAL, PICTURES[:, 0], 1), (REAL, PICTURES[:0], 1), (REAL, PICTURES, 14), (REAL, PICTURES, 0)],
)
def test_what_cannot_be_voted_on_is_refused(real: np.ndarray, pictures: np.ndarray, votes: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        votes_of(real, pictures, votes=votes)


def test_classes_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a class for each of 57 images and 13 candidates"):
        votes_of(REAL, PICTURES, class_ids=(np.zeros(57, dtype=int), np.zeros(12, dtype=int)))
