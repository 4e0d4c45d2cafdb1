"""What became of the shapes that objects are made from."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.report.model.pictures import Picture


@dataclass(frozen=True)
class ShapeFacts:
    """One shape of a class: the mean distance of its ``objects`` from real ones, its interval where there is one."""

    class_name: str
    shape_id: str
    objects: int
    mean: float
    low: float | None
    high: float | None
    dropped: bool


@dataclass(frozen=True)
class TraitFacts:
    """A parameter's value: of the shapes that have it how many were dropped, of the others, and both mean distances."""

    class_name: str
    parameter: str
    value: str
    dropped: int
    shapes: int
    others_dropped: int
    others: int
    mean: float
    others_mean: float
    p_value: float


@dataclass(frozen=True)
class ShapeLook:
    """A usual object of one shape."""

    class_name: str
    dropped: bool
    score: float
    picture: Picture


@dataclass(frozen=True)
class CurationFacts:
    """The curation of one ``source`` on a pilot of so many ``images``: all shapes, the usual mean and the line of each
    class, traits that set shapes apart, and how some look. ``in_force`` is False where the run went on without it."""

    source: str
    images: int
    shapes: tuple[ShapeFacts, ...]
    lines: tuple[tuple[str, float, float], ...]
    traits: tuple[TraitFacts, ...] = ()
    looks: tuple[ShapeLook, ...] = ()
    sentences: tuple[str, ...] = ()
    in_force: bool = True
