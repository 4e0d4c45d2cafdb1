"""A label must not be contradicted by classifiers that were trained on the real images.

The threshold is what real held-out images of a class themselves reach: an image goes when the ensemble gives its
label less than almost all correctly labelled real images get, and prefers another class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Task
from twinset.images import ImageSpec, PixelBatch
from twinset.models.classical import augmentation
from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
from twinset.randomness import Stream
from twinset.stages import Judgement

BATCH = 64


@dataclass(frozen=True)
class Agreement:
    """``members``: classifiers in the ensemble. ``quantile``: share of held-out real images that may fall below.

    ``steps`` and ``width`` set their training (medium classical augmentation, classes drawn equally often).
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    members: int = 3
    quantile: float = 0.02
    steps: int = 250
    width: int = 16

    def __post_init__(self) -> None:
        if self.members < 1 or not 0 <= self.quantile < 0.5:
            raise ValueError(f"expected members ≥ 1 and 0 ≤ quantile < 0.5; got {self}")
        ClassifierSettings(width=self.width, steps=self.steps)

    def fit(
        self,
        pilot: Dataset,  # noqa: ARG002
        *,
        training: Dataset,
        holdout: Dataset,
        spec: ImageSpec,
        rng: Stream,
    ) -> AgreementFilter:
        """Trains the ensemble on the training images; its threshold comes from the held-out ones."""
        if not (holdout.class_ids >= 0).any() or (training.class_ids < 0).any():
            raise ValueError("expected labelled training and held-out images; got unlabelled ones; label them first")
        settings = ClassifierSettings(
            width=self.width, steps=self.steps, class_balanced=True, augmentation=augmentation("medium")
        )
        images, labels = training.prepared(spec), training.class_ids
        members = tuple(
            fit_classifier(
                images, labels, n_classes=len(training.classes), settings=settings, rng=rng.child("member", number)
            )
            for number in range(self.members)
        )
        known = holdout.where(holdout.class_ids >= 0)
        own = _of_label(ensemble_probabilities(members, known.prepared(spec)), known.class_ids)
        return AgreementFilter(members, float(np.quantile(own, self.quantile)), tuple(training.classes), spec)


@dataclass(frozen=True, eq=False)
class AgreementFilter:
    """A trained ensemble and the least probability that a label must get."""

    members: tuple[Classifier, ...]
    threshold: float
    classes: tuple[str, ...]
    spec: ImageSpec

    def judge(self, synthetic: Dataset) -> Judgement:
        """Score ``agreement``: the ensemble's mean probability of the sample's own class, 0…1."""
        if not len(synthetic):
            return Judgement({"agreement": np.empty(0)}, ())
        probabilities = ensemble_probabilities(self.members, synthetic.prepared(self.spec))
        labels = synthetic.class_ids
        own = _of_label(probabilities, labels)
        best = probabilities.argmax(axis=1)
        names = self.classes
        reasons = tuple(
            f"the real-trained ensemble says {names[top]} ({row[top]:.0%}), not {names[label]} ({mine:.0%})"
            if label >= 0 and top != label and mine < self.threshold
            else None
            for row, top, label, mine in zip(probabilities, best, labels, own, strict=True)
        )
        return Judgement({"agreement": own}, reasons)


def ensemble_probabilities(members: tuple[Classifier, ...], images: PixelBatch) -> NDArray[np.float64]:
    """Mean softmax (N, K), computed in batches of one shape so that an image's row depends on it alone."""
    parts = []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        mean = np.mean([_softmax(member.logits(filled)) for member in members], axis=0)
        parts.append(mean[: len(part)])
    return np.concatenate(parts)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(wide / wide.sum(axis=1, keepdims=True))


def _of_label(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) probability of the own label; of the likeliest class where there is none."""
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(np.where(labels >= 0, own, probabilities.max(axis=1)))
