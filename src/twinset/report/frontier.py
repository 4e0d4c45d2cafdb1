"""The page of a frontier study: what every release is worth against what it gives away, and the recommended one.

No script. One chart for each kind of release, all on the same axes; the intervals of both figures are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from twinset.report.charts import Table
from twinset.report.privacy import BADGES
from twinset.report.scripts import resource, template
from twinset.report.words import NONE, number, percent, sentence

WIDTH, HIGH = 420, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 46
NEAR = 15
"""Pixels between a marker and its number, and at least between two numbers."""

PLACES = ((1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1.4), (0, 1.6), (1.6, 0), (-1.6, 0), (2.2, -1.8), (-2.2, -1.8))
"""Where a number may stand beside its marker, in units of :data:`NEAR`, the best first."""

Figure = tuple[float, float, float]
"""A value and its 95 % interval."""


@dataclass(frozen=True)
class FrontierPoint:
    """One release of one setting. ``guarantee``: what is promised of it, "" for nothing."""

    number: int
    setting: str
    release: str
    answer: str | None
    finding: str
    guarantee: str
    utility: Figure | None
    behind: Figure | None
    attack: str
    auc: Figure | None
    found: Figure | None
    qualifies: bool
    because: str
    recommended: bool


@dataclass(frozen=True)
class FrontierPage:
    """What the page shows. ``real``: worth of the real training images; ``blind``: of one answer for all images."""

    title: str
    release: bool
    answer: str
    sentence: str
    points: tuple[FrontierPoint, ...]
    real: Figure
    blind: float
    test: Table | None
    settings: Table
    files: tuple[str, ...]
    recipe: str
    not_covered: str
    notes: tuple[str, ...]
    command: str
    version: str


@dataclass(frozen=True)
class Mark:
    """A point on the drawing: its place, its bars, where its number stands, and how it looks."""

    number: int
    x: float
    y: float
    bars: tuple[float, float, float, float]
    text: tuple[float, float]
    look: str
    title: str


@dataclass(frozen=True)
class FrontierChart:
    """One kind of release: marks, ticks of both axes, the line of the real images, and the same in words."""

    release: str
    alt: str
    marks: tuple[Mark, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    chance: float
    real: float


def render_frontier(data: FrontierPage) -> str:
    """The whole page as text. Names are escaped everywhere; a content policy allows no request and no script."""
    return template("frontier").render(
        d=data,
        charts=frontier_charts(data),
        table=frontier_table(data.points),
        badges=BADGES,
        sentence=sentence,
        keys=list(dict.fromkeys((point.number, point.setting) for point in data.points)),
        size=(WIDTH, HIGH, LEFT, RIGHT, TOP, BOTTOM),
        css=Markup(resource("report.css")),
    )


def frontier_charts(data: FrontierPage) -> list[FrontierChart]:
    """A chart for every kind of release that has a figure, all on the same axes."""
    drawn = [point for point in data.points if point.utility is not None and point.auc is not None]
    if not drawn:
        return []
    aucs = [each for point in drawn if point.auc for each in point.auc]
    worths = [each for point in drawn if point.utility for each in point.utility]
    axes = _Axes(
        _reach([0.5, *aucs]),
        _reach([data.blind, data.real[0], *worths]),
    )
    releases = list(dict.fromkeys(point.release for point in drawn))
    return [
        _chart(release, [point for point in drawn if point.release == release], axes, data.real[0])
        for release in releases
    ]


@dataclass(frozen=True)
class _Axes:
    """Both axes: least and most of the AUC and of the worth."""

    auc: tuple[float, float]
    worth: tuple[float, float]

    def x(self, auc: float) -> float:
        low, high = self.auc
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (auc - low) / (high - low), 1)

    def y(self, worth: float) -> float:
        low, high = self.worth
        return round(HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * (worth - low) / (high - low), 1)


def _reach(values: Sequence[float]) -> tuple[float, float]:
    """From a little below the least to a little above the most, within 0 and 1."""
    low, high = min(values), max(values)
    margin = 0.06 * max(high - low, 0.1)
    return max(0.0, low - margin), min(1.0, high + margin)


def _chart(release: str, points: Sequence[FrontierPoint], axes: _Axes, real: float) -> FrontierChart:
    marks: list[Mark] = []
    taken = [(axes.x(point.auc[0]), axes.y(point.utility[0])) for point in points if point.auc and point.utility]
    for point in points:
        assert point.auc is not None
        assert point.utility is not None
        x, y = axes.x(point.auc[0]), axes.y(point.utility[0])
        text = _free(x, y, [*(each for each in taken if each != (x, y)), *(mark.text for mark in marks)])
        bars = axes.x(point.auc[1]), axes.x(point.auc[2]), axes.y(point.utility[1]), axes.y(point.utility[2])
        marks.append(Mark(point.number, x, y, bars, text, _look(point), _sentence(point)))
    ticks = tuple((axes.x(auc), f"{auc:.2g}") for auc in _ticks(axes.auc))
    up = tuple((axes.y(worth), f"{100 * worth:.0f} %") for worth in _ticks(axes.worth))
    alt = f"Release of the {release}: " + " ".join(mark.title for mark in marks)
    return FrontierChart(release, alt, tuple(marks), ticks, up, axes.x(0.5), axes.y(real))


def _ticks(reach: tuple[float, float]) -> list[float]:
    """Round values inside a reach, four to nine of them."""
    low, high = reach
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 8 or step == 0.2)
    first = round(-(-low // step))
    return [round(place * step, 4) for place in range(first, int(high / step + 1e-9) + 1)]


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A place beside a marker on which nothing stands yet; the last one where all are taken."""
    places = [(round(x + NEAR * right, 1), round(y + NEAR * down, 1)) for right, down in PLACES]
    inside = [place for place in places if LEFT < place[0] < WIDTH - 4 and 8 < place[1] < HIGH - BOTTOM]
    for place in inside:
        if all(abs(place[0] - a) > NEAR or abs(place[1] - b) > NEAR for a, b in taken):
            return place
    return (inside or places)[-1]


