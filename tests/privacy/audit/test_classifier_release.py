from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from twinset.copytest import Known
from twinset.privacy.attacks.classifier import SeenClassifier, Shadows, margins
from twinset.privacy.audit import classifier_release
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.classifier_release import (
    ATTACKS,
    ClassifierRelease,
    Prepare,
    ShadowAttack,
    _canaries,
    audit_classifier,
    matched,
    shadow_rows,
    views_of,
)
from twinset.privacy.audit.model_release import Targets
from twinset.privacy.audit.shadow_shelf import ShadowShelf
from twinset.privacy.audit.witnesses import witnesses
from twinset.privacy.shadows import Networks, ShadowSettings, train_together
from twinset.randomness import Stream

SETTINGS, SMALLEST = ShadowSettings(width=64, steps=500), ShadowSettings(width=8, steps=30)
Side = tuple[np.ndarray, np.ndarray]


class Network:
    """One over-fitted network."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self.networks.logits(shadow_rows(images))[0]


def train(pictures: np.ndarray, class_ids: np.ndarray, rng: Stream) -> Network:
    everything = np.ones((1, len(pictures)), dtype=bool)
    return Network(train_together(shadow_rows(pictures), class_ids, everything, classes=10, settings=SETTINGS, rng=rng))


class Unmoved:
    """Answers the same whatever it was trained on."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.tile(np.arange(10.0), (len(images), 1)) + images.mean(axis=(1, 2)) / 255


