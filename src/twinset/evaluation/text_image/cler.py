"""CLER (class-centred recognition): are real test images recognised by the class centres of synthetic images.

Li et al. 2023 ("Benchmarking and Analyzing Generative Data for Visual Recognition", arXiv 2307.13697) propose CLER as a
measure, without training, of what synthetic images are worth for recognition, on features of CLIP ViT-B/32. As in the
authors' code (Luodian/GenBench, ``evaluation_utils.py``): features of the synthetic images are scaled to length 1,
averaged by class, the averages scaled to length 1 again; a real test image belongs to the class whose centre has the
largest cosine with it; the figure is the accuracy on the test images. With ``class_texts`` the centres are the
renormalised sums of class centre and text feature of the class, the second variant of that code. (The definition was
taken from the code and the paper's abstract; which of the two variants its tables show, the code does not say.)

We differ in giving an interval over test images, in reporting plain accuracy (the code takes each data set's own
metric), in sharing the point where centres tie, and in standing the same number of the *real* training images beside
it: the difference of the two is paired image by image, and is the only part that says something of the synthetic set
rather than of the encoder. Uncertainty from the choice of training images is not in the intervals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.share_scores import share_scores
from twinset.evaluation.predictions.simultaneous import Estimates, checked_families
from twinset.evaluation.protocol import Families, Features, blocks
from twinset.evaluation.text_image.paired_features import unit_rows
from twinset.scores import Interval, Score

Array = NDArray[np.float64]
Labels = NDArray[np.integer]
ROUNDING = 1e-12


def cler(
    synthetic: Features,
    synthetic_labels: Labels,
    test: Features,
    test_labels: Labels,
    *,
    real: Features | None = None,
    real_labels: Labels | None = None,
    class_texts: Features | None = None,
    families: Families | None = None,
    extractor: str | None = None,
) -> list[Score]:
    """``cler`` and, with ``real`` training images, ``cler_real`` and ``cler_difference`` (synthetic − real).

    Features (M, D) of synthetic, (N, D) of real test and (K, D) of real training images by one extractor, with labels
    in 0…C−1; ``class_texts`` (C, D) are optional; ``families`` (N,) say which test images belong together. Higher is
    better; ``cler`` is in [0, 1], chance 1/C. 95 % intervals: Wilson's, under families at as many trials as they are
    worth, and mean ± t · error of the paired difference. A class without a synthetic image has no centre, and its test
    images are wrong (a warning counts them). Undefined without test or synthetic images. ``ValueError`` for features
    of other widths, NaN or rows of zeros, missing labels.

    >>> made, seen = np.array([[1.0, 0.1], [0.1, 1.0]]), np.array([[2.0, 1.0], [1.0, 3.0], [3.0, 1.0]])
    >>> cler(made, np.array([0, 1]), seen, np.array([0, 1, 1]))[0].value  # the third is nearer to centre 0
    0.6666666666666666
    """
    sets = {"synthetic": (synthetic, synthetic_labels), "test": (test, test_labels)}
    if (real is None) != (real_labels is None):
        raise ValueError("expected real training features with their labels; got one without the other")
    if real is not None and real_labels is not None:
        sets["real training"] = (real, real_labels)
    n_classes = _check(sets, class_texts)
    checked_families(families, len(test))
    settings: dict[str, str | int | float] = {"centres": "images" if class_texts is None else "images and texts"}
    counts = {"real": len(test), "synthetic": len(synthetic)}
    if not len(test) or not len(synthetic):
        why = f"it needs test and synthetic images; got {len(test)} and {len(synthetic)}"
        return [Score("cler", None, True, counts, undefined_because=why, extractor=extractor)]
    points = {
        name: centre_points(*sets[name], test, test_labels, n_classes=n_classes, class_texts=class_texts)
        for name in sets
        if name != "test" and len(sets[name][0])
    }
    scores = []
    for name, given in points.items():
        label = "cler" if name == "synthetic" else "cler_real"
        told = {"real": len(test), "synthetic" if name == "synthetic" else "real_training": len(sets[name][0])}
        estimates = Estimates.ratios(given[:, None], np.ones((len(test), 1)), families=families)
        missing = int((~np.isin(test_labels, sets[name][1])).sum())
        warnings = (f"{missing} test images are of classes without a {name} image: counted wrong",) if missing else ()
        scores += share_scores(estimates, [label], counts=[told], settings=settings, warnings=warnings)
    if "real training" in points:
        scores.append(_difference(points["synthetic"] - points["real training"], families, counts))
    return [replace(score, extractor=extractor) for score in scores]


def centre_points(
    features: Features,
    labels: Labels,
    test: Features,
    test_labels: Labels,
    *,
    n_classes: int,
    class_texts: Features | None = None,
) -> Array:
    """float64 (N,): 1 for a test image nearest to the centre of its class, 1/k where k centres tie, else 0."""
    there = np.bincount(labels, minlength=n_classes) > 0
    centres = class_centres(features, labels, n_classes=n_classes)
    if class_texts is not None:
        centres[there] = unit_rows(centres[there] + unit_rows(class_texts, "class text")[there], "centre")
    points = np.zeros(len(test))
    for part in blocks(len(test), 4096):
        cosine = unit_rows(test[part], "test") @ centres.T
        cosine[:, ~there] = -np.inf
        mine = cosine[np.arange(len(cosine)), test_labels[part]]
        nearest = cosine.max(axis=1)
        ties = (cosine >= nearest[:, None] - ROUNDING).sum(axis=1)
        points[part] = np.where(mine >= nearest - ROUNDING, 1.0 / ties, 0.0)
    return points


def class_centres(features: Features, labels: Labels, *, n_classes: int) -> Array:
    """float64 (C, D) of length 1: the mean of each class's features at length 1; zeros for a class without images."""
    sums = np.zeros((n_classes, features.shape[1]))
    for part in blocks(len(features), 4096):
        np.add.at(sums, labels[part], unit_rows(features[part], "training"))
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(np.divide(sums, length, out=np.zeros_like(sums), where=length > 0))


