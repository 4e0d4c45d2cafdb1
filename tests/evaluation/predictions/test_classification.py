from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score, top_k_accuracy_score

from twinset.evaluation.predictions import simultaneous
from twinset.evaluation.predictions.classification import (
    Classified,
    accuracy,
    auroc_estimates,
    class_scores,
    classification_scores,
    subgroup_scores,
)
from twinset.randomness import Stream

PRIOR = np.array([0.35, 0.25, 0.2, 0.12, 0.08])


def drawn(seed: int, n: int, *, signal: float = 1.5, family: int = 1, classes: int = 5) -> Classified:
    """Images of unequal classes, in families of equal class and shared noise."""
    draw = Stream(seed).numpy()
    prior = PRIOR if classes == 5 else np.full(classes, 1 / classes)
    labels = np.repeat(draw.choice(classes, n // family, p=prior), family)
    shared = np.repeat(draw.normal(size=(n // family, classes)), family, axis=0) * (family > 1)
    logits = draw.normal(size=(n, classes)) + shared + np.log(prior) / 2
    logits[np.arange(n), labels] += signal
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    families = np.repeat(np.arange(n // family), family) if family > 1 else None
    return Classified(odds / odds.sum(axis=1, keepdims=True), labels, families=families)


def test_every_figure_equals_an_independent_implementation() -> None:
    said = replace(drawn(0, 300), class_names=tuple("abcde"))
    found = {score.name: score.value for score in classification_scores(said, rng=Stream(0))}
    labels, predicted = said.labels, said.predicted
    assert found["accuracy"] == pytest.approx((labels == predicted).mean())
    for kind, function in (("recall", recall_score), ("precision", precision_score), ("f1", f1_score)):
        each = function(labels, predicted, average=None)
        assert [found[f"{kind}[{name}]"] for name in "abcde"] == pytest.approx(each)
        mean = {"recall": "balanced_accuracy"}.get(kind, f"macro_{kind}")
        assert found[mean] == pytest.approx(each.mean())
    areas = [roc_auc_score(labels == c, said.probabilities[:, c]) for c in range(5)]
    assert [found[f"auroc[{name}]"] for name in "abcde"] == pytest.approx(areas)
    assert found["macro_auroc"] == pytest.approx(np.mean(areas))


def test_top_five_equals_an_independent_implementation() -> None:
    said = drawn(1, 200, classes=9)
    expected = top_k_accuracy_score(said.labels, said.probabilities, k=5)
    score = accuracy(said, top=5)
    assert (score.name, score.value) == ("top5_accuracy", pytest.approx(expected))
    assert "top5_accuracy" in {one.name for one in classification_scores(said, rng=Stream(0))}
    assert accuracy(drawn(1, 50), top=5).value is None


def test_auroc_errors_are_delongs_and_ties_count_half() -> None:
    told = np.array([0.9, 0.6, 0.6, 0.2, 0.6, 0.1, 0.3])
    said = Classified(np.stack([1 - told, told], axis=1), np.array([1, 1, 1, 1, 0, 0, 0]))
    found = auroc_estimates(said)
    # Of 12 pairs: .9 beats 3; each .6 beats 2 and ties 1; .2 beats 1: 3 + 2.5 + 2.5 + 1 = 9.
    assert found.values == pytest.approx([9 / 12, 9 / 12])
    ones, zeros = np.array([3, 2.5, 2.5, 1]) / 3, np.array([1 + 0.5 + 0.5, 4, 3]) / 4
    assert found.errors[1] == pytest.approx(np.sqrt(ones.var() / 4 + zeros.var() / 3))
    assert found.behind.tolist() == [3, 3]


def test_the_first_of_tied_classes_counts_and_a_warning_says_so() -> None:
    told = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]])
    score = accuracy(Classified(told, np.array([1, 1, 2])))
    assert score.value == pytest.approx(2 / 3)
    assert score.warnings[0].startswith("2 images have several most probable")


def test_a_class_without_images_is_undefined_and_one_never_predicted_has_precision_zero_in_the_mean() -> None:
    told = np.tile([0.7, 0.2, 0.1], (10, 1))
    found = {s.name: s for s in class_scores(Classified(told, np.repeat([0, 1], 5)), rng=Stream(0))}
    assert found["recall[2]"].value is None
    assert found["precision[1]"].value is None
    assert found["macro_precision"].value == pytest.approx(0.25)
    assert found["macro_f1"].value == pytest.approx((2 / 3) / 2)
    assert found["auroc[0]"].value == 0.5
    assert found["auroc[2]"].value is None


def test_subgroups_are_those_of_the_images_and_the_gap_is_between_best_and_worst() -> None:
    said, groups = drawn(2, 400), np.arange(400) % 3
    found = {s.name: s for s in subgroup_scores(said, groups, rng=Stream(0), names=["day", "night", "fog"])}
    right = said.labels == said.predicted
    shares = [right[groups == number].mean() for number in range(3)]
    assert [found[f"accuracy[group={name}]"].value for name in ("day", "night", "fog")] == pytest.approx(shares)
    inside = groups == 1
    balanced = recall_score(said.labels[inside], said.predicted[inside], average="macro")
    assert found["balanced_accuracy[group=night]"].value == pytest.approx(balanced)
    gap = found["accuracy_gap"]
    assert gap.value == pytest.approx(max(shares) - min(shares))
    assert gap.higher_is_better is False
    assert gap.interval is not None
    assert gap.interval.low == 0.0


def test_intervals_of_many_classes_are_wider_than_that_of_one() -> None:
    said = drawn(3, 400)
    scores = {s.name: s for s in class_scores(said, rng=Stream(0))}
    mine = said.labels == 0
    alone = accuracy(Classified(said.probabilities[mine], said.labels[mine])).interval
    joint = scores["recall[0]"].interval
    assert alone is not None
    assert joint is not None
    assert joint.low < alone.low
    assert joint.high > alone.high
    assert scores["recall[0]"].settings["interval"] == "Wilson, 5 at once (max_t)"
    again = {s.name: s for s in class_scores(said, rng=Stream(0))}
    assert again["f1[2]"].interval == scores["f1[2]"].interval


@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize("share", [0.5, 0.65, 0.8, 0.9, 0.95])
def test_the_interval_of_accuracy_holds_it_in_92_to_98_percent_of_all_test_sets(n: int, share: float) -> None:
    told = np.tile([1.0, 0.0], (n, 1))
    intervals = [accuracy(Classified(told, (np.arange(n) >= right).astype(int))).interval for right in range(n + 1)]
    held = [interval is not None and interval.low <= share <= interval.high for interval in intervals]
    assert 0.92 <= binom.pmf(np.arange(n + 1), n, share) @ np.array(held) <= 0.98


def test_wrong_inputs_say_what_is_expected() -> None:
    good = np.full((4, 2), 0.5)
    with pytest.raises(ValueError, match="apply softmax"):
        Classified(good * 3, np.zeros(4, int))
    with pytest.raises(ValueError, match=r"labels 0…1; got 0…2"):
        Classified(good, np.array([0, 1, 2, 0]))
    with pytest.raises(ValueError, match="expected probabilities"):
        Classified(good, np.zeros(3, int))
    with pytest.raises(ValueError, match="2 class names"):
        Classified(good, np.zeros(4, int), ("a",))
    with pytest.raises(ValueError, match="a subgroup for each of 4"):
        subgroup_scores(Classified(good, np.zeros(4, int)), np.zeros(3, int), rng=Stream(0))
    none = Classified(good[:0], np.zeros(0, int))
    assert accuracy(none).value is None
    assert all(score.value is None for score in class_scores(none, rng=Stream(0)))


def coverage(n: int, *, signal: float, family: int, repeats: int, joint: simultaneous.Joint) -> dict[str, float]:
    """How often all intervals of a figure hold their expectation over test sets at once."""
    tables = [
        {
            score.name: score
            for score in [
                accuracy(drawn(seed, n, signal=signal, family=family)),
                *class_scores(drawn(seed, n, signal=signal, family=family), rng=Stream(seed), joint=joint),
            ]
            if score.value is not None
        }
        for seed in range(repeats)
    ]
    names = {name for table in tables for name in table}
    target = {name: np.mean([table[name].value for table in tables if name in table]) for name in names}
    held: dict[str, list[bool]] = {}
    for table in tables:
        kinds: dict[str, bool] = {}
        for name, score in table.items():
            assert score.interval is not None
            kind = name.split("[")[0]
            inside = bool(score.interval.low <= target[name] <= score.interval.high)
            kinds[kind] = kinds.get(kind, True) and inside
        for kind, inside in kinds.items():
            held.setdefault(kind, []).append(inside)
    return {kind: round(100 * float(np.mean(values)), 1) for kind, values in sorted(held.items())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "signal", "family", "joint"), [(200, 1.5, 1, "max_t"), (200, 1.5, 1, "bonferroni"), (300, 2.0, 4, "max_t")]
)
def test_all_intervals_of_a_figure_hold_at_once(
    n: int, signal: float, family: int, joint: simultaneous.Joint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simultaneous, "DRAWS", 2000)
    found = coverage(n, signal=signal, family=family, repeats=400, joint=joint)
    assert all(91 <= share <= 99.8 for share in found.values()), found
