"""What a reader must not conclude from a report: sentences that follow from its own data."""

from __future__ import annotations

from collections.abc import Iterator

from twinset.report.model import ReportData
from twinset.report.words import count, percent, points

FEW_TEST_IMAGES = 300
FEW_SEEDS = 3
FEW_PER_CLASS = 20


def limits_of(data: ReportData) -> tuple[str, ...]:
    """The limits of what was measured, most weighty first; those given by the pipeline come last."""
    if data.kind == "audit":
        return tuple(dict.fromkeys((*_of_the_audit(data), *data.limits)))
    found = (
        *_of_the_verdict(data),
        *_of_copies(data),
        *_of_the_audit(data),
        *_of_the_features(data),
        *_of_the_data(data),
        *data.limits,
    )
    return tuple(dict.fromkeys(found))


def _of_the_verdict(data: ReportData) -> Iterator[str]:
    utility = data.utility
    if utility is None:
        yield f"No {data.trains} was trained: nothing here says whether the synthetic images help a task."
        return
    difference = data.verdict.difference if data.verdict else None
    if difference is not None and data.verdict is not None and data.verdict.decision != "nothing_learnt":
        half = (difference.high - difference.low) / 2
        yield (
            f"The interval reaches {points(half).lstrip('+')} percentage points to either side: effects much smaller "
            "than that could not have been seen."
        )
    if data.verdict is not None and data.verdict.decision == "no_measurable_difference":
        yield "No measurable difference is not a proof of equality: a larger test set may still find one."
    if utility.n_test is not None and utility.n_test < FEW_TEST_IMAGES:
        yield f"Only {count(utility.n_test)} real test images stand behind the verdict."
    seeds = min((len(arm.seeds) for arm in utility.arms if arm.picked), default=0)
    if 0 < seeds < FEW_SEEDS:
        times = "once" if seeds == 1 else "twice"
        yield f"The compared arms were trained {times} only; the spread between seeds is poorly known."
    network = f" ({utility.network})" if utility.network else ""
    yield f"Usefulness was measured with one network{network} and one training length; another may gain more or less."


def _of_copies(data: ReportData) -> Iterator[str]:
    if data.gate is None:
        yield "No copy test was run: the synthetic images may repeat training images."
    else:
        yield (
            "The copy test looks for repeated training images. Passing it means that none were found, "
            "not that the release is private."
        )


def _of_the_audit(data: ReportData) -> Iterator[str]:
    if data.privacy is not None and data.privacy.answer == "no_leakage_detected":
        yield (
            "The privacy audit found no leakage with the attacks it lists. Others may find some; only differential "
            "privacy is a guarantee."
        )


def _of_the_features(data: ReportData) -> Iterator[str]:
    scores = [score for table in data.metrics for score in table.scores]
    extractors = {score.extractor for score in scores if score.extractor}
    for name in sorted(extractors):
        low = name.lower()
        if "self" in low:
            yield (
                f"The features of {name} were learned on this very dataset: its figures compare runs on this dataset, "
                "not with figures published elsewhere."
            )
        elif "random" in low:
            yield f"{name} is a fixed random network: it sees texture and colour better than meaning."
    warned = sum(1 for score in scores if score.warnings)
    if warned:
        yield f"{count(warned)} of {count(len(scores))} figures carry a warning of their own; see the tables."


def _of_the_data(data: ReportData) -> Iterator[str]:
    real = [facts for facts in data.datasets if facts.kind == "real"]
    for facts in real:
        if "resized" in facts.size:
            yield f"Images of {facts.name} were resized ({facts.size}): detail finer than that is lost in every figure."
        if facts.licence is None:
            yield f"The licence of {facts.name} is not recorded; check that derived images may be released."
        training = facts.counts.get("train")
        if training:
            scarce = sum(1 for n in training if n < FEW_PER_CLASS)
            if scarce:
                yield (
                    f"{count(scarce)} of {count(len(training))} classes of {facts.name} have fewer than "
                    f"{FEW_PER_CLASS} real training {facts.unit}."
                )
        problems = sum(problem.count for problem in facts.problems)
        if problems:
            yield f"{count(problems)} problems were found in {facts.name} and counted, not repaired silently."
    alignment = data.alignment
    if alignment is not None and alignment.judged:
        share = 1 - alignment.kept / alignment.judged
        if share > 0.5:
            yield (
                f"{percent(share, 0)} of all candidates were rejected: the generator alone is worse than the kept set."
            )
