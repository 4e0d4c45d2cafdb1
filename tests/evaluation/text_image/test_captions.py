"""BLEU and CIDEr-D against hand-worked cases and against numbers of pycocoevalcap 1.2 (measured once, below)."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from twinset.errors import MissingExtraError
from twinset.evaluation.text_image import bleu, cider
from twinset.evaluation.text_image.captions import cider_values

SAID = [
    "a dog runs on the green grass",
    "two cats sleep on a red sofa",
    "a man rides a horse on the beach",
    "a plate of food on a table",
    "a red bus on a street",
]
TRUE = [
    ["a brown dog runs across the green grass", "a dog running on grass"],
    ["two cats sleeping on a red sofa", "cats on a sofa", "a pair of cats sleep on the red couch"],
    ["a man riding a brown horse along the beach"],
    ["a white plate of food on the table", "food on a plate"],
    ["a red double decker bus on a city street", "the bus drives down the street"],
]
PUBLISHED_CIDER = [2.87001523086062, 2.9860075002760404, 2.323482618933616, 4.372574985107641, 2.0906375681569282]
PUBLISHED_BLEU = [0.8391830293983487, 0.7165889321544359, 0.5322981740533034, 0.3430124803816222]


def test_cider_equals_the_reference_implementation() -> None:
    assert cider_values(SAID, TRUE, corpus=TRUE).tolist() == pytest.approx(PUBLISHED_CIDER, rel=1e-12)
    assert cider(SAID, TRUE).value == pytest.approx(np.mean(PUBLISHED_CIDER))


def test_cider_by_hand() -> None:
    # Of "a b" and "a c": a is in both images (weight 0), b, c, "a b", "a c" in one each (ln 2).
    # "a b" against itself: 1 for n = 1, 2 and nothing to find for n = 3, 4.
    assert cider_values(["a b"], [["a b"]], corpus=[["a b"], ["a c"]]) == pytest.approx([10 * 2 / 4])
    # Said twice as often: min(2, 1)·1/(2·1) for n = 1. Bigrams ab, ba, ab: counts 2 and 1, and ba, unseen, weighs ln 2.
    penalty = np.exp(-4 / 72)
    bigrams = 1 / np.sqrt(2**2 + 1)
    value = cider_values(["a b a b"], [["a b"]], corpus=[["a b"], ["a c"]])
    assert value == pytest.approx([10 * penalty * (0.5 + bigrams) / 4])


def test_a_rare_word_is_worth_more_than_a_common_one() -> None:
    corpus = [["a dog sits"], ["a cat sits"], ["a zebra sits"], ["a dog sits"]]
    common, rare = cider_values(["dog", "zebra"], [["dog runs"], ["zebra runs"]], corpus=corpus)
    assert rare > common


def test_cider_of_one_image_is_undefined_and_few_are_warned_about() -> None:
    assert cider(["a"], [["a"]]).value is None
    assert "weights from 5 images" in cider(SAID, TRUE).warnings[0]


def test_references_that_are_a_bare_string_are_refused() -> None:
    with pytest.raises(ValueError, match="a list of one or more references"):
        cider(["a", "b"], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="references for each of 2"):
        cider(["a", "b"], [["a"]])


def test_bleu_without_its_package_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sacrebleu" else real(name))
    with pytest.raises(MissingExtraError, match=r"twinset\[captions\]"):
        bleu(SAID, TRUE)


def test_bleu_equals_the_reference_implementation() -> None:
    pytest.importorskip("sacrebleu", reason="the extra captions is not installed")
    scores = bleu(SAID, TRUE)
    assert [score.name for score in scores] == ["bleu1", "bleu2", "bleu3", "bleu4"]
    assert [score.value for score in scores] == pytest.approx(PUBLISHED_BLEU, abs=1e-8)


def test_the_error_of_bleu_is_that_of_leaving_images_out() -> None:
    pytest.importorskip("sacrebleu", reason="the extra captions is not installed")
    said, true = SAID * 12, TRUE * 12
    said[3], said[20] = "food on a white plate", "two cats"
    error = bleu(said, true)[3].settings["standard_error"]
    left = []
    for row in range(len(said)):
        value = bleu(said[:row] + said[row + 1 :], true[:row] + true[row + 1 :])[3].value
        assert value is not None
        left.append(value)
    jackknife = np.sqrt((len(left) - 1) / len(left) * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert error == pytest.approx(jackknife, rel=0.05)


def test_bleu_without_a_common_phrase_is_zero_and_of_longer_captions_unpenalised() -> None:
    pytest.importorskip("sacrebleu", reason="the extra captions is not installed")
    scores = bleu(["a b c d e", "x y"], [["a c e"], ["x"]])
    assert scores[0].value == pytest.approx(4 / 7)
    assert scores[3].value == 0.0
    assert "no common 4-gram" in scores[3].warnings[0]
