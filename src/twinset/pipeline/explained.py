"""Findings on what the twin lacks and invents, as facts of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twinset import report
from twinset.dataset import Dataset
from twinset.evaluation.explain import ClassGap, ClassGaps, OddImages, OneSided, Outliers, Region
from twinset.evaluation.neighbourhoods.neighbours_shown import ShownNeighbours
from twinset.evaluation.protocol import Features
from twinset.pipeline import page
from twinset.report.explain import (
    SIDES,
    ClassCount,
    ClassGapFacts,
    ClassGapsFacts,
    ExplanationFacts,
    GapFigure,
    NearPair,
    OddFacts,
    OddKind,
    OddsFacts,
    PairsFacts,
    RegionFacts,
    RegionsFacts,
    SetName,
)
from twinset.report.pictures import thumbnail

Rows = NDArray[np.int64]
REGIONS, NEAREST, ODD, GAPS, OF_A_GAP = 5, 4, 9, 6, 6


@dataclass(frozen=True, eq=False)
class Examined:
    """The images of one set that take part: ``rows`` (n,) of the dataset with their features (n, D) and class numbers
    (n,), −1 for those of no class. Of the whole set, ``families`` is how many independent images there are, ``counts``
    (C,) the images of each class."""

    dataset: Dataset
    rows: Rows
    features: Features
    class_ids: NDArray[np.integer]
    families: int
    counts: NDArray[np.integer]

    def some(self, kept: Rows) -> Examined:
        """These of them."""
        if len(kept) == len(self.rows):
            return self
        rows, features, class_ids = self.rows[kept], self.features[kept], self.class_ids[kept]
        return replace(self, rows=rows, features=features, class_ids=class_ids)

    def ids(self, rows: Rows) -> list[str]:
        """Ids of some of the images that take part."""
        every = self.dataset.ids
        return [every[row] for row in self.rows[rows]]


@dataclass(frozen=True, eq=False)
class Pairing:
    """Closest pairs: rows of ``shown`` count within ``synthetic`` and ``training``, which are rows of the datasets."""

    dataset: Dataset
    shown: ShownNeighbours
    synthetic: Rows
    training: Rows
    unseen: int
    extractor: str


@dataclass(frozen=True, eq=False)
class Gaps:
    """Gaps of classes, how many classes were ``left_out``, and the images that a class needs on each side."""

    found: ClassGaps
    left_out: int
    fewest: int


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was found, in rows of those who took part; each one-sided search with its own set."""

    extractor: str
    classes: Sequence[str]
    real: Examined
    synthetic: Examined
    alpha: float
    uncovered: tuple[Examined, OneSided]
    unsupported: tuple[Examined, OneSided]
    odd: Outliers
    gaps: Gaps | None
    pairing: Pairing | None
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class _Pictures:
    """Small pictures of one dataset, each made once."""

    dataset: Dataset
    made: dict[int, report.Picture] = field(default_factory=dict)

    def of(self, row: int) -> report.Picture:
        if row not in self.made:
            whole = page.picture(self.dataset, row)
            self.made[row] = report.Picture(whole.id, thumbnail(whole.pixels, SIDES[0]))
        return self.made[row]

    def row_of(self, rows: Sequence[int] | Rows) -> tuple[report.Picture, ...]:
        return tuple(self.of(int(row)) for row in rows)


def facts_of(found: Findings) -> ExplanationFacts:
    """The findings with pictures, for the page: the largest regions, the worst classes, the closest pairs."""
    real, synthetic = _Pictures(found.real.dataset), _Pictures(found.synthetic.dataset)
    return ExplanationFacts(
        extractor=found.extractor,
        uncovered=_regions(found, "real", found.uncovered, found.synthetic, (real, synthetic)),
        unsupported=_regions(found, "synthetic", found.unsupported, found.real, (synthetic, real)),
        odd=_odds(found, real, synthetic),
        classes=_gaps(found, real, synthetic) if found.gaps is not None else None,
        pairs=_pairs(found.pairing, synthetic) if found.pairing is not None else None,
        alarms=found.alarms,
        notes=tuple(_notes(found)),
    )


def _notes(found: Findings) -> list[str]:
    """Who took part."""
    notes = []
    for side, name in ((found.real, "real"), (found.synthetic, "synthetic")):
        total = len(side.dataset)
        if side.families < total:
            why = "families" if name == "real" else "parents that were used more than once"
            notes.append(f"Of {total:,} {name} images one of each of {side.families:,} took part ({why})")
        if len(side.rows) < side.families:
            notes.append(f"Of {side.families:,} {name} images {len(side.rows):,} took part, drawn at random")
    for (own, _), side, name in (
        (found.uncovered, found.real, "real"),
        (found.unsupported, found.synthetic, "synthetic"),
    ):
        if len(own.rows) < len(side.rows):
            notes.append(
                f"Regions of {name} images were sought among {len(own.rows):,} of them, drawn at random, as there are "
                "many times fewer of the others"
            )
    pairing = found.pairing
    if pairing is not None and (
        len(pairing.synthetic) < len(found.synthetic.dataset) or len(pairing.training) < len(pairing.dataset)
    ):
        notes.append(
            f"Closest pairs were sought among {len(pairing.synthetic):,} synthetic and {len(pairing.training):,} "
            "training images, drawn at random"
        )
    return notes


