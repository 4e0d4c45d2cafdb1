"""What is told of a detector of generated images wherever it is fitted or used."""

from __future__ import annotations

from twinset import documents
from twinset.evaluation.detectability.generated_detector import GeneratedDetector

CHANCE = 0.5


def detector_part(detector: GeneratedDetector) -> documents.DetectorPart:
    """The facts of a detector for a document."""
    facts = detector.facts
    return documents.DetectorPart(
        sha256=detector.sha256,
        real_name=facts.real_name,
        synthetic_name=facts.synthetic_name,
        generators=list(facts.generators),
        n_real=facts.real,
        n_synthetic=facts.synthetic,
        held_out_real=facts.held_out_real,
        held_out_synthetic=facts.held_out_synthetic,
        auc=facts.auc,
        auc_low=facts.auc_interval[0],
        auc_high=facts.auc_interval[1],
        thresholds=dict(facts.thresholds),
        seed=facts.seed,
        warnings=list(facts.warnings),
    )


def limits_of(detector: GeneratedDetector) -> str:
    """What nobody may conclude, in plain words."""
    facts = detector.facts
    known = ", ".join(facts.generators) or "whatever made these, which they do not say"
    return (
        f"It knows only the generators that it was fitted on ({known}; images of {facts.synthetic_name}): other "
        f"generators' images may pass unseen. Its false-alarm rates hold for real images of the same source as "
        f"{facts.real_name} (camera, size, coding), not for others, and not for the images it was fitted on. A score "
        "proves nothing about a single picture."
    )


def worthless_warning(detector: GeneratedDetector) -> list[str]:
    """A warning where the AUC of the images held out may be chance."""
    facts = detector.facts
    low, high = facts.auc_interval
    if low > CHANCE:
        return []
    return [
        f"this detector may do no better than chance: AUC {facts.auc:.3f} ({low:.3f} … {high:.3f}) on "
        f"{facts.held_out_real} real and {facts.held_out_synthetic} synthetic images held out; what it says of others "
        "means nothing"
    ]


def remedy_warning(detector: GeneratedDetector) -> list[str]:
    """What to do where the files themselves give the sets away."""
    if not any("equalise both" in text for text in detector.facts.warnings):
        return []
    return ["such traits go where both sets are taken through one resize and one coder: --size, --jpeg-quality"]
