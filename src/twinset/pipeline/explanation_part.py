"""Findings on what the twin lacks and invents, as JSON: the ids of all images in them."""

from __future__ import annotations

import numpy as np

from twinset import documents
from twinset.evaluation.explain import ClassGaps, OneSided, Region
from twinset.pipeline.explained import Examined, Findings, classes_of, figures_of, kinds_of
from twinset.report.explain import ExplanationFacts, RegionFacts, RegionsFacts
from twinset.report.explain_words import region_sentence, regions_sentence, sentences_of


def part_of(found: Findings, facts: ExplanationFacts) -> documents.ExplanationPart:
    """The findings with the ids of all images in them."""
    return documents.ExplanationPart(
        extractor=found.extractor,
        sentences=list(sentences_of(facts)),
        alarms=list(found.alarms),
        uncovered=_regions_part(found, found.uncovered, found.synthetic, facts.uncovered),
        unsupported=_regions_part(found, found.unsupported, found.real, facts.unsupported),
        odd=_odd_part(found),
        classes={} if found.gaps is None else _gaps_part(found, found.gaps.found),
        pairs=[
            documents.NearPairPart(
                synthetic=pair.synthetic.id,
                training=pair.training.id,
                distance=pair.distance,
                ratio=pair.ratio,
                unseen_share=pair.unseen_share,
                repeats=pair.repeats,
            )
            for pair in (facts.pairs.pairs if facts.pairs else ())
        ],
        notes=list(facts.notes),
    )


def _regions_part(
    found: Findings, side: tuple[Examined, OneSided], other: Examined, facts: RegionsFacts
) -> documents.RegionsPart:
    own, result = side
    return documents.RegionsPart(
        regions=[_region_part(found, region, own, other, result) for region in result.regions],
        examined=facts.examined,
        others=facts.others,
        alone=facts.alone,
        chance_share=facts.chance_share,
        k=facts.k,
        alpha=facts.alpha,
        undefined_because=facts.undefined_because or None,
        sentence=regions_sentence(facts),
    )


def _region_part(
    found: Findings, region: Region, own: Examined, other: Examined, result: OneSided
) -> documents.RegionPart:
    classes = classes_of(found, region, result)
    rest = region.rows[region.rows != region.medoid]
    bare = RegionFacts((), (), len(region.rows), region.share, region.p_value, classes)
    return documents.RegionPart(
        ids=own.ids(np.concatenate([[region.medoid], rest])),
        nearest=other.ids(region.nearest_other),
        share=region.share,
        p_value=region.p_value,
        classes={each.name: each.images for each in classes},
        sentence=region_sentence(bare),
    )


def _odd_part(found: Findings) -> list[documents.OddPart]:
    synthetic = found.synthetic.dataset.ids
    return [
        documents.OddPart(
            id=id_,
            kind=kind,
            nearest_real=nearest,
            nearest_synthetic=synthetic[images.nearest_synthetic[at, 0]],
            ratio=float(images.synthetic_distances[at, 0] / found.odd.near),
            contained=bool(images.contained[at]),
        )
        for kind, images in kinds_of(found.odd)
        for at, (id_, nearest) in enumerate(
            zip(found.real.ids(images.rows), found.real.ids(images.nearest_real), strict=True)
        )
    ]


def _gaps_part(found: Findings, gaps: ClassGaps) -> dict[str, documents.ClassGapPart]:
    return {
        found.classes[gap.class_id]: documents.ClassGapPart(
            figures={
                each.name: documents.GapFigurePart(
                    value=each.value, floor=each.floor, adjusted=each.adjusted, beyond_chance=each.beyond_chance
                )
                for each in figures_of(gap)
            },
            n_real=gap.real,
            n_synthetic=gap.synthetic,
            uncovered=found.real.ids(gap.uncovered),
            unsupported=found.synthetic.ids(gap.unsupported),
        )
        for gap in gaps.gaps
        if gap.beyond_chance
    }
