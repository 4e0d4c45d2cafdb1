"""What an attacker on a released classifier sees: its answers for real images, and those of his own shadow models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.membership import Scores

Logits = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Shadows:
    """Classifiers trained as the attacked one was, each on a random half of the real images in question.

    ``logits`` (K, N, A, C) of K shadows; ``included`` bool (K, N): which images each was trained on.
    """

    logits: Logits
    included: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.logits.ndim != 4 or self.included.shape != self.logits.shape[:2]:
            raise ValueError(
                f"expected logits (K, N, A, C) and flags (K, N); got {self.logits.shape} and {self.included.shape}"
            )


@dataclass(frozen=True, eq=False)
class SeenClassifier:
    """Answers for N real images in A views each, of which the first is the image itself.

    ``logits`` (N, A, C), ``class_ids`` (N,) the true classes. ``population``: the same of Z other real images, which
    neither the classifier nor a shadow saw, with those of the shadows (K, Z, A, C), for attacks that weigh an image
    against others.
    """

    logits: Logits
    class_ids: NDArray[np.integer]
    shadows: Shadows | None = None
    population: tuple[Logits, NDArray[np.integer], Logits] | None = None

    def __post_init__(self) -> None:
        if self.logits.ndim != 3 or self.class_ids.shape != self.logits.shape[:1]:
            raise ValueError(
                f"expected logits (N, A, C) and classes (N,); got {self.logits.shape} and {self.class_ids.shape}"
            )
        if self.shadows is not None and self.shadows.logits.shape[1:] != self.logits.shape:
            raise ValueError(f"expected shadows of {self.logits.shape}; got {self.shadows.logits.shape[1:]}")

    def known(self, attack: str) -> Shadows:
        """The shadows; ``ValueError`` where there are none."""
        if self.shadows is None:
            raise ValueError(f"expected shadow models for {attack}; got none")
        return self.shadows


class ClassifierAttack(Protocol):
    """Scores real images by a classifier's answers: higher for those it takes for training images."""

    @property
    def name(self) -> str:
        """As in reports."""
        ...

    @property
    def needs_shadows(self) -> bool:
        """Whether shadow models are needed."""
        ...

    def scores(self, seen: SeenClassifier) -> Scores:
        """float64 (N,) of all images in question."""
        ...


def log_probabilities(logits: Logits) -> NDArray[np.float64]:
    """Log softmax over the last axis, float64."""
    wide = np.asarray(logits, dtype=np.float64)
    wide = wide - wide.max(axis=-1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True)))


def of_class(values: NDArray[np.float64], class_ids: NDArray[np.integer]) -> NDArray[np.float64]:
    """Entries of (…, N, A, C) or (N, A, C) at each image's class: (…, N, A)."""
    index = np.broadcast_to(class_ids[:, None, None], (*values.shape[:-1], 1))
    return np.asarray(np.take_along_axis(values, index, axis=-1)[..., 0])


def margins(logits: Logits, class_ids: NDArray[np.integer]) -> NDArray[np.float64]:
    """φ = log p_y − log Σ_{c≠y} p_c of (…, N, A, C): nearly normal over shadows (Carlini et al. 2022), (…, N, A).

    From logits, because 1 − p_y is 0 in floating point where a classifier is sure.

    >>> margins(np.array([[[2.0, 0.0, 0.0]]]), np.array([0])).round(4).tolist()  # 2 − log 2
    [[1.3069]]
    """
    wide = np.asarray(logits, dtype=np.float64)
    own = of_class(wide, class_ids)
    mine = np.arange(wide.shape[-1]) == class_ids[:, None, None]
    others = np.where(np.broadcast_to(mine, wide.shape), -np.inf, wide)
    largest = others.max(axis=-1, keepdims=True)
    rest = np.log(np.exp(others - largest).sum(axis=-1)) + largest[..., 0]
    return np.asarray(own - rest)
