"""Figures of groups of images: classes, and attributes of the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "difference", "number"]
"""A share of images, a difference of two such shares, or neither."""


@dataclass(frozen=True)
class GroupFigure:
    """The figure of one group with an interval that holds for all groups at once; None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class GroupMeasure:
    """One figure of every group, by name. ``gap`` is the largest minus the smallest with its 95 % interval, None where
    fewer than two groups have a figure; ``higher_is_better`` None where neither end is."""

    name: str
    title: str
    groups: dict[str, GroupFigure]
    gap: tuple[float, float, float] | None
    higher_is_better: bool | None
    unit: Unit = "share"


@dataclass(frozen=True)
class Grouping:
    """The groups by one attribute, or by class; ``notes`` say what could not be told of them."""

    by: str
    measures: tuple[GroupMeasure, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FairnessFacts:
    """What is told of groups; ``notes`` say what is not."""

    groupings: tuple[Grouping, ...]
    notes: tuple[str, ...] = ()
