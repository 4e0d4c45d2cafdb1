"""What the copy gate finds that recorded parents do not explain.

Copy–paste, editors and rendering over training pictures keep real pixels on purpose and record whose they are. Such an
image may show its parents; that it shows another training image, or is a held-out one, no parent explains. Images that
record none are judged by themselves, so that the copies of one generator are not lost among the pasted pictures of
another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.copying import SAME_RATIO
from twinset.copytest import CopyPair, CopyTest
from twinset.images import PixelBatch
from twinset.privacy.gate import GateResult, copier, held_out_images, unnatural

Parents = Sequence[Sequence[int]]
"""For every image the training rows that it records as its parents."""


@dataclass(frozen=True)
class Made:
    """Pictures, uint8 (N, H, W, C), and their parents."""

    pictures: PixelBatch
    parents: Parents

    def unrecorded(self) -> NDArray[np.int64]:
        """The rows of those without a recorded parent."""
        return np.flatnonzero([not own for own in self.parents])


def unexplained(
    whole: GateResult,
    *,
    candidates: Made,
    accepted: Made,
    families: NDArray[np.integer],
    judge: Callable[[PixelBatch, PixelBatch], GateResult],
    alpha: float,
) -> GateResult:
    """The findings that recorded parents do not explain, with the pairs of ``whole`` that show them first.

    ``whole`` is the gate on all images, ``judge`` the same gate on candidates and accepted images that it is given;
    ``families`` (N,) are those of the training images, a parent's relatives being as good as itself. Candidates without
    parents count only where such images are released.
    """
    if not any(candidates.parents):
        return whole
    reasons, pairs = _shown_by_children(whole.released, accepted.parents, families, alpha=alpha)
    rows = accepted.unrecorded()
    if len(rows):
        rest = judge(candidates.pictures[candidates.unrecorded()], accepted.pictures[rows])
        reasons += [f"of images without a recorded parent: {reason}" for reason in rest.reasons]
        pairs += [replace(pair, synthetic=int(rows[pair.synthetic])) for pair in rest.pairs]
    return replace(whole, passed=not reasons, reasons=tuple(reasons), released=_first(whole.released, pairs))


def _shown_by_children(
    released: CopyTest | None, parents: Parents, families: NDArray[np.integer], *, alpha: float
) -> tuple[list[str], list[CopyPair]]:
    """What images with parents show of other training images, and of held-out ones."""
    if released is None:
        return [], []
    children = {row: {int(families[parent]) for parent in own} for row, own in enumerate(parents) if own}
    shown = [
        pair
        for pair in released.pairs
        if pair.synthetic in children and int(families[pair.training]) not in children[pair.synthetic]
    ]
    near = {row: ratio for row, ratio in released.held_out.items() if row in children}
    same = [pair for pair in shown if pair.ratio < SAME_RATIO]
    reasons = []
    if not all(pair.held_out_too for pair in same) or unnatural(len(same), released, alpha):
        reasons.append(f"{len(same)} of the images to be released are training images that they do not record")
    reasons += held_out_images(sum(ratio < SAME_RATIO for ratio in near.values()), released, alpha)
    if copier(len(shown), len(near), len(children), released, alpha):
        reasons.append(f"{len(shown)} of {len(children)} images show a training image that they do not record")
    return reasons, shown


def _first(released: CopyTest | None, pairs: Sequence[CopyPair]) -> CopyTest | None:
    """The test with the pairs of these images before the others."""
    if released is None:
        return None
    chosen = {pair.synthetic for pair in pairs}
    return replace(released, pairs=tuple(sorted(released.pairs, key=lambda pair: pair.synthetic not in chosen)))
