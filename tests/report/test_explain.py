from __future__ import annotations

import numpy as np
import pytest

from twinset.report import Picture
from twinset.report.explain import (
    SIDES,
    ClassCount,
    ClassGapFacts,
    ClassGapsFacts,
    ExplanationFacts,
    GapFigure,
    NearPair,
    OddFacts,
    OddsFacts,
    PairsFacts,
    RegionFacts,
    RegionsFacts,
    gap_table,
    pictures_in,
    strip_uris,
)
from twinset.report.explain_words import (
    gaps_sentence,
    odd_sentence,
    region_sentence,
    regions_meaning,
    regions_sentence,
    sentences_of,
)


def picture(number: int, side: int = 8) -> Picture:
    noise = np.random.Generator(np.random.PCG64(number)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Picture(f"p{number}", noise)


def regions(side: str = "real", *, found: int = 0, alone: int = 30, **more: object) -> RegionsFacts:
    shown = tuple(
        RegionFacts((picture(10 * k),), (picture(10 * k + 1),), 20, 0.02, 0.005, (ClassCount("cat", 20, 25),))
        for k in range(found)
    )
    return RegionsFacts(side, shown, found, 20 * found, 1000, 900, alone, 0.03, 5, 0.05, **more)  # type: ignore[arg-type]


def everything() -> ExplanationFacts:
    gap = ClassGapFacts("cat", (GapFigure("coverage", 0.4, 0.9, 0.005, True),), 60, 50, (picture(30),), (picture(31),))
    odd = OddFacts(picture(40), picture(41), picture(42), "outlier", 1.7, False)
    return ExplanationFacts(
        "x/1",
        regions(found=2),
        regions("synthetic", found=1),
        OddsFacts((odd,), (1, 0), (4, 3), 1000, 5),
        ClassGapsFacts((gap,), 10, (), 15, 0.05),
        PairsFacts((NearPair(picture(50), picture(51), 0.4, 0.2, 0.01, 1),), "x/1", 900, 800, 1000),
    )


def test_every_picture_of_the_section_gets_an_address() -> None:
    facts = everything()
    pictures = list(pictures_in(facts))
    assert len({picture.id for picture in pictures}) == 4 + 3 + 2 + 2
    uris = strip_uris(facts)
    assert set(uris) == {id(picture) for picture in pictures}
    assert all(uri.startswith("data:image/") for uri in uris.values())


def test_strips_shrink_to_their_budget() -> None:
    large = RegionFacts(tuple(picture(k, 200) for k in range(8)), (), 20, 0.02, 0.005)
    facts = ExplanationFacts("x", RegionsFacts("real", (large,), 1, 20, 1000, 900, 30, 0.03, 5, 0.05),
                             regions("synthetic"), OddsFacts((), (0, 0), (0, 0), 1000, 5))  # fmt: skip
    sizes = [sum(map(len, strip_uris(facts, budget=budget).values())) for budget in (10**9, 150_000, 1)]
    assert sizes[0] > 150_000 >= sizes[1] > sizes[2]
    assert sizes[2] > 8 * SIDES[-1] ** 2 * 3  # the smallest side is used even where it does not suffice


def test_sentences_say_how_many_and_against_what() -> None:
    assert regions_sentence(regions(found=2)) == (
        "2 regions of the real images hold no synthetic one: 40 images of 1,000 (30 of 1,000 images have none in their "
        "neighbourhood, 3.0 % against 3.0 % by chance)."
    )
    assert regions_sentence(regions("synthetic")).startswith(
        "No region of the synthetic images is without real ones beyond chance (30 of 1,000"
    )
    assert "though single images are" in regions_sentence(regions(alone=200))
    assert "hardly meet in these features: 95 % of the real images" in regions_sentence(regions(found=1, alone=950))
    assert regions_sentence(regions(undefined_because="too few")).endswith("were not looked for: too few.")
    assert "is at most 5 %" in regions_meaning(regions())
    assert "the twin does not show" in regions_meaning(regions())
    assert "inventions" in regions_meaning(regions("synthetic"))


def test_a_region_names_its_commonest_classes() -> None:
    classes = tuple(ClassCount(f"c{k}", 10 - k, 20) for k in range(9))
    told = region_sentence(RegionFacts((), (), 49, 0.049, 0.0123, classes))
    assert told.startswith("49 images, 4.9 %; p = 0.012; 10 of 20 of 'c0', 9 of 20 of 'c1'")
    assert told.endswith("'c5' and 3 other classes")


@pytest.mark.parametrize(
    ("outliers", "corner_cases", "told"),
    [
        ((0, 0), (0, 0), "None of 500 real images is far from all the others."),
        ((1, 0), (0, 0), "Among 500 real images: 1 outlier (the twin has nothing near it)."),
        ((0, 0), (1, 1), "Among 500 real images: 1 corner case (the twin has an image near it)."),
        (
            (3, 0),
            (4, 2),
            "Among 500 real images: 3 outliers (the twin has an image near none of them) and 4 corner cases (the twin "
            "has an image near 2 of them).",
        ),
    ],
)
def test_odd_images_are_counted_with_what_the_twin_has(
    outliers: tuple[int, int], corner_cases: tuple[int, int], told: str
) -> None:
    assert odd_sentence(OddsFacts((), outliers, corner_cases, 500, 5)) == told


def test_classes_that_are_missing_come_before_those_that_differ() -> None:
    facts = ClassGapsFacts((), 7, (("cat", 35, 0), ("new", 0, 9), ("few", 4, 90)), 15, 0.05, left_out=3)
    assert gaps_sentence(facts) == (
        "The twin has no image of 'cat' (35 real). There is no real image here of 'new' (9 synthetic). None of 7 "
        "classes differs beyond chance. One class has fewer than 15 images on a side, too few to compare. 3 smaller "
        "classes were not looked at."
    )


def test_the_table_of_classes_marks_what_is_beyond_chance() -> None:
    facts = everything().classes
    assert facts is not None
    table = gap_table(facts)
    assert table.columns == ("Class", "N real", "N synthetic", "Coverage", "p, all classes")
    assert table.rows == (("cat", "60", "50", "0.400 (0.900) *", "0.005"),)


def test_every_question_has_its_sentence() -> None:
    assert len(sentences_of(everything())) == 5
