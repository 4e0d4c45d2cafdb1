"""Figures of groups of images: classes, and attributes of the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twinset.report.model.pictures import Picture

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
class GroupCounts:
    """Training and synthetic images of one class, by group."""

    class_name: str
    training: dict[str, int]
    synthetic: dict[str, int]


@dataclass(frozen=True)
class Grouping:
    """The groups by one attribute, or by class; ``notes`` say what could not be told of them.

    ``counts``, one a class, are there where synthetic images carry the attribute.
    """

    by: str
    measures: tuple[GroupMeasure, ...]
    notes: tuple[str, ...] = ()
    counts: tuple[GroupCounts, ...] = ()

    @property
    def images(self) -> dict[str, tuple[int, int]]:
        """Training and synthetic images of every group, over all classes."""
        names = self.counts[0].training if self.counts else {}
        return {
            name: (sum(each.training[name] for each in self.counts), sum(each.synthetic[name] for each in self.counts))
            for name in names
        }


@dataclass(frozen=True)
class PairStrip:
    """Images of one class from one noise, one for each of ``values`` of an attribute."""

    class_name: str
    values: tuple[str, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class FairnessFacts:
    """What is told of groups; ``notes`` say what is not."""

    groupings: tuple[Grouping, ...]
    notes: tuple[str, ...] = ()
    pairs: tuple[PairStrip, ...] = ()

    @property
    def images(self) -> dict[str, dict[str, tuple[int, int]]]:
        """By attribute that synthetic images carry: training and synthetic images of every group."""
        return {grouping.by: grouping.images for grouping in self.groupings if grouping.counts}
