"""Small scenes of two classes, discs and bars, on a noisy ground, with masks, with boxes, or as semantic maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.semantic import SemanticMap
from twinset.stages import Slot

CLASSES = ("disc", "bar")
Scene = tuple[np.ndarray, list[tuple[int, np.ndarray]]]


def scene(seed: int, size: tuple[int, int] = (96, 128)) -> Scene:
    """Pixels and (class, mask) of a picture with two to six objects apart from each other; discs are small and high."""
    draws = np.random.Generator(np.random.PCG64(seed))
    height, width = size
    pixels = np.clip(draws.normal((60, 110, 60), 4, size=(height, width, 3)), 0, 255).astype(np.uint8)
    rows, columns = np.mgrid[:height, :width]
    objects: list[tuple[int, np.ndarray]] = []
    free = np.ones(size, dtype=bool)
    for _ in range(int(draws.integers(2, 7))):
        class_id = int(draws.random() < 0.3)
        x = draws.uniform(0, width)
        if class_id == 0:
            y, radius = draws.uniform(8, height * 0.6), draws.uniform(5, 9)
            mask = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
        else:
            y, half = draws.uniform(height * 0.6, height - 4), draws.uniform(12, 20)
            mask = (np.abs(columns + 0.5 - x) < half) & (np.abs(rows + 0.5 - y) < half / 3)
        if mask.sum() > 20 and free[mask].all():
            free &= ~mask
            colour = (210, 40, 50) if class_id == 0 else (40, 50, 220)
            pixels[mask] = np.clip(draws.normal(colour, 6, size=(int(mask.sum()), 3)), 1, 255)
            objects.append((class_id, mask))
    return pixels, objects


def tight(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def build(count: int, kind: str) -> Dataset:
    samples = []
    for index in range(count):
        pixels, objects = scene(index)
        size = pixels.shape[:2]
        if kind == "semantic":
            ids = np.full(size, 2)
            for class_id, mask in objects:
                ids[mask] = class_id
            ids[:3] = -1
            annotation = Annotation(semantic=SemanticMap.of(ids))
        elif objects:
            class_ids, boxes = np.array([c for c, _ in objects]), np.array([tight(m) for _, m in objects])
            masks = tuple(Rle.of(m) for _, m in objects) if kind == "masks" else None
            annotation = Annotation(instances=Instances(size, class_ids, boxes, masks))
        else:
            annotation = Annotation(instances=Instances.none(size))
        samples.append(Sample(f"real-{index}", annotation, image=pixels))
    return Dataset.of(samples, classes=(*CLASSES, "ground") if kind == "semantic" else CLASSES)


@pytest.fixture(scope="session")
def masked() -> Dataset:
    return build(24, "masks")


@pytest.fixture(scope="session")
def boxed() -> Dataset:
    return build(24, "boxes")


@pytest.fixture(scope="session")
def mapped() -> Dataset:
    return build(12, "semantic")


@pytest.fixture(scope="session")
def truth() -> Callable[[int], Scene]:
    return scene


@pytest.fixture(scope="session")
def slots() -> Callable[..., list[Slot]]:
    def make(count: int, *, first: int = 0, digest: str = "recipe") -> list[Slot]:
        return [Slot(index, 0, 7000 + index, 0, digest) for index in range(first, first + count)]

    return make
