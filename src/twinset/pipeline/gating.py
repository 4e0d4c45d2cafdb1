"""The copy gate over a run: what it finds, and which of that keeps the twin back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twinset.copytest import Known
from twinset.dataset import Dataset
from twinset.images import PixelBatch
from twinset.pipeline.real import RealData
from twinset.privacy.gate import GateResult, copy_gate
from twinset.privacy.lineage import parent_rows
from twinset.privacy.recorded import Made, Parents, unexplained
from twinset.recipe import Recipe


@dataclass(frozen=True)
class Gated:
    """The gate's findings, and of its reasons those for which the recipe does not let the twin out."""

    gate: GateResult
    blocking: tuple[str, ...]


def gated(accepted: Dataset, everything: Dataset, real: RealData, recipe: Recipe) -> Gated:
    """The copy gate on what would be released and on everything that was made, as ``gate.copies`` asks for it."""
    if recipe.gate.copies == "off":
        return Gated(GateResult.skipped(), ())
    policy, training, holdout = recipe.gate.copies, real.training, real.holdout
    labelled = real.task == "classification"
    pictures = [each.prepared(real.spec) for each in (training, holdout)]
    of_training = Known(training.class_ids if labelled else None, real.part_families("train"))
    of_holdout = Known(holdout.class_ids if labelled else None, real.part_families("validation", "test"))

    def judge(candidates: PixelBatch, chosen: PixelBatch, parents: Parents | None = None) -> GateResult:
        return copy_gate(
            candidates=candidates,
            accepted=chosen,
            training=pictures[0],
            holdout=pictures[1],
            of_training=of_training,
            of_holdout=of_holdout,
            parents=parents,
            alpha=recipe.gate.alpha,
        )

    made, out = (Made(each.prepared(real.spec), parent_rows(each, training)) for each in (everything, accepted))
    whole = judge(made.pictures, out.pictures, out.parents)
    if policy != "block-unrecorded":
        return Gated(whole, whole.reasons if policy == "block" else ())
    families = real.part_families("train")
    left = unexplained(whole, candidates=made, accepted=out, families=families, judge=judge, alpha=recipe.gate.alpha)
    reasons = tuple(dict.fromkeys((*whole.reasons, *left.reasons)))
    return Gated(replace(left, passed=not reasons, reasons=reasons), left.reasons)
