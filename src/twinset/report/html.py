"""One static page out of :class:`~twinset.report.model.ReportData`: no server, no request, no second file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import isfinite

from markupsafe import Markup

from twinset.report import explain_words, fairness, privacy, words
from twinset.report.charts import Chart, Table, cost_chart, utility_chart
from twinset.report.explain import gap_table, strip_uris
from twinset.report.glossary import entry_for
from twinset.report.headline import answer, glance, interval, question, tone
from twinset.report.histograms import score_charts
from twinset.report.limits import limits_of
from twinset.report.maps import map_chart
from twinset.report.metadata import metadata_charts, metadata_table
from twinset.report.model import CurationFacts, MetricTable, Picture, ReportData
from twinset.report.pictures import encode_all, tiny
from twinset.report.sample_study import quality_of, sample_view
from twinset.report.scripts import content_policy, plotly_script, resource, script_json, template
from twinset.report.shapes import shape_charts, trait_table
from twinset.report.steps import measure_steps, step_table
from twinset.report.tables import before_after, class_counts, cost_of_thousand, funnel, kept_by_class, matrix_of
from twinset.scores import Score

OPEN_CLASSES = 12

CLASS_WORDS = {
    "balanced accuracy": ("Recall by class", "Share of real test images of each class that is classified rightly"),
    "mAP@50": ("Average precision by class", "Average precision at an overlap of one half, on real test images"),
    "mIoU": ("Overlap by class", "Intersection over union of the pixels of each class, on real test images"),
}
"""Heading and caption of the figures by class, by the metric of the study."""


def render(data: ReportData) -> str:
    """The whole page as text, ready for a UTF-8 file. Sections without content are left out.

    Class and file names are escaped everywhere; a content policy allows no request and no script but our own.
    """
    return template("template").render(_view(data))


def _view(data: ReportData) -> dict[str, object]:
    """Every name that the template knows."""
    charts = _charts(data)
    scores = score_charts(data.alignment) if data.alignment else ()
    measures = metadata_charts(data.metadata) if data.metadata else ()
    samples = sample_view(data.samples) if data.samples else None
    shapes = _curations(data)
    scores_of_shapes = [chart for _, found, _ in shapes for chart in found]
    every = [
        *charts.values(),
        *scores,
        *measures,
        *scores_of_shapes,
        *([samples.chart] if samples and samples.chart else []),
    ]
    return {
        "d": data,
        "contents": _contents(data),
        "limits": limits_of(data),
        "uri": _uris(data),
        "charts": charts,
        "score_charts": scores,
        "measure_charts": measures,
        "curations": shapes,
        "samples": samples,
        **_carried(every),
        **_headline(data),
        **_tables(data),
        **_figures_by_class(data),
        **_rejections(data),
        **_words(),
    }


def _curations(data: ReportData) -> list[tuple[CurationFacts, tuple[Chart, ...], Table | None]]:
    """Every curation with its charts and the table of traits."""
    found = []
    first = 0
    for facts in data.curations:
        found.append((facts, shape_charts(facts, first=first), trait_table(facts)))
        first += len(facts.lines)
    return found


def _carried(charts: Sequence[Chart]) -> dict[str, object]:
    """Style and scripts, with what the charts are drawn from."""
    plotly, script = plotly_script() if charts else "", resource("report.js")
    return {
        "csp": content_policy(plotly, script),
        "css": Markup(resource("report.css")),
        "plotly": Markup(plotly),
        "script": Markup(script),
        "chart_data": Markup(script_json({chart.id: chart.to_json() for chart in charts})),
    }


def _headline(data: ReportData) -> dict[str, object]:
    return {
        "question": question(data),
        "answer": answer(data),
        "tone": tone(data),
        "interval": interval(data),
        "glance": glance(data),
    }


def _tables(data: ReportData) -> dict[str, object]:
    classes = data.explanation.classes if data.explanation else None
    return {
        "measure_table": metadata_table(data.metadata) if data.metadata else None,
        "gap_steps": [(gap, step_table(gap), measure_steps(gap)) for gap in data.gaps],
        "gap_table": gap_table(classes) if classes and classes.gaps else None,
        "gate_table": MetricTable("Figures of the copy test", data.gate.scores) if data.gate else None,
        "funnel": funnel(data),
        "before_after": before_after(data),
        "by_class": kept_by_class(data),
        "class_counts": class_counts(data),
        "cost_of_thousand": cost_of_thousand(data),
    }


def _figures_by_class(data: ReportData) -> dict[str, object]:
    """The arms that tell a figure of every class, and what it is called."""
    arms = [arm for arm in (data.utility.arms if data.utility else ()) if len(arm.per_class) == len(data.classes)]
    return {
        "open_classes": OPEN_CLASSES,
        "per_class": arms,
        "class_words": CLASS_WORDS.get(data.utility.metric if data.utility else "", CLASS_WORDS["balanced accuracy"]),
        "lowest": min((share for arm in arms for share in arm.per_class if isfinite(share)), default=0.0),
    }


def _rejections(data: ReportData) -> dict[str, object]:
    """Why images that are shown were rejected, the commonest reason first."""
    reasons = Counter(item.reason for item in data.rejected).most_common()
    return {"reasons": reasons, "reason_index": {reason: index for index, (reason, _) in enumerate(reasons)}}


def _words() -> dict[str, object]:
    """What the template calls."""
    named = ("number", "count", "percent", "duration", "size_of", "spaced", "sentence")
    return {
        "say": explain_words,
        "audited": privacy,
        "fair": fairness,
        "quality_of": quality_of,
        "matrix_of": matrix_of,
        "tiny": tiny,
        "entry_for": entry_for,
        "better": _better,
        "heat": _heat,
        **{name: getattr(words, name) for name in named},
    }


def _uris(data: ReportData) -> Callable[[Picture], str]:
    """The ``data:`` address of every picture of the page."""
    thumbnails = encode_all(data)
    strips = strip_uris(data.explanation) if data.explanation else {}
    return lambda picture: strips[id(picture)] if id(picture) in strips else thumbnails.uri(picture)


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
        ("privacy", "Privacy audit", data.privacy),
        ("fairness", "Groups", data.fairness),
        ("fidelity", "Likeness", data.metrics),
        ("explanation", "Lacks and inventions", data.explanation),
        ("map", "Feature map", data.feature_map),
        ("metadata", "Objects", data.metadata),
        ("gap", "Closing the gap", data.gaps),
        ("shapes", "Shapes", data.curations),
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


def _better(score: Score) -> str:
    if score.higher_is_better is None:
        return ""
    return "higher is better" if score.higher_is_better else "lower is better"


def _heat(share: float, lowest: float) -> int:
    """Depth of colour in per cent for a share between the lowest of the table and 1; none for what is undefined."""
    if not isfinite(share):
        return 0
    return round(4 + 41 * max(0.0, share - lowest) / max(1e-9, 1 - lowest))
