from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.text_image import mentions, semantic_object_accuracy
from twinset.randomness import Stream

WORDS = {
    "dog": 0,
    "dogs": 0,
    "puppy": 0,
    "hot dog": None,
    "bear": 1,
    "teddy bear": 2,
    "zebra crossing": None,
    "zebra": 3,
}


def pairs(*captions: str) -> list[tuple[int, int]]:
    images, classes = mentions(captions, WORDS)
    return list(zip(images.tolist(), classes.tolist(), strict=True))


def test_whole_words_in_any_case_are_mentions_once_an_image() -> None:
    assert pairs("A DOG, a puppy; two dogs.", "a dogma", "no-one", "a bear and a dog") == [(0, 0), (3, 0), (3, 1)]


def test_a_longer_phrase_uses_up_its_words() -> None:
    assert pairs(
        "a hot dog", "a teddy bear", "hot dog for a dog", "a zebra on a zebra crossing", "a zebra crossing"
    ) == [
        (1, 2),
        (2, 0),
        (3, 3),
    ]


def test_phrases_without_a_word_are_refused() -> None:
    with pytest.raises(ValueError, match="a phrase with a word"):
        mentions(["a"], {" - ": 0})


def found(mentioned: list[tuple[int, int]], detected: list[list[int]]) -> dict[str, float | None]:
    images, classes = np.array(mentioned).T
    table = np.array(detected, dtype=bool)
    return {s.name: s.value for s in semantic_object_accuracy((images, classes), table, rng=Stream(0))}


def test_the_mean_over_classes_and_over_images_by_hand() -> None:
    scores = found(
        [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (4, 1)], [[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 1]]
    )
    assert scores["soa[0]"] == pytest.approx(3 / 4)
    assert scores["soa[1]"] == pytest.approx(1 / 2)
    assert scores["soa[2]"] is None
    assert scores["soa_c"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert scores["soa_i"] == pytest.approx(4 / 6)


def test_what_no_caption_mentions_does_not_count() -> None:
    few = found([(0, 0), (1, 0)], [[1, 0], [0, 0]])
    assert few == found([(0, 0), (1, 0)], [[1, 1], [0, 1]])


def test_mentions_in_one_image_go_together() -> None:
    images, classes = np.repeat(np.arange(50), 2), np.tile([0, 1], 50)
    together = np.repeat((np.arange(50) % 2 == 0)[:, None], 2, axis=1)
    scores = {s.name: s for s in semantic_object_accuracy((images, classes), together, rng=Stream(0))}
    error = scores["soa_i"].settings["standard_error"]
    assert error == pytest.approx(np.sqrt(0.25 / 50))
    assert scores["soa_c"].settings["standard_error"] == pytest.approx(np.hypot(error, 0.01 / np.sqrt(2)))


def test_captions_as_families_widen() -> None:
    images, classes, seen = np.arange(40), np.zeros(40, int), (np.arange(40) < 20)[:, None]
    plain = semantic_object_accuracy((images, classes), seen, rng=Stream(0))[1]
    grouped = semantic_object_accuracy((images, classes), seen, rng=Stream(0), families=np.arange(40) // 4)[1]
    assert plain.interval is not None
    assert grouped.interval is not None
    assert grouped.interval.low < plain.interval.low


def test_wrong_inputs_are_named_and_none_is_undefined() -> None:
    nothing = np.zeros(0, int)
    assert all(
        s.value is None for s in semantic_object_accuracy((nothing, nothing), np.ones((2, 2), bool), rng=Stream(0))
    )
    with pytest.raises(ValueError, match="every pair of image and class once"):
        semantic_object_accuracy((np.array([0, 0]), np.array([1, 1])), np.ones((2, 2), bool), rng=Stream(0))
    with pytest.raises(ValueError, match=r"class numbers 0…1"):
        semantic_object_accuracy((np.array([0]), np.array([2])), np.ones((2, 2), bool), rng=Stream(0))
