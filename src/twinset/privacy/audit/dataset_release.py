"""The audit of a released dataset: attacks, the joint test, the controls of both directions, and one answer.

The answer follows from one family of tests, corrected together (Bonferroni): those of the joint copy test
(:mod:`twinset.copytest`) and of the attacks. It is *inconclusive* rather than reassuring where the audit did not find
what was planted for it. And where it raises alarms over independent sets, or where training and held-out images can be
told apart by somebody who never saw the release, a difference between them shows nothing: only images that are hit
directly are then a leak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twinset.copying import Pictures
from twinset.copytest import NOTHING, CopyTest, Known, copy_test_of
from twinset.distances import Distances, Part
from twinset.distinct import Distinct
from twinset.errors import DataError
from twinset.membership import neighbours_needed
from twinset.privacy.attacks.dataset import DatasetAttack, SeenDataset
from twinset.privacy.attacks.domias import Domias
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.gan_leaks import GanLeaks
from twinset.privacy.attacks.hole import Hole
from twinset.privacy.attacks.monte_carlo import MonteCarlo
from twinset.privacy.attacks.nearest_record import ClosestRecords, closest_records
from twinset.privacy.audit.answers import Answer, BlindBaseline, doubts, in_a_sentence, joint_p_value, rejecting
from twinset.privacy.audit.controls import Independents, Planted, Rows, independent, least_found, plant
from twinset.privacy.audit.witnesses import Witnesses, neither, witnesses_of
from twinset.randomness import Stream

ATTACKS: tuple[DatasetAttack, ...] = (
    GanLeaks(),
    GanLeaks(calibrated=True),
    MonteCarlo(),
    Domias(),
    Domias(by="ratio"),
    Hole(),
)

FEWEST_REFERENCE = 8
MUCH = 10
"""Planted copies are found by a test whose p-value they divide by so much."""
FEWEST_INDEPENDENT = 8
"""Families of held-out images, below which no halves of them are audited."""


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
class DatasetAudit:
    """``p_values`` of all tests, ``p_value`` their joint one. ``planted`` and ``independents`` are the controls.

    ``left_out``: so many reference images are training or held-out images and took no part.
    """

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
    left_out: int = 0
    settings: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def finding(self) -> str:
        """One sentence that claims no more than was tested."""
        verbatim, disguised = least_found(self.planted, "verbatim"), least_found(self.planted, "disguised")
        total = self.planted[0].total if self.planted else 0
        least = (
            f"{verbatim} planted copies of training images, or {disguised} disguised ones, among {total} outputs were "
            "found, fewer might not be"
        )
        return in_a_sentence(self.answer, self.reasons, self.attacks, least=least)


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
    flagged stays inconclusive. Errors as :func:`~twinset.copytest.copy_test`, and :class:`DataError` where too few
    reference images are neither training nor held-out images.
    """
    distances = Distances()
    real = _distinct(release, distances)
    if release.reference is not None:
        k = neighbours_needed(total=len(release.reference), draws=min(len(release.reference), len(release.synthetic)))
        distances.search_both(real.pictures, release.reference, k=k, k_back=1)
    release, left_out = _with_reference_of_neither_side(release, distances, limit=real.limit)
    usable = [attack for attack in attacks if release.reference is not None or not attack.needs_reference]
    asked = _Asked(release, real, witnesses_of(real), distances, usable, alpha, rng)
    test, figures, p_values = asked.tested(release.synthetic)
    joint = joint_p_value(p_values)
    planted: tuple[Planted, ...] = ()
    independents = None
    if controls:
        independents = _independent(release, asked, sets=independent_sets, rng=rng.child("independent"))
        if joint >= alpha:
            planted = plant(
                lambda made, places: asked.with_planted(made, places).finds(made, p_values),
                release.synthetic,
                release.training,
                rng=rng.child("plant"),
            )
    answer, reasons = _judged(test, p_values, alpha, planted, doubts(independents, blind, called="independent sets"))
    return DatasetAudit(
        answer=answer,
        reasons=reasons,
        p_value=joint,
        p_values=p_values,
        alpha=alpha,
        test=test,
        attacks=figures,
        closest=closest_records(release.synthetic, release.training, release.holdout, search=distances.nearest),
        planted=planted,
        independents=independents,
        blind=blind,
        left_out=left_out,
        settings={"seed": rng.seed, "independent_sets": independent_sets, "controls": controls},
    )


def _distinct(release: DatasetRelease, distances: Distances) -> Distinct:
    sides = release.training, release.holdout, release.of_training, release.of_holdout
    return Distinct.of(*sides, distances=distances)


def _with_reference_of_neither_side(
    release: DatasetRelease, distances: Distances, *, limit: float
) -> tuple[DatasetRelease, int]:
    """Without the reference images that are training or held-out images, and how many these were."""
    if release.reference is None:
        return release, 0
    rows = neither(release.reference, release.training, release.holdout, limit=limit, search=distances.nearest)
    if len(rows) < FEWEST_REFERENCE:
        raise DataError(
            f"expected at least {FEWEST_REFERENCE} reference images that are neither training nor held-out images; "
            f"got {len(rows)} of {len(release.reference)}",
            hint="give other real images of the kind, or none",
        )
    left_out = len(release.reference) - len(rows)
    if not left_out:
        return release, 0
    kept = release.reference[rows]
    distances.made_of(kept, Part(release.reference, rows, np.arange(len(kept))))
    return replace(release, reference=kept), left_out


