"""Histograms of alignment scores: kept and rejected images, with the threshold between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.report.charts import LEGEND, Chart, Table, axis
from twinset.report.glossary import entry_for
from twinset.report.model import AlignmentFacts, ScoreValues
from twinset.report.plain import Json
from twinset.report.words import NONE, count, number

BINS = 32


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
