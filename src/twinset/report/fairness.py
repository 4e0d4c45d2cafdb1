"""Figures of groups as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twinset.report.charts import Table
from twinset.report.model import GroupFigure, Grouping, GroupMeasure, Unit
from twinset.report.words import NONE, count, number, percent, points

TOLD: Mapping[Unit, Callable[[float | None], str]] = {"share": percent, "difference": points, "number": number}


def group_tables(grouping: Grouping) -> list[Table]:
    """Whom the twin serves, and whom it resembles and exposes: a row for every group, a column for every measure and
    one for how many images stand behind it; the last row tells the gaps."""
    serving = [measure for measure in grouping.measures if measure.name.startswith("utility")]
    others = [measure for measure in grouping.measures if measure not in serving]
    by = "class" if grouping.by == "class" else grouping.by
    parts = ((f"Served, by {by}", serving), (f"Resembled and exposed, by {by}", others))
    return [
        _table(f"{title}: 95 % intervals for all groups of a column at once", found) for title, found in parts if found
    ]


def count_tables(grouping: Grouping) -> list[Table]:
    """How many images of each group there are before and after, in all and by class; none where nothing is known."""
    if not grouping.counts:
        return []
    by, images = grouping.by, grouping.images
    before, made = (sum(each[side] for each in images.values()) for side in (0, 1))
    fewest = {
        name: (
            min(each.training[name] for each in grouping.counts),
            min(each.training[name] + each.synthetic[name] for each in grouping.counts),
        )
        for name in images
    }
    rows = tuple(
        (
            name,
            count(real),
            percent(real / before if before else None),
            count(synthetic),
            count(real + synthetic),
            percent((real + synthetic) / (before + made)),
            f"{count(fewest[name][0])} → {count(fewest[name][1])}",
        )
        for name, (real, synthetic) in images.items()
    )
    columns = ("Group", "training", "share", "synthetic", "together", "share", "fewest in a class")
    whole = Table(f"Images by {by}, before and after", columns, rows)
    cells = tuple(
        (each.class_name, *(f"{count(each.training[name])} + {count(each.synthetic[name])}" for name in images))
        for each in grouping.counts
    )
    return [whole, Table(f"Training + synthetic images by class and {by}", ("Class", *images), cells)]


def _table(title: str, measures: Sequence[GroupMeasure]) -> Table:
    names = list(dict.fromkeys(name for measure in measures for name in measure.groups))
    columns, cells = ["Group"], {name: [name] for name in names}
    gaps = ["largest gap"]
    for at, measure in enumerate(measures):
        columns.append(measure.title + (", points" if measure.unit == "difference" else ""))
        gaps.append(_gap(measure))
        for name in names:
            cells[name].append(_cell(measure, measure.groups.get(name)))
        if at + 1 == len(measures) or _counts(measures[at + 1]) != _counts(measure):
            columns.append("images")
            gaps.append("")
            for name in names:
                cells[name].append(count(_counts(measure).get(name)))
    return Table(title, tuple(columns), (*(tuple(row) for row in cells.values()), tuple(gaps)))


def _counts(measure: GroupMeasure) -> dict[str, int]:
    return {name: figure.count for name, figure in measure.groups.items()}


def _cell(measure: GroupMeasure, figure: GroupFigure | None) -> str:
    if figure is None or figure.value is None:
        return NONE
    told = TOLD[measure.unit]
    spread = "" if figure.low is None else f" ({told(figure.low)} … {told(figure.high)})"
    return f"{told(figure.value)}{spread}"


def _gap(measure: GroupMeasure) -> str:
    """Of shares in percentage points, as it is a difference of two."""
    if measure.gap is None:
        return NONE
    told, after = (number, "") if measure.unit == "number" else (points, " points")
    value, low, high = map(told, measure.gap)
    return f"{value} ({low} … {high}){after}"
