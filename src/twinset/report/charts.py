"""Charts as plain plotly figures, each with its words: a title, a description to be read aloud, a table.

A colour written ``@name`` is looked up in the page's style sheet by the page's script, so that one figure
serves light and dark. All names pass through :func:`label`, because plotly takes ``<b>`` and friends as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinset.report.glossary import entry_for
from twinset.report.model import AlignmentFacts, Arm, Cost, FeatureMap, ScoreValues, Utility
from twinset.report.plain import Json
from twinset.report.words import NONE, count, duration, number, percent

SET_COLOURS: Mapping[str, str] = {
    "real train": "@real",
    "real held out": "@held",
    "synthetic": "@synthetic",
    "rejected": "@rejected",
}
SET_SYMBOLS: Mapping[str, str] = {
    "real train": "circle",
    "real held out": "diamond",
    "synthetic": "cross",
    "rejected": "x-thin-open",
}
MAX_POINTS = 4000
LEGEND: Mapping[str, Json] = {
    "orientation": "h",
    "y": 1.02,
    "yanchor": "bottom",
    "x": 0,
    "xanchor": "left",
    "traceorder": "normal",
}
BINS = 32


@dataclass(frozen=True)
class Table:
    """The same facts as rows of text, for whoever cannot see the chart."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """One figure. ``views`` are alternative sets of traces under a button each; the first is shown."""

    id: str
    title: str
    alt: str
    layout: Mapping[str, Json]
    views: Mapping[str, list[Json]]
    table: Table
    note: str = ""
    height: int = 320
    options: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> Json:
        """What the page's script needs."""
        return {"layout": dict(self.layout), "views": {name: list(traces) for name, traces in self.views.items()}}


def label(text: str) -> str:
    """Text that plotly shows as it is: its pseudo-HTML and entities are disarmed.

    >>> label("<b>x</b> & y")
    '&lt;b&gt;x&lt;/b&gt; &amp; y'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def axis(title: str, **settings: Json) -> dict[str, Json]:
    """An axis in the house style."""
    base: dict[str, Json] = {
        "title": {"text": label(title), "standoff": 10, "font": {"size": 13, "color": "@muted"}},
        "gridcolor": "@line",
        "zerolinecolor": "@line",
        "linecolor": "@line",
        "automargin": True,
        "fixedrange": True,
    }
    return {**base, **settings}


def utility_chart(utility: Utility) -> Chart:
    """Every arm's result on real test images: dot and interval, single seeds behind; one row an arm."""
    arms = list(reversed(utility.arms))
    names = [_arm_label(arm) for arm in arms]
    traces: list[Json] = []
    seeds = [(100 * seed, name) for arm, name in zip(arms, names, strict=True) for seed in arm.seeds]
    if seeds:
        traces.append(
            _dots([x for x, _ in seeds], [y for _, y in seeds], "single seeds", "@muted", size=6, opacity=0.45)
        )
    for synthetic, colour, title in (
        (False, "@real", "real images only"),
        (True, "@synthetic", "with synthetic images"),
    ):
        chosen = [(arm, name) for arm, name in zip(arms, names, strict=True) if arm.uses_synthetic is synthetic]
        if chosen:
            traces.append(_interval_trace(chosen, title, colour))
    unit = f"{utility.metric}, %"
    layout: dict[str, Json] = {
        "xaxis": axis(unit),
        "yaxis": axis("", type="category", categoryorder="array", categoryarray=list(names), gridcolor="@clear"),
        "legend": {**LEGEND},
    }
    return Chart(
        id="utility",
        title="Trained on each mix, tested on real images",
        alt="Interval chart. " + " ".join(_arm_sentence(arm, utility.metric) for arm in utility.arms),
        layout=layout,
        views={"": traces},
        table=Table(
            f"{utility.metric} by arm",
            ("Trained on", "Real", "Synthetic", "Mean", "95 % interval", "Seeds", "Setting picked on validation"),
            tuple(_arm_row(arm) for arm in utility.arms),
        ),
        note="Dot: mean over seeds; line: 95 % interval. Bold: the two arms that the verdict compares, picked on "
        "validation images."
        if any(arm.picked for arm in arms)
        else "Dot: mean over seeds; line: 95 % interval.",
        height=110 + 62 * len(arms),
    )


def _arm_label(arm: Arm) -> str:
    text = label(arm.name).replace("+", "<br>+ ")
    return f"<b>{text}</b>" if arm.picked else text


def _interval_trace(chosen: Sequence[tuple[Arm, str]], title: str, colour: str) -> Json:
    trace = _dots([100 * arm.mean for arm, _ in chosen], [name for _, name in chosen], title, colour, size=11)
    trace["error_x"] = {
        "type": "data",
        "symmetric": False,
        "array": [100 * (arm.high - arm.mean) for arm, _ in chosen],
        "arrayminus": [100 * (arm.mean - arm.low) for arm, _ in chosen],
        "color": colour,
        "thickness": 2.5,
        "width": 0,
    }
    trace["mode"] = "markers+text"
    trace["text"] = [percent(arm.mean) for arm, _ in chosen]
    trace["textposition"] = "top center"
    trace["hovertext"] = [f"{percent(arm.mean)} ({percent(arm.low)} … {percent(arm.high)})" for arm, _ in chosen]
    trace["hoverinfo"] = "text"
    return trace


