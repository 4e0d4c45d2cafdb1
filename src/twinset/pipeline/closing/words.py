"""The steps of the loop for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from twinset.pipeline.closing.record import Change, GapStep, StepRecord

TITLES: Mapping[GapStep, str] = {
    "layout": "Layout of the exposed images",
    "match": "Matching of configurations",
    "curate": "Curated shapes",
    "filter": "Filter by features of objects",
    "evolve": "Evolution by votes",
}


Effect = Literal["helps", "harms", "no measurable help", "helps one and harms the other", "not tried"]


def told(one: StepRecord) -> str:
    """What became of a step, in one sentence."""
    title = TITLES[one.step]
    if one.skipped:
        return f"{title}: not tried, {one.skipped}."
    assert one.metadata is not None
    assert one.features is not None
    return (
        f"{title}: {verdict(one)}; metadata {_change(one.metadata)}, features {_change(one.features)}; "
        f"{'kept' if one.kept else 'not kept'}."
    )


def verdict(one: StepRecord) -> Effect:
    """Whether it helped."""
    changes = [change for change in (one.metadata, one.features) if change is not None]
    if one.skipped or not changes:
        return "not tried"
    nearer, farther = any(change.nearer for change in changes), any(change.farther for change in changes)
    if nearer and farther:
        return "helps one and harms the other"
    if nearer:
        return "helps"
    return "harms" if farther else "no measurable help"


def _change(change: Change) -> str:
    gap = change.after - change.before
    return f"{change.before:.3g} → {change.after:.3g} (change {gap:+.2g}, {change.low:+.2g} … {change.high:+.2g})"
