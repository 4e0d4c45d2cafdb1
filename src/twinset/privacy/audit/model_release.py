"""What the audits of released models share: real images in question, controls that leak on purpose, one answer.

All releases are audited on one split: the same training and held-out images testify for each of them, so that their
figures compare. The answer follows from one family of tests (Bonferroni), as for a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch
from twinset.membership import Scores
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.audit.answers import Answer, BlindBaseline, doubts, in_a_sentence, joint_p_value, rejecting
from twinset.privacy.audit.controls import Independents
from twinset.privacy.audit.witnesses import Rows, Witnesses
from twinset.scores import Interval

Release = Literal["dataset", "generator", "classifier"]
RELEASES: tuple[Release, ...] = ("dataset", "generator", "classifier")

FEWEST_UNITS = 20
"""Training and held-out families each, below which a model is not audited."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The real images in question as a model takes them: uint8 (W, H, W, C), int (W,) classes, and who testifies."""

    pictures: PixelBatch
    class_ids: NDArray[np.integer]
    witnesses: Witnesses

    def __post_init__(self) -> None:
        count = len(self.witnesses.units)
        if len(self.pictures) != count or self.class_ids.shape != (count,):
            raise ValueError(
                f"expected {count} pictures with a class each; got {len(self.pictures)} and {self.class_ids.shape}"
            )

    @staticmethod
    def of(
        witnesses: Witnesses,
        training: tuple[PixelBatch, NDArray[np.integer]],
        holdout: tuple[PixelBatch, NDArray[np.integer]],
    ) -> Targets:
        """Those of all training and all held-out images, of which the witnesses name some."""
        pictures = np.concatenate([training[0][witnesses.shown], holdout[0][witnesses.held_out]])
        return Targets(
            pictures, np.concatenate([training[1][witnesses.shown], holdout[1][witnesses.held_out]]), witnesses
        )

    @property
    def is_member(self) -> NDArray[np.bool_]:
        """Which pictures (W,) are training images."""
        return np.asarray(self.witnesses.units < self.witnesses.members)

    @property
    def unit_count(self) -> int:
        """Families."""
        return int(self.witnesses.units.max()) + 1

    def of_units(self, kept: NDArray[np.bool_]) -> Targets:
        """Those of some families (U,)."""
        witnesses, rows = self.witnesses.of_units(kept)
        return Targets(self.pictures[rows], self.class_ids[rows], witnesses)

    def rows_of(self, kept: NDArray[np.bool_]) -> Rows:
        """Rows of the pictures of some families (U,)."""
        return np.flatnonzero(kept[self.witnesses.units])


@dataclass(frozen=True)
class Tested:
    """Figures of all attacks, and the p-values of one family of tests."""

    attacks: tuple[AttackFigures, ...]
    p_values: Mapping[str, float]

    @staticmethod
    def of(witnesses: Witnesses, scores: Mapping[str, Scores], more: Mapping[str, float] | None = None) -> Tested:
        """Of the attacks' ``scores`` (W,) by name, and of p-values of other tests."""
        figures = {name: witnesses.figures(name, own) for name, own in scores.items()}
        p_values = {name: witnesses.p_value(figures[name], own) for name, own in scores.items()}
        return Tested(tuple(figures.values()), {**p_values, **(more or {})})

    @property
    def joint(self) -> float:
        """The joint p-value."""
        return joint_p_value(self.p_values)

    def guilty(self, alpha: float) -> list[str]:
        """The tests that reject together."""
        return rejecting(self.p_values, alpha)

    @property
    def best(self) -> AttackFigures:
        """The attack with the smallest p-value."""
        return min(self.attacks, key=lambda figures: (self.p_values.get(figures.name, 1.0), -figures.auc))


@dataclass(frozen=True)
class Control:
    """A model that leaks on purpose, attacked like the released one.

    ``what`` was done to it, ``dose`` how much of that. ``found``: whether the attacks told; ``auc`` of the one that
    told best.
    """

    what: str
    dose: int
    found: bool
    attack: str
    auc: float
    interval: Interval
    p_value: float

    @staticmethod
    def of(what: str, dose: int, tested: Tested, alpha: float) -> Control:
        """What the attacks tell of such a model."""
        best = tested.best
        return Control(what, dose, tested.joint < alpha, best.name, best.auc, best.interval, tested.joint)


@dataclass(frozen=True)
class ModelAudit:
    """The audit of a released generator or classifier; fields as :class:`~.dataset_release.DatasetAudit`."""

    release: Release
    answer: Answer
    reasons: tuple[str, ...]
    p_value: float
    p_values: Mapping[str, float]
    alpha: float
    attacks: tuple[AttackFigures, ...]
    controls: tuple[Control, ...] = ()
    independents: Independents | None = None
    blind: BlindBaseline | None = None
    facts: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def finding(self) -> str:
        """One sentence that claims no more than was tested."""
        found = "; ".join(what.format(dose=dose) for what, dose in least_doses(self.controls))
        least = f"what was made to leak for this audit was found: {found} (less might not be)"
        return in_a_sentence(self.answer, self.reasons, self.attacks, least=least)


def least_doses(controls: Sequence[Control]) -> list[tuple[str, int]]:
    """Of every control that was found the least dose, in order."""
    least: dict[str, int] = {}
    for control in controls:
        if control.found:
            least[control.what] = min(control.dose, least.get(control.what, control.dose))
    return list(least.items())


def judged(
    release: Release,
    tested: Tested,
    *,
    alpha: float,
    controls: Sequence[Control] = (),
    lacking: Sequence[str] = (),
    independents: Independents | None = None,
    blind: BlindBaseline | None = None,
    facts: Mapping[str, str | int | float] | None = None,
) -> ModelAudit:
    """The answer. ``lacking``: why controls that should stand behind "no leakage detected" were not run."""
    doubtful = doubts(independents, blind, called="models that saw no training image")
    if guilty := tested.guilty(alpha):
        best = tested.best
        reasons = [
            f"{', '.join(guilty)} tell{'s' if len(guilty) == 1 else ''} training from held-out images "
            f"(AUC of {best.name} {best.auc:.2f}, p = {tested.joint:.2g})",
            *doubtful,
        ]
        answer: Answer = "inconclusive" if doubtful else "leak_found"
    else:
        found = {control.what for control in controls if control.found}
        missed = {control.what: control for control in reversed(controls) if control.what not in found}
        reasons = [
            *lacking,
            *(_missed(what.format(dose=control.dose)) for what, control in missed.items()),
            *doubtful,
        ]
        if not controls and not lacking:
            reasons.insert(0, "the controls were not run")
        answer = "inconclusive" if reasons else "no_leakage_detected"
    return ModelAudit(
        release=release,
        answer=answer,
        reasons=tuple(reasons),
        p_value=tested.joint,
        p_values=tested.p_values,
        alpha=alpha,
        attacks=tested.attacks,
        controls=tuple(controls),
        independents=independents,
        blind=blind,
        facts=dict(facts or {}),
    )


def _missed(control: str) -> str:
    """That a control was not found; its text begins with a number where it speaks of several."""
    return f"{control} {'were' if control[:1].isdigit() else 'was'} not found"
