"""Charts as plain plotly figures, each with its words: a title, a description to be read aloud, a table.

A colour written ``@name`` is looked up in the page's style sheet by the page's script, so that one figure
serves light and dark. All names pass through :func:`label`, because plotly takes ``<b>`` and friends as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twinset.report.model import Arm, Cost, Utility
from twinset.report.plain import Json
from twinset.report.words import NONE, count, duration, percent

LEGEND: Mapping[str, Json] = {
    "orientation": "h",
    "y": 1.02,
    "yanchor": "bottom",
    "x": 0,
    "xanchor": "left",
    "traceorder": "normal",
}


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
