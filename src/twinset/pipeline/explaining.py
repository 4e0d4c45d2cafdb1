"""Which images the twin lacks and which it invents: who takes part, what is asked of them, and what is said.

The tests of :mod:`twinset.evaluation.explain` assume independent images, so one image of each family takes part, and of
large sets a sample: both are told. What is found goes to the report and to ``evaluation/explanation.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from twinset import documents
from twinset.dataset import Dataset
from twinset.evaluation.explain import (
    ClassGapSettings,
    OneSided,
    RegionSettings,
    class_gaps,
    diversity_alarms,
    outliers,
    uncovered,
    unsupported,
)
from twinset.evaluation.neighbourhoods.neighbours_shown import closest_pairs
from twinset.evaluation.protocol import Features
from twinset.families import one_of_each
from twinset.pipeline.explained import Examined, Findings, Gaps, Pairing, facts_of
from twinset.pipeline.explanation_part import part_of
from twinset.randomness import Stream
from twinset.report.explain import ExplanationFacts
from twinset.scores import Score
from twinset.store import write_json

if TYPE_CHECKING:
    from twinset.pipeline.fidelity import Features as RunFeatures
    from twinset.pipeline.opening import Run

Rows = NDArray[np.int64]
Families = NDArray[np.integer]
PAIRS = 12


@dataclass(frozen=True)
class ExplainSettings:
    """Bounds of the work: images a set (``limit``), synthetic and training images that pairs are sought among, classes.

    ``lopsided`` is how many times larger than the other set one may be where its regions are sought: beyond that balls
    become so large that they say nothing. Classes beyond ``classes`` (those with the fewest images) are not compared.
    """

    limit: int = 5000
    synthetic_pairs: int = 10_000
    training_pairs: int = 20_000
    classes: int = 100
    lopsided: int = 4
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.limit < 20 or min(self.synthetic_pairs, self.training_pairs, self.classes, self.lopsided) < 1:
            raise ValueError(f"expected limit ≥ 20 and the other bounds ≥ 1; got {self}")


@dataclass(frozen=True, eq=False)
class Training:
    """Training images with features (T, D) of an extractor that was not trained on them.

    Where the extractor of the other findings was, ``synthetic`` (M, D) and ``holdout`` (N, D) are features of the
    ``extractor`` that is used for pairs in its place.
    """

    dataset: Dataset
    features: Features
    synthetic: Features | None = None
    holdout: Features | None = None
    extractor: str = ""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What was found, for the report and as JSON."""

    facts: ExplanationFacts
    part: documents.ExplanationPart


def explain(
    real: Dataset,
    synthetic: Dataset,
    *,
    features: tuple[Features, Features],
    extractor: str,
    rng: Stream,
    classes: Sequence[str] | None = None,
    scores: Sequence[Score] = (),
    training: Training | None = None,
    families: Families | None = None,
    synthetic_families: Families | None = None,
    settings: ExplainSettings | None = None,
) -> Explanation:
    """Findings on ``real`` (N) and ``synthetic`` (M) images by ``features`` (N, D) and (M, D) of the ``extractor``.

    ``classes`` are the names that both sets are compared by (default: those of either); images that carry none of them
    take no part class by class. ``families`` (N,) and ``synthetic_families`` (M,) say which images belong together;
    without the latter all images made from the same parents do. ``scores`` of all images are searched for diversity
    alarms. Raises ``ValueError`` if features do not fit the images.
    """
    chosen = settings or ExplainSettings()
    _check(features, (real, synthetic))
    names = tuple(dict.fromkeys((*real.classes, *synthetic.classes))) if classes is None else tuple(classes)
    made_of = _by_parents(synthetic) if synthetic_families is None else synthetic_families
    sides = (
        _examined(real, features[0], names, families, chosen.limit, rng.child("real")),
        _examined(synthetic, features[1], names, made_of, chosen.limit, rng.child("synthetic")),
    )
    found = Findings(
        extractor=extractor,
        classes=names,
        real=sides[0],
        synthetic=sides[1],
        alpha=chosen.alpha,
        uncovered=_one_sided("uncovered", sides[0], sides[1], chosen, rng),
        unsupported=_one_sided("unsupported", sides[1], sides[0], chosen, rng),
        odd=outliers(sides[0].features, features[1]),
        gaps=_gaps(*sides, chosen, rng),
        pairing=None if training is None else _pairs(training, features, extractor, chosen, rng),
        alarms=_alarms(scores),
    )
    facts = facts_of(found)
    return Explanation(facts, part_of(found, facts))


def explanation_of(
    run: Run, accepted: Dataset, features: RunFeatures | None, scores: Sequence[Score]
) -> Explanation | None:
    """The explanation of a run, written to its folder; None where it is not asked for or there are no features."""
    if features is None or not run.recipe.evaluate.explain:
        return None
    run.listener.stage("explanation")
    real = run.real
    found = explain(
        real.holdout,
        accepted,
        features=(features.holdout, features.accepted),
        classes=real.dataset.classes,
        extractor=features.extractor,
        scores=scores,
        training=_training_of(real.training, features),
        families=real.part_families("validation", "test"),
        rng=run.stream.child("explanation"),
    )
    document = documents.ExplanationDocument.model_validate(found.part.model_dump())
    write_json(run.folder / "evaluation" / "explanation.json", document.model_dump(mode="json", by_alias=True))
    return found


