"""Figures of groups as tables."""

from __future__ import annotations

from twinset.report.charts import Table
from twinset.report.model import GroupFigure, Grouping, GroupMeasure
from twinset.report.words import NONE, count, number, percent


def group_table(grouping: Grouping) -> Table:
    """A row for every group, a column for every measure; the last row tells the gaps."""
    measures = grouping.measures
    names = list(dict.fromkeys(name for measure in measures for name in measure.groups))
    rows = [(name, *(_cell(measure, measure.groups.get(name)) for measure in measures)) for name in names]
    rows.append(("largest gap", *(_gap(measure) for measure in measures)))
    by = "classes" if grouping.by == "class" else grouping.by
    title = f"By {by}: intervals hold for all groups of a column at once (95 %)"
    return Table(title, ("Group", *(measure.title for measure in measures)), tuple(rows))


def _cell(measure: GroupMeasure, figure: GroupFigure | None) -> str:
    if figure is None or figure.value is None:
        return NONE
    told = percent if measure.as_share else number
    spread = "" if figure.low is None else f" ({told(figure.low)} … {told(figure.high)})"
    return f"{told(figure.value)}{spread}, {count(figure.count)} images"


def _gap(measure: GroupMeasure) -> str:
    if measure.gap is None:
        return NONE
    told = percent if measure.as_share else number
    value, low, high = measure.gap
    return f"{told(value)} ({told(low)} … {told(high)})"
