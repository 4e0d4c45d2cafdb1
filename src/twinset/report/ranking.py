"""The page of a leaderboard: every score's ranks, with the interval of each set drawn on one axis. No script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from twinset.report import words
from twinset.report.glossary import entry_for
from twinset.report.scripts import resource, template

WIDTH, NAMES, ROW = 760, 300, 26
Z = 1.96
LONGEST = 32


@dataclass(frozen=True)
class RankedSet:
    """One set by one score: value ± standard error if known, and the best and worst rank that the images allow."""

    name: str
    value: float
    standard_error: float | None
    best: int
    worst: int


@dataclass(frozen=True)
class RankingPage:
    """What the page shows: by score the sets, best first, and whether a higher value is better."""

    title: str
    summary: str
    scores: Mapping[str, Sequence[RankedSet]]
    higher_is_better: Mapping[str, bool]
    notes: tuple[str, ...]
    command: str
    version: str


@dataclass(frozen=True)
class Bar:
    """One set: texts, and the places of value and interval on the drawing."""

    rank: str
    name: str
    short: str
    value: str
    interval: str
    y: int
    low: float
    at: float
    high: float


@dataclass(frozen=True)
class RankChart:
    """One score."""

    label: str
    alt: str
    higher_is_better: bool
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    width: int
    height: int


def render_ranking(data: RankingPage) -> str:
    """The whole page as text. Names are escaped everywhere; a content policy allows no request and no script."""
    charts = [
        rank_chart(name, rows, higher_is_better=data.higher_is_better[name]) for name, rows in data.scores.items()
    ]
    css = Markup(resource("report.css"))
    return template("ranking").render(d=data, charts=charts, css=css)


def rank_chart(name: str, rows: Sequence[RankedSet], *, higher_is_better: bool) -> RankChart:
    """The sets of one score on a common axis, each with value ± 1.96 standard errors."""
    lows = [row.value - Z * (row.standard_error or 0.0) for row in rows]
    highs = [row.value + Z * (row.standard_error or 0.0) for row in rows]
    least, most = min(lows), max(highs)
    reach = (most - least) or 1.0

    def place(value: float) -> float:
        return round(NAMES + 10 + (WIDTH - NAMES - 40) * (value - least) / reach, 1)

    bars = tuple(
        Bar(
            rank=str(row.best) if row.best == row.worst else f"{row.best}–{row.worst}",
            name=row.name,
            short=row.name if len(row.name) <= LONGEST else f"{row.name[: LONGEST - 1]}…",
            value=words.number(row.value),
            interval="not known" if row.standard_error is None else f"{words.number(low)} … {words.number(high)}",
            y=16 + ROW * place_in_list,
            low=place(low),
            at=place(row.value),
            high=place(high),
        )
        for place_in_list, (row, low, high) in enumerate(zip(rows, lows, highs, strict=True))
    )
    label = entry_for(name).label
    alt = f"{label}: " + "; ".join(f"{bar.name}, rank {bar.rank}, {bar.value} ({bar.interval})" for bar in bars)
    ticks = tuple((place(least + part * reach), words.number(least + part * reach)) for part in (0.0, 0.5, 1.0))
    return RankChart(label, alt, higher_is_better, bars, ticks, WIDTH, ROW * len(rows) + 30)
