"""The loop's steps as a part of the report."""

from __future__ import annotations

from collections.abc import Sequence

from twinset import report
from twinset.pipeline.closing.record import Change, StepRecord, read_record
from twinset.pipeline.closing.words import TITLES, verdict
from twinset.pipeline.fitting import Source


def gap_facts(sources: Sequence[Source]) -> tuple[report.GapFacts, ...]:
    """What the report shows of every source that the loop ran for."""
    found = []
    for source in sources:
        record = read_record(source.folder)
        if record is not None:
            steps = tuple(_facts(one) for one in record.steps)
            found.append(report.GapFacts(source.use, record.part, record.real, record.images, record.extractor, steps))
    return tuple(found)


def _facts(one: StepRecord) -> report.StepFacts:
    return report.StepFacts(
        TITLES[one.step],
        verdict(one),
        one.kept,
        one.seconds,
        one.skipped,
        _change(one.metadata),
        _change(one.features),
        one.measures,
        one.remarks,
    )


def _change(change: Change | None) -> report.StepChange | None:
    return None if change is None else report.StepChange(change.before, change.after, change.low, change.high)
