"""The copy gate: a set goes out only if nothing speaks for copies.

Four questions, because each can be fooled alone:

* Is what would be released nearer to the training images than to real images that nobody trained on? That is the
  joint copy test (:func:`twinset.copytest.copy_test`).
* Is one of the released images a training image? One is enough, although no test of a set can see it. The same holds
  for held-out images: who releases them releases real images, and figures measured on them say nothing.
* Did the generator copy before its copies were filtered? Removing the copies that we can see does not make the rest
  safe, so the near-copy share of all candidates must not be materially above that of held-out images.
* Does an image still show the training image it was made from? A rotation hides a copy from the tests above, but
  editors, copy–paste and rendering over training pictures record the parents, and none of those must be the nearest
  training image materially more often than chance (:mod:`twinset.privacy.lineage`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import SAME_RATIO
from twinset.copytest import NOTHING, CopyPair, CopyTest, Known, copy_test
from twinset.embedding.embedder import require_unfitted
from twinset.images import PixelBatch
from twinset.privacy.lineage import Traced, trace_parents
from twinset.stages import Embedder

MATERIAL_SHARE = 0.05
"""Near copies among all candidates, above the share that held-out images explain, that make a copier; and images
made from training images that show their parent, above what chance explains."""

FEWEST_REAL = 2
"""Below this number of training or held-out images nothing can be compared."""


@dataclass(frozen=True)
class GateResult:
    """Whether the release may go out, why not, and the tests behind it.

    ``released`` is the test of the accepted images, ``made`` that of all candidates (None: not tested). ``space`` says
    how images were compared. ``pairs`` are the closest synthetic–training pairs of the accepted images. ``traced``
    tells how many of those with recorded parents show one (None: no such images).
    """

    passed: bool
    reasons: tuple[str, ...]
    released: CopyTest | None
    made: CopyTest | None
    space: str
    traced: Traced | None = None

    @staticmethod
    def skipped() -> GateResult:
        """The gate when the recipe turns it off."""
        return GateResult(True, (), None, None, "not tested")

    @property
    def tested(self) -> bool:
        """Whether anything was compared, or could have been."""
        return self.released is not None or bool(self.reasons)

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
    of_training: Known = NOTHING,
    of_holdout: Known = NOTHING,
    parents: Sequence[Sequence[int]] | None = None,
    alpha: float = 0.01,
) -> GateResult:
    """The gate on pictures, uint8 (·, H, W, C) of one size, compared under flips and small shifts.

    ``candidates`` are all images that were made, ``accepted`` those that would be released, ``parents`` the training
    rows that each of the accepted was made from, where that is known. Too few real images to compare with block a
    release: what cannot be tested is not passed.
    """
    space = "normalised pixels under flips and small shifts"
    if min(len(training), len(holdout)) < FEWEST_REAL:
        reason = f"copies cannot be tested with {len(training)} training and {len(holdout)} held-out images"
        return GateResult(not len(accepted), (reason,) if len(accepted) else (), None, None, space)

    def test(synthetic: PixelBatch) -> CopyTest | None:
        if not len(synthetic):
            return None
        return copy_test(
            synthetic,
            training,
            holdout,
            alpha=alpha,
            of_training=of_training,
            of_holdout=of_holdout,
        )

    released = test(accepted)
    made = released if np.array_equal(candidates, accepted) else test(candidates)
    traced = (
        trace_parents(accepted, training, holdout, parents=parents, training_classes=of_training.classes)
        if parents is not None
        else None
    )
    return _decide(released, made, traced, alpha=alpha, space=space)


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
    require_unfitted(embedder, ids)
    test = copy_test(accepted, training, holdout, alpha=alpha)
    return _decide(test, test, None, alpha=alpha, space=f"features of {embedder.name}")


def _decide(
    released: CopyTest | None,
    made: CopyTest | None,
    traced: Traced | None,
    *,
    alpha: float,
    space: str,
) -> GateResult:
    reasons = []
    if released is not None and released.flagged:
        reasons.append(released.finding)
    if released is not None:
        same = [pair.held_out_too for pair in released.pairs if pair.ratio < SAME_RATIO]
        if not all(same) or unnatural(len(same), released, alpha):
            reasons.append(f"{len(same)} of the images to be released are training images")
        reasons += held_out_images(released.same_as_holdout, released, alpha)
    if made is not None and _generator_copies(made, alpha):
        reasons.append(
            f"the generator copies: {made.training_share:.1%} of all images it made are near copies of training "
            f"images ({made.holdout_share:.1%} of held-out ones)"
        )
    if traced is not None and traced.excess > MATERIAL_SHARE and traced.p_value < alpha:
        reasons.append(
            f"{traced.found} of {traced.total} images that were made from a training image still show it "
            f"({traced.expected:.0f} by chance)"
        )
    return GateResult(not reasons, tuple(reasons), released, made, space, traced)


def held_out_images(same: int, test: CopyTest, alpha: float) -> list[str]:
    """The reason that so many released images are held-out ones, if repeats among real images do not explain it."""
    told = f"{same} of the images to be released are held-out real images: what was measured on those is void"
    return [told] if unnatural(same, test, alpha) else []


def unnatural(same: int, test: CopyTest, alpha: float) -> bool:
    """Whether so many released images are real ones that repeats among the real images do not explain it."""
    from scipy.stats import binom

    repeats = test.counts["repeats"]
    if not same or not repeats:
        return bool(same)
    natural = (repeats + 1) / (repeats + test.counts["holdout"] + 1)
    return bool(binom.sf(same - 1, test.counts["synthetic"], natural) < alpha)


def _generator_copies(made: CopyTest, alpha: float) -> bool:
    total = made.counts["synthetic"]
    near, near_holdout = round(made.training_share * total), round(made.holdout_share * total)
    return copier(near, near_holdout, total, made, alpha)


def copier(near: int, near_holdout: int, total: int, test: CopyTest, alpha: float) -> bool:
    """Whether near copies of training images are materially and significantly more than held-out images explain.

    ``near`` and ``near_holdout`` of ``total`` images are near copies of either; ``test`` counts those there are.
    """
    from scipy.stats import binom

    training, holdout = test.counts["training"], test.counts["holdout"]
    material = near - near_holdout * training / holdout > MATERIAL_SHARE * total
    chance = binom.sf(near - 1, near + near_holdout, training / (training + holdout))
    return bool(material and chance < alpha)