def _look(point: FrontierPoint) -> str:
    """The classes of a mark: the answer of its audit, whether it has a guarantee, and whether it is recommended."""
    bound = "bound" if point.guarantee else "unbound"
    return " ".join([point.answer or "none", bound, *(["taken"] if point.recommended else [])])


def _sentence(point: FrontierPoint) -> str:
    """A point in words."""
    answer = "not audited" if point.answer is None else BADGES[point.answer][1]
    return (
        f"{point.number} {point.setting}: worth {between(point.utility, shares=True)}, AUC {between(point.auc)}, "
        f"{answer}{', recommended' if point.recommended else ''}."
    )


def frontier_table(points: Sequence[FrontierPoint]) -> Table:
    """All releases with all figures."""
    columns = (
        "Setting",
        "Release",
        "Qualifies",
        "Guarantee",
        "Worth on validation images",
        "Behind the most useful",
        "Strongest attack, AUC",
        "Found at 1 % false alarms",
    )
    rows = tuple(
        (
            f"{point.number} {point.setting}",
            point.release,
            "recommended" if point.recommended else "yes" if point.qualifies else f"no: {point.because}",
            point.guarantee or "none",
            between(point.utility, shares=True),
            between(point.behind, shares=True),
            f"{point.attack} {between(point.auc)}" if point.auc else NONE,
            between(point.found, shares=True),
        )
        for point in points
    )
    return Table("Every release of every setting, with 95 % intervals", columns, rows)


def between(found: Figure | None, *, shares: bool = False) -> str:
    """A figure and its interval.

    >>> between((0.5, 0.25, 0.75)), between((0.5, 0.25, 0.75), shares=True), between(None)
    ('0.500 (0.250 … 0.750)', '50.0 % (25.0 % … 75.0 %)', '–')
    """
    if found is None:
        return NONE
    told = [percent(each) if shares else number(each) for each in found]
    return f"{told[0]} ({told[1]} … {told[2]})"