@dataclass(frozen=True, eq=False)
class _Asked:
    """The tests of one training and one held-out side, whatever was released; ``real`` and ``witnesses`` are of these
    sides, ``distances`` those found so far."""

    release: DatasetRelease
    real: Distinct
    witnesses: Witnesses
    distances: Distances
    attacks: Sequence[DatasetAttack]
    alpha: float
    rng: Stream

    def with_planted(self, made: Pictures, places: Rows) -> _Asked:
        """The same for a set that has other images at these places (P,) than the released one."""
        distances = Distances(beside=self.distances)
        new = made[np.sort(places)]
        distances.made_of(new)
        kept = np.setdiff1d(np.arange(len(made)), places)
        distances.made_of(
            made, Part(self.release.synthetic, kept, kept), Part(new, np.arange(len(new)), np.sort(places))
        )
        return replace(self, distances=distances)

    def flags(self, made: Pictures) -> bool:
        """Whether the joint test flags these images."""
        return joint_p_value(self.tested(made)[2]) < self.alpha

    def finds(self, made: Pictures, before: Mapping[str, float]) -> bool:
        """Whether a test flags these images that saw much less ``before``: what was all but flagged is no finding."""
        p_values = self.tested(made)[2]
        return any(p_values[name] <= before[name] / MUCH for name in rejecting(p_values, self.alpha))

    def tested(self, made: Pictures) -> tuple[CopyTest, tuple[AttackFigures, ...], dict[str, float]]:
        """The copy test of these images, the figures of all attacks, and the p-values of the joint test."""
        release = self.release
        test = copy_test_of(self.real, made, alpha=self.alpha, reference=release.reference, distances=self.distances)
        seen = SeenDataset(made, release.reference, self.distances)
        figures, p_values = [], dict(test.p_values)
        for attack in self.attacks:
            scores = attack.scores(self.witnesses.pictures, seen, rng=self.rng.child(attack.name))
            figures.append(self.witnesses.figures(attack.name, scores))
            if attack.name not in p_values:
                p_values[attack.name] = self.witnesses.p_value(figures[-1], scores)
        return test, tuple(figures), p_values


def _independent(release: DatasetRelease, asked: _Asked, *, sets: int, rng: Stream) -> Independents | None:
    """Halves of the held-out families as release and held-out side; None where these are too few."""
    rows = asked.witnesses.held_out
    families = asked.witnesses.units[len(asked.witnesses.units) - len(rows) :]
    if len(np.unique(families)) < FEWEST_INDEPENDENT:
        return None

    def flag_of(made: Rows, holdout: Rows) -> bool:
        distances = Distances(beside=asked.distances)
        half, other_half = (release.holdout[rows[some]] for some in (made, holdout))
        for pictures, some in ((half, made), (other_half, holdout)):
            distances.made_of(pictures, Part(release.holdout, rows[some], np.arange(len(some))))
        other = replace(release, holdout=other_half, of_holdout=_of_rows(release.of_holdout, rows[holdout]))
        real = _distinct(other, distances)
        return replace(asked, release=other, real=real, witnesses=witnesses_of(real), distances=distances).flags(half)

    return independent(flag_of, families, sets=sets, rng=rng)


def _of_rows(known: Known, rows: Rows) -> Known:
    return Known(
        None if known.classes is None else np.asarray(known.classes)[rows],
        None if known.families is None else np.asarray(known.families)[rows],
    )


def _judged(
    test: CopyTest, p_values: Mapping[str, float], alpha: float, planted: Sequence[Planted], doubtful: Sequence[str]
) -> tuple[Answer, tuple[str, ...]]:
    """The answer and its reasons; ``planted`` is empty where no controls were run or none were needed."""
    if guilty := rejecting(p_values, alpha):
        reasons = [f"{', '.join(guilty)} tell training from held-out images (p = {joint_p_value(p_values):.2g})"]
        if "distinct_hits" in guilty:
            reasons.append(f"{test.training_hits} training and {test.holdout_hits} held-out images are hit")
        leak = "distinct_hits" in guilty or not doubtful
        return "leak_found" if leak else "inconclusive", (*reasons, *doubtful)
    if not planted:
        return "inconclusive", ("the controls were not run", *doubtful)
    missed = []
    for how in ("verbatim", "disguised"):
        if least_found(planted, how) is None:
            most = max(each.count for each in planted if each.how == how)
            missed.append(f"{most} planted {how} copies of training images were not found")
    if missed:
        missed += _too_even(test, planted)
    reasons = [*missed, *doubtful]
    return ("inconclusive", tuple(reasons)) if reasons else ("no_leakage_detected", ())


def _too_even(test: CopyTest, planted: Sequence[Planted]) -> list[str]:
    """Why not even all that is planted could have been found: the sizes of the two sides, where these are at fault."""
    least, most = test.smallest_detectable, max(each.count for each in planted)
    if least is not None and least <= most:
        return []
    told = "any number of" if least is None else f"fewer than {least}"
    return [
        f"with {test.counts['training']} training and {test.counts['holdout']} held-out images {told} hits cannot be "
        "told from chance: hold out a larger share, or release more images"
    ]