def _training_of(training: Dataset, features: RunFeatures) -> Training:
    """Training images by features that saw none of them: the run's own, or else those beside them."""
    if not features.saw_training:
        return Training(training, features.training)
    own = features.unseeing
    assert own is not None
    return Training(training, own.training, own.accepted, own.holdout, own.extractor)


def _check(features: tuple[Features, Features], datasets: tuple[Dataset, Dataset]) -> None:
    for array, dataset, name in zip(features, datasets, ("real", "synthetic"), strict=True):
        if array.ndim != 2 or len(array) != len(dataset):
            raise ValueError(f"expected {name} features ({len(dataset)}, D), one row an image; got {array.shape}")


def _examined(
    dataset: Dataset, features: Features, classes: Sequence[str], families: Families | None, limit: int, rng: Stream
) -> Examined:
    """The images of one set that take part: one of each family, and of those at most ``limit``."""
    rows = np.arange(len(dataset))
    if families is not None:
        rows = np.sort(one_of_each(families, rng.child("families").numpy().permutation(rows)))
    alone = len(rows)
    rows = _thinned(rows, limit, rng.child("thin"))
    numbers = {name: number for number, name in enumerate(classes)}
    table = np.array([*(numbers.get(name, -1) for name in dataset.classes), -1])
    array = features if len(rows) == len(features) else np.asarray(features[rows])
    ids = table[dataset.class_ids]
    return Examined(dataset, rows, array, ids[rows], alone, np.bincount(ids[ids >= 0], minlength=len(classes)))


def _thinned(rows: Rows, limit: int, rng: Stream) -> Rows:
    return rows if len(rows) <= limit else np.sort(rng.numpy().permutation(rows)[:limit])


def _by_parents(dataset: Dataset) -> Rows:
    """The family (N,) of every image: several that were made from the very same parents are not independent."""
    numbers: dict[tuple[object, ...], int] = {}
    keys = (tuple(sorted(parents or ())) for parents in dataset.table.column("parents").to_pylist())
    return np.array([numbers.setdefault(key or (row,), len(numbers)) for row, key in enumerate(keys)], dtype=np.int64)


def _one_sided(
    which: Literal["uncovered", "unsupported"], own: Examined, other: Examined, settings: ExplainSettings, rng: Stream
) -> tuple[Examined, OneSided]:
    """Regions of ``own``, which is thinned where it is many times larger; with the images that took part."""
    most = max(settings.lopsided * len(other.rows), 20)
    own = own.some(_thinned(np.arange(len(own.rows)), most, rng.child(which, "thin")))
    asked = RegionSettings(alpha=settings.alpha, limit=max(len(own.rows), len(other.rows), 20))
    stream, ids = rng.child(which), own.class_ids
    if which == "uncovered":
        return own, uncovered(own.features, other.features, rng=stream, settings=asked, class_ids=ids)
    return own, unsupported(other.features, own.features, rng=stream, settings=asked, class_ids=ids)


def _gaps(real: Examined, synthetic: Examined, settings: ExplainSettings, rng: Stream) -> Gaps | None:
    """Gaps of the classes with the most images; None where the images of a set have no classes."""
    ids = real.class_ids, synthetic.class_ids
    if min(side.max(initial=-1) for side in ids) < 0:
        return None
    shared = np.intersect1d(*ids)
    shared = shared[shared >= 0]
    smaller = np.array([min((side == number).sum() for side in ids) for number in shared])
    dropped = shared[np.argsort(-smaller, kind="stable")][settings.classes :]
    seen = [np.where(np.isin(side, dropped), -1, side) for side in ids]
    # Fewer images of each class where there are many classes, so that all of them take about as long as ten do.
    limit = int(np.clip(2000 // max(1, len(shared) - len(dropped)), 60, 200))
    asked = ClassGapSettings(alpha=settings.alpha, limit=limit)
    found = class_gaps(real.features, synthetic.features, *seen, rng=rng.child("classes"), settings=asked)
    return Gaps(found, len(dropped), asked.fewest)


def _alarms(scores: Sequence[Score]) -> tuple[str, ...]:
    """Not those of single classes: over many classes some are raised by chance, and the test of classes is exact."""
    return tuple(alarm.sentence for alarm in diversity_alarms(scores) if not alarm.class_name)


def _pairs(
    training: Training, features: tuple[Features, Features], extractor: str, settings: ExplainSettings, rng: Stream
) -> Pairing:
    """The closest pairs, sought among a sample of large sets."""
    made = features[1] if training.synthetic is None else training.synthetic
    held = features[0] if training.holdout is None else training.holdout
    bounds = {"synthetic": settings.synthetic_pairs, "training": settings.training_pairs, "unseen": settings.limit}
    mine, known, unseen = (
        _thinned(np.arange(len(array)), bounds[name], rng.child("pairs", name))
        for name, array in zip(bounds, (made, training.features, held), strict=True)
    )
    shown = closest_pairs(made[mine], training.features[known], held[unseen], pairs=PAIRS, per_training=1)
    return Pairing(training.dataset, shown, mine, known, len(unseen), training.extractor or extractor)
