"""Tables of the steps that bring synthetic images nearer to real ones."""

from __future__ import annotations

from twinset.report.charts import Table
from twinset.report.metadata import titled
from twinset.report.model import GapFacts, StepChange, StepFacts
from twinset.report.words import NONE, duration, number


def step_table(gap: GapFacts) -> Table:
    """What every step changed, a row for each figure, and what was kept."""
    columns = ("Step", "Effect", "Distance of", "Before", "After", "Change, 95 %", "Time")
    return Table(f"Steps of {gap.source}", columns, tuple(row for step in gap.steps for row in _rows(step)))


def _rows(step: StepFacts) -> list[tuple[str, ...]]:
    """Those of a step: its name, effect and time stand in the first alone."""
    effect = step.verdict if step.because else f"{step.verdict}, {'kept' if step.kept else 'not kept'}"
    figures = [("metadata", step.metadata), ("features", step.features)]
    changes = [(name, *_change(change)) for name, change in figures if change is not None]
    first, *others = changes or [(NONE,) * 4]
    return [(step.name, effect, *first, duration(step.seconds)), *(("", "", *other, "") for other in others)]


def measure_steps(gap: GapFacts) -> Table | None:
    """Distances by metadata measure before and after every step that was tried.

    Both are of one histogram, whose bins are fixed on the pictures of that step: the distance after a step need not be
    the one before the next.
    """
    tried = [step for step in gap.steps if step.measures]
    if not tried:
        return None
    names = dict.fromkeys(name for step in tried for name in step.measures or {})
    rows = tuple((titled(name)[0], *(_pair((step.measures or {}).get(name)) for step in tried)) for name in names)
    return Table(
        f"Distance of each measure from real images before → after each step, {gap.source}",
        ("Measure", *(step.name for step in tried)),
        rows,
    )


def _pair(values: tuple[float, float] | None) -> str:
    return NONE if values is None else f"{number(values[0])} → {number(values[1])}"


def _change(change: StepChange) -> tuple[str, str, str]:
    """Before, after, and the interval of the change."""
    low, high = (
        f"{'+' if bound > 0 else '−' if bound < 0 else ''}{number(abs(bound))}" for bound in (change.low, change.high)
    )
    return number(change.before), number(change.after), f"{low} … {high}"
