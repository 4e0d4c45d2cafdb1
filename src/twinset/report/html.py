"""One static page out of :class:`~twinset.report.model.ReportData`: no server, no request, no second file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from math import isfinite

from markupsafe import Markup

from twinset.report import explain_words, words
from twinset.report.charts import Chart, Table, cost_chart, utility_chart
from twinset.report.explain import gap_table, strip_uris
from twinset.report.glossary import entry_for
from twinset.report.histograms import score_charts
from twinset.report.limits import limits_of
from twinset.report.maps import map_chart
from twinset.report.metadata import metadata_charts, metadata_table
from twinset.report.model import MetricTable, Picture, ReportData
from twinset.report.pictures import encode_all, tiny
from twinset.report.plain import plain
from twinset.report.sample_study import quality_of, sample_view
from twinset.report.words import count, percent, points, spaced
from twinset.scores import ANSWERS, Score

OPEN_CLASSES = 12


def render(data: ReportData) -> str:
    """The whole page as text, ready for a UTF-8 file. Sections without content are left out.

    Class and file names are escaped everywhere; a content policy allows no request and no script but our own.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("twinset.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("template.html.j2").render(_view(data))


@dataclass(frozen=True)
class IntervalBar:
    """The verdict's difference laid out on a track from −reach to +reach; positions in per cent of its width."""

    value: str
    low: str
    high: str
    level: str
    metric: str
    left: float
    width: float
    at: float
    alt: str


CLASS_WORDS = {
    "balanced accuracy": ("Recall by class", "Share of real test images of each class that is classified rightly"),
    "mAP@50": ("Average precision by class", "Average precision at an overlap of one half, on real test images"),
    "mIoU": ("Overlap by class", "Intersection over union of the pixels of each class, on real test images"),
}
"""Heading and caption of the figures by class, by the metric of the study."""


@dataclass(frozen=True)
class Matrix:
    """Scores by class: a column a figure, a row a class with its numbers of images."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, Score, tuple[Score | None, ...]], ...]


def matrix_of(table: MetricTable) -> Matrix | None:
    """Scores that are all named ``figure[class]`` as a matrix; None for any other table."""
    cells: dict[str, dict[str, Score]] = {}
    for score in table.scores:
        figure, bracket, rest = score.name.partition("[")
        if not bracket or not rest.endswith("]"):
            return None
        cells.setdefault(rest[:-1], {})[figure] = score
    figures = list(dict.fromkeys(figure for row in cells.values() for figure in row))
    rows = tuple(
        (name, next(iter(row.values())), tuple(row.get(figure) for figure in figures)) for name, row in cells.items()
    )
    return Matrix(tuple(figures), rows) if rows else None


def _view(data: ReportData) -> dict[str, object]:
    charts = _charts(data)
    explained = data.explanation
    scores = score_charts(data.alignment) if data.alignment else ()
    measures = metadata_charts(data.metadata) if data.metadata else ()
    samples = sample_view(data.samples) if data.samples else None
    every = [*charts.values(), *scores, *measures, *([samples.chart] if samples and samples.chart else [])]
    plotly = _plotly() if every else ""
    script = _resource("report.js")
    per_class = [arm for arm in (data.utility.arms if data.utility else ()) if len(arm.per_class) == len(data.classes)]
    reasons = Counter(item.reason for item in data.rejected).most_common()
    return {
        "d": data,
        "csp": _content_policy(plotly, script),
        "css": Markup(_resource("report.css")),
        "plotly": Markup(plotly),
        "script": Markup(script),
        "chart_data": Markup(script_json({chart.id: chart.to_json() for chart in every})),
        "charts": charts,
        "score_charts": scores,
        "measure_charts": measures,
        "measure_table": metadata_table(data.metadata) if data.metadata else None,
        "samples": samples,
        "say": explain_words,
        "gap_table": gap_table(explained.classes)
        if explained and explained.classes and explained.classes.gaps
        else None,
        "quality_of": quality_of,
        "contents": _contents(data),
        "question": _question(data),
        "answer": _answer(data),
        "interval": _interval(data),
        "limits": limits_of(data),
        "glance": _glance(data),
        "open_classes": OPEN_CLASSES,
        "per_class": per_class,
        "class_words": CLASS_WORDS.get(data.utility.metric if data.utility else "", CLASS_WORDS["balanced accuracy"]),
        "lowest": min((share for arm in per_class for share in arm.per_class if isfinite(share)), default=0.0),
        "matrix_of": matrix_of,
        "gate_table": MetricTable("Figures of the copy test", data.gate.scores) if data.gate else None,
        "funnel": _funnel(data),
        "before_after": _before_after(data),
        "by_class": _by_class(data),
        "class_counts": _class_counts(data),
        "cost_of_thousand": _cost_of_thousand(data),
        "reasons": reasons,
        "reason_index": {reason: index for index, (reason, _) in enumerate(reasons)},
        "uri": _uris(data),
        "tiny": tiny,
        "entry_for": entry_for,
        "better": _better,
        "heat": _heat,
        **{
            name: getattr(words, name)
            for name in ("number", "count", "percent", "duration", "size_of", "spaced", "sentence")
        },
    }


def _uris(data: ReportData) -> Callable[[Picture], str]:
    """The ``data:`` address of every picture of the page."""
    thumbnails = encode_all(data)
    strips = strip_uris(data.explanation) if data.explanation else {}
    return lambda picture: strips[id(picture)] if id(picture) in strips else thumbnails.uri(picture)


def script_json(value: object) -> str:
    """JSON that can stand inside a ``<script>`` element, whatever the texts in it say.

    >>> script_json({"name": "</script>"})
    '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _resource(name: str) -> str:
    return resources.files("twinset.report").joinpath(name).read_text(encoding="utf-8").replace("\r", "")


def _plotly() -> str:
    """The plotly script that comes with the installed package."""
    data = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in text.lower():
        raise RuntimeError("expected a plotly script that can stand inside a page; got one that closes its element")
    return text


def _content_policy(*scripts: str) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts if text]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _charts(data: ReportData) -> dict[str, Chart]:
    charts: dict[str, Chart] = {}
    if data.utility is not None:
        charts["utility"] = utility_chart(data.utility)
    if data.feature_map is not None:
        charts["map"] = map_chart(data.feature_map, data.classes)
    if data.cost is not None and data.cost.stages:
        charts["cost"] = cost_chart(data.cost)
    return charts


