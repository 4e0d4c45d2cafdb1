"""Many pictures in one array, so that a generator travels to workers as a memory map and not as copies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]
RECENT_BYTES = 64 << 20


def as_bytes(picture: NDArray[np.generic] | cv2.Mat) -> Array:
    """What OpenCV gave back, known to be uint8."""
    return np.asarray(picture, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures uint8 (H, W, C), one after the other in ``pool``: raw, or as PNG once they are too many.

    ``shapes`` int64 (N, 3); picture i lies at ``starts[i]:starts[i + 1]``. Encoded pictures that were asked for lately
    are kept decoded, up to 64 MB a process.
    """

    pool: Array
    starts: NDArray[np.int64]
    shapes: NDArray[np.int64]
    encoded: bool
    _recent: OrderedDict[int, Array] = field(default_factory=OrderedDict, repr=False)

    def __len__(self) -> int:
        return len(self.shapes)

    def __reduce__(self) -> tuple[object, ...]:
        return (Pictures, (self.pool, self.starts, self.shapes, self.encoded))

    def __getitem__(self, index: int) -> Array:
        """Picture ``index``, not to be written to."""
        held = np.asarray(self.pool[self.starts[index] : self.starts[index + 1]])
        if not self.encoded:
            return held.reshape(self.shapes[index])
        if index in self._recent:
            self._recent.move_to_end(index)
            return self._recent[index]
        decoded = np.asarray(cv2.imdecode(held, cv2.IMREAD_UNCHANGED), dtype=np.uint8).reshape(self.shapes[index])
        self._recent[index] = decoded
        while len(self._recent) > 1 and sum(picture.nbytes for picture in self._recent.values()) > RECENT_BYTES:
            self._recent.popitem(last=False)
        return decoded


class Packer:
    """Takes pictures one by one; keeps them raw, or all encoded (lossless) once they would take too much."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._pieces: list[Array] = []
        self._shapes: list[tuple[int, ...]] = []
        self._raw = 0
        self._encoded = False

    def add(self, picture: Array) -> None:
        """Adds uint8 (H, W, C)."""
        self._raw += picture.nbytes
        if not self._encoded and self._raw > self._limit:
            self._encoded = True
            held = zip(self._pieces, self._shapes, strict=True)
            self._pieces = [_png(piece.reshape(shape)) for piece, shape in held]
        self._shapes.append(picture.shape)
        self._pieces.append(_png(picture) if self._encoded else picture.reshape(-1).copy())

    def done(self) -> Pictures:
        """All that was added."""
        starts = np.cumsum([0, *(len(piece) for piece in self._pieces)], dtype=np.int64)
        pool = np.concatenate(self._pieces) if self._pieces else np.zeros(0, dtype=np.uint8)
        return Pictures(pool, starts, np.array(self._shapes, dtype=np.int64).reshape(-1, 3), self._encoded)


def pack(pictures: Iterable[Array], *, limit_bytes: int) -> Pictures:
    """All of these in one store."""
    packer = Packer(limit_bytes=limit_bytes)
    for picture in pictures:
        packer.add(picture)
    return packer.done()


def _png(picture: Array) -> Array:
    # The order of channels does not matter: what goes in as RGB(A) comes out in the same places.
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    return np.asarray(data, dtype=np.uint8).reshape(-1)


@dataclass(frozen=True, eq=False)
class Cutouts:
    """M objects to paste. Cut-out i is the RGBA pictures ``first[i]:first[i + 1]``, each half as large as that before.

    Colours are defined beyond the object, where alpha is 0. ``class_ids`` (M,) are −1 for distractors; ``source`` (M,)
    indexes ``sources`` (ids) and ``licences``. ``hulls`` float32 (P, 2) are convex hulls of the objects in pixels of
    the largest picture, ``hull_starts`` (M + 1,); ``extents`` (M, 2) width and height of the object in it. ``cut``
    uint8 (M,): sides at which the source picture cuts it off (1 left, 2 top, 4 right, 8 bottom). ``surrounds`` (M, 6)
    mean and standard deviation of L, a, b (0…255) around it in its source.
    """

    pictures: Pictures
    first: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    source: NDArray[np.int64]
    sources: tuple[str, ...]
    licences: tuple[str | None, ...]
    hulls: NDArray[np.float32]
    hull_starts: NDArray[np.int64]
    extents: NDArray[np.float64]
    cut: NDArray[np.uint8]
    surrounds: NDArray[np.float64]

    shapes: NDArray[np.float64] = field(init=False, repr=False)
    """(M, 2) logarithms of extent area and of width over height."""

    def __post_init__(self) -> None:
        wide, high = np.log(self.extents).T
        object.__setattr__(self, "shapes", np.stack([wide + high, wide - high], 1))

    def __len__(self) -> int:
        return len(self.class_ids)

    def rows(self, class_id: int) -> tuple[int, int]:
        """The first cut-out of a class and the one after its last; cut-outs are sorted by class."""
        low, high = np.searchsorted(self.class_ids, (class_id, class_id + 1)).tolist()
        return low, high

    def hull(self, index: int) -> NDArray[np.float32]:
        """(P, 2) the corners of cut-out ``index``."""
        return self.hulls[self.hull_starts[index] : self.hull_starts[index + 1]]

    def level(self, index: int, magnification: float) -> int:
        """The picture of cut-out ``index`` to magnify: the smallest that need not be shrunk below half."""
        levels = int(self.first[index + 1] - self.first[index])
        wanted = 0 if magnification > 0.5 else int(-np.log2(max(magnification, 1e-6)))
        return int(self.first[index]) + min(wanted, levels - 1)
