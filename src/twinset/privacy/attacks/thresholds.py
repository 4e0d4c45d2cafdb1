"""Attacks by one number of the classifier's answer: loss, entropy, and the entropy that knows the class.

Yeom et al. 2018 (loss); Salem et al. 2019 (entropy); Song and Mittal 2021 (modified entropy: −(1 − p_y) log p_y −
Σ_{c≠y} p_c log(1 − p_c), which tells a sure right answer from a sure wrong one). They need no other model, and take
images that are easy for every model for members: beside LiRA they say how much a calibrated attacker gains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from twinset.choices import check_choices
from twinset.membership import Scores
from twinset.privacy.attacks.classifier import SeenClassifier, log_probabilities, of_class


@dataclass(frozen=True)
class Threshold:
    """``by``: which number; the mean over views is taken."""

    by: Literal["loss", "entropy", "modified_entropy"] = "loss"

    def __post_init__(self) -> None:
        check_choices(self)

    @property
    def name(self) -> str:
        """The number's name."""
        return self.by

    @property
    def needs_shadows(self) -> bool:
        """No."""
        return False

    def scores(self, seen: SeenClassifier) -> Scores:
        """Minus the loss or entropy, float64 (N,)."""
        logs = log_probabilities(seen.logits)
        own = of_class(logs, seen.class_ids)
        if self.by == "loss":
            return np.asarray(own.mean(axis=1))
        if self.by == "entropy":
            return np.asarray((np.exp(logs) * logs).sum(axis=-1).mean(axis=1))
        probabilities = np.exp(logs)
        # log(1 − p) from p alone is −inf where p rounds to 1; 1 − p is at least what float64 can tell.
        rest = np.log(np.maximum(-np.expm1(logs), 1e-300))
        terms = probabilities * rest
        sure = of_class(-np.expm1(logs), seen.class_ids) * own
        return np.asarray((sure + terms.sum(axis=-1) - of_class(terms, seen.class_ids)).mean(axis=1))


@dataclass(frozen=True)
class LabelOnly:
    """In how many views is the answer right? For classifiers that tell a class and no number (Choquette-Choo et al.
    2021). One view tells little more than whether the answer is right."""

    @property
    def name(self) -> str:
        """label_only."""
        return "label_only"

    @property
    def needs_shadows(self) -> bool:
        """No."""
        return False

    def scores(self, seen: SeenClassifier) -> Scores:
        """Share of the views that are classified rightly, float64 (N,)."""
        right = seen.logits.argmax(axis=-1) == seen.class_ids[:, None]
        return np.asarray(right.mean(axis=1), dtype=np.float64)
