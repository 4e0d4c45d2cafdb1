import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample


@pytest.fixture(scope="session")
def scans():
    """Real scanned digits: uint8 (1797, 8, 8, 1) in random order, and their classes."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    order = np.random.default_rng(0).permutation(len(loaded.target))
    return np.rint(loaded.images * (255 / 16)).astype(np.uint8)[order, :, :, None], loaded.target[order]


@pytest.fixture(scope="session")
def dataset_of():
    def make(images, labels, *, prefix, synthetic=False):
        origin = Origin("test", 0, "digest") if synthetic else Origin()
        samples = [
            Sample(f"{prefix}/{row:04d}", Annotation(class_id=int(label)), origin, image=pixels)
            for row, (pixels, label) in enumerate(zip(images, labels, strict=True))
        ]
        return Dataset.of(samples, classes=[str(c) for c in range(10)])

    return make


@pytest.fixture(scope="session")
def real(scans, dataset_of):
    """Three pools of one distribution: training (500), holdout (500), and what an ideal generator makes (500)."""
    images, labels = scans
    return (
        dataset_of(images[:500], labels[:500], prefix="train"),
        dataset_of(images[500:1000], labels[500:1000], prefix="test"),
        dataset_of(images[1000:1500], labels[1000:1500], prefix="made", synthetic=True),
    )
