"""The pages on which people rate inferred values, as HTML without scripts; every name is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from twinset import documents

if TYPE_CHECKING:
    from jinja2 import Template

WORDS = ("wrong", "poor", "doubtful", "fair", "good", "right")
MOST_OBJECTS = 30
"""Objects whose values are listed under a picture."""

UNITS = {
    "distance_metres": "m",
    "camera_elevation_degrees": "°",
    "sun_elevation_degrees": "°",
    "occlusion": "px·m²",
}
"""Of measures whose name does not say all."""


@dataclass(frozen=True)
class Position:
    """Which of how many images is shown, and how many are rated."""

    number: int
    images: int
    rated: int


def shown(value: float | str) -> str:
    """A value with three digits, or a name.

    >>> shown(0.123456), shown(12345.0), shown("chair")
    ('0.123', '12300', 'chair')
    """
    if isinstance(value, str):
        return value
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e+" in text else text


def image_page(
    image: documents.InferredImage,
    position: Position,
    *,
    measures: Sequence[str],
    affected: Sequence[str],
    given: Mapping[str, int],
    token: str,
    note: str = "",
) -> str:
    """A picture, what was inferred, and six choices a measure."""
    of_objects = [name for name in measures if any(name in one.values for one in image.objects)]
    rows = [
        {
            "name": name,
            "label": name.replace("_", " "),
            "unit": UNITS.get(name, ""),
            "value": shown(image.values[name]) if name in image.values else None,
            "affected": name in affected,
            "given": given.get(name),
        }
        for name in measures
        if name in image.values or name in of_objects
    ]
    objects = [
        {
            "number": number + 1,
            "class_name": one.class_name,
            "values": [shown(one.values[name]) if name in one.values else "–" for name in of_objects],
        }
        for number, one in enumerate(image.objects[:MOST_OBJECTS])
    ]
    return _template("image").render(
        image=image,
        position=position,
        rows=rows,
        object_measures=[name.replace("_", " ") for name in of_objects],
        objects=objects,
        unlisted=max(0, len(image.objects) - MOST_OBJECTS),
        words=list(enumerate(WORDS)),
        token=token,
        note=note,
    )


def summary_page(position: Position, measures: Sequence[documents.RatedMeasure], sentences: Sequence[str]) -> str:
    """Mean ratings with their intervals, and what the inference says of itself."""
    rows = [
        {
            "label": one.measure.replace("_", " "),
            "images": one.images,
            "mean": "–" if one.mean is None else f"{one.mean:.2f}",
            "interval": "–" if one.low is None or one.high is None else f"{one.low:.2f} … {one.high:.2f}",
            "share": 0 if one.mean is None else round(100 * one.mean / (len(WORDS) - 1)),
        }
        for one in measures
    ]
    return _template("summary").render(position=position, rows=rows, sentences=list(sentences))


def refused_page(message: str) -> str:
    """What cannot be done, in one line."""
    return _template("refused").render(message=message)


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("twinset.pipeline.rating", ""), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(f"{name}.html.j2")
