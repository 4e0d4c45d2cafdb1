"""The audit of a released generator: who has the model can ask more of it than who has what it made.

What a generator gives decides who attacks: all can be sampled (extraction test, GAN-Leaks on fresh samples), those with
losses are asked for them (loss attack, quantile regression), and our diffusion model lets SecMI and PIA look inside. A
step of the noise schedule is chosen on a fifth of the families, which are not scored after that.

The positive control is the generator itself, trained on: copies that saw each training image so many more times are
attacked like the released one, from many times to few. The least exposure that was found is told. Copies of training
images, planted among its samples, are the control of what only looks at samples. Where no copy of a generator can be
trained on, what is not flagged stays inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures
from twinset.images import PixelBatch
from twinset.membership import Scores, more_hits_than_chance, placement_auc
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.privacy.attacks.extraction import extraction
from twinset.privacy.attacks.figures import Power, clopper_pearson
from twinset.privacy.attacks.gan_leaks import GanLeaks
from twinset.privacy.attacks.generator import (
    Exposable,
    GeneratorAttack,
    GivesLosses,
    Labels,
    ReleasedGenerator,
    SeenGenerator,
)
from twinset.privacy.attacks.generator_loss import GeneratorLoss
from twinset.privacy.attacks.pia import Pia
from twinset.privacy.attacks.quantile_regression import FEWEST, Seen, quantile_regression
from twinset.privacy.attacks.secmi import SecMI
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.controls import REQUIRED, required
from twinset.privacy.audit.model_release import Control, ModelAudit, Targets, Tested, judged
from twinset.privacy.audit.witnesses import Witnesses
from twinset.randomness import Stream

ATTACKS: tuple[GeneratorAttack, ...] = (GeneratorLoss(), SecMI(), Pia())
CHOOSING = 0.2
"""Share of the families on either side on which the step of an attack is chosen; they are not scored."""

MOST_SCORED = 1000
"""Families on either side that the attacks on the model itself score: each costs tens of passes of the network."""

EXPOSURES = (50, 10, 2)
EXPOSED = "a copy of it that saw each of the training images {dose} more times"
PLANTED = "{dose} copies of training images among its samples"


@dataclass(frozen=True, eq=False)
class GeneratorRelease:
    """What is audited: ``generator``, and ``samples`` of it as large as the pictures of the witnesses. ``population``:
    other real images of neither side, as the generator takes them."""

    generator: ReleasedGenerator
    targets: Targets
    samples: Pictures
    population: tuple[PixelBatch, Labels] | None = None


@dataclass(frozen=True, eq=False)
class _Sides:
    """The families that steps are chosen on, and those that are scored: (U,) flags and what they name."""

    choosing: Targets
    scored: Targets
    known: tuple[PixelBatch, Labels]

    @staticmethod
    def of(release: GeneratorRelease, *, rng: Stream) -> _Sides:
        targets = release.targets
        draw = rng.child("choosing").numpy()
        members = targets.witnesses.members
        chosen, kept = np.zeros((2, targets.unit_count), dtype=bool)
        for first, count in ((0, members), (members, targets.unit_count - members)):
            order, few = first + draw.permutation(count), max(2, round(CHOOSING * count))
            chosen[order[: min(few, MOST_SCORED)]], kept[order[few : few + MOST_SCORED]] = True, True
        choosing, scored = targets.of_units(chosen), targets.of_units(kept)
        outside = ~choosing.is_member
        known = choosing.pictures[outside], choosing.class_ids[outside]
        if release.population is not None:
            known = (
                np.concatenate([known[0], release.population[0]]),
                np.concatenate([known[1], release.population[1]]),
            )
        return _Sides(choosing, scored, known)


def audit_generator(
    release: GeneratorRelease,
    *,
    rng: Stream,
    attacks: Sequence[GeneratorAttack] = ATTACKS,
    exposures: Sequence[int] = EXPOSURES,
    alpha: float = 0.01,
    controls: bool = True,
    blind: BlindBaseline | None = None,
) -> ModelAudit:
    """Attacks and controls on one generator; ``exposures`` of its copies from many to few."""
    sides = _Sides.of(release, rng=rng)
    inside = _inside(release.generator, sides, attacks, rng=rng)
    witnesses = release.targets.witnesses
    outside, facts = _outside(release.samples, witnesses, rng=rng)
    found = Tested((*inside.tested.attacks, *outside.attacks), {**inside.tested.p_values, **outside.p_values})
    made: list[Control] = []
    lacking: list[str] = []
    if controls and found.joint >= alpha:
        made.append(_planted(release, outside, alpha=alpha, rng=rng.child("planted")))
        if inside.times and isinstance(release.generator, Exposable):
            made += _exposed(release, release.generator, sides, attacks, exposures, alpha=alpha, rng=rng)
        elif inside.times:
            lacking.append("no copy of this generator can be trained on, as a control of the attacks on its losses")
    return judged(
        "generator",
        found,
        alpha=alpha,
        controls=made,
        lacking=lacking,
        blind=blind,
        facts={
            "samples": len(release.samples),
            "scored_training": sides.scored.witnesses.members,
            "scored_holdout": sides.scored.unit_count - sides.scored.witnesses.members,
            **{f"step_{name}": time for name, time in inside.times.items()},
            **facts,
        },
    )


@dataclass(frozen=True, eq=False)
class _Inside:
    """What the attacks on the model itself tell, and the step that each of them was given."""

    tested: Tested
    times: Mapping[str, int]


def _inside(generator: ReleasedGenerator, sides: _Sides, attacks: Sequence[GeneratorAttack], *, rng: Stream) -> _Inside:
    def seen(pictures: PixelBatch, class_ids: Labels) -> SeenGenerator:
        return SeenGenerator(generator, pictures, class_ids, rng.child("attack"))

    choosing = seen(sides.choosing.pictures, sides.choosing.class_ids)
    asked = seen(sides.scored.pictures, sides.scored.class_ids)
    witnesses = sides.scored.witnesses
    scores: dict[str, Scores] = {}
    times: dict[str, int] = {}
    for attack in attacks:
        if not (offered := attack.times(generator)):
            continue
        times[attack.name] = max(
            offered, key=lambda time: _auc(sides.choosing.witnesses, attack.scores(choosing, time=time))
        )
        scores[attack.name] = attack.scores(asked, time=times[attack.name])
    tested = Tested.of(witnesses, scores) if scores else Tested((), {})
    if "loss" in scores and len(sides.known[0]) >= FEWEST and isinstance(generator, GivesLosses):
        known = -GeneratorLoss().scores(seen(*sides.known), time=times["loss"])
        found = quantile_regression(
            Seen(sides.scored.pictures, sides.scored.class_ids, -scores["loss"]), Seen(*sides.known, known)
        )
        tested = _with_quantiles(tested, witnesses, found.scores, found.margins)
    return _Inside(tested, times)


def _auc(witnesses: Witnesses, scores: Scores) -> float:
    by_unit = np.bincount(witnesses.units, weights=scores) / np.bincount(witnesses.units)
    return placement_auc(by_unit[: witnesses.members], by_unit[witnesses.members :], witnesses.strata).auc


def _with_quantiles(tested: Tested, witnesses: Witnesses, scores: Scores, margins: Mapping[float, Scores]) -> Tested:
    """Beside the others; its powers are those at the quantiles that were fitted, with the rates they came to."""
    name = "quantile_regression"
    own = Tested.of(witnesses, {name: scores})
    powers = []
    for rate, margin in margins.items():
        by_unit = np.bincount(witnesses.units, weights=margin) / np.bincount(witnesses.units)
        above = by_unit > 0
        found, passed = int(above[: witnesses.members].sum()), int(above[witnesses.members :].sum())
        others = len(above) - witnesses.members
        share = found / witnesses.members
        powers.append(
            Power(
                rate,
                found,
                passed,
                share,
                clopper_pearson(found, witnesses.members),
                clopper_pearson(passed, others),
            )
        )
    figures = replace(own.attacks[0], powers=tuple(powers))
    return Tested((*tested.attacks, figures), {**tested.p_values, **own.p_values})


def _outside(samples: Pictures, witnesses: Witnesses, *, rng: Stream) -> tuple[Tested, dict[str, int]]:
    """What its samples tell: extracted images, and how near the others lie."""
    found = extraction(samples, witnesses.pictures)
    units = np.unique(witnesses.units[found.hit])
    members = int((units < witnesses.members).sum())
    shares = np.concatenate(witnesses.strata.member_share())
    by_hits = {"extraction": more_hits_than_chance(shares[units], members)}
    attack = GanLeaks()
    scores = {
        "extraction": found.scores,
        attack.name: attack.scores(witnesses.pictures, SeenDataset(samples), rng=rng.child(attack.name)),
    }
    tested = Tested.of(witnesses, scores, by_hits)
    return tested, {"extracted_training": members, "extracted_holdout": len(units) - members}


def _planted(release: GeneratorRelease, before: Tested, *, alpha: float, rng: Stream) -> Control:
    """As many copies of training images among the samples as an audit must find."""
    witnesses = release.targets.witnesses
    draw = rng.numpy()
    own = np.flatnonzero(release.targets.is_member)
    count = min(required(len(release.samples)), len(own), len(release.samples))
    made = np.array(release.samples)
    rows = draw.permutation(own)[:count]
    made[draw.permutation(len(made))[:count]] = witnesses.pictures[rows]
    tested, _ = _outside(cast(Pictures, made), witnesses, rng=rng)
    control = Control.of(PLANTED, count, tested, alpha)
    # What was all but flagged before is no finding.
    return replace(control, found=control.found and tested.joint <= before.joint / REQUIRED)


def _exposed(
    release: GeneratorRelease,
    generator: Exposable,
    sides: _Sides,
    attacks: Sequence[GeneratorAttack],
    exposures: Sequence[int],
    *,
    alpha: float,
    rng: Stream,
) -> list[Control]:
    targets = release.targets
    member = targets.is_member
    found: list[Control] = []
    for passes in exposures:
        copy = generator.exposed(
            targets.pictures[member], targets.class_ids[member], passes=passes, rng=rng.child("exposed", passes)
        )
        found.append(Control.of(EXPOSED, passes, _inside(copy, sides, attacks, rng=rng).tested, alpha))
        if not found[-1].found:
            break
    return found


def sampled(generator: ReleasedGenerator, class_ids: NDArray[np.integer], count: int, *, rng: Stream) -> PixelBatch:
    """``count`` pictures, of classes in the proportions of ``class_ids``."""
    drawn = rng.child("classes").numpy().choice(np.asarray(class_ids), size=count)
    return generator.sample(drawn, rng=rng.child("sample"))
