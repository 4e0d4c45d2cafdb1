"""What was measured, as parts of the documents that ``--json`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinset import documents
from twinset.dataset import Dataset
from twinset.downstream import Utility, Verdict
from twinset.evaluation.cost import Cost
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.controls import Independents
from twinset.privacy.gate import GateResult
from twinset.scores import Score

if TYPE_CHECKING:
    from twinset.pipeline.release_audit import ReleaseAudit

LISTED_PAIRS = 50


def gate_part(
    gate: GateResult,
    synthetic: Dataset,
    training: Dataset,
    *,
    blocks: bool = True,
    blocking: Sequence[str] | None = None,
) -> documents.GatePart:
    """The gate's outcome with the names of the closest pairs.

    ``blocks``: it may withhold an export; ``blocking``: the reasons for which it does (None: all of them).
    """
    pairs: list[dict[str, str | float | None]] = [
        {
            "synthetic": synthetic.ids[pair.synthetic],
            "training": training.ids[pair.training],
            "distance": pair.distance,
            "ratio": pair.ratio,
        }
        for pair in gate.pairs[:LISTED_PAIRS]
    ]
    return documents.GatePart(
        passed=gate.passed,
        tested=gate.tested,
        blocks=blocks,
        reasons=list(gate.reasons),
        blocking=list(gate.reasons if blocking is None else blocking),
        pairs=pairs,
    )


def gate_scores(gate: GateResult) -> tuple[Score, ...]:
    """The figures of the copy test as scores."""
    test = gate.released
    if test is None:
        return ()
    counts = {"real": test.counts["training"], "synthetic": test.counts["synthetic"]}
    held_out = {"real": test.counts["holdout"], "synthetic": test.counts["synthetic"]}
    settings = {"alpha": test.alpha, "held out": test.counts["holdout"]}
    return (
        Score("membership_auc", test.membership_auc, False, counts, settings=settings),
        Score("copy_test_p_value", test.p_value, None, counts, settings=settings),
        Score("training_images_hit", float(test.training_hits), False, counts, settings=settings),
        Score("held_out_images_hit", float(test.holdout_hits), None, held_out, settings=settings),
    )


def verdict_part(verdict: Verdict) -> documents.VerdictPart:
    """The verdict for a document."""
    found = verdict.difference
    difference = documents.Difference(value=found.value, low=found.low, high=found.high) if found else None
    return documents.VerdictPart(decision=verdict.decision, sentence=verdict.sentence, difference=difference)


def arms_part(utility: Utility | None) -> dict[str, documents.ArmPart]:
    """The arms for a document."""
    if utility is None:
        return {}
    picked = {utility.without_synthetic, utility.with_synthetic}
    return {
        name: documents.ArmPart(
            mean=arm.mean,
            low=arm.low,
            high=arm.high,
            seeds=list(arm.values),
            setting=arm.recipe.text,
            picked=arm.recipe in picked,
        )
        for name, arm in utility.arms.items()
    }


def audit_part(audit: ReleaseAudit | None) -> documents.AuditedPart | None:
    """What the privacy audit came to, for a document."""
    if audit is None:
        return None
    found, model = audit.dataset, audit.generator
    return documents.AuditedPart(
        answer=found.answer,
        finding=found.finding,
        withheld=found.withheld,
        generator=None
        if model is None
        else documents.JudgedPart(answer=model.answer, finding=model.finding, withheld=model.withheld),
    )


def attack_parts(attacks: Sequence[AttackFigures]) -> list[documents.AttackPart]:
    """The figures of attacks for a document."""
    return [documents.AttackPart.model_validate(figures.to_record()) for figures in attacks]


def independents_part(found: Independents | None) -> documents.IndependentsPart | None:
    """What was flagged that no training image shaped, for a document."""
    return None if found is None else documents.IndependentsPart(flagged=found.flagged, sets=found.sets)


def blind_part(found: BlindBaseline | None) -> documents.RatePart | None:
    """The blind baseline for a document."""
    return None if found is None else documents.RatePart(share=found.auc, low=found.low, high=found.high)


COST_ROWS = ("making", "the next 1,000", "making and measuring")


def cost_part(found: Cost) -> documents.CostPart:
    """The cost of a run for a document."""
    rows = zip(COST_ROWS, (found.making, found.again, found.whole), strict=True)
    return documents.CostPart(
        accepted=found.accepted,
        rows={
            name: documents.CostRow(
                hours=share.hours,
                hours_per_1000=share.hours_per_thousand,
                price_per_1000=share.price_per_thousand,
                kwh_per_1000=share.kwh_per_thousand,
            )
            for name, share in rows
        },
        labelling_price_per_1000=found.labelling_per_thousand,
        undefined_because=found.undefined_because or None,
    )


def scores_part(scores: Sequence[Score]) -> dict[str, documents.ScorePart]:
    """Scores by name for a document."""
    return {score.name: documents.ScorePart.model_validate(score.to_json()) for score in scores}
