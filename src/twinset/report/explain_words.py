"""Findings on what the twin lacks and invents, in sentences: what was found, what it means, how often it is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from twinset.report.explain import ClassGapsFacts, ExplanationFacts, OddsFacts, PairsFacts, RegionFacts, RegionsFacts
from twinset.report.words import count, number, percent

OTHER = {"real": "synthetic", "synthetic": "real"}
MOST_NAMES = 6


def sentences_of(facts: ExplanationFacts) -> tuple[str, ...]:
    """What was found, a sentence a question, alarms first."""
    found = [*facts.alarms, regions_sentence(facts.uncovered), regions_sentence(facts.unsupported)]
    found.append(odd_sentence(facts.odd))
    if facts.classes is not None:
        found.append(gaps_sentence(facts.classes))
    if facts.pairs is not None:
        found.append(pairs_sentence(facts.pairs))
    return tuple(found)


def regions_sentence(facts: RegionsFacts) -> str:
    """How much of one set has nothing of the other near it."""
    side, other = facts.side, OTHER[facts.side]
    if facts.undefined_because:
        return f"Regions of {side} images without {other} ones were not looked for: {facts.undefined_because}."
    alone = (
        f"{count(facts.alone)} of {count(facts.examined)} images have none in their neighbourhood, "
        f"{percent(facts.alone / facts.examined)} against {percent(facts.chance_share)} by chance"
    )
    if not facts.found:
        start = f"No region of the {side} images is without {other} ones beyond chance"
        scattered = facts.alone / facts.examined > 2 * facts.chance_share
        return f"{start}{', though single images are' if scattered else ''} ({alone})."
    regions = "One region" if facts.found == 1 else f"{count(facts.found)} regions"
    holds = "holds" if facts.found == 1 else "hold"
    all_of_it = f" The two sets hardly meet in these features: {_nearly_all(facts)}." if _nearly_all(facts) else ""
    return (
        f"{regions} of the {side} images {holds} no {other} one: {_images(facts.images)} of "
        f"{count(facts.examined)} ({alone}).{all_of_it}"
    )


def _nearly_all(facts: RegionsFacts) -> str:
    share = facts.alone / max(1, facts.examined)
    return f"{percent(share, 0)} of the {facts.side} images have no {OTHER[facts.side]} one near" if share > 0.8 else ""


def regions_meaning(facts: RegionsFacts) -> str:
    """What such a region is, and the chance of meeting one by accident."""
    meaning = (
        "Kinds of real images that the twin does not show; whatever learns from the twin alone has not seen them."
        if facts.side == "real"
        else "What the generator makes more than once and the real images here do not have: inventions, artefacts, one "
        "image over and over."
    )
    return (
        f"{meaning} A region is made of neighbouring images whose {facts.k} nearest ones of their own set are all "
        "nearer than any image of the other set. For two sets of independent images of one law, the chance that any "
        f"region is named here is at most {percent(facts.alpha, 0)}."
    )


def region_sentence(region: RegionFacts) -> str:
    """One region: size, chance, classes."""
    return f"{_images(region.images)}, {percent(region.share)}; p = {chance(region.p_value)}{_classes(region)}"


def chance(p_value: float) -> str:
    """A p-value to two digits.

    >>> chance(0.005), chance(0.0123)
    ('0.005', '0.012')
    """
    return f"{p_value:.2g}"


def _classes(region: RegionFacts) -> str:
    if not region.classes:
        return ""
    named = ", ".join(
        f"{count(each.images)} of {count(each.examined)} of {each.name!r}" for each in region.classes[:MOST_NAMES]
    )
    return f"; {named}" + others(len(region.classes) - MOST_NAMES)


def others(more: int) -> str:
    """What follows a list that was cut.

    >>> others(0), others(1), others(12)
    ('', ' and one other class', ' and 12 other classes')
    """
    return "" if more < 1 else " and one other class" if more == 1 else f" and {count(more)} other classes"


def odd_sentence(facts: OddsFacts) -> str:
    """How many real images are far from all others, and near how many of them the twin has something."""
    if facts.undefined_because:
        return f"Outliers of the real images were not looked for: {facts.undefined_because}."
    parts = [
        f"{count(total)} {one if total == 1 else many} ({_near(total, near)})"
        for (total, near), one, many in (
            (facts.outliers, "outlier", "outliers"),
            (facts.corner_cases, "corner case", "corner cases"),
        )
        if total
    ]
    examined = f"{count(facts.examined)} real images"
    return f"Among {examined}: {' and '.join(parts)}." if parts else f"None of {examined} is far from all the others."


def _near(total: int, near: int) -> str:
    if total == 1:
        return "the twin has an image near it" if near else "the twin has nothing near it"
    return f"the twin has an image near {'all' if near == total else 'none' if not near else count(near)} of them"


def odd_meaning(facts: OddsFacts) -> str:
    """What they are, and why no chance of error is given."""
    return (
        "Real images far from all other real ones: rare cases that a twin should have, or faults of the data that it "
        "should not. The twin has one near if a synthetic image is within the distance (the limit) that usual real "
        f"images keep from their {facts.k}th neighbour. They are named by rule (Tukey's fences on log distances), not "
        "by a test: of normal log distances 3.5 in 1,000 would be corner cases and 1 in 1,000,000 outliers, and of "
        "images more."
    )


def gaps_sentence(facts: ClassGapsFacts) -> str:
    """Which classes differ."""
    parts = []
    missing = [(name, real) for name, real, synthetic in facts.too_few if real and not synthetic]
    invented = [(name, synthetic) for name, real, synthetic in facts.too_few if synthetic and not real]
    some = len(facts.too_few) - len(missing) - len(invented)
    if missing:
        parts.append(f"The twin has no image of {_listed(missing, 'real')}.")
    if invented:
        parts.append(f"There is no real image here of {_listed(invented, 'synthetic')}.")
    parts.append(_compared(facts))
    if some:
        classes = "One class has" if some == 1 else f"{count(some)} classes have"
        parts.append(f"{classes} fewer than {facts.fewest} images on a side, too few to compare.")
    if facts.left_out:
        parts.append(f"{count(facts.left_out)} smaller classes were not looked at.")
    return " ".join(parts)


def _compared(facts: ClassGapsFacts) -> str:
    if not facts.compared:
        return "No class has enough images on both sides to be compared by itself."
    if not facts.gaps:
        return f"None of {count(facts.compared)} classes differs beyond chance."
    named = ", ".join(repr(gap.name) for gap in facts.gaps[:MOST_NAMES]) + others(len(facts.gaps) - MOST_NAMES)
    verb = "differs" if len(facts.gaps) == 1 else "differ"
    number_of = "One" if len(facts.gaps) == 1 else count(len(facts.gaps))
    return f"{number_of} of {count(facts.compared)} classes {verb} beyond chance: {named}."


def _listed(classes: Sequence[tuple[str, int]], side: str) -> str:
    named = ", ".join(f"{name!r} ({count(images)} {side})" for name, images in classes[:MOST_NAMES])
    return named + others(len(classes) - MOST_NAMES)


def gaps_meaning(facts: ClassGapsFacts) -> str:
    """What is compared, and the chance of naming a class by accident."""
    return (
        "Real and synthetic images of one class against each other, beside what the same images give when the two "
        "labels are shuffled. If no class differs, the chance that any is named is at most "
        f"{percent(facts.alpha, 0)}, over all classes and figures together."
    )


def pairs_sentence(facts: PairsFacts) -> str:
    """How close the closest pair is."""
    if not facts.pairs:
        return "No synthetic image could be compared with a training image."
    first = facts.pairs[0]
    beside = "" if first.ratio is None else f", {number(first.ratio, 2)} times the usual distance of an unseen real one"
    return (
        f"The closest of {count(facts.synthetic)} synthetic images to any of {count(facts.training)} training images "
        f"is {number(first.distance)} away{beside}."
    )


def pairs_meaning(facts: PairsFacts) -> str:
    """How to read ratio and share, and why small ones are to be expected."""
    baseline = (
        f" The ratio is to the median distance of {count(facts.unseen)} unseen real images to their nearest training "
        "image; the percentage says how many of those come as close."
        if facts.unseen
        else ""
    )
    return (
        f"Nearest by features ({facts.extractor}), not by pixels.{baseline} “Shared” counts the synthetic images that "
        "have this training image for their nearest. The closest pairs of many are close by selection, so no rate of "
        "false findings goes with this list: it says where to look, and the copy test decides."
    )


def _images(number_of: int) -> str:
    return "1 image" if number_of == 1 else f"{count(number_of)} images"
