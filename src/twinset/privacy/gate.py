"""The release gate: a set that holds copies of its training images is not let out, nor one whose maker copies.

Two questions, because either alone can be fooled:

* Is what would be released nearer to the training images than to real images that nobody trained on? That is the
  joint copy test (:func:`twinset.copying.copy_test`).
* Did the generator copy before its copies were filtered? Removing the copies that we can see does not make the rest
  safe, so the near-copy share of all candidates must not be materially above that of held-out images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import CopyPair, CopyTest, copy_test
from twinset.images import PixelBatch
from twinset.stages import Embedder

MATERIAL_SHARE = 0.05
"""Near copies among all candidates, above the share at which they also hit held-out images, that make a copier."""

FEWEST = 10
"""Below this number of images a test says nothing."""


@dataclass(frozen=True)
class GateResult:
    """Whether the release may go out, why not, and the tests behind it.

    ``released`` is the test of the accepted images, ``made`` that of all candidates (None: not tested). ``space`` says
    how images were compared. ``pairs`` are the closest synthetic–training pairs of the accepted images.
    """

    passed: bool
    reasons: tuple[str, ...]
    released: CopyTest | None
    made: CopyTest | None
    space: str

    @staticmethod
    def skipped() -> GateResult:
        """The gate when the recipe turns it off."""
        return GateResult(True, (), None, None, "not tested")

    @property
    def pairs(self) -> tuple[CopyPair, ...]:
        """Closest pairs of the released images, closest first."""
        return self.released.pairs if self.released is not None else ()

    @property
    def finding(self) -> str:
        """One sentence that claims no more than was tested."""
        if self.released is None:
            return "; ".join(self.reasons) or "copies were not tested"
        return "; ".join(self.reasons) or self.released.finding


def copy_gate(
    *,
    candidates: PixelBatch,
    accepted: PixelBatch,
    training: PixelBatch,
    holdout: PixelBatch,
    training_classes: NDArray[np.integer] | None = None,
    holdout_classes: NDArray[np.integer] | None = None,
    alpha: float = 0.01,
) -> GateResult:
    """The gate on pictures, uint8 (·, H, W, C) of one size, compared under flips and small shifts.

    ``candidates`` are all images that were made, ``accepted`` those that would be released.
    """
    space = "normalised pixels under flips and small shifts"

    def test(synthetic: PixelBatch) -> CopyTest | None:
        if len(synthetic) < FEWEST or min(len(training), len(holdout)) < FEWEST:
            return None
        return copy_test(
            synthetic,
            training,
            holdout,
            alpha=alpha,
            training_classes=training_classes,
            holdout_classes=holdout_classes,
        )

    released = test(accepted)
    made = released if len(candidates) == len(accepted) else test(candidates)
    return _decide(released, made, alpha=alpha, space=space)


def feature_gate(
    embedder: Embedder,
    *,
    accepted: NDArray[np.float32],
    training: NDArray[np.float32],
    holdout: NDArray[np.float32],
    ids: Iterable[str],
    alpha: float = 0.01,
) -> GateResult:
    """The gate in the features (·, D) of an embedder, which must have seen none of the images ``ids``.

    Raises ``ValueError`` if it was trained on any of them: training images lie elsewhere than unseen ones for it.
    """
    seen = embedder.fitted_on.intersection(ids)
    if seen:
        raise ValueError(
            f"expected an embedder that saw none of the compared images; got {embedder.name}, trained on {len(seen)}"
        )
    test = copy_test(accepted, training, holdout, alpha=alpha)
    return _decide(test, test, alpha=alpha, space=f"features of {embedder.name}")


def _decide(released: CopyTest | None, made: CopyTest | None, *, alpha: float, space: str) -> GateResult:
    reasons = []
    if released is not None and released.flagged:
        reasons.append(released.finding)
    if made is not None and _copier(made, alpha):
        reasons.append(
            f"the generator copies: {made.training_share:.1%} of all images it made are near copies of training "
            f"images ({made.holdout_share:.1%} of held-out ones)"
        )
    return GateResult(not reasons, tuple(reasons), released, made, space)


def _copier(made: CopyTest, alpha: float) -> bool:
    material = made.training_share - made.holdout_share > MATERIAL_SHARE
    return bool(material and made.p_values["distinct_hits"] < alpha)
