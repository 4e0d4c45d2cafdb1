"""The laws of ``coverage.py``: what is drawn, and the product's own functions that put an interval beside its score.

* Features, 32 dimensions: a Gaussian with a decaying spectrum, a heavy-tailed law (Student's t, 5 degrees of freedom),
  and an unequal mixture, each with the synthetic side shifted and shrunk ("apart") and with both sides equal; and a
  synthetic side that lacks a mode which one real image in twenty belongs to.
* Classifiers: softmax of noisy logits; easy, hard, of unequal classes, and for images in families of four.
* Detectors: objects in pictures, each found with some chance and put down with some noise, and false alarms, all with
  confidences; easy, hard, with a rare class, and with pictures that differ much in what they show and how hard it is.
* Studies: three trainings of one classifier or detector, which differ in skill and mostly err on the same images;
  intervals are those of an arm of the utility study, about the expectation over trainings and test sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from twinset.average_precision import Matches, match_detections
from twinset.downstream.intervals import Difference, interval_of_mean, judged_labels
from twinset.downstream.placed_scores import PlacedStudy
from twinset.evaluation import FrechetDistance, KernelDistance, frechet_distance, kernel_distance
from twinset.evaluation.predictions import Classified, accuracy, average_precision_scores
from twinset.instances import Instances
from twinset.randomness import Stream
from twinset.scores import Score

Array = NDArray[np.float64]
Draws = np.random.Generator
Sample = TypeVar("Sample")
DIMENSION = 32
FEATURE_SIZES = IMAGE_SIZES = (100, 1000)
DETECTION_SIZES = (50, 200)
SIDE = 320
SEEDS = 3


class Found(NamedTuple):
    """A figure and its interval, NaN where there is none."""

    value: float
    low: float
    high: float

    @staticmethod
    def of(found: Score | Difference) -> Found:
        if isinstance(found, Difference):
            return Found(found.value, found.low, found.high)
        if found.value is None or found.interval is None:
            return Found(float("nan"), float("nan"), float("nan"))
        return Found(found.value, found.interval.low, found.interval.high)


@dataclass(frozen=True)
class Case(Generic[Sample]):
    """One row of the table: what is drawn, the figure of a draw, and the figure with its interval."""

    score: str
    law: str
    n: int
    draw: Callable[[Draws], Sample]
    value: Callable[[Sample], float]
    interval: Callable[[Sample, Stream], Found]
    expectation: float | None = None
    """Where it is known without drawing."""


def gaussian(draws: Draws, n: int) -> Array:
    """Features with variances 1, ½, ⅓ …"""
    found: Array = draws.normal(size=(n, DIMENSION)) / np.sqrt(1.0 + np.arange(DIMENSION))
    return found


def heavy(draws: Draws, n: int) -> Array:
    """Student's t with 5 degrees of freedom, all coordinates of a row sharing their scale."""
    scale = np.sqrt(5.0 / draws.chisquare(5, size=(n, 1)))
    return gaussian(draws, n) * scale


def mixture(draws: Draws, n: int, *, share: float = 0.2) -> Array:
    """Four in five around one place, the ``share`` of the rest around another and narrower."""
    rare = draws.random((n, 1)) < share
    return np.where(rare, 0.5 * gaussian(draws, n) + 1.0, gaussian(draws, n))


def two_sets(draws: Draws, *, sample: Callable[[Draws, int], Array], n: int, apart: bool) -> tuple[Array, Array]:
    real, synthetic = sample(draws, n), sample(draws, n)
    return real, 0.8 * synthetic + 0.15 if apart else synthetic


def lost_mode(draws: Draws, *, n: int) -> tuple[Array, Array]:
    return mixture(draws, n, share=0.05), gaussian(draws, n)


def feature_cases(score: str) -> Iterator[Case[tuple[Array, Array]]]:
    """Cases of the Fréchet or the kernel distance."""
    frechet = score == "frechet"
    metric = FrechetDistance() if frechet else KernelDistance()

    def value(sets: tuple[Array, Array]) -> float:
        found = next(iter(metric.values(*sets).values()))
        return float("nan") if found is None else found

    def interval(sets: tuple[Array, Array], rng: Stream) -> Found:  # noqa: ARG001
        return Found.of(frechet_distance(*sets) if frechet else kernel_distance(*sets))

    for n in FEATURE_SIZES:
        for law, sample in {"gaussian": gaussian, "student t5": heavy, "mixture 4:1": mixture}.items():
            for apart in (True, False):
                known = 0.0 if score == "kid" and not apart else None
                draw = partial(two_sets, sample=sample, n=n, apart=apart)
                yield Case(score, f"{law}, {'apart' if apart else 'equal'}", n, draw, value, interval, known)
        yield Case(score, "lost mode 19:1", n, partial(lost_mode, n=n), value, interval)


