from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import REAL, Dataset, Origin, Sample
from twinset.images import encode_png

NAMES = (
    "cat",
    "<script>alert(1)</script>",
    "a/b",
    "Cat",
    "..",
    "小猫",
    "CON",
    "x" * 200,
    "_unlabelled",
    'q"u,o',
    "%41",
)


@pytest.fixture
def picture() -> Callable[[int], bytes]:
    """A PNG of noise, by seed."""

    def make(seed: int) -> bytes:
        return encode_png(np.random.default_rng(seed).integers(0, 256, (8, 8, 1), dtype=np.uint8))

    return make


@pytest.fixture
def put(picture: Callable[[int], bytes]) -> Callable[..., Path]:
    """Writes a file (a picture of this seed, or these bytes) and its folders."""

    def write(path: Path, content: int | bytes = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(content) if isinstance(content, int) else content)
        return path

    return write


@pytest.fixture
def awkward() -> Dataset:
    """Hostile class names, unlabelled and soft-labelled samples, typed attributes, captions, real and synthetic."""
    samples = []
    for row in range(36):
        annotation: Annotation | None = Annotation(
            class_id=row % len(NAMES),
            attributes={"patient": f"p{row % 5}", "age": row, "left": True} if row % 2 else {},
            caption='a\u2028b, "q"' if row % 3 == 0 else None,
        )
        if row % 7 == 6:
            annotation = None
        if row == 1:
            annotation = Annotation(class_probabilities=(0.25, 0.75) + (0.0,) * (len(NAMES) - 2))
        origin = Origin("diffusion", row * 10**15, "abc", ("p1", "p2"), "CC BY 4.0") if row % 4 == 0 else REAL
        pixels = np.random.default_rng(row).integers(0, 256, (9, 8, 1 if row % 2 else 3), dtype=np.uint8)
        samples.append(Sample(f"{row % 3}/S{row:02d}.png" if row % 5 else f"s{row}", annotation, origin, image=pixels))
    return Dataset.of(samples, classes=NAMES)
