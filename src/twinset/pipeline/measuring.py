"""Measures a finished dataset: copy gate, privacy audit, fidelity, explanation, utility, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinset.dataset import Dataset, Task
from twinset.downstream import Utility, UtilityPlan, Verdict, decide
from twinset.downstream.arms import StudySettings
from twinset.downstream.placed_settings import PlacedSettings
from twinset.evaluation.cost import Cost, Prices, cost
from twinset.pipeline.explaining import Explanation, explanation_of
from twinset.pipeline.fairness import fairness_of
from twinset.pipeline.fidelity import Features, fidelity_of_run
from twinset.pipeline.gating import Gated, gated
from twinset.pipeline.making import candidates
from twinset.pipeline.metadata import Metadata, metadata_of
from twinset.pipeline.opening import Run
from twinset.pipeline.release_audit import ReleaseAudit, audit_of_run
from twinset.pipeline.sample_study import samples_of
from twinset.pipeline.samples import Samples
from twinset.pipeline.utility_study import study_of_run
from twinset.report import FairnessFacts
from twinset.scores import Score
from twinset.store import ShardStore
from twinset.threads import torch_threads

METRICS: Mapping[Task, str] = {
    "classification": "balanced accuracy",
    "detection": "mAP@50",
    "instance-segmentation": "mAP@50",
    "semantic-segmentation": "mIoU",
}
"""What usefulness is measured by."""


@dataclass(frozen=True, eq=False)
class Measured:
    """All that is known of a finished dataset. ``before`` are fidelity scores of all candidates."""

    accepted: Dataset
    digest: str
    gated: Gated
    scores: tuple[Score, ...]
    before: tuple[Score, ...]
    utility: Utility | None
    plan: UtilityPlan[StudySettings] | None
    verdict: Verdict
    features: Features | None
    metadata: Metadata | None = None
    samples: Samples | None = None
    explanation: Explanation | None = None
    audit: ReleaseAudit | None = None
    fairness: FairnessFacts | None = None


def measure(run: Run, *, again: bool = False) -> Measured:
    """Everything that the report says about the accepted images of a run."""
    store = ShardStore(run.folder)
    classes = run.real.dataset.classes
    accepted, everything = store.accepted(classes), candidates(run.folder, classes)
    digest = accepted.digest()
    with run.timings.stage("gate"), torch_threads(1):
        run.listener.stage("copy gate")
        copies = gated(accepted, everything, run.real, run.recipe)
    with run.timings.stage("privacy audit"):
        audit = audit_of_run(run, accepted)
    with run.timings.stage("fidelity"), torch_threads(1):
        fidelity = fidelity_of_run(run, accepted, everything)
        scores, features = fidelity.scores, fidelity.features
    with run.timings.stage("explanation"), torch_threads(1):
        explained = explanation_of(run, accepted, features, scores)
    with run.timings.stage("metadata"):
        described = metadata_of(run, accepted, everything)
    with run.timings.stage("utility"):
        utility, plan, found = study_of_run(run, accepted, again=again)
    with run.timings.stage("fairness"), torch_threads(1):
        fairness = fairness_of(run, accepted, utility, features)
    with run.timings.stage("samples"), torch_threads(1):
        samples = samples_of(run, features, found, utility, described)
    failure = "; ".join([*copies.blocking, *((audit.failure,) if audit is not None and audit.failure else ())])
    if utility is None:
        verdict = _without_utility(failure, accepted)
    else:
        settings = None if plan is None else plan.settings
        own = isinstance(settings, PlacedSettings) and settings.trainer is not None
        verdict = decide(utility, gate_failure=failure, own_trainer=own)
    return Measured(
        accepted,
        digest,
        copies,
        scores,
        fidelity.before,
        utility,
        plan,
        verdict,
        features,
        described,
        samples,
        explained,
        audit,
        fairness,
    )


def cost_of(run: Run, accepted: Dataset) -> Cost:
    """What the run took so far, over all its sittings, at the prices of its recipe."""
    part = run.recipe.evaluate.cost
    return cost(
        run.timings.read(),
        accepted=len(accepted),
        prices=Prices(part.price_per_hour, part.price_per_label) if part is not None else None,
        kwh=run.timings.energy(),
    )


def _without_utility(failure: str, accepted: Dataset) -> Verdict:
    if failure:
        return Verdict("blocked_by_gate", f"Do not release it: {failure}.", None)
    if not len(accepted):
        return Verdict("do_not_use", "Do not use it: no synthetic image passed alignment.", None)
    return Verdict("not_measured", "Utility was not measured: evaluate.utility is off.", None)
