"""Test images one by one: quality by distance from the synthetic set, errors by size, and the score before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinset.report.charts import LEGEND, Chart, Table, axis, label
from twinset.report.metadata import titled
from twinset.report.model import SampleArm, SampleFacts
from twinset.report.plain import Json
from twinset.report.words import NONE, count, number, percent

COLOURS: Mapping[str, tuple[str, str, str]] = {
    "without synthetic": ("@real", "circle", "solid"),
    "with synthetic": ("@synthetic", "circle", "solid"),
    "synthetic alone": ("@synthetic", "circle-open", "dot"),
}
OTHER = ("@held", "circle", "dash")
MOST_ROWS = 200


@dataclass(frozen=True)
class SampleView:
    """The section: its chart and tables, and sentences on what could not be said."""

    chart: Chart | None
    correlations: Table | None
    bins: Table | None
    errors: tuple[Table, ...]
    doubles: Table | None
    parts: Table
    silences: tuple[str, ...]


def sample_view(samples: SampleFacts) -> SampleView:
    """Everything of the section but its sentences."""
    judged = [arm for arm in samples.arms if np.isfinite(arm.quality).any()]
    return SampleView(
        chart=sample_chart(samples, judged) if samples.distances is not None and judged else None,
        correlations=_correlations(samples) if any(arm.correlation for arm in samples.arms) else None,
        bins=_bins(samples) if samples.bins and judged else None,
        errors=(_missed(samples), _false_alarms(samples)) if samples.sizes and samples.arms else (),
        doubles=_doubles(samples) if samples.close_ups is not None and samples.arms else None,
        parts=_parts(samples),
        silences=tuple(_silences(samples)),
    )


def quality_of(samples: SampleFacts) -> str:
    """What quality is, for people."""
    return "overlap with its objects" if samples.quality_is == "overlap" else "mIoU"


def sample_chart(samples: SampleFacts, arms: Sequence[SampleArm]) -> Chart:
    """A point a test image and arm; lines are the means of groups of equal numbers of images."""
    assert samples.distances is not None
    unit = f"{quality_of(samples)}, %"
    traces: list[Json] = [_points(samples, arm) for arm in arms]
    traces += [_means(samples, number, arm) for number, arm in enumerate(samples.arms) if arm in arms and samples.bins]
    told = " ".join(_sentence(arm) for arm in arms)
    return Chart(
        id="samples",
        title="Quality of each test image by its distance from the synthetic images",
        alt=f"Scatter plot of {count(len(samples.ids))} test images. {told} The table lists the images.",
        layout={
            "xaxis": axis(f"distance to the {samples.k} nearest synthetic images (feature units)"),
            "yaxis": axis(unit, rangemode="tozero"),
            "legend": {**LEGEND},
        },
        views={"": traces},
        table=_images(samples, arms),
        note="Dot: a test image, mean over runs; line: mean of a fifth of the images.",
        height=400,
    )


def _style(arm: SampleArm) -> tuple[str, str, str]:
    return COLOURS.get(arm.name, OTHER)


def _points(samples: SampleFacts, arm: SampleArm) -> Json:
    assert samples.distances is not None
    known = np.flatnonzero(np.isfinite(arm.quality))
    colour, symbol, _ = _style(arm)
    texts: list[Json] = [
        f"{label(samples.ids[row])}<br>{label(arm.name)}: {percent(float(arm.quality[row]))}" for row in known
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(float(x), 4) for x in samples.distances[known]],
        "y": [round(100 * float(y), 2) for y in arm.quality[known]],
        "name": label(arm.name),
        "legendgroup": label(arm.name),
        "showlegend": not samples.bins,
        "marker": {"color": colour, "symbol": symbol, "size": 6, "opacity": 0.4, "line": {"width": 1}},
        "text": texts,
        "hoverinfo": "text",
    }


def _means(samples: SampleFacts, number_: int, arm: SampleArm) -> Json:
    assert samples.distances is not None
    colour, symbol, dash = _style(arm)
    shown = [(one, mean) for one in samples.bins if (mean := one.quality[number_]) is not None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [round(one.distance, 4) for one, _ in shown],
        "y": [round(100 * mean, 2) for _, mean in shown],
        "name": label(arm.name),
        "legendgroup": label(arm.name),
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"color": colour, "symbol": symbol, "size": 10},
        "hoverinfo": "y+name",
    }


def _sentence(arm: SampleArm) -> str:
    found = arm.correlation
    if found is None or found.value is None:
        return f"{arm.name}: no correlation."
    return f"{arm.name}: rank correlation {_signed(found.value)}."


def _signed(value: float | None) -> str:
    """A correlation, to two decimals."""
    return NONE if value is None else f"{value + 0.0:.2f}".replace("-", "−")


def _images(samples: SampleFacts, arms: Sequence[SampleArm]) -> Table:
    assert samples.distances is not None
    order = np.argsort(samples.distances, kind="stable")
    shown = np.unique(np.linspace(0, len(order) - 1, min(len(order), MOST_ROWS)).round().astype(int))
    rows = tuple(
        (samples.ids[row], number(float(samples.distances[row])), *(percent(float(arm.quality[row])) for arm in arms))
        for row in order[shown]
    )
    columns = ("Test image", "Distance", *(arm.name for arm in arms))
    some = "" if len(rows) == len(order) else f", {count(len(rows))} of {count(len(order))}"
    return Table(f"Test images, nearest to the synthetic ones first{some}", columns, rows)


def _correlations(samples: SampleFacts) -> Table:
    rows = []
    for arm in samples.arms:
        found = arm.correlation
        if found is None:
            continue
        interval = f"{_signed(found.interval.low)} … {_signed(found.interval.high)}" if found.interval else NONE
        p = found.settings.get("p_value")
        families = found.settings.get("families")
        rows.append(
            (
                f"{arm.name}: {arm.setting}",
                _signed(found.value),
                interval,
                number(p, 2) if isinstance(p, float) else NONE,
                count(found.counts["real"]),
                count(families) if isinstance(families, int) else NONE,
                count(arm.runs),
            )
        )
    columns = ("Trained", "Rank correlation", "95 % interval", "p", "Test images", "Families", "Runs")
    return Table(f"Distance from the synthetic images against {quality_of(samples)}", columns, tuple(rows))


def _bins(samples: SampleFacts) -> Table:
    rows = tuple(
        (f"{number(one.low)} … {number(one.high)}", count(one.images), *(percent(mean) for mean in one.quality))
        for one in samples.bins
    )
    columns = ("Distance", "Test images", *(arm.name for arm in samples.arms))
    return Table(f"Mean {quality_of(samples)}, nearest fifth of the test images first", columns, rows)


def _size_names(samples: SampleFacts) -> list[str]:
    return [
        f"{one.name} (up to {percent(one.high)} of the picture)"
        if one.high < 1
        else f"{one.name} (above {percent(one.low)})"
        if one.low > 0
        else one.name
        for one in samples.sizes
    ]


def _missed(samples: SampleFacts) -> Table:
    images = len(samples.ids)
    rows = tuple(
        (name, count(size.objects), *(percent(arm.missed[at] * images / size.objects) for arm in samples.arms))
        if size.objects
        else (name, "0", *(NONE for _ in samples.arms))
        for at, (name, size) in enumerate(zip(_size_names(samples), samples.sizes, strict=True))
    )
    return Table(
        "Objects that were missed, by size of their box",
        ("Size", "Objects", *(arm.name for arm in samples.arms)),
        rows,
    )


def _false_alarms(samples: SampleFacts) -> Table:
    rows = [
        (name, *(number(arm.false_alarms[at], 2) for arm in samples.arms))
        for at, name in enumerate(_size_names(samples))
    ]
    rows.append(("all", *(number(sum(arm.false_alarms), 2) for arm in samples.arms)))
    return Table(
        "False alarms per image, by size of the predicted box",
        ("Size", *(arm.name for arm in samples.arms)),
        tuple(rows),
    )


def _doubles(samples: SampleFacts) -> Table:
    close = samples.close_ups or 0
    counts = (("close-ups", close), ("elsewhere", len(samples.ids) - close))
    rows = tuple(
        (name, count(images), *(number(arm.doubles[at], 2) for arm in samples.arms))
        for at, (name, images) in enumerate(counts)
    )
    return Table(
        "Pairs of predictions of one object, per image",
        ("Where", "Test images", *(arm.name for arm in samples.arms)),
        rows,
    )


def _parts(samples: SampleFacts) -> Table:
    beyond = sorted(((value, name) for name, value in samples.measures.items() if value > 0), reverse=True)
    rows = [(titled(name)[0], number(value)) for value, name in beyond]
    ratio = samples.feature_ratio
    if ratio is not None:
        rows.append((f"Features: distance {number(ratio)} times that to training images", number(max(0.0, ratio - 1))))
    rest = [titled(name)[0] for name, value in samples.measures.items() if value == 0]
    if rest:
        rows.append((f"At the floor: {', '.join(rest)}", "0 each"))
    return Table("Its parts: how much further than real from real", ("Part", "Excess"), tuple(rows))


def _silences(samples: SampleFacts) -> list[str]:
    """Why figures are missing, each reason once."""
    reasons: dict[str, list[str]] = {}
    for arm in samples.arms:
        if arm.correlation is not None and arm.correlation.undefined_because:
            reasons.setdefault(arm.correlation.undefined_because, []).append(arm.name)
    found = [f"No correlation for {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if samples.score.undefined_because:
        found.append(f"No score without training: {samples.score.undefined_because}")
    if samples.distances is None:
        found.append("Distances to the synthetic images were not measured")
    if not samples.arms:
        found.append("Nothing was trained: what networks find in each image is not known")
    return found