def _regions(
    found: Findings,
    name: SetName,
    side: tuple[Examined, OneSided],
    other: Examined,
    pictures: tuple[_Pictures, _Pictures],
) -> RegionsFacts:
    own, result = side
    return RegionsFacts(
        side=name,
        shown=tuple(
            RegionFacts(
                pictures=pictures[0].row_of(own.rows[region.representatives]),
                nearest=pictures[1].row_of(other.rows[region.nearest_other[:NEAREST]]),
                images=len(region.rows),
                share=region.share,
                p_value=region.p_value,
                classes=classes_of(found, region, result),
            )
            for region in result.regions[:REGIONS]
        ),
        found=len(result.regions),
        images=sum(len(region.rows) for region in result.regions),
        examined=len(result.examined),
        others=len(other.rows),
        alone=len(result.alone),
        chance_share=result.chance_share,
        k=result.k,
        alpha=found.alpha,
        undefined_because=result.undefined_because,
    )


def classes_of(found: Findings, region: Region, result: OneSided) -> tuple[ClassCount, ...]:
    """The classes of a region, the commonest first; images without a class are left out."""
    known = sorted((number for number in region.classes if number >= 0), key=lambda n: -region.classes[n])
    return tuple(ClassCount(found.classes[n], region.classes[n], result.by_class[n][1]) for n in known)


def _odds(found: Findings, real: _Pictures, synthetic: _Pictures) -> OddsFacts:
    """Outliers before corner cases; of each, those that the twin lacks first."""
    odd, rows = found.odd, found.real.rows
    shown = [
        OddFacts(
            real.of(int(rows[images.rows[at]])),
            real.of(int(rows[images.nearest_real[at]])),
            synthetic.of(int(images.nearest_synthetic[at, 0])),
            kind,
            float(images.synthetic_distances[at, 0] / odd.near),
            bool(images.contained[at]),
        )
        for kind, images in kinds_of(odd)
        for at in np.argsort(images.contained, kind="stable")[:ODD]
    ]
    counts = [(len(images.rows), int(images.contained.sum())) for _, images in kinds_of(odd)]
    return OddsFacts(tuple(shown[:ODD]), counts[0], counts[1], len(rows), odd.k, odd.undefined_because)


def kinds_of(odd: Outliers) -> tuple[tuple[OddKind, OddImages], ...]:
    """Odd images by kind, outliers first."""
    return ("outlier", odd.outliers), ("corner case", odd.corner_cases)


def _gaps(found: Findings, real: _Pictures, synthetic: _Pictures) -> ClassGapsFacts:
    assert found.gaps is not None
    gaps = found.gaps.found
    beyond = [gap for gap in gaps.gaps if gap.beyond_chance]
    facts = []
    for number, gap in enumerate(beyond):
        seen = OF_A_GAP if number < GAPS else 0
        facts.append(
            ClassGapFacts(
                found.classes[gap.class_id],
                figures_of(gap),
                gap.real,
                gap.synthetic,
                real.row_of(found.real.rows[gap.uncovered[:seen]]),
                synthetic.row_of(found.synthetic.rows[gap.unsupported[:seen]]),
            )
        )
    every = found.real.counts, found.synthetic.counts
    too_few = tuple((found.classes[n], int(every[0][n]), int(every[1][n])) for n in gaps.too_few)
    return ClassGapsFacts(tuple(facts), len(gaps.gaps), too_few, found.gaps.fewest, found.alpha, found.gaps.left_out)


def figures_of(gap: ClassGap) -> tuple[GapFigure, ...]:
    """Its figures, each beside what chance gives."""
    return tuple(
        GapFigure(name, figure.value, figure.floor, figure.adjusted, figure.beyond_chance)
        for name, figure in gap.figures.items()
    )


def _pairs(pairing: Pairing, synthetic: _Pictures) -> PairsFacts:
    training, shown = _Pictures(pairing.dataset), pairing.shown
    pairs = tuple(
        NearPair(
            synthetic.of(int(pairing.synthetic[shown.synthetic[at]])),
            training.of(int(pairing.training[shown.training[at]])),
            float(shown.distances[at]),
            None if shown.ratios is None else float(shown.ratios[at]),
            None if shown.holdout_shares is None else float(shown.holdout_shares[at]),
            int(shown.repeats[at]),
        )
        for at in range(len(shown))
    )
    return PairsFacts(pairs, pairing.extractor, len(pairing.synthetic), len(pairing.training), pairing.unseen)
