"""Pictures with shapes whose boxes are known by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances
from twinset.randomness import Stream

Shapes = Callable[..., Dataset]

COLOURS = ((230, 120, 60), (90, 120, 230))


def _shapes(n: int, *, seed: int = 0, size: tuple[int, int] = (64, 64), channels: int = 3) -> Dataset:
    """Red discs (class 0) and blue squares (class 1) on dark noise, one to three a picture, none in every tenth."""
    generator = Stream(seed).child("shapes").numpy()
    y, x = np.mgrid[: size[0], : size[1]]
    samples = []
    for row in range(n):
        image = generator.integers(60, size=(*size, channels)).astype(np.uint8)
        boxes, class_ids = [], []
        for _ in range(0 if row % 10 == 9 else generator.integers(1, 4)):
            side = int(generator.integers(14, 24))
            top, left = generator.integers(0, np.array(size) - side)
            if any(left < x2 and x1 < left + side and top < y2 and y1 < top + side for x1, y1, x2, y2 in boxes):
                continue
            class_ids.append(int(generator.integers(2)))
            away = np.hypot(y + 0.5 - top - side / 2, x + 0.5 - left - side / 2)
            square = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
            image[away < side / 2 if class_ids[-1] == 0 else square] = COLOURS[class_ids[-1]][:channels]
            boxes.append([left, top, left + side, top + side])
        instances = Instances(size, np.array(class_ids, np.int64), np.array(boxes, np.float32).reshape(-1, 4))
        samples.append(Sample(f"{seed}-{row}", Annotation(instances=instances), image=image))
    return Dataset.of(samples, classes=["disc", "square"])


@pytest.fixture(scope="session")
def shapes() -> Shapes:
    return _shapes