@dataclass(frozen=True)
class ClassifierLaw:
    """``signal`` is what the logit of the true class has more than the others (noise: 1), less ``handicap`` (C,)."""

    prior: tuple[float, ...]
    signal: float
    handicap: tuple[float, ...] | None = None
    family: int = 1

    def draw(self, draws: Draws, *, n: int) -> Classified:
        """Images in families of equal class, half of whose noise they share."""
        labels, logits = self._logits(draws, n)
        logits += draws.normal(size=logits.shape) * (np.sqrt(0.5) if self.family > 1 else 1.0)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        families = np.arange(n) // self.family if self.family > 1 else None
        return Classified(odds / odds.sum(axis=1, keepdims=True), labels, families=families)

    def runs(self, draws: Draws, *, n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Labels (N,) and whether each training is right (R, N); their skills differ by .1, most noise is shared."""
        labels, logits = self._logits(draws, n)
        logits += np.sqrt(0.7) * draws.normal(size=logits.shape)
        right = []
        for _ in range(SEEDS):
            own = logits + np.sqrt(0.3) * draws.normal(size=logits.shape)
            own[np.arange(n), labels] += 0.1 * draws.normal()
            right.append(own.argmax(axis=1) == labels)
        return labels, np.stack(right)

    def _logits(self, draws: Draws, n: int) -> tuple[NDArray[np.int64], Array]:
        count = len(self.prior)
        labels = np.repeat(draws.choice(count, -(-n // self.family), p=self.prior), self.family)[:n]
        logits = np.tile(np.log(self.prior) / 2, (n, 1))
        if self.family > 1:
            shared = np.sqrt(0.5) * draws.normal(size=(-(-n // self.family), count))
            logits += np.repeat(shared, self.family, axis=0)[:n]
        signal = np.full(count, self.signal) - (0.0 if self.handicap is None else np.array(self.handicap))
        logits[np.arange(n), labels] += signal[labels]
        return labels, logits


CLASSIFIERS = {
    "easy": ClassifierLaw((0.2,) * 5, 4.0),
    "hard": ClassifierLaw((0.1,) * 10, 1.0),
    "unequal": ClassifierLaw((0.5, 0.3, 0.15, 0.05), 2.0, handicap=(0.0, 0.0, 0.5, 1.0)),
    "families of 4": ClassifierLaw((0.2,) * 5, 2.0, family=4),
}


def accuracy_cases() -> Iterator[Case[Classified]]:
    def value(said: Classified) -> float:
        return float((said.predicted == said.labels).mean())

    def interval(said: Classified, rng: Stream) -> Found:  # noqa: ARG001
        return Found.of(accuracy(said))

    for n in IMAGE_SIZES:
        for law, classifier in CLASSIFIERS.items():
            yield Case("accuracy", law, n, partial(classifier.draw, n=n), value, interval)


Runs = tuple[NDArray[np.int64], NDArray[np.bool_]]


def study_accuracy_cases() -> Iterator[Case[Runs]]:
    """Balanced accuracy of an arm of three trainings."""

    def value(drawn: Runs) -> float:
        labels, right = drawn
        return float(np.mean([right[:, labels == c].mean() for c in np.unique(labels)]))

    def interval(drawn: Runs, rng: Stream) -> Found:
        labels, right = drawn
        judged = judged_labels(right, labels=labels, families=np.arange(len(labels)))
        return Found.of(interval_of_mean(judged, subsets=1, seeds=SEEDS, rng=rng))

    for n in IMAGE_SIZES:
        for law in ("easy", "hard", "unequal"):
            yield Case("study-accuracy", law, n, partial(CLASSIFIERS[law].runs, n=n), value, interval)


@dataclass(frozen=True)
class DetectorLaw:
    """Pictures with Poisson ``objects`` of classes ``prior``, and a detector.

    ``found`` is an object's chance; corners are off by ``blur`` of its size; ``alarms`` are false alarms a picture;
    confidences are logistic, of hits higher by ``gap``. By ``uneven`` (a standard deviation) pictures differ in the
    logarithm of how many objects and false alarms they show and in the logit of ``found``.
    """

    prior: tuple[float, ...]
    found: float
    blur: float
    alarms: float
    gap: float
    objects: float = 3.0
    uneven: float = 0.0

    def draw(self, draws: Draws, *, n: int) -> Matches:
        """Matches of one detector."""
        truth, said = self.pictures(draws, n, runs=1)
        return match_detections(truth, said[0], n_classes=len(self.prior))

    def pictures(self, draws: Draws, n: int, *, runs: int) -> tuple[list[Instances], list[list[Instances]]]:
        """True objects, and what each of ``runs`` detectors found, whose skills differ by .1."""
        ease = self.uneven * draws.normal(size=n)
        crowded = np.exp(self.uneven * draws.normal(size=n) - self.uneven**2 / 2)
        image, ids, boxes = self._boxes(draws, self.objects * crowded)
        shared = np.sqrt(0.5) * draws.logistic(size=len(ids))
        said = []
        for _ in range(runs):
            skill = np.log(self.found / (1 - self.found)) + (0.1 * draws.normal() if runs > 1 else 0.0)
            own = shared + np.sqrt(0.5) * draws.logistic(size=len(ids))
            seen = own < skill + ease[image]
            sure = self.gap + draws.logistic(size=int(seen.sum())) + ease[image[seen]] / 2
            size = np.tile(boxes[seen, 2:] - boxes[seen, :2], 2)
            off = _inside(boxes[seen] + self.blur * size * draws.normal(size=size.shape))
            where, what, alarm = self._boxes(draws, self.alarms * crowded)
            logits = np.concatenate([sure, draws.logistic(size=len(what))])
            said.append(
                _by_picture(
                    n,
                    np.concatenate([image[seen], where]),
                    np.concatenate([ids[seen], what]),
                    np.concatenate([off, alarm]),
                    1 / (1 + np.exp(-logits / 2)),
                )
            )
        return _by_picture(n, image, ids, boxes), said

    def _boxes(self, draws: Draws, rates: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Picture, class and box of Poisson-many, ``rates`` (N,) a picture."""
        image = np.repeat(np.arange(len(rates)), draws.poisson(rates))
        ids = draws.choice(len(self.prior), len(image), p=self.prior)
        size = np.minimum(np.exp(draws.normal(3.7, 0.5, size=(len(image), 2))), SIDE / 2)
        low = draws.random((len(image), 2)) * (SIDE - size)
        return image, ids, _inside(np.concatenate([low, low + size], axis=1))


def _inside(boxes: Array) -> Array:
    """Corners cut to the picture, at least two pixels apart."""
    low = np.clip(boxes[:, :2], 0, SIDE - 2)
    return np.concatenate([low, np.clip(boxes[:, 2:], low + 2, SIDE)], axis=1)


def _by_picture(
    n: int, image: NDArray[np.int64], ids: NDArray[np.int64], boxes: Array, confidences: Array | None = None
) -> list[Instances]:
    order = np.argsort(image, kind="stable")
    ends = np.searchsorted(image[order], np.arange(1, n))
    parts = [np.split(each[order], ends) for each in (ids, boxes.astype(np.float32))]
    if confidences is None:
        return [Instances((SIDE, SIDE), *each) for each in zip(*parts, strict=True)]
    parts.append(np.split(confidences[order].astype(np.float32), ends))
    return [Instances((SIDE, SIDE), a, b, confidences=c) for a, b, c in zip(*parts, strict=True)]


DETECTORS = {
    "easy": DetectorLaw((1 / 3,) * 3, found=0.95, blur=0.03, alarms=0.3, gap=4.0),
    "hard": DetectorLaw((1 / 3,) * 3, found=0.5, blur=0.1, alarms=3.0, gap=1.0),
    "rare class": DetectorLaw((0.6, 0.37, 0.03), found=0.8, blur=0.06, alarms=1.0, gap=2.0),
    "uneven pictures": DetectorLaw((0.5, 0.3, 0.2), found=0.7, blur=0.06, alarms=1.0, gap=2.0, uneven=1.0),
}


def ap_cases() -> Iterator[Case[Matches]]:
    """COCO's AP over ten overlaps, as ``average_precision_scores`` gives it."""

    def value(matches: Matches) -> float:
        return float(matches.resampled(np.ones((1, matches.n_images), dtype=np.int64))[0])

    def interval(matches: Matches, rng: Stream) -> Found:
        return Found.of(average_precision_scores(matches, rng=rng)[0])

    for n in DETECTION_SIZES:
        for law, detector in DETECTORS.items():
            yield Case("ap", law, n, partial(detector.draw, n=n), value, interval)


Pictures = tuple[list[Instances], list[list[Instances]]]


def study_ap_cases() -> Iterator[Case[Pictures]]:
    """mAP@50 of an arm of three trainings, through the study's own class."""

    def study(drawn: Pictures, n_classes: int) -> tuple[PlacedStudy, list[Any]]:
        truth, said = drawn
        data: Any = SimpleNamespace(
            kind="objects", n_classes=n_classes, test_families=np.arange(len(truth)), instances=lambda _: truth
        )
        made = PlacedStudy(data, Path())
        made._matched.update((str(number), made._match(truth, found)) for number, found in enumerate(said))
        return made, [SimpleNamespace(found=str(number)) for number in range(len(said))]

    def value(drawn: Pictures, *, n_classes: int) -> float:
        made, runs = study(drawn, n_classes)
        return float(made.judged(runs).scores(np.ones((1, len(drawn[0])))).mean())

    def interval(drawn: Pictures, rng: Stream, *, n_classes: int) -> Found:
        made, runs = study(drawn, n_classes)
        return Found.of(interval_of_mean(made.judged(runs), subsets=1, seeds=SEEDS, rng=rng))

    for n in DETECTION_SIZES:
        for law in ("easy", "hard", "rare class"):
            detector, n_classes = DETECTORS[law], len(DETECTORS[law].prior)
            draw = partial(detector.pictures, n=n, runs=SEEDS)
            told = partial(value, n_classes=n_classes), partial(interval, n_classes=n_classes)
            yield Case("study-ap", law, n, draw, *told)


CASES: dict[str, Callable[[], Iterator[Case[Any]]]] = {
    "accuracy": accuracy_cases,
    "frechet": lambda: feature_cases("frechet"),
    "kid": lambda: feature_cases("kid"),
    "study-accuracy": study_accuracy_cases,
    "ap": ap_cases,
    "study-ap": study_ap_cases,
}
