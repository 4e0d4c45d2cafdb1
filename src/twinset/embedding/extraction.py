"""One pass over the pictures of a dataset that feeds everything that reads pixels.

Decoding costs more than most figures do. So each picture is decoded once, in threads, and handed to every
*consumer*: features of an extractor, pixels at one size, whatever else asks. Rows go to memory-mapped files, so
that memory does not grow with the number of images, and features are kept in a cache by what they are made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.embedding.embedder import padded
from twinset.embedding.feature_cache import FeatureCache, readable
from twinset.embedding.foreign_embedder import ForeignEmbedder
from twinset.errors import DataError
from twinset.formats.threads import ordered_map
from twinset.images import ImageSpec, PixelBatch, Pixels, to_model
from twinset.stages import Embedder
from twinset.store import disk_refusals, temporary_beside
from twinset.threads import blas_threads, torch_threads

T = TypeVar("T", bound=np.generic)
BATCH = 256
PIXELS = "pixels of this pass"
REVISION = 1
"""Raised when equal pictures, extractor and size would give other features: older cached ones are then not read."""


class Consumer(Protocol):
    """Reads the pictures of a dataset in order; all batches but the last have :data:`BATCH` pictures."""

    def prepare(self, picture: Pixels) -> NDArray[np.generic]:
        """What is kept of a picture, uint8 (H, W, C) of any size: called in threads, so that none stays decoded."""
        ...

    def take(self, prepared: Sequence[NDArray[np.generic]]) -> None:
        """What :meth:`prepare` made of the next pictures."""
        ...


def one_pass(
    dataset: Dataset, consumers: Sequence[Consumer], *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Decodes every picture once and hands it to all ``consumers``; ``progress`` hears of (done, all) pictures."""
    if not consumers:
        return

    def look(sample: Sample) -> list[NDArray[np.generic]]:
        picture = sample.pixels()
        return [consumer.prepare(picture) for consumer in consumers]

    prepared = ordered_map(look, dataset)
    done = 0
    with blas_threads(1):
        while batch := list(islice(prepared, BATCH)):
            for consumer, parts in zip(consumers, zip(*batch, strict=True), strict=True):
                consumer.take(parts)
            done += len(batch)
            if progress is not None:
                progress(done, len(dataset))


@dataclass
class Rows:
    """An array (N, …) that grows by rows in a file of NumPy's format, which appears under ``path`` when it is whole."""

    path: Path
    count: int
    _temporary: Path | None = field(default=None, init=False)
    _file: BinaryIO | None = field(default=None, init=False)
    _filled: int = field(default=0, init=False)

    def add(self, rows: NDArray[np.generic]) -> None:
        """The next rows (B, …); the first say dtype and width."""
        # Written, not mapped: what a full disk has no room for is then an error, and no signal that kills the process.
        with disk_refusals(self.path, "room for an array"):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._temporary = temporary_beside(self.path)
                self._file = self._temporary.open("wb")
                shape = (self.count, *rows.shape[1:])
                header = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(self._file, header)
            self._file.write(np.ascontiguousarray(rows).tobytes())
            self._filled += len(rows)
            if self._filled == self.count:
                self._finish()

    def _finish(self) -> None:
        assert self._file is not None
        assert self._temporary is not None
        self._file.close()
        self._file = None
        self._temporary.replace(self.path)

    def discard(self) -> None:
        """Removes what was written of an array that will not be whole."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink()


@dataclass
class AtSize:
    """Consumer: pictures at the size of ``spec``, uint8 (B, H, W, C), for every one of ``sinks``."""

    spec: ImageSpec
    sinks: list[Callable[[PixelBatch], None]] = field(default_factory=list)

    def prepare(self, picture: Pixels) -> Pixels:
        """The picture at this size."""
        return self.spec.prepare(picture)

    def take(self, prepared: Sequence[NDArray[np.generic]]) -> None:
        """Hands the next pictures on."""
        pixels: PixelBatch = np.stack([part.astype(np.uint8, copy=False) for part in prepared])
        for sink in self.sinks:
            sink(pixels)


@dataclass
class FeatureRows:
    """Sink: features (N, D) of an embedder, every batch padded to one shape as :func:`embed_stream` does."""

    embedder: Embedder
    rows: Rows

    def __call__(self, pixels: PixelBatch) -> None:
        """Embeds the next pictures."""
        features = self.embedder.embed(to_model(padded(pixels, min(BATCH, self.rows.count))))[: len(pixels)]
        if not np.isfinite(features).all():
            raise ValueError(
                f"expected finite features from {self.embedder.name}; got NaN or infinity; check its weights"
            )
        self.rows.add(features)


@dataclass(frozen=True)
class Extraction:
    """Where a dataset's arrays are: features by extractor name, and pixels at the size of ``spec``, memory-mapped."""

    features: dict[str, NDArray[np.float32]]
    pixels: PixelBatch | None
    digest: str


