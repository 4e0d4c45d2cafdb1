"""Masks of single objects: run lengths or polygons at rest, bool (H, W) on demand.

Run lengths are COCO's: down the columns, beginning with background, packed as COCO packs them. pycocotools does the
packing and draws polygons, so that a mask has the pixels here that it has everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.errors import DatasetFormatError
from twinset.run_lengths import covered

Ring = tuple[float, ...]
"""One closed outline as x0, y0, x1, y1, … in pixels; at least three points."""


@dataclass(frozen=True)
class Rle:
    """A mask as packed run lengths (COCO's ``counts`` string) of a picture of ``height`` × ``width``."""

    height: int
    width: int
    counts: bytes

    @staticmethod
    def of(mask: NDArray[np.bool_]) -> Rle:
        """The run lengths of a bool mask (H, W).

        >>> Rle.of(np.array([[False, True], [False, True]])).counts
        b'22'
        """
        from pycocotools import mask as coco

        if mask.ndim != 2 or mask.dtype != np.bool_ or 0 in mask.shape:
            raise ValueError(f"expected a bool mask (H, W); got {mask.dtype} {mask.shape}")
        packed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        return Rle(mask.shape[0], mask.shape[1], packed["counts"])

    @staticmethod
    def of_runs(height: int, width: int, runs: Sequence[int]) -> Rle:
        """From plain run lengths, which must cover the picture; :class:`DatasetFormatError` if they do not."""
        from pycocotools import mask as coco

        if any(not isinstance(run, int) or run < 0 for run in runs) or sum(runs) != height * width:
            raise DatasetFormatError(
                f"expected run lengths ≥ 0 that cover {width} x {height} pixels; got a sum of "
                f"{sum(run for run in runs if isinstance(run, int))}"
            )
        packed = coco.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width)
        return Rle(height, width, packed["counts"])

    @staticmethod
    def of_part(part: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> Rle:
        """The run lengths of a mask of this ``size`` that is empty but for a part, bool (h, w), whose first pixel is
        at row and column ``corner``; the time it takes goes with the part.

        >>> Rle.of_part(np.array([[True], [True]]), (0, 1), (2, 2)) == Rle.of(np.array([[False, True], [False, True]]))
        True
        """
        from pycocotools import mask as coco

        (height, width), (top, left) = size, corner
        if part.ndim != 2 or part.dtype != np.bool_ or top < 0 or left < 0:
            raise ValueError(f"expected a bool part (h, w) inside {size}; got {part.dtype} {part.shape} at {corner}")
        if top + part.shape[0] > height or left + part.shape[1] > width:
            raise ValueError(f"expected a part inside {size}; got {part.shape} at {corner}")
        # A column of background beside each, so that no run passes from one to the next.
        down = np.zeros((part.shape[1], part.shape[0] + 2), dtype=np.int8)
        down[:, 1:-1] = part.T
        columns, rows = np.nonzero(np.diff(down, axis=1))
        bounds = (left + columns) * height + top + rows
        if part.shape[0] == height:
            # Runs that end where the next begins are one.
            joined = np.flatnonzero(bounds[1:-1:2] == bounds[2::2])
            bounds = np.delete(bounds, np.concatenate([2 * joined + 1, 2 * joined + 2]))
        runs = np.diff(bounds, prepend=0, append=height * width)
        counts = (runs[:-1] if runs[-1] == 0 and len(runs) > 1 else runs).tolist()
        packed = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        return Rle(height, width, packed["counts"])

    def runs(self) -> list[int]:
        """The plain run lengths, background first."""
        flat = self.dense().ravel(order="F")
        edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
        bounds = np.concatenate([[0], edges, [flat.size]])
        lengths = [int(n) for n in np.diff(bounds)]
        return [0, *lengths] if flat[0] else lengths

    def dense(self) -> NDArray[np.bool_]:
        """bool (H, W); :class:`DatasetFormatError` if the runs do not cover the picture."""
        from pycocotools import mask as coco

        # pycocotools writes past the picture if they cover more.
        (pixels,) = covered([self.counts]).tolist()
        if pixels != self.height * self.width:
            raise DatasetFormatError(
                f"expected run lengths that cover {self.width} x {self.height} pixels; got {pixels}"
            )
        return np.asarray(coco.decode(self._packed()), dtype=np.bool_)

    @property
    def area(self) -> int:
        """Pixels in the mask."""
        from pycocotools import mask as coco

        return int(coco.area(self._packed()))

    def box(self) -> tuple[float, float, float, float]:
        """The tight box xyxy, half-open; zeros for an empty mask."""
        from pycocotools import mask as coco

        x, y, width, height = (float(value) for value in coco.toBbox(self._packed()))
        return x, y, x + width, y + height

    def rle(self) -> Rle:
        """Itself."""
        return self

    def _packed(self) -> dict[str, object]:
        return {"size": [self.height, self.width], "counts": self.counts}


@dataclass(frozen=True)
class Polygons:
    """A mask as outlines, kept as they were given; parts of one object lie side by side."""

    height: int
    width: int
    rings: tuple[Ring, ...]

    def __post_init__(self) -> None:
        if not self.rings or any(len(ring) < 6 or len(ring) % 2 for ring in self.rings):
            raise ValueError("expected outlines of at least three points x, y; got fewer")
        if not all(np.isfinite(ring).all() for ring in self.rings):
            raise ValueError("expected finite coordinates; got NaN or infinity")

    def rle(self) -> Rle:
        """The same as run lengths, drawn as COCO draws it."""
        from pycocotools import mask as coco

        # pycocotools counts in 32 bits, and walks every pixel of an edge: what lies far outside is cut to the border.
        far = 2.0 * max(self.height, self.width) + 1000.0
        rings = [np.clip(ring, -far, far).tolist() for ring in self.rings]
        packed = coco.merge(coco.frPyObjects(rings, self.height, self.width))
        return Rle(self.height, self.width, packed["counts"])

    def dense(self) -> NDArray[np.bool_]:
        """bool (H, W)."""
        return self.rle().dense()

    @property
    def area(self) -> int:
        """Pixels in the mask."""
        return self.rle().area

    def box(self) -> tuple[float, float, float, float]:
        """The box xyxy of the outlines, inside the picture."""
        points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in self.rings])
        low, high = np.clip(points.min(0), 0, None), points.max(0)
        return float(low[0]), float(low[1]), min(float(high[0]), self.width), min(float(high[1]), self.height)


Mask = Rle | Polygons
