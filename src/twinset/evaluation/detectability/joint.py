"""Detectability on several views of the same images at once, with one p-value for all of them.

The views (pixels, spectra, features of a network) get the same images, folds and permuted labellings. Each
has its AUC and its own p-value; a classifier on all columns together is one more view. Whoever picks the best
of several tests must pay for the choice: per labelling the largest of the AUCs counts, each in units of its
own spread over the labellings (the max-statistic; Westfall and Young 1993). Its rank among the permuted
labellings is the joint p-value, exact as each single one is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.evaluation.detectability.classifier import (
    HeldOut,
    Labellings,
    design_of,
    drawn_rows,
    held_out,
)
from twinset.evaluation.detectability.confounders import (
    Confounder,
    Equalise,
    confounder_warnings,
    confounders,
    seam_confounder,
    seams,
    traits_of,
)
from twinset.evaluation.detectability.permutation import adjusted_p_values
from twinset.evaluation.detectability.picture_features import VIEWS, PictureFeatures
from twinset.evaluation.detectability.two_sample import AUC, FEWEST, Detectability, scores_of
from twinset.evaluation.protocol import Families, Features, as_features, families_of
from twinset.images import Pixels
from twinset.randomness import Stream
from twinset.scores import Score

ALL = "all"
Array = NDArray[np.float64]


def joint_detectability(
    views: Mapping[str, tuple[Features, Features]],
    *,
    settings: Detectability,
    rng: Stream,
    extractor: str | None = None,
    real_families: Families | None = None,
) -> list[Score]:
    """AUCs of held-out classifiers, ``detectability_auc_NAME`` per view and ``detectability_auc_all``; ½ is chance.

    ``views`` maps a name to features (N, D) of the real and (M, D) of the synthetic images, in the same order of
    images in each; columns may differ. Settings of every score hold its own ``p_value``, the one that pays for
    all views, ``p_value_adjusted``, and the least of these, ``joint_p_value``. The figures of the first view are those
    of :func:`detectability` on it alone, with the same ``rng``. A single view has no ``all``. Undefined under
    ten families or synthetic images.

    >>> line = np.linspace(0, 1, 20)[:, None]
    >>> quick = Detectability(permutations=19, fourier_features=0)
    >>> views = {"near": (line, line), "far": (line, line + 2)}
    >>> [round(score.value, 2) for score in joint_detectability(views, settings=quick, rng=Stream(0))][1:]
    [1.0, 1.0]
    """
    n, m = _sizes(views)
    family = families_of(next(iter(views.values()))[0], real_families)
    families = len(np.unique(family))
    size = min(families, m, settings.limit)
    names = [f"{AUC}_{name}" for name in ([*views, ALL] if len(views) > 1 else views)]
    counts = {"real": n, "synthetic": m}
    if size < FEWEST:
        reason = f"the test needs at least {FEWEST} families of real images and synthetic ones; got {families} and {m}"
        return [Score(name, None, False, counts, undefined_because=reason, extractor=extractor) for name in names]
    found = _judged(views, family, size, settings, rng)
    own = [scores_of(each, size, counts, settings, extractor)[0] for each in found]
    adjusted = adjusted_p_values(np.stack([each.aucs for each in found]))
    joint: dict[str, str | int | float] = {
        "joint_p_value": min(adjusted),
        "views": len(names),
        "adjustment": "max-statistic, same permutations",
    }
    return [
        replace(score, name=name, settings={**score.settings, "p_value_adjusted": p_value, **joint})
        for score, name, p_value in zip(own, names, adjusted, strict=True)
    ]


def _sizes(views: Mapping[str, tuple[Features, Features]]) -> tuple[int, int]:
    sizes = {(len(real), len(synthetic)) for real, synthetic in views.values()}
    if len(sizes) != 1 or ALL in views:
        raise ValueError(
            f"expected views of the same images, none named {ALL!r}; got {[*views]} of sizes {sorted(sizes)}"
        )
    return next(iter(sizes))


def _judged(
    views: Mapping[str, tuple[Features, Features]],
    family: NDArray[np.int64],
    size: int,
    settings: Detectability,
    rng: Stream,
) -> list[HeldOut]:
    """Every view, then all together. The first takes its draws in the order of :func:`detectability`."""
    draw = rng.child("detectability").numpy()
    m = len(next(iter(views.values()))[1])
    rows = drawn_rows(family, size, draw), drawn_rows(np.arange(m), size, draw)
    designs: list[Array] = []
    for number, (real, synthetic) in enumerate(views.values()):
        pooled = np.concatenate([as_features(real[rows[0]], "real"), as_features(synthetic[rows[1]], "synthetic")])
        mine = draw if number == 0 else rng.child("detectability", "view", number).numpy()
        designs.append(design_of(pooled, fourier_features=settings.fourier_features, draw=mine))
    labellings = Labellings.of(size, folds=settings.folds, permutations=settings.permutations, draw=draw)
    if len(designs) > 1:
        designs.append(np.concatenate([designs[0], *(design[:, 1:] for design in designs[1:])], axis=1))
    return [held_out(design, labellings, ridge=settings.ridge) for design in designs]


@dataclass(frozen=True, eq=False)
class PictureDetectability:
    """Scores of :func:`picture_detectability`, and what tells the files apart without looking at what they show."""

    scores: tuple[Score, ...]
    confounders: tuple[Confounder, ...]


def picture_detectability(
    real: Dataset,
    synthetic: Dataset,
    *,
    settings: Detectability,
    rng: Stream,
    features: tuple[Features, Features] | None = None,
    extractor: str | None = None,
    equalise: Equalise | None = None,
    recipe: PictureFeatures | None = None,
    real_families: Families | None = None,
) -> PictureDetectability:
    """Detectability of two datasets on pixels, spectra and (if given) ``features`` (N, D), (M, D), and on all.

    Each picture is decoded once, at its own size; ``equalise`` first takes both sets through one resize and one
    JPEG coder (``features`` are the caller's: extract them from equalised pictures too). Confounders are those of the
    files as they came, and of seams in the pixels as they are judged. A file trait that alone separates
    the sets is a warning on every score unless ``equalise`` removed it.
    """
    road = equalise or Equalise()
    chosen = recipe or PictureFeatures()
    traits = traits_of(real), traits_of(synthetic)
    found = confounders(*traits, rng=rng)
    tables, marks = zip(*(_tables(road.pictures(dataset), chosen) for dataset in (real, synthetic)), strict=True)
    found.append(seam_confounder(*marks))
    views: dict[str, tuple[Features, Features]] = {} if features is None else {"features": features}
    views |= {view: (tables[0][view], tables[1][view]) for view in VIEWS}
    scores = joint_detectability(views, settings=settings, rng=rng, extractor=extractor, real_families=real_families)
    warnings = confounder_warnings(found, road, files=[*traits[0], *traits[1]])
    return PictureDetectability(
        tuple(replace(score, warnings=(*score.warnings, *warnings)) for score in scores), tuple(found)
    )


def _tables(pictures: Iterable[Pixels], recipe: PictureFeatures) -> tuple[Mapping[str, Array], Array]:
    marks: list[float] = []

    def seen() -> Iterable[Pixels]:
        for picture in pictures:
            marks.append(seams(picture))
            yield picture

    tables = recipe.tables(seen())
    return {str(name): table for name, table in tables.items()}, np.array(marks)
