"""What is seen of the compared pictures: one pass over each set, for every metric that will be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.embedding.extraction import extract
from twinset.families import FINGERPRINT_BYTES, fingerprint
from twinset.images import ImageSpec, PixelBatch, Pixels
from twinset.stages import Embedder, Progress


@dataclass(frozen=True, eq=False)
class Seen:
    """A set of N pictures: features (N, D) by extractor name, uint8 (N, H, W, C), and what copies are found by."""

    dataset: Dataset
    features: dict[str, NDArray[np.float32]]
    pixels: PixelBatch
    fingerprints: NDArray[np.uint8]
    digest: str

    def where(self, kept: NDArray[np.bool_]) -> Seen:
        """The pictures of these rows only."""
        if kept.all():
            return self
        return replace(
            self,
            dataset=self.dataset.where(kept),
            features={name: rows[kept] for name, rows in self.features.items()},
            pixels=self.pixels[kept],
            fingerprints=self.fingerprints[kept],
        )


@dataclass
class _Fingerprints:
    """Consumer of a pass: fingerprints (N, B)."""

    parts: list[NDArray[np.uint8]] = field(default_factory=list)

    def prepare(self, picture: Pixels) -> NDArray[np.uint8]:
        return fingerprint(picture)

    def take(self, prepared: Sequence[NDArray[np.generic]]) -> None:
        self.parts.append(np.stack([part.astype(np.uint8, copy=False) for part in prepared]))

    @property
    def rows(self) -> NDArray[np.uint8]:
        return np.concatenate(self.parts) if self.parts else np.empty((0, FINGERPRINT_BYTES), dtype=np.uint8)


def look(
    dataset: Dataset,
    embedders: Sequence[Embedder],
    *,
    spec: ImageSpec,
    scratch: Path,
    cache: Path | None,
    progress: Progress,
    name: str,
) -> Seen:
    """One pass over a dataset; extractors with a side of their own get pictures of that size, the others ``spec``."""
    fingerprints = _Fingerprints()
    found = extract(
        dataset,
        [(embedder, spec_for(embedder, spec)) for embedder in embedders],
        pixels=spec,
        scratch=scratch,
        cache=cache,
        consumers=(fingerprints,),
        progress=lambda done, total: progress(done, total, name),
    )
    assert found.pixels is not None
    return Seen(dataset, found.features, found.pixels, fingerprints.rows, found.digest)


def spec_for(embedder: Embedder, spec: ImageSpec) -> ImageSpec:
    """The size at which this extractor gets its pictures: its own side, squared and in colour, or ``spec``."""
    side = getattr(embedder, "side", None)
    return ImageSpec(side, side, 3) if isinstance(side, int) else spec