def _contents(data: ReportData) -> list[tuple[str, str]]:
    parts: list[tuple[str, str, object]] = [
        ("verdict", "Verdict" if data.verdict else "Summary", True),
        ("utility", "Does it help?", data.utility),
        ("pictures", "Pictures", data.gallery and data.gallery.grids),
        ("copies", "Copies", data.gate),
        ("fidelity", "Likeness", data.metrics),
        ("explanation", "Lacks and inventions", data.explanation),
        ("map", "Feature map", data.feature_map),
        ("metadata", "Objects", data.metadata),
        ("samples", "Image by image", data.samples),
        ("alignment", "Alignment", data.alignment),
        ("rejections", "Rejected images", data.rejected),
        ("data", "Data", data.datasets),
        ("asked", "What was asked", data.asked or data.recipe),
        ("cost", "Cost", data.cost),
        ("limits", "Limits", limits_of(data)),
        ("origin", "How it was made", data.environment or data.digests),
    ]
    return [(id, name) for id, name, content in parts if content]


def _answer(data: ReportData) -> str:
    if data.verdict is not None:
        return ANSWERS[data.verdict.decision]
    return "Two datasets compared" if data.kind == "compare" else "Not measured: no classifier was trained"


def _question(data: ReportData) -> str:
    if data.verdict is None and data.kind == "compare":
        return "How like the real images are the synthetic ones?"
    return "Do the synthetic images help to recognise real ones?"


def _interval(data: ReportData) -> IntervalBar | None:
    difference = data.verdict.difference if data.verdict else None
    if difference is None:
        return None
    reach = 1.25 * max(abs(difference.low), abs(difference.high), 1e-6)
    place = partial(_place, reach)
    level = f"{100 * difference.level:g} %"
    value, low, high = points(difference.value), points(difference.low), points(difference.high)
    return IntervalBar(
        value=value,
        low=low,
        high=high,
        level=level,
        metric=difference.metric,
        left=place(difference.low),
        width=round(place(difference.high) - place(difference.low), 3),
        at=place(difference.value),
        alt=f"Difference in {difference.metric}: {value} percentage points, {level} interval from {low} to {high}.",
    )


def _place(reach: float, value: float) -> float:
    return round(50 + 50 * value / reach, 3)


