"""The audit of a released classifier: whose answers betray that they were trained on?

The attacker has shadow networks, trained on random halves of the very images in question, so he sees with each image
what answers look like with and without it. The shadows are small networks of their own kind, trained on real images
directly: an attacker who repeats the whole way to the classifier, its generator included, may see more.

Three controls, of which the first two must be found before anything is cleared:

* a classifier of the released kind, trained on the training images themselves;
* *canaries*: held-out images with a wrong label, planted into the set that a classifier of the released kind is
  trained on; of twice as many, which were they? From many to few, the least number that is found is told. Mislabelled
  images are learnt by heart if anything is (Carlini et al. 2022; Aerni et al. 2024, "Evaluations of Machine Learning
  Privacy Defenses are Misleading");
* *independent* networks that saw half of the held-out images and no training image must not be flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch, resize
from twinset.privacy.attacks.classifier import ClassifierAttack, SeenClassifier, Shadows, margins
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.lira import Lira
from twinset.privacy.attacks.rmia import Rmia
from twinset.privacy.attacks.thresholds import LabelOnly, Threshold
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.controls import SHIFTED_FROM, Independents
from twinset.privacy.audit.model_release import Control, ModelAudit, Targets, Tested, judged
from twinset.privacy.shadows import Networks, ShadowSettings, halves, train_together
from twinset.randomness import Stream

Labels = NDArray[np.integer]

ATTACKS: tuple[ClassifierAttack, ...] = (
    Lira(),
    Lira(online=False),
    Rmia(),
    Threshold("loss"),
    Threshold("modified_entropy"),
    LabelOnly(),
)
SHADOWS = 16
WIDEST = 32
"""Pixels a side that shadow networks see at most."""

CANARIES = (50, 20, 10)
TRAINED_ON = "a classifier of its kind trained on the {dose} training images themselves"
MISLABELLED = "a classifier of its kind with {dose} mislabelled images in its training set"


class Answering(Protocol):
    """Anything that answers as a released classifier does."""

    def logits(self, images: PixelBatch) -> NDArray[np.floating]:
        """float (N, C) for uint8 (N, H, W, C)."""
        ...


Train = Callable[[PixelBatch, Labels, Stream], Answering]
"""Trains a classifier of the released kind on pictures and classes."""


@dataclass(frozen=True, eq=False)
class ClassifierRelease:
    """What is audited. ``train`` makes more of its kind, ``trained_on`` is what canaries are planted in (None: the
    training images). ``population``: other real images of neither side, for RMIA."""

    classifier: Answering
    targets: Targets
    n_classes: int
    train: Train | None = None
    trained_on: tuple[PixelBatch, Labels] | None = None
    population: tuple[PixelBatch, Labels] | None = None


@dataclass(frozen=True, eq=False)
class ShadowAttack:
    """Shadow networks of some real images, and what they answer: to be kept for all classifiers of one split."""

    networks: Networks
    shadows: Shadows
    population: tuple[PixelBatch, Labels, NDArray[np.floating]] | None

    @staticmethod
    def prepare(
        pictures: PixelBatch,
        class_ids: Labels,
        units: NDArray[np.int64],
        *,
        n_classes: int,
        population: tuple[PixelBatch, Labels] | None,
        settings: ShadowSettings | None = None,
        networks: int = SHADOWS,
        rng: Stream,
    ) -> ShadowAttack:
        """Trains ``networks`` shadows on random halves of the families ``units`` (W,) of pictures (W, H, W, C)."""
        included = halves(int(units.max()) + 1, networks, rng=rng)[:, units]
        trained = train_together(
            shadow_rows(pictures), class_ids, included, classes=n_classes, settings=settings, rng=rng.child("shadows")
        )
        others = None if population is None else (*population, answers_of(trained, population[0]))
        return ShadowAttack(trained, Shadows(answers_of(trained, pictures), included), others)

    def scores(
        self, classifier: Answering, pictures: PixelBatch, class_ids: Labels, attacks: Sequence[ClassifierAttack]
    ) -> dict[str, NDArray[np.float64]]:
        """Of the pictures that the shadows were trained on, by attack; those that need a population are left out."""
        population = None
        if self.population is not None:
            others, labels, by_shadows = self.population
            population = (_seen(classifier, others), labels, by_shadows)
        seen = SeenClassifier(_seen(classifier, pictures), class_ids, self.shadows, population)
        usable = [attack for attack in attacks if population is not None or not isinstance(attack, Rmia)]
        alike = matched(seen) if any(isinstance(attack, Lira) for attack in usable) else seen
        return {attack.name: attack.scores(alike if isinstance(attack, Lira) else seen) for attack in usable}


class Prepare(Protocol):
    """Makes shadows as :meth:`ShadowAttack.prepare` does."""

    def __call__(
        self,
        pictures: PixelBatch,
        class_ids: Labels,
        units: NDArray[np.int64],
        *,
        n_classes: int,
        population: tuple[PixelBatch, Labels] | None,
        rng: Stream,
    ) -> ShadowAttack:
        """Shadows of random halves of the families ``units`` (W,) of pictures (W, H, W, C)."""
        ...


def audit_classifier(
    release: ClassifierRelease,
    *,
    rng: Stream,
    attacks: Sequence[ClassifierAttack] = ATTACKS,
    shadows: ShadowAttack | None = None,
    prepare: Prepare = ShadowAttack.prepare,
    alpha: float = 0.01,
    controls: bool = True,
    independent_sets: int = 5,
    blind: BlindBaseline | None = None,
) -> ModelAudit:
    """Attacks and controls on one classifier; ``shadows`` are those of the targets, trained here where not given, and
    ``prepare`` trains all."""
    targets = release.targets
    attack = shadows or prepare(
        targets.pictures,
        targets.class_ids,
        targets.witnesses.units,
        n_classes=release.n_classes,
        population=release.population,
        rng=rng.child("shadows"),
    )

    def tested(classifier: Answering) -> Tested:
        scores = attack.scores(classifier, targets.pictures, targets.class_ids, attacks)
        return Tested.of(targets.witnesses, scores)

    found = tested(release.classifier)
    made: list[Control] = []
    lacking: list[str] = []
    independents = None
    if controls:
        independents = _independents(release, attack, attacks, sets=independent_sets, alpha=alpha, rng=rng)
        if found.joint >= alpha and release.train is None:
            lacking.append("no classifier of this kind can be trained here, as a control")
        elif found.joint >= alpha and release.train is not None:
            members = targets.is_member
            own = release.train(targets.pictures[members], targets.class_ids[members], rng.child("trained_on"))
            made.append(Control.of(TRAINED_ON, int(members.sum()), tested(own), alpha))
            planted = rng.child("canaries")
            made += _canaries(release, release.train, attacks, alpha=alpha, rng=planted, prepare=prepare)
    return judged(
        "classifier",
        found,
        alpha=alpha,
        controls=made,
        lacking=lacking,
        independents=independents,
        blind=blind,
        facts={"shadows": len(attack.shadows.included), "images": len(targets.pictures), **_accuracy(release)},
    )


def _accuracy(release: ClassifierRelease) -> dict[str, float]:
    """How often it is right on either side: a look, for a gap is the plainest of all signs."""
    right = release.classifier.logits(release.targets.pictures).argmax(axis=1) == release.targets.class_ids
    member = release.targets.is_member
    return {"accuracy_training": float(right[member].mean()), "accuracy_holdout": float(right[~member].mean())}


def _independents(
    release: ClassifierRelease,
    attack: ShadowAttack,
    attacks: Sequence[ClassifierAttack],
    *,
    sets: int,
    alpha: float,
    rng: Stream,
) -> Independents | None:
    """Networks that saw half of the held-out families; the training images must not look like theirs."""
    targets = release.targets
    witnesses = targets.witnesses
    others = targets.unit_count - witnesses.members
    halved = halves(others, 2 * sets, rng=rng.child("independent"))[:sets]
    kept = np.concatenate([np.ones((sets, witnesses.members), dtype=bool), ~halved], axis=1)
    if halved.sum(axis=1).min() < 2 or (~halved).sum(axis=1).min() < 2:
        return None
    trained = train_together(
        shadow_rows(targets.pictures),
        targets.class_ids,
        ~kept[:, witnesses.units],
        classes=release.n_classes,
        rng=rng.child("independent", "networks"),
    )
    flagged = 0
    for number in range(sets):
        scores = attack.scores(_One(trained, number), targets.pictures, targets.class_ids, attacks)
        some, rows = witnesses.of_units(kept[number])
        flagged += Tested.of(some, {name: own[rows] for name, own in scores.items()}).joint < alpha
    return Independents(flagged, sets)


def _canaries(
    release: ClassifierRelease,
    train: Train,
    attacks: Sequence[ClassifierAttack],
    *,
    alpha: float,
    rng: Stream,
    prepare: Prepare = ShadowAttack.prepare,
) -> list[Control]:
    """Held-out images with a wrong label, of which a coin chooses those that a classifier is trained on."""
    targets = release.targets
    draw = rng.numpy()
    held = np.flatnonzero(~targets.is_member)
    most = min(CANARIES[0], len(held) // 4)
    if most < CANARIES[-1] or release.n_classes < 2:
        return []
    rows = draw.permutation(held)[: 2 * most]
    pictures = targets.pictures[rows]
    wrong = (targets.class_ids[rows] + draw.integers(1, release.n_classes, len(rows))) % release.n_classes
    clean = np.ones(len(targets.pictures), dtype=bool)
    clean[rows] = False  # shadows that know the right label would tell nothing of the wrong one
    known = np.concatenate([pictures, targets.pictures[clean]]), np.concatenate([wrong, targets.class_ids[clean]])
    attack = prepare(
        *known,
        np.arange(len(known[1])),
        n_classes=release.n_classes,
        population=None,
        rng=rng.child("shadows"),
    )
    members = targets.is_member
    base = release.trained_on or (targets.pictures[members], targets.class_ids[members])
    return list(_planted(attack, attacks, train, base, known, alpha=alpha, most=most, rng=rng))


def _planted(
    attack: ShadowAttack,
    attacks: Sequence[ClassifierAttack],
    train: Train,
    base: tuple[PixelBatch, Labels],
    known: tuple[PixelBatch, Labels],
    *,
    alpha: float,
    most: int,
    rng: Stream,
) -> Sequence[Control]:
    """From many to few, until a number is not found. Of what the shadows ``known`` the first 2 · ``most`` are
    canaries."""
    pictures, wrong = (part[: 2 * most] for part in known)
    found = []
    for count in (most, *(each for each in CANARIES if each < most)):
        order = rng.child("coin", count).numpy().permutation(2 * most)
        planted, left_out = order[:count], order[count : 2 * count]
        classifier = train(
            np.concatenate([base[0], pictures[planted]]),
            np.concatenate([base[1], wrong[planted]]),
            rng.child("train", count),
        )
        scores = attack.scores(classifier, *known, attacks)
        figures = {name: AttackFigures.of(name, values[planted], values[left_out]) for name, values in scores.items()}
        tested = Tested(tuple(figures.values()), {name: each.p_value for name, each in figures.items()})
        found.append(Control.of(MISLABELLED, count, tested, alpha))
        if not found[-1].found:
            break
    return found


def matched(seen: SeenClassifier) -> SeenClassifier:
    """The same answers with margins as sure as those of the shadows, in the order that they have: (N, A, C).

    Shadows of another kind are surer or less sure of everything, and a likelihood ratio would tell kinds apart. The
    margin of rank r becomes the mean margin of rank r of the shadows, over all images, whoever was trained on; equal
    margins stay equal.
    """
    from scipy.stats import rankdata

    shadows = seen.known("lira")
    own = margins(seen.logits, seen.class_ids)
    usual = np.sort(margins(shadows.logits, seen.class_ids), axis=1).mean(axis=0)
    ranks = rankdata(own, axis=0) - 1
    wanted = np.stack([np.interp(ranks[:, view], np.arange(len(own)), usual[:, view]) for view in range(own.shape[1])])
    logits = np.array(seen.logits, dtype=np.float64)
    logits[np.arange(len(own)), :, seen.class_ids] += wanted.T - own
    return replace(seen, logits=logits)


@dataclass(frozen=True, eq=False)
class _One:
    """One of some networks, answering as a classifier."""

    networks: Networks
    number: int

    def logits(self, images: PixelBatch) -> NDArray[np.floating]:
        return np.asarray(self.networks.logits(shadow_rows(images))[self.number])


def shadow_rows(pictures: PixelBatch) -> NDArray[np.float32]:
    """What shadow networks see of uint8 (N, H, W, C): float32 (N, D) in [-.5, .5], at most 32 pixels a side."""
    height, width = pictures.shape[1:3]
    factor = WIDEST / max(height, width)
    if factor < 1:
        size = max(1, round(height * factor)), max(1, round(width * factor))
        pictures = np.stack([resize(pixels, *size) for pixels in pictures])
    rows: NDArray[np.float32] = pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)
    return rows - np.float32(0.5)


def views_of(pictures: PixelBatch) -> list[PixelBatch]:
    """The pictures themselves and, where a pixel is little, shifted by one to all four sides."""
    height, width = pictures.shape[1:3]
    if min(height, width) < SHIFTED_FROM:
        return [pictures]
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    shifts = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return [padded[:, down : down + height, right : right + width] for down, right in shifts]


def answers_of(networks: Networks, pictures: PixelBatch) -> NDArray[np.floating]:
    """Logits (K, N, A, C) of all views."""
    return np.stack([networks.logits(shadow_rows(view)) for view in views_of(pictures)], axis=2)


def _seen(classifier: Answering, pictures: PixelBatch) -> NDArray[np.floating]:
    return np.stack([classifier.logits(np.ascontiguousarray(view)) for view in views_of(pictures)], axis=1)