def extract(
    dataset: Dataset,
    embedders: Sequence[tuple[Embedder, ImageSpec]],
    *,
    pixels: ImageSpec | None,
    scratch: Path,
    cache: FeatureCache | None = None,
    consumers: Sequence[Consumer] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Features of every embedder and, if asked for, ``pixels``, in one pass; nothing is decoded if all is cached.

    Features of extractors that were trained on no sample are kept in ``cache``, found again by the content of the
    pictures, the extractor's name (which holds its weights' digest), device and precision, the size, the versions of
    the packages that decode and compute, and :data:`REVISION`. The rest goes to ``scratch``. ``consumers`` are fed too.
    """
    if not len(dataset):
        raise DataError("expected at least one picture; got none", hint="give images to look at")
    digest = pictures_digest(dataset)
    arrays: dict[str, NDArray[np.generic]] = {}
    made: dict[str, Rows] = {}
    sizes: dict[ImageSpec, AtSize] = {}

    def due(name: str, path: Path, spec: ImageSpec) -> Rows | None:
        if (array := readable(path, len(dataset))) is not None:
            arrays[name] = array
            return None
        made[name] = Rows(path, len(dataset))
        sizes.setdefault(spec, AtSize(spec))
        return made[name]

    for embedder, spec in embedders:
        key = _key(digest, _identity(embedder), spec)
        path = cache.place(key) if cache is not None and lasting(embedder) else scratch / f"{key}.npy"
        if (rows := due(embedder.name, path, spec)) is not None:
            sizes[spec].sinks.append(FeatureRows(embedder, rows))
    if pixels is not None:
        path = scratch / f"{_key(digest, PIXELS, pixels)}.npy"
        if (rows := due(PIXELS, path, pixels)) is not None:
            sizes[pixels].sinks.append(rows.add)
    try:
        with torch_threads(1):
            one_pass(dataset, [*sizes.values(), *consumers], progress=progress)
    except BaseException:
        for rows in made.values():
            rows.discard()
        raise
    # Opened before anything is swept, by this process or another one: who has an array open keeps it.
    arrays |= {name: np.load(rows.path, mmap_mode="r", allow_pickle=False) for name, rows in made.items()}
    if made and cache is not None:
        cache.sweep()
    seen = arrays.pop(PIXELS, None)
    return Extraction(
        {name: cast("NDArray[np.float32]", rows) for name, rows in arrays.items()},
        cast("PixelBatch | None", seen),
        digest,
    )


def kept_rows(array: NDArray[T], kept: NDArray[np.bool_], path: Path) -> NDArray[T]:
    """The rows (n, …) of an array (N, …) where ``kept`` (N,), as a memory-mapped file ``path``; copied in blocks.

    ``path`` must not exist yet. No row at all gives an empty array in memory.
    """
    rows = np.flatnonzero(kept)
    if not len(rows):
        return array[:0]
    target = Rows(path, len(rows))
    try:
        for start in range(0, len(rows), BATCH):
            target.add(array[rows[start : start + BATCH]])
    except BaseException:
        target.discard()
        raise
    copied: NDArray[T] = np.load(path, mmap_mode="r", allow_pickle=False)
    return copied


def _identity(embedder: Embedder) -> str:
    """What fixes the features of a picture of one size: the name, and for networks of others where and how they run."""
    if not isinstance(embedder, ForeignEmbedder):
        return embedder.name
    device = embedder.device.partition(":")[0]
    return f"{embedder.name} {embedder.configuration} {device} {embedder.precision}"


@lru_cache(maxsize=1)
def _versions() -> tuple[str, ...]:
    """Versions of what decodes, resizes and computes: another one may give other last digits."""
    found = []
    for package in ("torch", "torchvision", "transformers", "pillow", "numpy"):
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return tuple(found)


def lasting(embedder: Embedder) -> bool:
    """Whether equal names mean equal features for ever: extractors of ours that were trained on no sample.

    Their names hold the digest of their weights. A plug-in's name may stay while its weights change.
    """
    return not embedder.fitted_on and type(embedder).__module__.partition(".")[0] == "twinset"


def pictures_digest(dataset: Dataset) -> str:
    """sha256 over the encoded pictures in order and the window they are decoded by; labels and names do not count."""
    total = hashlib.sha256(json.dumps([dataset.window.low, dataset.window.high]).encode())
    for batch in dataset.table.select(["sha256", "image"]).to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            total.update(bytes.fromhex(row["sha256"] or hashlib.sha256(row["image"]).hexdigest()))
    return total.hexdigest()


def _key(digest: str, name: str, spec: ImageSpec) -> str:
    values = [REVISION, _versions(), digest, name, spec.height, spec.width, spec.channels, spec.fit]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]