def _difference(values: Array, families: Families | None, counts: dict[str, int]) -> Score:
    behind = len(values) if families is None else len(np.unique(families))
    value = float(values.mean())
    moved = (values - value)[:, None] / len(values)
    estimates = Estimates.influenced(np.array([value]), moved, behind=np.array([behind]), families=families)
    # Half a discordant image of either kind (Agresti and Min 2005): "no image differs" is not known to the last digit.
    estimates = replace(estimates, slack=np.array([1.0 / len(values)]))
    found = estimates.mean_intervals()[0]
    interval = None if found is None else Interval(max(-1.0, found.low), min(1.0, found.high))
    settings: dict[str, str | int | float] = {
        "interval": "paired mean ± t · error",
        "standard_error": float(estimates.errors[0]),
    }
    return Score("cler_difference", value, True, counts, interval=interval, settings=settings)


def _check(sets: dict[str, tuple[Features, Labels]], class_texts: Features | None) -> int:
    """C; ``ValueError`` for shapes or labels that do not fit."""
    widths = {features.shape[1:] for features, _ in sets.values()}
    if len(widths) != 1 or any(len(shape) != 1 for shape in widths):
        raise ValueError(f"expected features (N, D) of one D; got rows of shape {sorted(widths)}")
    for name, (features, labels) in sets.items():
        if labels.shape != (len(features),) or labels.dtype.kind not in "iu" or (labels < 0).any():
            raise ValueError(
                f"expected labels 0…C−1 of the {len(features)} {name} images; got {labels.dtype} {labels.shape}"
            )
    most = max((int(labels.max()) + 1 for _, labels in sets.values() if len(labels)), default=0)
    if class_texts is None:
        return most
    if class_texts.shape[1:] != next(iter(widths)) or len(class_texts) < most:
        raise ValueError(f"expected a text feature (D,) for each of {most} classes; got {class_texts.shape}")
    return len(class_texts)
