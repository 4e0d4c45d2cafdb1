"""What people ask of a fitted generator in Python: so many images, or one of each class named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinset.dataset import Dataset
from twinset.randomness import RandomSource, Stream
from twinset.stages import Generator, Slot


def sample_dataset(
    generator: Generator,
    wanted: int | Sequence[int],
    *,
    classes: Sequence[str],
    shares: Sequence[float] | None,
    rng: RandomSource,
) -> Dataset:
    """A dataset of ``wanted`` images with classes in these proportions (None: even), or of one image per class id.

    ``ValueError`` for less than one image, and for class ids that are none.
    """
    if isinstance(wanted, int) and wanted < 1:
        raise ValueError(f"expected at least one image; got {wanted}")
    stream = Stream.of(rng)
    class_ids = _drawn(wanted, len(classes), shares, stream) if isinstance(wanted, int) else list(wanted)
    check_class_ids(class_ids, classes)
    slots = [
        Slot(index, 0, stream.child("slot", index).seed, class_id, "interactive")
        for index, class_id in enumerate(class_ids)
    ]
    return Dataset.of(generator.generate(slots), classes=tuple(classes), name="synthetic")


def check_class_ids(class_ids: Sequence[int], classes: Sequence[str]) -> None:
    """``ValueError`` for class ids that are none of these classes'."""
    beyond = [c for c in class_ids if not 0 <= c < len(classes)]
    if beyond:
        raise ValueError(f"expected class ids in 0…{len(classes) - 1}; got {beyond[0]}")


def class_shares(training: Dataset) -> tuple[float, ...]:
    """The proportions (C,) of the classes among labelled images."""
    counts = np.bincount(training.class_ids, minlength=len(training.classes))
    return tuple((counts / counts.sum()).tolist())


def _drawn(count: int, classes: int, shares: Sequence[float] | None, stream: Stream) -> list[int]:
    even = shares or tuple(1 / classes for _ in range(classes))
    return [int(c) for c in stream.child("classes").numpy().choice(classes, size=count, p=even)]
