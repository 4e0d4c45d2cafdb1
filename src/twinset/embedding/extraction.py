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
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.embedding.embedder import padded
from twinset.errors import DataError
from twinset.formats.threads import ordered_map
from twinset.images import ImageSpec, PixelBatch, Pixels, to_model
from twinset.stages import Embedder
from twinset.store import disk_refusals, temporary_beside
from twinset.threads import blas_threads, torch_threads

BATCH = 256
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
    cache: Path | None = None,
    consumers: Sequence[Consumer] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Features of every embedder and, if asked for, ``pixels``, in one pass; nothing is decoded if all is cached.

    Features of extractors that were trained on no sample are kept under ``cache``, found again by the content of the
    pictures, the extractor's name (which holds its weights' digest), the size and :data:`REVISION`. The rest goes to
    ``scratch``. ``consumers`` are fed too.
    """
    if not len(dataset):
        raise DataError("expected at least one picture; got none", hint="give images to look at")
    digest = pictures_digest(dataset)
    places: dict[str, Path] = {}
    made: list[Rows] = []
    sizes: dict[ImageSpec, AtSize] = {}

    def due(path: Path, spec: ImageSpec) -> Rows | None:
        if readable(path, len(dataset)) is not None:
            return None
        made.append(Rows(path, len(dataset)))
        sizes.setdefault(spec, AtSize(spec))
        return made[-1]

    for embedder, spec in embedders:
        keep = cache if cache is not None and lasting(embedder) else scratch
        name = f"{embedder.name} {getattr(embedder, 'configuration', '')}".strip()
        places[embedder.name] = keep / f"{_key(digest, name, spec)}.npy"
        if (rows := due(places[embedder.name], spec)) is not None:
            sizes[spec].sinks.append(FeatureRows(embedder, rows))
    pixel_path = None if pixels is None else scratch / f"{_key(digest, 'pixels', pixels)}.npy"
    if pixels is not None and pixel_path is not None and (rows := due(pixel_path, pixels)) is not None:
        sizes[pixels].sinks.append(rows.add)
    try:
        with torch_threads(1):
            one_pass(dataset, [*sizes.values(), *consumers], progress=progress)
    except BaseException:
        for rows in made:
            rows.discard()
        raise
    return Extraction(
        {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in places.items()},
        None if pixel_path is None else np.load(pixel_path, mmap_mode="r", allow_pickle=False),
        digest,
    )


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


def readable(path: Path, count: int) -> NDArray[np.generic] | None:
    """The array (``count``, …) in this file, memory-mapped; None where there is none, or another one."""
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if len(array.shape) >= 2 and len(array) == count else None


def _key(digest: str, name: str, spec: ImageSpec) -> str:
    values = [REVISION, digest, name, spec.height, spec.width, spec.channels, spec.fit]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]
