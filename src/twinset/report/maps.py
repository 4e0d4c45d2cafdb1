"""The feature map: every image as a point, coloured by origin or by class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.report.charts import LEGEND, Chart, Table, axis, label
from twinset.report.model import FeatureMap
from twinset.report.plain import Json
from twinset.report.words import NONE, count, number

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
LONGEST_LEGEND = 20


def map_chart(feature_map: FeatureMap, classes: Sequence[str]) -> Chart:
    """All images as points of a plane, coloured by origin or by class."""
    rows = _spread(len(feature_map.sets), MAX_POINTS)
    by_origin: list[Json] = []
    for name, colour in SET_COLOURS.items():
        chosen = [row for row in rows if feature_map.sets[row] == name]
        if chosen:
            by_origin.append(_points(feature_map, chosen, classes, name, colour, [SET_SYMBOLS[name]] * len(chosen)))
    by_class: list[Json] = []
    present = sorted({int(c) for c in feature_map.class_ids[rows]})
    order = list(SET_COLOURS)
    for class_id in present:
        chosen = [row for row in rows if feature_map.class_ids[row] == class_id]
        chosen.sort(key=lambda row: order.index(feature_map.sets[row]))
        symbols = [SET_SYMBOLS[feature_map.sets[row]] for row in chosen]
        name = classes[class_id] if 0 <= class_id < len(classes) else "unlabelled"
        trace = _points(feature_map, chosen, classes, name, f"@class{class_id % 10}", symbols)
        trace["showlegend"] = len(present) <= LONGEST_LEGEND
        by_class.append(trace)
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
) -> dict[str, Json]:
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