def _glance(data: ReportData) -> list[tuple[str, str, str]]:
    """A few figures under the verdict: (name, value, note)."""
    found = [*(_glance_at_utility(data) or _glance_at_likeness(data))]
    if data.alignment is not None:
        found.append(("Synthetic images kept", count(data.alignment.kept), f"of {count(data.alignment.judged)} made"))
    for facts in data.datasets:
        training = facts.images_of("train")
        note = f"{count(training)} to learn from" if training and training != facts.images else ""
        if facts.kind == "real" or data.alignment is None:
            found.append((f"{facts.kind.capitalize()} images", count(facts.images), note))
    if data.gate is not None:
        flagged = sum(pair.flagged for pair in data.gate.pairs)
        note = f"{count(flagged)} copies shown" if flagged else "no copies found" if data.gate.passed else ""
        found.append(
            ("Copy test", "Passed" if data.gate.passed else "Blocked" if data.gate.blocks else "Copies found", note)
        )
    if data.cost is not None:
        found.append(("Time", words.duration(data.cost.seconds), ""))
    return found


def _glance_at_utility(data: ReportData) -> list[tuple[str, str, str]]:
    if data.utility is None:
        return []
    picked = sorted((arm for arm in data.utility.arms if arm.picked), key=lambda arm: arm.uses_synthetic)
    titles = {False: "Without synthetic", True: "With synthetic"}
    return [(titles[arm.uses_synthetic], percent(arm.mean), spaced(arm.name)) for arm in picked]


def _glance_at_likeness(data: ReportData) -> list[tuple[str, str, str]]:
    scores = [score for score in (data.metrics[0].scores if data.metrics else ()) if score.value is not None]
    return [
        (entry_for(score.name).label, words.number(score.value), _floor(score))
        for score in [s for s in scores if s.floor is not None][:3]
    ]


def _floor(score: Score) -> str:
    return f"real vs real {words.number(score.floor)}"


def _funnel(data: ReportData) -> list[tuple[str, int, bool]]:
    if data.alignment is None:
        return []
    reasons = sorted(data.alignment.reasons.items(), key=lambda item: -item[1])
    return [("kept", data.alignment.kept, True), *((reason, n, False) for reason, n in reasons)]


def _before_after(data: ReportData) -> list[tuple[Score, Score]]:
    if data.alignment is None:
        return []
    after = {score.name: score for score in data.alignment.after}
    return [(score, after[score.name]) for score in data.alignment.before if score.name in after]


def _by_class(data: ReportData) -> Table:
    rows = data.alignment.by_class.items() if data.alignment else ()
    return Table(
        "Kept and rejected candidates by class",
        ("Class", "Kept", "Rejected"),
        tuple((data.class_name(class_id), count(kept), count(gone)) for class_id, (kept, gone) in rows),
    )


def _cost_of_thousand(data: ReportData) -> Table | None:
    """What 1,000 accepted images take, with columns for what is known; None where nothing is."""
    if data.cost is None or not data.cost.thousand:
        return None
    parts = data.cost.thousand
    priced = data.cost.labelling is not None or any(part.price is not None for part in parts)
    metered = any(part.kwh is not None for part in parts)
    rows = [(part.name, words.duration(3600 * part.hours), part.price, part.kwh) for part in parts]
    if data.cost.labelling is not None:
        rows.append(("labelling by hand, for reference", words.NONE, data.cost.labelling, None))
    return Table(
        "What 1,000 accepted images take",
        ("Part", "Time", *(["Price"] if priced else []), *(["kWh"] if metered else [])),
        tuple(
            (
                name,
                time,
                *([words.NONE if price is None else f"{price:,.2f}"] if priced else []),
                *([words.NONE if kwh is None else words.number(kwh)] if metered else []),
            )
            for name, time, price, kwh in rows
        ),
    )


def _class_counts(data: ReportData) -> Table:
    columns = [(facts, split) for facts in data.datasets for split in facts.counts]
    rows = [
        (name, *(count(facts.counts[split][class_id]) for facts, split in columns))
        for class_id, name in enumerate(data.classes)
    ]
    totals = ("all", *(count(sum(facts.counts[split])) for facts, split in columns))
    names = tuple(f"{facts.name}: {split}" for facts, split in columns)
    unit = data.datasets[0].unit if data.datasets else "images"
    if unit != "images":
        rows.append(("images", *(count(facts.images_of(split)) for facts, split in columns)))
        return Table(f"{unit.capitalize()} of each class", ("Class", *names), tuple(rows))
    return Table("Images of each class", ("Class", *names), (*rows, totals))


def _better(score: Score) -> str:
    if score.higher_is_better is None:
        return ""
    return "higher is better" if score.higher_is_better else "lower is better"


def _heat(share: float, lowest: float) -> int:
    """Depth of colour in per cent for a share between the lowest of the table and 1; none for what is undefined."""
    if not isfinite(share):
        return 0
    return round(4 + 41 * max(0.0, share - lowest) / max(1e-9, 1 - lowest))
