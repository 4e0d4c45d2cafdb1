"""What was measured, as parts of the report: shared by the page of a run and that of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from twinset import report
from twinset.copying import HIT_RATIO
from twinset.dataset import Dataset
from twinset.downstream import Utility, Verdict
from twinset.downstream.arms import StudySettings
from twinset.downstream.placed_cells import PlacedSettings
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline.parts import gate_scores
from twinset.privacy.gate import GateResult
from twinset.scores import Score

SHOWN_PAIRS = 24


def told(found: Verdict) -> Verdict | None:
    """The verdict for people: None where nothing was measured."""
    return None if found.decision == "not_measured" else found


def verdict(found: Verdict, metric: str = "balanced accuracy") -> report.Verdict:
    """The verdict with its difference, which is one of ``metric``."""
    measured = found.difference
    difference = None
    if measured is not None:
        difference = report.Difference(measured.value, measured.low, measured.high, metric)
    return report.Verdict(found.decision, found.sentence, difference)


def picture(dataset: Dataset, row: int) -> report.Picture:
    """One image for the page."""
    sample = dataset[row]
    return report.Picture(sample.id, sample.pixels())


def metrics(scores: Sequence[Score], classes: Sequence[str], *, note: str) -> tuple[report.MetricTable, ...]:
    """Tables of all scores, those of single classes apart."""
    per_class = [score for score in scores if any(score.name.endswith(f"[{name}]") for name in classes)]
    whole = [score for score in scores if score not in per_class]
    tables = []
    if whole:
        tables.append(report.MetricTable("Fidelity and diversity", tuple(whole), note))
    if per_class:
        tables.append(report.MetricTable("By class", tuple(per_class), "Fewer images, so wider intervals."))
    return tuple(tables)


def utility(utility: Utility, settings: StudySettings) -> report.Utility:
    """The arms, the trials, and how they were trained."""
    picked, sizes = {utility.without_synthetic, utility.with_synthetic}, utility.sizes
    arms = tuple(
        report.Arm(
            name=name,
            mean=arm.mean,
            low=arm.low,
            high=arm.high,
            seeds=arm.values,
            n_real=0 if name == "synthetic" else sizes.train,
            n_synthetic=sizes.synthetic if "synthetic" in name else 0,
            setting=arm.recipe.text,
            validation=arm.validation,
            picked=arm.recipe in picked,
            per_class=tuple(float("nan") if value is None else value for value in arm.details.per_class),
        )
        for name, arm in utility.arms.items()
    )
    trials = tuple(
        report.Trial(trial.recipe.arm, trial.recipe.text, trial.validation, trial.recipe in picked)
        for trial in utility.trials
    )
    return report.Utility(
        arms=arms,
        metric=utility.metric,
        trials=trials,
        network=network_of(utility, settings),
        steps=_steps(settings),
        n_test=sizes.test,
        note=f"{sizes.test_families} families of test images; picked on {sizes.validation} validation images; "
        f"{utility.seeds_text}. An answer that never looks at the picture gets {100 * utility.blind:.1f} %.",
    )


def _steps(settings: StudySettings) -> int | None:
    """Optimizer steps of every training; None where the user's own trainer decides."""
    if isinstance(settings, PlacedSettings) and settings.trainer is not None:
        return None
    return settings.steps if isinstance(settings, ClassifierSettings | PlacedSettings) else None


def network_of(utility: Utility, settings: StudySettings) -> str:
    """What was trained, for people."""
    if isinstance(settings, ClassifierSettings):
        return f"residual CNN, width {settings.width}"
    assert isinstance(settings, PlacedSettings)
    return settings.network("U-Net" if utility.metric == "mIoU" else "dense centre/box detector")


def gate(gate: GateResult, synthetic: Dataset, training: Dataset, *, blocks: bool = True) -> report.Gate | None:
    """The copy test with its closest pairs as pictures; None if nothing was tested.

    ``blocks``: what it found withholds the export. A gate that refuses is shown also where nothing is left to release,
    and so no pair.
    """
    if gate.released is None and gate.passed:
        return None
    pairs = tuple(
        report.ClosePair(
            picture(synthetic, pair.synthetic),
            picture(training, pair.training),
            pair.distance,
            pair.ratio,
            flagged=pair.ratio < HIT_RATIO,
            class_id=class_id if (class_id := int(synthetic.class_ids[pair.synthetic])) >= 0 else None,
        )
        for pair in gate.pairs[:SHOWN_PAIRS]
    )
    return report.Gate(gate.passed, gate.finding, gate.space, gate_scores(gate), pairs, blocks)
