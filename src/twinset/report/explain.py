"""What the twin lacks and what it invents, as the page shows it: findings of :mod:`twinset.evaluation.explain`.

Facts are plain numbers and small pictures; their words are in :mod:`.explain_words`. A finding that is not there is one
sentence, never an empty table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from twinset.report.charts import Table
from twinset.report.glossary import entry_for
from twinset.report.model import Picture
from twinset.report.pictures import data_uri, thumbnail
from twinset.report.words import count, number

SetName = Literal["real", "synthetic"]
OddKind = Literal["outlier", "corner case"]

SIDES = (96, 64, 48)
BUDGET_BYTES = 1_800_000
MOST_CLASSES = 40


@dataclass(frozen=True)
class ClassCount:
    """Images of one class in a region, and ``examined`` in all."""

    name: str
    images: int
    examined: int


@dataclass(frozen=True, eq=False)
class RegionFacts:
    """Images of one set without one of the other: ``pictures`` (the medoid first), and the other set's nearest to it.

    ``share`` is of the examined images, ``p_value`` of a region this large, for all regions at once; ``classes`` the
    commonest first.
    """

    pictures: tuple[Picture, ...]
    nearest: tuple[Picture, ...]
    images: int
    share: float
    p_value: float
    classes: tuple[ClassCount, ...] = ()


@dataclass(frozen=True, eq=False)
class RegionsFacts:
    """What of the ``side`` the other set leaves empty: ``found`` regions with ``images`` in all, the largest ``shown``.

    ``alone`` of ``examined`` images have none of ``others`` in their ball of ``k`` neighbours; sets of one law leave
    ``chance_share``. ``alpha`` is the chance that anything is found in such sets.
    """

    side: SetName
    shown: tuple[RegionFacts, ...]
    found: int
    images: int
    examined: int
    others: int
    alone: int
    chance_share: float
    k: int
    alpha: float
    undefined_because: str = ""


@dataclass(frozen=True, eq=False)
class OddFacts:
    """A real image far from all others, the real image nearest to it and the synthetic one.

    ``ratio`` is the distance of the latter over the one that counts as near; ``contained`` says that it is near.
    """

    picture: Picture
    nearest_real: Picture
    nearest_synthetic: Picture
    kind: OddKind
    ratio: float
    contained: bool


@dataclass(frozen=True, eq=False)
class OddsFacts:
    """Outliers and corner cases among ``examined`` real images: (how many, near how many of them the twin has one)."""

    shown: tuple[OddFacts, ...]
    outliers: tuple[int, int]
    corner_cases: tuple[int, int]
    examined: int
    k: int
    undefined_because: str = ""


@dataclass(frozen=True)
class GapFigure:
    """A figure of one class, its mean under permuted labels, and its p-value adjusted for all classes and figures."""

    name: str
    value: float
    floor: float
    adjusted: float
    beyond_chance: bool


@dataclass(frozen=True, eq=False)
class ClassGapFacts:
    """A class that differs beyond chance: real ``pictures`` without a synthetic image near, and the other way round."""

    name: str
    figures: tuple[GapFigure, ...]
    real: int
    synthetic: int
    uncovered: tuple[Picture, ...] = ()
    unsupported: tuple[Picture, ...] = ()


@dataclass(frozen=True, eq=False)
class ClassGapsFacts:
    """Classes that differ beyond chance (``gaps``, worst first) of ``compared`` ones, at level ``alpha`` for all.

    ``too_few`` are (class, all its real images, all its synthetic ones) that could not be compared; ``fewest`` is what
    must take part of each side, and ``left_out`` how many more classes were not looked at, for time.
    """

    gaps: tuple[ClassGapFacts, ...]
    compared: int
    too_few: tuple[tuple[str, int, int], ...]
    fewest: int
    alpha: float
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class NearPair:
    """A synthetic image and the training image nearest to it by features.

    ``ratio`` is over the median of unseen real images; ``unseen_share`` says how many of those come as close.
    """

    synthetic: Picture
    training: Picture
    distance: float
    ratio: float | None
    unseen_share: float | None
    repeats: int


@dataclass(frozen=True, eq=False)
class PairsFacts:
    """The closest pairs of ``synthetic`` and ``training`` images; ``unseen`` real images give the baseline."""

    pairs: tuple[NearPair, ...]
    extractor: str
    synthetic: int
    training: int
    unseen: int


@dataclass(frozen=True, eq=False)
class ExplanationFacts:
    """All findings. ``notes`` say who took part: one image of a family, a sample of a large set."""

    extractor: str
    uncovered: RegionsFacts
    unsupported: RegionsFacts
    odd: OddsFacts
    classes: ClassGapsFacts | None = None
    pairs: PairsFacts | None = None
    alarms: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def pictures_in(facts: ExplanationFacts) -> Iterator[Picture]:
    """Every picture of the section, in order."""
    for side in (facts.uncovered, facts.unsupported):
        for region in side.shown:
            yield from region.pictures
            yield from region.nearest
    for odd in facts.odd.shown:
        yield from (odd.picture, odd.nearest_real, odd.nearest_synthetic)
    for gap in facts.classes.gaps if facts.classes else ():
        yield from gap.uncovered
        yield from gap.unsupported
    for pair in facts.pairs.pairs if facts.pairs else ():
        yield from (pair.synthetic, pair.training)


def strip_uris(facts: ExplanationFacts, *, budget: int = BUDGET_BYTES) -> dict[int, str]:
    """``data:`` addresses by object identity, at the largest of :data:`SIDES` that stays within ``budget`` characters.

    A budget of their own, lest strips make the pictures of the gallery small.
    """
    pictures = {id(picture): picture for picture in pictures_in(facts)}
    uris: dict[int, str] = {}
    for longest in SIDES:
        uris = {key: data_uri(thumbnail(picture.pixels, longest)) for key, picture in pictures.items()}
        if sum(map(len, uris.values())) <= budget:
            break
    return uris


def gap_table(facts: ClassGapsFacts) -> Table:
    """Figures of the classes that differ, each beside its floor."""
    names = [figure.name for figure in facts.gaps[0].figures]
    rows = tuple(
        (
            gap.name,
            count(gap.real),
            count(gap.synthetic),
            *(f"{number(f.value)} ({number(f.floor)}){' *' if f.beyond_chance else ''}" for f in gap.figures),
            f"{min(f.adjusted for f in gap.figures):.2g}",
        )
        for gap in facts.gaps[:MOST_CLASSES]
    )
    columns = ("Class", "N real", "N synthetic", *(entry_for(name).label for name in names), "p, all classes")
    return Table("Classes beyond chance (in brackets: what chance gives at these numbers; * beyond it)", columns, rows)
