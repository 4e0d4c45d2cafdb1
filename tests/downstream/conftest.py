from __future__ import annotations

import numpy as np
import pytest

from twinset.downstream import UtilityData
from twinset.randomness import Stream


def lights(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two easy classes, 6 × 6 grey: bright above, bright below."""
    labels = np.arange(n) % 2
    images = Stream(seed).numpy().integers(100, size=(n, 6, 6, 1)).astype(np.uint8)
    images[labels == 0, :3] += 60
    images[labels == 1, 3:] += 60
    return images, labels


@pytest.fixture
def lights_data() -> UtilityData:
    parts = [lights(n, seed) for seed, n in enumerate((20, 20, 40, 30))]
    return UtilityData(2, *parts[0], *parts[1], *parts[2], np.arange(40), *parts[3])
