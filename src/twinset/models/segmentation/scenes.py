"""Pictures with the class of every pixel, at the one size that a segmenter works at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.errors import DatasetFormatError, RunFolderError
from twinset.images import ImageSpec, PixelBatch
from twinset.semantic import IGNORE

Scalar = TypeVar("Scalar", bound=np.generic)

NAMES = ("images", "maps", "originals")


@dataclass(frozen=True, eq=False)
class PixelScenes:
    """``images`` uint8 (N, H, W, C); ``maps`` int16 (N, H, W) class ids, −1 = ignore; ``originals`` int32 (N, 2).

    ``originals`` are the heights and widths that the pictures had, and that predictions have. The arrays may be memory
    maps. A picture without a semantic map is ignored everywhere: it can be predicted but teaches nothing.
    """

    images: PixelBatch
    maps: NDArray[np.int16]
    originals: NDArray[np.int32]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise ValueError(f"expected uint8 images (N, H, W, 1 or 3); got {self.images.dtype} {self.images.shape}")
        if self.maps.dtype != np.int16 or self.maps.shape != self.images.shape[:3]:
            raise ValueError(f"expected int16 maps {self.images.shape[:3]}; got {self.maps.dtype} {self.maps.shape}")
        if self.originals.dtype != np.int32 or self.originals.shape != (len(self.images), 2):
            raise ValueError(
                f"expected int32 originals ({len(self.images)}, 2); got {self.originals.dtype} {self.originals.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.images.shape[1:]
        return (height, width, channels)

    @staticmethod
    def of(dataset: Dataset, *, height: int, width: int, channels: int, folder: Path | None = None) -> PixelScenes:
        """All samples of a dataset at one size: pictures bicubic with antialiasing, maps by the nearest pixel.

        With a ``folder`` the arrays are memory maps in it, written one picture at a time; :meth:`load` opens them
        again. :class:`DatasetFormatError` where a map and its picture differ in size.
        """
        spec = ImageSpec(height, width, channels)
        n = len(dataset)
        images = _array(folder, "images", np.uint8, (n, *spec.shape))
        maps = _array(folder, "maps", np.int16, (n, height, width))
        originals = _array(folder, "originals", np.int32, (n, 2))
        for row, sample in enumerate(dataset):
            pixels = sample.pixels()
            images[row], originals[row] = spec.prepare(pixels), pixels.shape[:2]
            maps[row] = nearest(_map_of(sample, (pixels.shape[0], pixels.shape[1])), height, width)
        for array in (images, maps, originals):
            if isinstance(array, np.memmap):
                array.flush()
        return PixelScenes(images, maps, originals)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> PixelScenes:
        """The scenes at these rows, in this order, in memory."""
        index = np.asarray(rows, dtype=np.int64)
        return PixelScenes(self.images[index], self.maps[index], self.originals[index])

    def concat(self, other: PixelScenes) -> PixelScenes:
        """Both, one after the other, in memory; they must have one shape."""
        if other.shape != self.shape:
            raise ValueError(f"expected scenes of {self.shape}; got {other.shape}; prepare both at one size")
        pairs = ((getattr(self, name), getattr(other, name)) for name in NAMES)
        return PixelScenes(*(np.concatenate(pair) for pair in pairs))

    def save(self, folder: Path) -> None:
        """Writes ``images.npy``, ``maps.npy`` and ``originals.npy`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @staticmethod
    def load(folder: Path) -> PixelScenes:
        """The scenes that were saved here, as memory maps; :class:`RunFolderError` if they are damaged."""
        try:
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in NAMES]
            return PixelScenes(*arrays)
        except (OSError, ValueError, EOFError) as error:
            raise RunFolderError(
                f"{folder}: expected saved scenes; got {error}", hint="remove this folder; they are prepared again"
            ) from error

    def digest(self) -> str:
        """sha256 over shapes and contents; the same for arrays in memory and on disk."""
        total = hashlib.sha256()
        for name in NAMES:
            array = getattr(self, name)
            total.update(f"{name} {array.dtype} {array.shape}".encode())
            for row in array:
                total.update(np.ascontiguousarray(row).tobytes())
        return total.hexdigest()


def nearest(values: NDArray[np.integer], height: int, width: int) -> NDArray[np.int16]:
    """int (H, W) resized by taking the pixel under the centre of each new one.

    >>> nearest(np.array([[1, 2, 3, 4]]), 1, 2).tolist()
    [[2, 4]]
    """
    rows = ((2 * np.arange(height) + 1) * values.shape[0]) // (2 * height)
    columns = ((2 * np.arange(width) + 1) * values.shape[1]) // (2 * width)
    return np.asarray(values[np.ix_(rows, columns)], dtype=np.int16)


def _map_of(sample: Sample, size: tuple[int, int]) -> NDArray[np.int32]:
    semantic: SemanticMap | None = sample.annotation.semantic if sample.annotation is not None else None
    if semantic is None:
        return np.full(size, IGNORE, dtype=np.int32)
    values = semantic.dense()
    if values.shape != size:
        raise DatasetFormatError(
            f"{sample.id}: expected a semantic map of {size[1]} x {size[0]}; got {values.shape[1]} x {values.shape[0]}"
        )
    return values


def _array(folder: Path | None, name: str, kind: type[Scalar], shape: tuple[int, ...]) -> NDArray[Scalar]:
    # A memory map cannot be empty.
    if folder is None or 0 in shape:
        return np.empty(shape, dtype=kind)
    folder.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.dtype(kind), shape=shape)