def _dots(x: list[float], y: list[str], name: str, colour: str, *, size: int, opacity: float = 1.0) -> dict[str, Json]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [*x],
        "y": [*y],
        "name": label(name),
        "marker": {"color": colour, "size": size, "opacity": opacity, "line": {"width": 0}},
        "hoverinfo": "x",
    }


def _arm_sentence(arm: Arm, metric: str) -> str:
    return f"{arm.name}: {metric} {percent(arm.mean)}, interval {percent(arm.low)} to {percent(arm.high)}."


def _arm_row(arm: Arm) -> tuple[str, ...]:
    name = f"{arm.name} (picked)" if arm.picked else arm.name
    interval = f"{percent(arm.low)} … {percent(arm.high)}"
    return (name, count(arm.n_real), count(arm.n_synthetic), percent(arm.mean), interval, count(len(arm.seeds)),
            arm.setting or NONE)  # fmt: skip


def score_charts(alignment: AlignmentFacts) -> tuple[Chart, ...]:
    """One histogram a score: kept and rejected images stacked, real ones as a line, the threshold marked."""
    return tuple(_score_chart(index, values) for index, values in enumerate(alignment.scores))


def _score_chart(index: int, values: ScoreValues) -> Chart:
    edges = _edges(values)
    centres = [float(c) for c in (edges[:-1] + edges[1:]) / 2]
    width = float(edges[1] - edges[0])
    kept, dropped = _histogram(values.accepted, edges), _histogram(values.rejected, edges)
    traces: list[Json] = [
        _bars(centres, kept, width, "kept", "@synthetic"),
        _bars(centres, dropped, width, "rejected", "@rejected"),
    ]
    if values.real is not None and values.real.size:
        scale = max(1, values.accepted.size + values.rejected.size) / values.real.size
        line = [float(n * scale) for n in _histogram(values.real, edges)]
        traces.append(_step_line(centres, line))
    entry = entry_for(values.name)
    title = entry.label if not values.unit else f"{entry.label} ({values.unit})"
    layout: dict[str, Json] = {
        "barmode": "stack",
        "bargap": 0,
        "xaxis": axis(values.unit or entry.label),
        "yaxis": axis("images", rangemode="tozero"),
        "legend": {**LEGEND},
        **_threshold_mark(values),
    }
    said = f"Rejected {values.rejected_side} {number(values.threshold)}." if values.threshold is not None else ""
    sets = [("kept", values.accepted), ("rejected", values.rejected)]
    sets += [("real", values.real)] if values.real is not None else []
    return Chart(
        id=f"score-{index}",
        title=entry.label,
        alt=f"Histogram of {title}. " + " ".join(_distribution_sentence(n, v) for n, v in sets) + f" {said}",
        layout=layout,
        views={"": traces},
        table=Table(
            f"Distribution of {title}",
            ("Images", "N", "5 %", "median", "95 %"),
            tuple(_distribution_row(name, v) for name, v in sets),
        ),
        note=" ".join(part for part in (entry.meaning, said) if part),
        height=280,
    )


def _edges(values: ScoreValues) -> NDArray[np.float64]:
    parts = [values.accepted, values.rejected] + ([values.real] if values.real is not None else [])
    every = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])
    every = every[np.isfinite(every)]
    if not every.size:
        return np.linspace(0.0, 1.0, BINS + 1)
    low, high = float(np.percentile(every, 0.5)), float(np.percentile(every, 99.5))
    if values.threshold is not None:
        low, high = min(low, values.threshold), max(high, values.threshold)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _histogram(values: NDArray[np.floating], edges: NDArray[np.float64]) -> list[int]:
    finite = np.asarray(values, dtype=np.float64)
    finite = np.clip(finite[np.isfinite(finite)], edges[0], edges[-1])
    return [int(n) for n in np.histogram(finite, bins=edges)[0]]


def _bars(x: list[float], counts: list[int], width: float, name: str, colour: str) -> Json:
    return {
        "type": "bar",
        "x": [*x],
        "y": [*counts],
        "width": width,
        "name": name,
        "marker": {"color": colour, "line": {"width": 0}},
        "hoverinfo": "x+y+name",
    }


def _step_line(x: list[float], y: list[float]) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x],
        "y": [*y],
        "name": "real, scaled",
        "line": {"color": "@ink", "width": 1.5, "shape": "hvh"},
        "hoverinfo": "skip",
    }


