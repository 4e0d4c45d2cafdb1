"""Shapes that were curated, as charts and tables: which lie apart, and what these have in common."""

from __future__ import annotations

from twinset.report.charts import LEGEND, Chart, Table, axis, label
from twinset.report.model import CurationFacts, ShapeFacts
from twinset.report.plain import Json
from twinset.report.words import NONE, count, number

MOST_TRAITS = 12
LIKELY = 0.2
"""Traits whose corrected p-value is larger are left out of the table, beyond the first few."""

FEWEST_TRAITS = 3


def shape_charts(facts: CurationFacts, *, first: int = 0) -> tuple[Chart, ...]:
    """One chart a class: the shapes' mean distances in order, with their intervals. Ids count from ``first``."""
    return tuple(
        _chart(first + at, name, usual, line, [shape for shape in facts.shapes if shape.class_name == name])
        for at, (name, usual, line) in enumerate(facts.lines)
    )


def trait_table(facts: CurationFacts) -> Table | None:
    """What worse and better shapes have in common, the surest first; None where nothing is known of the shapes."""
    ordered = sorted(facts.traits, key=lambda trait: trait.p_value)
    shown = [trait for at, trait in enumerate(ordered) if trait.p_value <= LIKELY or at < FEWEST_TRAITS][:MOST_TRAITS]
    if not shown:
        return None
    rows = tuple(
        (
            f"{trait.class_name}: {trait.parameter} {trait.value}",
            f"{trait.dropped} of {trait.shapes}",
            f"{trait.others_dropped} of {trait.others}",
            number(trait.mean),
            number(trait.others_mean),
            number(trait.p_value, 2),
        )
        for trait in shown
    )
    columns = ("Parameter", "Dropped with it", "Without it", "Mean distance with it", "Without it", "p, corrected")
    return Table("What shapes far from the real objects have in common", columns, rows)


def _chart(index: int, name: str, usual: float, line: float, shapes: list[ShapeFacts]) -> Chart:
    ranked = sorted(shapes, key=lambda shape: shape.mean)
    places = {shape.shape_id: at for at, shape in enumerate(ranked)}
    traces: list[Json] = []
    for title, colour, dropped in (("kept", "@synthetic", False), ("dropped", "@rejected", True)):
        mine = [shape for shape in ranked if shape.dropped is dropped]
        if mine:
            traces.append(_dots(mine, [places[shape.shape_id] for shape in mine], title, colour))
    right = max(len(ranked) - 0.5, 0.5)
    traces += [_level("usual shape", usual, right, "dot"), _level("line", line, right, "dash")]
    gone = [shape for shape in ranked if shape.dropped]
    return Chart(
        id=f"shapes-{index}",
        title=f"Shapes of {name}" if name else "Shapes",
        alt=f"{count(len(ranked))} shapes of {name} by the mean distance of their objects from real ones; "
        f"{count(len(gone))} were dropped. A usual shape has {number(usual)}, the line lies at {number(line)}.",
        layout={
            "xaxis": axis("shapes, the nearest first", showticklabels=False),
            "yaxis": axis("mean distance"),
            "legend": {**LEGEND},
        },
        views={"": traces},
        table=Table(
            f"Shapes of {name}, the farthest first",
            ("Shape", "Objects", "Mean distance", "Interval", "Kept"),
            tuple(_row(shape) for shape in reversed(ranked)),
        ),
        note="Lines: intervals whose lower ends hold for all shapes of the class together, at 95 % unless the recipe "
        "says otherwise. A shape is dropped that lies beyond the line by a standard error, and whose interval is above "
        "the usual shape.",
        height=280,
    )


def _level(title: str, value: float, right: float, dash: str) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [-0.5, right],
        "y": [value, value],
        "line": {"width": 1.5, "dash": dash, "color": "@muted"},
        "name": title,
        "hoverinfo": "y+name",
    }


def _dots(shapes: list[ShapeFacts], places: list[int], title: str, colour: str) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [*places],
        "y": [shape.mean for shape in shapes],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [0.0 if shape.high is None else shape.high - shape.mean for shape in shapes],
            "arrayminus": [0.0 if shape.low is None else shape.mean - shape.low for shape in shapes],
            "color": colour,
            "thickness": 1.5,
            "width": 0,
        },
        "name": title,
        "marker": {"color": colour, "size": 7, "line": {"width": 0}},
        "hovertext": [label(f"{shape.shape_id}: {number(shape.mean)}") for shape in shapes],
        "hoverinfo": "text",
    }


def _row(shape: ShapeFacts) -> tuple[str, ...]:
    interval = NONE if shape.low is None or shape.high is None else f"{number(shape.low)} … {number(shape.high)}"
    return (shape.shape_id, count(shape.objects), number(shape.mean), interval, "dropped" if shape.dropped else "kept")
