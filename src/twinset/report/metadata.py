"""Histograms of measures of objects and images: real, before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from twinset.report.charts import LEGEND, Chart, Table, axis
from twinset.report.model import MeasureFacts, MetadataFacts
from twinset.report.plain import Json
from twinset.report.words import NONE, number, percent

COLOURS = {"real": "@real", "before": "@rejected", "after": "@synthetic"}
NAMES = {"real": "real, held out", "before": "before", "after": "the twin"}

MEANINGS: Mapping[str, tuple[str, str]] = {
    "count": ("Objects in an image", "objects"),
    "box_area": ("Size of objects", "share of the image"),
    "box_area_px": ("Size of objects in pixels", "pixels"),
    "aspect_ratio": ("Shape of boxes", "width over height"),
    "centre_x": ("Place from left to right", "0 left, 1 right"),
    "centre_y": ("Place from top to bottom", "0 top, 1 bottom"),
    "sharpness": ("Sharpness of images", "variance of the Laplacian"),
    "blur": ("Blur of images", "0 sharp, 1 blurred"),
    "entropy": ("Entropy of images", "bits"),
    "brightness": ("Brightness of images", "0…1"),
    "contrast": ("Contrast of images", "0…1"),
    "background_similarity": ("Likeness of objects' edges to their surroundings", "cosine"),
    "visible_fraction": ("Visible part of objects", "share"),
    "mask_overlap": ("Overlap of objects", "share"),
    "distance_metres": ("Distance of objects from the camera", "metres"),
    "occlusion": ("Visible area times squared distance", "pixels · m²; low: hidden, or small"),
    "camera_elevation_degrees": ("How far the camera looks down", "degrees"),
    "sun_elevation_degrees": ("Height of the light", "degrees"),
    "sun_strength": ("Strength of the light", "1: white in full light"),
    "ambient": ("Light from everywhere", "1: white"),
}


def titled(name: str) -> tuple[str, str]:
    """A measure for people: its name and its unit."""
    if name.startswith("box_") and name not in MEANINGS:
        title, unit = MEANINGS.get(name.removeprefix("box_"), (name.removeprefix("box_"), ""))
        return title.replace("of images", "of objects"), unit
    return MEANINGS.get(name, (name.replace("_", " "), ""))


def metadata_charts(metadata: MetadataFacts) -> tuple[Chart, ...]:
    """One figure a measure: outlines of the histograms of all sets."""
    return tuple(_chart(number, facts) for number, facts in enumerate((*metadata.measures, *metadata.scenes)))


def metadata_table(metadata: MetadataFacts) -> Table:
    """Bhattacharyya distances from the held-out real images, by measure."""
    rows = [
        (
            titled(facts.name)[0],
            number(facts.floor),
            number(facts.distances.get("before")) if "before" in facts.distances else NONE,
            number(facts.distances.get("after")) if "after" in facts.distances else NONE,
            _closed(facts),
        )
        for facts in metadata.measures
    ]
    columns = ("Measure", "Real vs real", "Before", "The twin", "Excess closed")
    return Table("Distance of distributions from the held-out real images", columns, tuple(rows))


def _closed(facts: MeasureFacts) -> str:
    """How much of the excess over real-vs-real is gone."""
    if "before" not in facts.distances or "after" not in facts.distances:
        return "at the floor" if "after" in facts.at_floor else NONE
    if "before" in facts.at_floor:
        return "was at the floor"
    before, after = (facts.distances[name] - facts.floor for name in ("before", "after"))
    if math.isinf(before) or math.isinf(after):
        return "shares nothing" if math.isinf(after) else "shared nothing before"
    return percent(1 - after / before) if before > 0 else NONE


def _chart(index: int, facts: MeasureFacts) -> Chart:
    title, unit = titled(facts.name)
    edges = [float(edge) for edge in facts.edges]
    traces: list[Json] = [_outline(edges, [float(s) for s in shares], name) for name, shares in facts.shares.items()]
    layout: dict[str, Json] = {
        "xaxis": axis(unit, **({"type": "log"} if facts.logarithmic else {})),
        "yaxis": axis("share", rangemode="tozero", tickformat=".0%"),
        "legend": {**LEGEND},
    }
    told = _told(facts)
    rows = tuple(
        (f"{number(low)} … {number(high)}", *(percent(float(shares[at])) for shares in facts.shares.values()))
        for at, (low, high) in enumerate(pairwise(edges))
    )
    return Chart(
        id=f"metadata-{index}",
        title=title,
        alt=f"Histograms of {title.lower()}. {told}",
        layout=layout,
        views={"": traces},
        table=Table(title, (unit or "value", *(NAMES.get(name, name) for name in facts.shares)), rows),
        note=told,
        height=260,
    )


def _told(facts: MeasureFacts) -> str:
    """Distances from the real images, or that there are none."""
    if "real" not in facts.shares:
        return "Known of synthetic images only: their maker wrote it beside them."
    told = ", ".join(f"{NAMES.get(name, name)} {number(value)}" for name, value in facts.distances.items())
    return f"Distance from real: {told}; real from real {number(facts.floor)}."


def _outline(edges: list[float], shares: list[float], name: str) -> Json:
    """A histogram as a line that steps at the edges."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*edges],
        "y": [*shares, shares[-1]],
        "line": {"shape": "hv", "width": 2, "color": COLOURS.get(name, "@muted")},
        "name": NAMES.get(name, name),
        "hoverinfo": "y+name",
    }
