"""Histograms of alignment scores: kept and rejected images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.report.charts import LEGEND, Chart, Table, axis
from twinset.report.glossary import entry_for
from twinset.report.model import AlignmentFacts, ScoreValues
from twinset.report.plain import Json
from twinset.report.words import NONE, count, number, percent

BINS = 32


def score_charts(alignment: AlignmentFacts) -> tuple[Chart, ...]:
    """One histogram a score: kept and rejected images stacked."""
    return tuple(_score_chart(index, values) for index, values in enumerate(alignment.scores))


def _score_chart(index: int, values: ScoreValues) -> Chart:
    edges = _edges(values)
    centres = [float(c) for c in (edges[:-1] + edges[1:]) / 2]
    width = float(edges[1] - edges[0])
    kept, dropped = _histogram(values.accepted, edges), _histogram(values.rejected, edges)
    traces: list[Json] = [
        _bars(centres, kept, width, "kept", "@synthetic"),
        _bars(centres, dropped, width, "rejected", "@rejected"),
        *_real(values, edges, sum(kept) + sum(dropped)),
        *_cut(values, max((a + b for a, b in zip(kept, dropped, strict=True)), default=0)),
    ]
    entry = entry_for(values.name)
    layout: dict[str, Json] = {
        "barmode": "stack",
        "bargap": 0,
        "xaxis": axis(entry.label),
        "yaxis": axis(values.unit, rangemode="tozero"),
        "legend": {**LEGEND},
    }
    sets = [("kept", values.accepted), ("rejected", values.rejected)]
    if values.real is not None and len(values.real):
        sets.append(("real, held out", values.real))
    return Chart(
        id=f"score-{index}",
        title=entry.label,
        alt=" ".join(
            [f"Histogram of {entry.label}.", *(_distribution_sentence(n, v) for n, v in sets), cut_sentence(values)]
        ).strip(),
        layout=layout,
        views={"": traces},
        table=Table(
            f"Distribution of {entry.label}",
            (values.unit.capitalize(), "N", "5 %", "median", "95 %"),
            tuple(_distribution_row(name, v) for name, v in sets),
        ),
        note=" ".join(part for part in (entry.meaning, cut_sentence(values)) if part),
        height=280,
    )


def cut_sentence(values: ScoreValues) -> str:
    """Where the score is cut, and how much of the real beyond; "" for one without a threshold."""
    if values.threshold is None:
        return ""
    judged = len(values.accepted) + len(values.rejected)
    beyond = sum(int((part > values.threshold).sum()) for part in (values.accepted, values.rejected))
    told = f"Cut at {number(values.threshold)}: {percent(beyond / judged if judged else None)} lie beyond"
    if values.real is None or not len(values.real):
        return f"{told}."
    return f"{told}, of held-out real {values.unit} {percent(float((values.real > values.threshold).mean()))}."


def _real(values: ScoreValues, edges: NDArray[np.float64], total: int) -> list[Json]:
    """Held-out real ones as an outline, as many as there are candidates."""
    if values.real is None or not len(values.real):
        return []
    counts = np.array(_histogram(values.real, edges), dtype=np.float64)
    scaled = [float(n) for n in counts * total / max(counts.sum(), 1.0)]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [float(edge) for edge in edges],
            "y": [*scaled, scaled[-1]],
            "line": {"shape": "hv", "width": 2, "color": "@real"},
            "name": "real, held out (scaled)",
            "hoverinfo": "name",
        }
    ]


def _cut(values: ScoreValues, top: int) -> list[Json]:
    if values.threshold is None or not np.isfinite(values.threshold):
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [float(values.threshold), float(values.threshold)],
            "y": [0, max(top, 1)],
            "line": {"width": 2, "dash": "dot", "color": "@muted"},
            "name": f"cut at {number(values.threshold)}",
            "hoverinfo": "name",
        }
    ]


def _edges(values: ScoreValues) -> NDArray[np.float64]:
    parts = [values.accepted, values.rejected, *([] if values.real is None else [values.real])]
    every = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])
    every = every[np.isfinite(every)]
    if not every.size:
        return np.linspace(0.0, 1.0, BINS + 1)
    low, high = float(np.percentile(every, 0.5)), float(np.percentile(every, 99.5))
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


def _distribution_row(name: str, values: NDArray[np.floating]) -> tuple[str, ...]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (name, "0", NONE, NONE, NONE)
    return (name, count(int(finite.size)), *(number(float(q)) for q in np.percentile(finite, [5, 50, 95])))


def _distribution_sentence(name: str, values: NDArray[np.floating]) -> str:
    row = _distribution_row(name, values)
    return f"{row[1]} {name}, median {row[3]}." if row[3] != NONE else f"No {name} images."
