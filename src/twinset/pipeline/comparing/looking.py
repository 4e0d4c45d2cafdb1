"""What is seen of the compared pictures: one pass over each set, for every metric that will be asked."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.embedding.extraction import extract, kept_rows, pictures_digest
from twinset.embedding.feature_cache import FeatureCache, features_limit
from twinset.embedding.protocol import spec_for
from twinset.families import FINGERPRINT_BYTES, fingerprint
from twinset.images import ImageSpec, PixelBatch, Pixels
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import cache_folder
from twinset.stages import Embedder, Progress

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Seen:
    """A set of N pictures: features (N, D) by extractor name; where asked for, uint8 (N, H, W, C) and fingerprints."""

    dataset: Dataset
    features: dict[str, NDArray[np.float32]]
    digest: str
    scratch: Path
    pixels: PixelBatch | None = None
    fingerprints: NDArray[np.uint8] | None = None

    def where(self, kept: NDArray[np.bool_]) -> Seen:
        """The pictures of these rows only; what is memory-mapped stays so, copied in blocks to files of ``scratch``."""
        if kept.all():
            return self
        dataset = self.dataset.where(kept)

        def rows_of(array: NDArray[T]) -> NDArray[T]:
            return kept_rows(array, kept, self.scratch / f"{secrets.token_hex(16)}.npy")

        return replace(
            self,
            dataset=dataset,
            features={name: rows_of(rows) for name, rows in self.features.items()},
            digest=pictures_digest(dataset),
            pixels=None if self.pixels is None else rows_of(self.pixels),
            fingerprints=None if self.fingerprints is None else self.fingerprints[kept],
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
    cache: FeatureCache | None,
    progress: Progress,
    name: str,
    pixels: bool = True,
    copies: bool = True,
) -> Seen:
    """One pass over a dataset; extractors with a side of their own get pictures of that size, the others ``spec``.

    ``pixels`` and ``copies`` say whether pixels and fingerprints are wanted; without, what is cached is not decoded.
    """
    fingerprints = _Fingerprints()
    found = extract(
        dataset,
        [(embedder, spec_for(embedder, spec)) for embedder in embedders],
        pixels=spec if pixels else None,
        scratch=scratch,
        cache=cache,
        consumers=(fingerprints,) if copies else (),
        progress=lambda done, total: progress(done, total, name),
    )
    return Seen(dataset, found.features, found.digest, scratch, found.pixels, fingerprints.rows if copies else None)


def features_cache(listener: Listener) -> FeatureCache | None:
    """Where features are kept; None, with a note, where that folder cannot be written to.

    :class:`~twinset.errors.UsageError` where the limit of the user is no number.
    """
    limit = features_limit()
    try:
        folder = cache_folder() / "features"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return FeatureCache(folder, limit)
    except (OSError, RuntimeError) as error:
        listener.note(f"features are not kept for the next time: {error}")
        return None
