"""Tables of the steps that bring synthetic images nearer to real ones."""

from __future__ import annotations

from twinset.report.charts import Table
from twinset.report.metadata import titled
from twinset.report.model import GapFacts, StepChange
from twinset.report.words import NONE, duration, number


def step_table(gap: GapFacts) -> Table:
    """What every step changed, and what was kept."""
    rows = tuple(
        (
            step.name,
            step.verdict,
            "yes" if step.kept else "no",
            _change(step.metadata),
            _change(step.features),
            duration(step.seconds),
        )
        for step in gap.steps
    )
    columns = ("Step", "Effect", "Kept", "Metadata distance", "Feature distance", "Time")
    return Table(f"Steps of {gap.source}", columns, rows)


def measure_steps(gap: GapFacts) -> Table | None:
    """Distances by metadata measure after every step that was tried, the pilot before the first in front."""
    tried = [step for step in gap.steps if step.measures]
    if not tried:
        return None
    rows = []
    for name in dict.fromkeys(name for step in tried for name in step.measures or {}):
        first = number((tried[0].measures or {})[name][0]) if name in (tried[0].measures or {}) else NONE
        after = [number((step.measures or {})[name][1]) if name in (step.measures or {}) else NONE for step in tried]
        rows.append((titled(name)[0], first, *after))
    return Table(
        f"Distance of each measure from real images, {gap.source}",
        ("Measure", "At first", *(step.name for step in tried)),
        tuple(rows),
    )


def _change(change: StepChange | None) -> str:
    """Before and after, with the interval of the change."""
    if change is None:
        return NONE
    low, high = (
        f"{'+' if bound > 0 else '−' if bound < 0 else ''}{number(abs(bound))}" for bound in (change.low, change.high)
    )
    return f"{number(change.before)} → {number(change.after)} (change {low} … {high})"