def _threshold_mark(values: ScoreValues) -> dict[str, Json]:
    if values.threshold is None:
        return {}
    x = float(values.threshold)
    line: Json = {"color": "@ink", "width": 1.5, "dash": "dot"}
    return {"shapes": [{"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}]}


def _distribution_row(name: str, values: NDArray[np.floating]) -> tuple[str, ...]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (name, "0", NONE, NONE, NONE)
    return (name, count(int(finite.size)), *(number(float(q)) for q in np.percentile(finite, [5, 50, 95])))


def _distribution_sentence(name: str, values: NDArray[np.floating]) -> str:
    row = _distribution_row(name, values)
    return f"{row[1]} {name}, median {row[3]}." if row[3] != NONE else f"No {name} images."


def map_chart(feature_map: FeatureMap, classes: Sequence[str]) -> Chart:
    """All images as points of a plane, coloured by origin or by class."""
    rows = _spread(len(feature_map.sets), MAX_POINTS)
    by_origin: list[Json] = []
    for name, colour in SET_COLOURS.items():
        chosen = [row for row in rows if feature_map.sets[row] == name]
        if chosen:
            by_origin.append(_points(feature_map, chosen, classes, name, colour, [SET_SYMBOLS[name]] * len(chosen)))
    by_class: list[Json] = []
    for class_id in sorted({int(c) for c in feature_map.class_ids[rows]}):
        chosen = [row for row in rows if feature_map.class_ids[row] == class_id]
        symbols = [SET_SYMBOLS[feature_map.sets[row]] for row in chosen]
        name = classes[class_id] if 0 <= class_id < len(classes) else "unlabelled"
        by_class.append(_points(feature_map, chosen, classes, name, f"@class{class_id % 10}", symbols))
    sets = [name for name in SET_COLOURS if name in feature_map.sets]
    total = len(feature_map.sets)
    shown = "" if len(rows) == total else f" {count(len(rows))} of {count(total)} points are drawn."
    plane: dict[str, Json] = {"showticklabels": False, "zeroline": False, "showgrid": False, "fixedrange": False}
    return Chart(
        id="map",
        title="Every image as a point",
        alt=f"Scatter plot, {feature_map.method}, of "
        + ", ".join(f"{count(feature_map.sets.count(name))} {name}" for name in sets)
        + " images. Near points look alike to the extractor. The table gives the centres of each class.",
        layout={
            "xaxis": axis("first direction (feature units)", **plane),
            "yaxis": axis("second direction (feature units)", scaleanchor="x", **plane),
            "legend": {**LEGEND},
            "dragmode": False,
        },
        views={"by origin": by_origin, "by class": by_class},
        table=_centres(feature_map, classes, sets),
        note=f"{feature_map.method}; features: {feature_map.extractor}.{shown}",
        height=520,
    )


def _spread(n: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)) if n else np.zeros(0, np.int64)


def _points(
    feature_map: FeatureMap,
    rows: Iterable[int],
    classes: Sequence[str],
    name: str,
    colour: str,
    symbols: list[str],
) -> Json:
    rows = list(rows)
    ids = feature_map.ids or ("",) * len(feature_map.sets)
    texts = []
    for row in rows:
        class_id = int(feature_map.class_ids[row])
        kind = classes[class_id] if 0 <= class_id < len(classes) else "unlabelled"
        texts.append("<br>".join(label(part) for part in (feature_map.sets[row], kind, ids[row]) if part))
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(float(x), 4) for x in feature_map.xy[rows, 0]],
        "y": [round(float(y), 4) for y in feature_map.xy[rows, 1]],
        "name": label(name),
        "marker": {"color": colour, "size": 6, "opacity": 0.7, "symbol": [*symbols], "line": {"width": 0}},
        "text": [*texts],
        "hoverinfo": "text",
    }


def _centres(feature_map: FeatureMap, classes: Sequence[str], sets: Sequence[str]) -> Table:
    membership = np.asarray(feature_map.sets)
    rows = []
    for class_id, name in enumerate(classes):
        cells = [name]
        for kind in sets:
            chosen = (membership == kind) & (feature_map.class_ids == class_id)
            centre = feature_map.xy[chosen].mean(axis=0) if chosen.any() else None
            cells.append(NONE if centre is None else f"{number(float(centre[0]))}, {number(float(centre[1]))}")
        rows.append(tuple(cells))
    return Table("Centre of each class on the map, by origin", ("Class", *sets), tuple(rows))


def cost_chart(cost: Cost) -> Chart:
    """Seconds by stage, as bars."""
    stages = list(reversed(cost.stages))
    names = [label(name) for name, _ in stages]
    bars: Json = {
        "type": "bar",
        "orientation": "h",
        "x": [seconds for _, seconds in stages],
        "y": [*names],
        "text": [duration(seconds) for _, seconds in stages],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": "@synthetic", "line": {"width": 0}},
        "hoverinfo": "text",
    }
    longest = max((seconds for _, seconds in stages), default=1.0)
    return Chart(
        id="cost",
        title="Time by stage",
        alt="Bar chart. " + " ".join(f"{name}: {duration(seconds)}." for name, seconds in cost.stages),
        layout={
            "xaxis": axis("seconds", range=[0, 1.35 * longest or 1.0], nticks=6),
            "yaxis": axis("", type="category", categoryorder="array", categoryarray=[*names], gridcolor="@clear"),
            "showlegend": False,
        },
        views={"": [bars]},
        table=Table(
            "Time by stage", ("Stage", "Time"), tuple((name, duration(seconds)) for name, seconds in cost.stages)
        ),
        height=90 + 30 * len(stages),
    )
