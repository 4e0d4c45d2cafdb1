"""The audit of a released dataset: attacks, the joint test, the controls of both directions, and one answer.

The answer follows from one family of tests, corrected together (Bonferroni): those of the joint copy test
(:mod:`twinset.copytest`) and of the attacks. It is *inconclusive* rather than reassuring where the audit did not find
what was planted for it, where it raised alarms over independent sets, or where training and held-out images can be told
apart by somebody who never saw the release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from twinset.copying import Pictures
from twinset.copytest import NOTHING, CopyTest, Known, copy_test
from twinset.membership import Strata
from twinset.privacy.attacks.dataset import DatasetAttack, SeenDataset
from twinset.privacy.attacks.domias import Domias
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.gan_leaks import GanLeaks
from twinset.privacy.attacks.monte_carlo import MonteCarlo
from twinset.privacy.attacks.nearest_record import ClosestRecords, closest_records
from twinset.privacy.audit.controls import Independents, Planted, Rows, independent, least_found, plant
from twinset.randomness import Stream

Answer = Literal["leak_found", "no_leakage_detected", "inconclusive"]

ATTACKS: tuple[DatasetAttack, ...] = (
    GanLeaks(),
    GanLeaks(calibrated=True),
    MonteCarlo(),
    Domias(),
    Domias(by="ratio"),
)


@dataclass(frozen=True, eq=False)
class DatasetRelease:
    """What is audited. ``reference``: real images of neither side. All pictures uint8 of one size, or all features."""

    synthetic: Pictures
    training: Pictures
    holdout: Pictures
    reference: Pictures | None = None
    of_training: Known = NOTHING
    of_holdout: Known = NOTHING


@dataclass(frozen=True)
class BlindBaseline:
    """How well training and held-out images are told apart without the release; at chance unless the split leaks."""

    auc: float
    low: float
    high: float

    @property
    def at_chance(self) -> bool:
        """Whether ½ is within the interval."""
        return self.low <= 0.5


@dataclass(frozen=True)
class DatasetAudit:
    """``p_values`` of all tests, ``p_value`` their joint one. ``planted`` and ``independents`` are the controls."""

    answer: Answer
    reasons: tuple[str, ...]
    p_value: float
    p_values: Mapping[str, float]
    alpha: float
    test: CopyTest
    attacks: tuple[AttackFigures, ...]
    closest: ClosestRecords
    planted: tuple[Planted, ...] = ()
    independents: Independents | None = None
    blind: BlindBaseline | None = None
    settings: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def finding(self) -> str:
        """One sentence that claims no more than was tested."""
        if self.answer == "leak_found":
            return "leak found: " + "; ".join(self.reasons)
        if self.answer == "inconclusive":
            return "inconclusive: " + "; ".join(self.reasons)
        least = least_found(self.planted, "verbatim"), least_found(self.planted, "disguised")
        highest = max(figures.interval.high for figures in self.attacks)
        return (
            f"no leakage detected; {least[0]} planted copies of training images, or {least[1]} disguised ones, among "
            f"{self.planted[0].total} outputs were found, fewer might not be; no attack's AUC is above {highest:.2f}"
        )


def audit_dataset(
    release: DatasetRelease,
    *,
    rng: Stream,
    attacks: Sequence[DatasetAttack] = ATTACKS,
    alpha: float = 0.01,
    controls: bool = True,
    independent_sets: int = 5,
    blind: BlindBaseline | None = None,
) -> DatasetAudit:
    """Attacks and controls on one released set; attacks that need reference images are left out where there are none.

    ``blind`` is what the caller found without the release. Without ``controls`` only a leak can be found: what is not
    flagged stays inconclusive. Errors as :func:`~twinset.copytest.copy_test`.
    """
    usable = [attack for attack in attacks if release.reference is not None or not attack.needs_reference]
    test, figures, p_values = _tested(release, usable, alpha=alpha, rng=rng)
    joint = _joint(p_values)
    closest = closest_records(release.synthetic, release.training, release.holdout)

    def flag_of(made: Pictures, holdout: Pictures, *, known: Known = release.of_holdout) -> bool:
        other = DatasetRelease(made, release.training, holdout, release.reference, release.of_training, known)
        return _joint(_tested(other, usable, alpha=alpha, rng=rng)[2]) < alpha

    answer: Answer = "inconclusive"
    reasons: tuple[str, ...] = ("the controls were not run",)
    planted: tuple[Planted, ...] = ()
    independents = None
    if joint < alpha:
        answer, reasons = "leak_found", _found(test, p_values, alpha)
    elif controls:
        planted = plant(
            lambda made: flag_of(made, release.holdout), release.synthetic, release.training, rng=rng.child("plant")
        )
        independents = _independent(release, usable, alpha=alpha, sets=independent_sets, rng=rng.child("independent"))
        answer, reasons = _judged(planted, independents, blind)
    return DatasetAudit(
        answer=answer,
        reasons=reasons,
        p_value=joint,
        p_values=p_values,
        alpha=alpha,
        test=test,
        attacks=figures,
        closest=closest,
        planted=planted,
        independents=independents,
        blind=blind,
        settings={"seed": rng.seed, "independent_sets": independent_sets},
    )


def _tested(
    release: DatasetRelease, attacks: Sequence[DatasetAttack], *, alpha: float, rng: Stream
) -> tuple[CopyTest, tuple[AttackFigures, ...], dict[str, float]]:
    test = copy_test(
        release.synthetic,
        release.training,
        release.holdout,
        alpha=alpha,
        reference=release.reference,
        of_training=release.of_training,
        of_holdout=release.of_holdout,
    )
    seen = SeenDataset(release.synthetic, release.reference)
    targets, count = np.concatenate([release.training, release.holdout]), len(release.training)
    strata = _strata(release)
    figures = []
    for attack in attacks:
        scores = attack.scores(targets, seen, rng=rng.child(attack.name))
        figures.append(AttackFigures.of(attack.name, scores[:count], scores[count:], strata))
    # The copy test's own forms of GAN-Leaks are corrected for held-out images that are merely harder: these count.
    counted = {each.name: each.p_value for each in figures if not each.name.startswith("gan_leaks")}
    return test, tuple(figures), {**test.p_values, **counted}


def _strata(release: DatasetRelease) -> Strata:
    members, others = release.of_training.classes, release.of_holdout.classes
    if members is None or others is None:
        return Strata.single(len(release.training), len(release.holdout))
    return Strata.of(members, others)


def _joint(p_values: Mapping[str, float]) -> float:
    return min(1.0, len(p_values) * min(p_values.values()))


def _found(test: CopyTest, p_values: Mapping[str, float], alpha: float) -> tuple[str, ...]:
    guilty = [name for name, p in p_values.items() if p * len(p_values) < alpha]
    reasons = [f"{', '.join(guilty)} tell training from held-out images (p = {_joint(p_values):.2g})"]
    if "distinct_hits" in guilty:
        reasons.append(f"{test.training_hits} training and {test.holdout_hits} held-out images are hit")
    return tuple(reasons)


def _independent(
    release: DatasetRelease, attacks: Sequence[DatasetAttack], *, alpha: float, sets: int, rng: Stream
) -> Independents | None:
    """Halves of the held-out images as release and held-out side; None where these are too few."""
    if len(release.holdout) < 8:
        return None

    def flag_of(made: Rows, holdout: Rows) -> bool:
        other = DatasetRelease(
            release.holdout[made],
            release.training,
            release.holdout[holdout],
            release.reference,
            release.of_training,
            _of_rows(release.of_holdout, holdout),
        )
        return _joint(_tested(other, attacks, alpha=alpha, rng=rng)[2]) < alpha

    return independent(flag_of, len(release.holdout), sets=sets, rng=rng)


def _of_rows(known: Known, rows: Rows) -> Known:
    return Known(
        None if known.classes is None else np.asarray(known.classes)[rows],
        None if known.families is None else np.asarray(known.families)[rows],
    )


def _judged(
    planted: Sequence[Planted], independents: Independents | None, blind: BlindBaseline | None
) -> tuple[Answer, tuple[str, ...]]:
    reasons = []
    for how in ("verbatim", "disguised"):
        if least_found(planted, how) is None:
            most = max(each.count for each in planted if each.how == how)
            reasons.append(f"{most} planted {how} copies of training images were not found")
    if independents is not None and not independents.sound:
        reasons.append(f"{independents.flagged} of {independents.sets} independent sets were flagged")
    if blind is not None and not blind.at_chance:
        reasons.append(
            f"training and held-out images differ without the release (AUC {blind.auc:.2f}, {blind.low:.2f}…"
            f"{blind.high:.2f})"
        )
    return ("inconclusive", tuple(reasons)) if reasons else ("no_leakage_detected", ())