@pytest.fixture(scope="module")
def sides() -> list[Side]:
    """Training, held-out and reference digits, 300 each."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(images))
    return [(images[rows], found.target[rows]) for rows in np.split(order[:900], 3)]


@pytest.fixture(scope="module")
def targets(sides: list[Side]) -> Targets:
    training, holdout, _ = sides
    return Targets.of(witnesses(training[0], holdout[0], Known(training[1]), Known(holdout[1])), training, holdout)


@pytest.fixture(scope="module")
def shadows(sides: list[Side], targets: Targets) -> ShadowAttack:
    return ShadowAttack.prepare(
        targets.pictures,
        targets.class_ids,
        targets.witnesses.units,
        n_classes=10,
        population=sides[2],
        settings=SETTINGS,
        rng=Stream(1),
    )


@pytest.mark.slow
def test_a_classifier_of_the_training_images_is_found(sides, targets, shadows) -> None:
    released = train(*sides[0], Stream(2))
    found = audit_classifier(ClassifierRelease(released, targets, 10), rng=Stream(0), shadows=shadows, controls=False)
    assert found.answer == "leak_found"
    assert {figures.name for figures in found.attacks} >= {"lira_online", "rmia", "loss"}
    assert found.facts["accuracy_training"] > found.facts["accuracy_holdout"]
    doubtful = audit_classifier(
        ClassifierRelease(released, targets, 10),
        rng=Stream(0),
        shadows=shadows,
        controls=False,
        blind=BlindBaseline(0.6, 0.55, 0.65),
    )
    assert doubtful.answer == "inconclusive"
    assert "differ without the release (AUC 0.60" in doubtful.finding


@pytest.mark.slow
def test_a_classifier_of_other_images_passes_where_what_was_planted_is_found(sides, targets, shadows) -> None:
    release = ClassifierRelease(train(*sides[2], Stream(3)), targets, 10, train, sides[2])
    found = audit_classifier(release, rng=Stream(0), shadows=shadows, independent_sets=3)
    assert found.answer == "no_leakage_detected", found.finding
    assert {control.what for control in found.controls if control.found} == {each.what for each in found.controls}
    assert len({control.what for control in found.controls}) == 2
    assert found.independents is not None
    assert found.independents.flagged == 0
    assert "mislabelled images in its training set" in found.finding


@pytest.mark.slow
def test_shadows_of_one_split_are_trained_once_for_several_classifiers_and_answers_stay_as_they_are(
    sides: list[Side], targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    original = ShadowAttack.prepare

    def quick(*given: object, **named: object) -> ShadowAttack:
        trained.append(len(given[1]))  # type: ignore[arg-type]
        return original(*given, **named, settings=SMALLEST, networks=4)  # type: ignore[arg-type]

    monkeypatch.setattr(ShadowAttack, "prepare", staticmethod(quick))
    monkeypatch.setattr(classifier_release, "train_together", partial(train_together, settings=SMALLEST))
    shelf = ShadowShelf()

    def audited(number: int, prepare: Prepare, *, seed: int = 0) -> object:
        mine = train(*sides[2], Stream(number))
        release = ClassifierRelease(mine, targets, 10, lambda *_: mine, sides[number], sides[2])
        return audit_classifier(release, rng=Stream(seed), prepare=prepare, independent_sets=1)

    kept = [audited(number, shelf.prepare) for number in (0, 2)]
    assert trained == [len(targets.pictures)] * 2
    assert len(shelf) == 2
    assert [audited(number, ShadowAttack.prepare) for number in (0, 2)] == kept
    assert len(trained) == 2 + 4
    audited(0, shelf.prepare, seed=1)
    assert len(shelf) == 4


@pytest.mark.slow
def test_nothing_is_cleared_where_what_was_made_to_leak_is_not_found(sides, targets, shadows) -> None:
    release = ClassifierRelease(Unmoved(), targets, 10, lambda *_: Unmoved(), sides[2])
    found = audit_classifier(release, rng=Stream(0), shadows=shadows, independent_sets=1)
    assert found.answer == "inconclusive"
    assert "trained on the 300 training images themselves was not found" in found.finding
    assert "with 50 mislabelled images in its training set was not found" in found.finding


@pytest.mark.slow
def test_nothing_is_cleared_without_controls_or_where_there_can_be_none(targets, shadows) -> None:
    release = ClassifierRelease(Unmoved(), targets, 10)
    first = audit_classifier(release, rng=Stream(0), shadows=shadows, controls=False)
    second = audit_classifier(release, rng=Stream(0), shadows=shadows, independent_sets=1)
    assert (first.answer, first.reasons) == ("inconclusive", ("the controls were not run",))
    assert second.answer == "inconclusive"
    assert "no classifier of this kind can be trained here" in second.finding


def test_too_few_held_out_images_for_canaries_give_none(sides, targets) -> None:
    kept = np.ones(targets.unit_count, dtype=bool)
    kept[targets.witnesses.members + 30 :] = False
    release = ClassifierRelease(Unmoved(), targets.of_units(kept), 10, train)
    assert _canaries(release, train, ATTACKS, alpha=0.01, rng=Stream(0)) == []


def test_views_are_shifted_only_where_a_pixel_is_little() -> None:
    small, large = np.zeros((2, 8, 8, 1), dtype=np.uint8), np.zeros((2, 28, 28, 1), dtype=np.uint8)
    large[:, 14, 14] = 255
    assert len(views_of(small)) == 1
    peaks = {tuple(np.argwhere(view[0, :, :, 0])[0].tolist()) for view in views_of(large)}
    assert peaks == {(14, 14), (13, 14), (15, 14), (14, 13), (14, 15)}
    assert shadow_rows(np.zeros((1, 64, 32, 3), dtype=np.uint8)).shape == (1, 32 * 16 * 3)


def test_margins_of_another_kind_become_as_sure_as_the_shadows_in_their_own_order() -> None:
    """Four images, two shadows with margins (0, 2, 4, 6) and (2, 4, 6, 8): ranks 0 … 3 stand for 1, 3, 5, 7."""
    margins_of = np.array([[0.0, 2, 4, 6], [8, 6, 4, 2]])
    shadows = Shadows(np.stack([margins_of, np.zeros((2, 4))], axis=-1)[:, :, None], np.zeros((2, 4), dtype=bool))
    own = np.array([0.3, 0.1, 0.3, 0.2])  # the two largest are equal and share ranks 2 and 3
    seen = SeenClassifier(np.stack([own, np.zeros(4)], axis=-1)[:, None], np.zeros(4, dtype=int), shadows)
    alike = matched(seen)
    assert margins(alike.logits, alike.class_ids)[:, 0] == pytest.approx([6, 1, 6, 3])
    assert seen.logits[0, 0, 0] == 0.3
