"""Which pictures belong together: exact and near duplicates, groups of the user's, and descendants.

A family must never straddle a split. Duplicates are found in three steps: equal decoded pixels; nearest
neighbours of a small luma thumbnail, block by block (no N x N memory); and for those few pairs a comparison at
the finest grid that both pictures support. All thresholds are ratios to the pictures' own contrast, or grey
levels of local means, so that a recompressed or resized copy passes and two scans of the same digit do not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import PAIR, AttributeValue
from twinset.dataset import Dataset
from twinset.errors import DatasetFormatError
from twinset.formats.threads import ordered_map
from twinset.images import Pixels
from twinset.threads import blas_threads

GRID = 12
"""Side of the thumbnail that neighbours are looked up in."""

DIGEST_BYTES = hashlib.sha256().digest_size
FINGERPRINT_BYTES = DIGEST_BYTES + 4 * GRID * GRID

FINEST_GRID = 64
RELATIVE_DISTANCE = 0.12
"""Largest RMS difference of two copies, over the larger standard deviation of the two pictures."""

LOCAL_DIFFERENCE = 24.0
"""Largest difference of one local mean, in grey levels, after the global means are removed."""

NEIGHBOUR_RATIO = 0.4
"""Largest distance of a copy over the distance to the tenth neighbour: aligned series are alike, not copies.

The same ratio, of two successive neighbours, is the gap around a crowd: more than ten copies of one picture.
"""

CROWD_DIFFERENCE = 3.0
"""Largest RMS difference of two copies in a crowd, in grey levels of local means once mean and contrast are equal.

Noise, recompression and a change of brightness leave less, another shot of the same scene leaves more.
"""

ALWAYS_COPY = 0.02
"""Relative distance below which no neighbour is asked: copies even where nothing else is in the dataset."""

LOWEST_CONTRAST = 2.0
"""Standard deviation, in grey levels, below which only exact copies count: blank pictures are all alike."""

NEIGHBOURS = 10
CROWD_LINKS = 10
"""Further members of a crowd that each is compared with, spread over it, lest its clusters fall apart."""

BLOCK_ELEMENTS = 4_000_000
"""Distances held at once: 16 MB, and twice as much again for their order."""


@dataclass(frozen=True)
class GroupRule:
    """What belongs together beyond duplicates: equal values of exactly one of the three.

    ``column``: an attribute (patient, video); ``regex``: its first group (or whole match) in the path or id;
    ``folder``: the name of the folder at this depth of the path, counted from 1 at the dataset's folder.
    """

    column: str | None = None
    regex: str | None = None
    folder: int | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.column, self.regex, self.folder)) != 1:
            raise ValueError(f"expected exactly one of column, regex, folder; got {self}")
        if self.folder is not None and self.folder < 1:
            raise ValueError(f"expected a folder depth of at least 1; got {self.folder}")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"expected a regular expression; got {self.regex!r} ({error})") from error

    def key(self, name: str, attributes: Mapping[str, AttributeValue]) -> str | None:
        """The group of a sample from its path (or id) and attributes, None where the rule finds none."""
        if self.column is not None:
            value = attributes.get(self.column)
            return None if value is None else str(value)
        if self.regex is not None:
            found = re.search(self.regex, name)
            return None if found is None else found.group(1 if found.re.groups else 0)
        folders = PurePosixPath(name).parts[:-1]
        assert self.folder is not None
        return folders[self.folder - 1] if len(folders) >= self.folder else None


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that are copies of each other, by row; ``near`` unless all have equal pixels."""

    kind: Literal["exact", "near"]
    rows: tuple[int, ...]


def families(
    dataset: Dataset,
    *,
    groups: GroupRule | None = None,
    fingerprints: NDArray[np.uint8] | None = None,
    parents: Literal["any", "same"] = "any",
) -> NDArray[np.int64]:
    """(N,) family of every sample, numbered from 0 in order of first appearance.

    Joins duplicates (:func:`duplicates`), samples of one group, synthetic samples of one pair, and samples with their
    parents and with whatever else descends from ``any`` of those, whether the parents are in the dataset or not. With
    ``parents="same"`` samples of several parents join only those that have all of them, and no others. Raises
    :class:`DatasetFormatError` if the group rule finds nothing for some sample.
    """
    union = _Union(len(dataset))
    for group in duplicates(dataset, fingerprints=fingerprints):
        union.join(group.rows)
    if groups is not None:
        for rows in _group_rows(dataset, groups):
            union.join(rows)
    for rows in _pairs(dataset):
        union.join(rows)
    holder = {sample_id: row for row, sample_id in enumerate(dataset.ids)}
    for row, found in enumerate(dataset.table.column("parents").to_pylist()):
        known = sorted(set(found or ()))
        if parents == "same" and len(known) > 1:
            known = ["\0".join(known)]
        union.join([row, *(holder.setdefault(parent, row) for parent in known)])
    return union.labels()


def one_of_each(families: NDArray[np.integer], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each family the row that comes first in ``order``, in that order.

    ``families`` (N,) are those of all rows, ``order`` (M,) rows without repeats: a permutation draws at random.

    >>> one_of_each(np.array([7, 7, 3]), np.array([2, 1, 0])).tolist()
    [2, 1]
    """
    rows: NDArray[np.int64] = order[np.sort(np.unique(families[order], return_index=True)[1])]
    return rows


def _pairs(dataset: Dataset) -> Iterable[list[int]]:
    """Rows of synthetic samples that were drawn from one noise (:data:`~twinset.annotations.PAIR`)."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, told in enumerate(dataset.table.select(["method", "recipe_digest", "attributes"]).to_pylist()):
        if told["method"] is None or f'"{PAIR}"' not in (told["attributes"] or ""):
            continue
        pair = json.loads(told["attributes"]).get(PAIR)
        if pair is not None:
            found[told["recipe_digest"], str(pair)].append(row)
    return found.values()


def _group_rows(dataset: Dataset, rule: GroupRule) -> Iterable[list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    missing: list[str] = []
    for row, columns in enumerate(dataset.table.select(["id", "path", "attributes"]).to_pylist()):
        key = rule.key(columns["path"] or columns["id"], json.loads(columns["attributes"] or "{}"))
        if key is None:
            missing.append(columns["id"])
        else:
            found[key].append(row)
    if missing:
        raise DatasetFormatError(
            f"expected a group for every image by {_describe(rule)}; got {len(missing)} of {len(dataset)} "
            f"without one, first {missing[0]}",
            hint="correct split.groups, or leave it out",
        )
    return found.values()


def _describe(rule: GroupRule) -> str:
    if rule.column is not None:
        return f"column {rule.column!r}"
    return f"regex {rule.regex!r}" if rule.regex is not None else f"folder depth {rule.folder}"


def duplicates(dataset: Dataset, *, fingerprints: NDArray[np.uint8] | None = None) -> tuple[DuplicateGroup, ...]:
    """Groups of two or more copies, by first row.

    ``fingerprints`` (N, :data:`FINGERPRINT_BYTES`) are those of :func:`fingerprint`, where somebody has decoded the
    pictures before; without them all are decoded now, and with them only the few that need a closer look.

    Grey pictures equal their RGB copies. Not found: flips, crops and rotations; and, for pictures of under about
    30 pixels a side, many resized copies: at that size a resampled digit differs as much as another one does
    (MNIST: doubled 94 % found, three quarters of the size 34 %, halved 1 %; no distinct pair joined).

    A picture may have any number of copies. More than ten must be set apart by a clear gap from the next picture
    and differ by no more than noise, recompression and brightness leave: so an aligned series of real shots stays
    apart. A dataset that is nothing but one such crowd has no gap; of it only the closest copies are joined.
    """
    if fingerprints is None:
        fingerprints = np.empty((len(dataset), FINGERPRINT_BYTES), dtype=np.uint8)
        with blas_threads(1):
            for row, found in enumerate(ordered_map(lambda sample: fingerprint(sample.pixels()), dataset)):
                fingerprints[row] = found
    digests = [row.tobytes() for row in fingerprints[:, :DIGEST_BYTES]]
    thumbnails = np.ascontiguousarray(fingerprints[:, DIGEST_BYTES:]).view(np.float32)
    union = _Union(len(dataset))
    first: dict[bytes, int] = {}
    for row, digest in enumerate(digests):
        union.join((first.setdefault(digest, row), row))
    distinct = np.asarray(sorted(first.values()), dtype=np.int64)
    thumbnails = thumbnails[distinct]
    for a, b in _candidates(thumbnails - thumbnails.mean(axis=1, keepdims=True)):
        i, j = int(distinct[a]), int(distinct[b])
        if union.root(i) != union.root(j) and is_near_copy(dataset[i].pixels(), dataset[j].pixels()):
            union.join((i, j))
    members: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(union.labels().tolist()):
        members[label].append(row)
    return tuple(
        DuplicateGroup("exact" if len({digests[row] for row in rows}) == 1 else "near", tuple(rows))
        for rows in members.values()
        if len(rows) > 1
    )


def fingerprint(picture: Pixels) -> NDArray[np.uint8]:
    """uint8 (:data:`FINGERPRINT_BYTES`,): sha256 of the pixels, then the bytes of a float32 luma thumbnail."""
    pixels = _canonical(picture)
    digest = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()
    thumbnail = local_means(luma(pixels), GRID).reshape(-1).astype(np.float32)
    return np.frombuffer(digest + thumbnail.tobytes(), dtype=np.uint8)


def _canonical(pixels: Pixels) -> Pixels:
    """Grey as one channel, also where it came as RGB."""
    if pixels.shape[2] == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        return np.ascontiguousarray(pixels[..., :1])
    return pixels


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """float64 (H, W): ITU-R 601 luma of uint8 (H, W, 1 or 3), in 0…255."""
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.float64)
    red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
    return np.asarray(0.299 * red + 0.587 * green + 0.114 * blue)


def local_means(plane: NDArray[np.float64], grid: int) -> NDArray[np.float64]:
    """float64 (grid, grid): exact area averages of a plane (H, W), of any size.

    >>> local_means(np.array([[0.0, 0.0, 3.0]] * 3), 2).tolist()
    [[0.0, 2.0], [0.0, 2.0]]
    """
    height, width = plane.shape
    return _area_weights(height, grid) @ plane @ _area_weights(width, grid).T


@lru_cache(maxsize=256)
def _area_weights(size: int, grid: int) -> NDArray[np.float64]:
    """(``grid``, ``size``) shares of pixels in cells; not to be changed."""
    edges = np.linspace(0.0, size, grid + 1)
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(overlap, 0.0, None) * (grid / size), dtype=np.float64)


def _candidates(centred: NDArray[np.float32]) -> Iterable[tuple[int, int]]:
    """Pairs that :func:`is_near_copy` should judge, of thumbnails (N, D) in grey levels around their means.

    Distances are RMS differences of thumbnails of unit contrast, so that a change of brightness costs nothing.
    Judged are two within reach of each other and far closer than the tenth neighbour of one, or of one crowd.
    """
    contrast = np.sqrt(np.einsum("nd,nd->n", centred, centred) / centred.shape[1])
    lively = np.flatnonzero(contrast >= LOWEST_CONTRAST)
    contrast, count = contrast[lively], len(lively)
    if count < 2:
        return
    unit = centred[lively] / (contrast[:, None] * np.float32(np.sqrt(centred.shape[1])))
    reach = np.maximum(RELATIVE_DISTANCE, CROWD_DIFFERENCE / contrast)
    k = min(NEIGHBOURS, count - 1)
    step = max(1, BLOCK_ELEMENTS // count)
    for start in range(0, count, step):
        block = unit[start : start + step]
        squares = 2.0 - 2.0 * (block @ unit.T)
        squares[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        nearest = np.argpartition(squares, k - 1, axis=1)[:, :k]
        near = np.sqrt(np.maximum(np.take_along_axis(squares, nearest, axis=1), 0.0))
        tenth = near.max(axis=1)
        limit = np.minimum(np.maximum(NEIGHBOUR_RATIO * tenth, ALWAYS_COPY), RELATIVE_DISTANCE)
        if count <= NEIGHBOURS + 1:
            limit = np.full_like(limit, RELATIVE_DISTANCE)
        pairs = [(start + at, int(nearest[at, n])) for at, n in np.argwhere(near < limit[:, None]).tolist()]
        for at in np.flatnonzero(tenth < reach[start : start + step]).tolist():
            row = start + at
            pairs += [(row, other) for other in _crowd(squares[at], float(reach[row]), contrast, float(contrast[row]))]
        for one, other in pairs:
            yield int(lively[min(one, other)]), int(lively[max(one, other)])


def _crowd(squares: NDArray[np.float32], reach: float, contrast: NDArray[np.float32], own: float) -> list[int]:
    """Rows to compare one picture with, of the crowd of copies around it; none where no gap ends the crowd.

    ``squares`` (N,) are squared distances to all others, infinite to itself. The crowd, of any size, ends at the
    last gap within ``reach``: a series whose distances grow steadily is none, nor is one with nothing beyond it.
    """
    inside = np.flatnonzero(squares < reach**2)
    ascending = np.sort(np.maximum(squares[inside], 0.0))
    beyond = squares[np.isfinite(squares) & (squares >= reach**2)]
    following = np.append(ascending[1:], beyond.min() if len(beyond) else 0.0)
    gaps = np.flatnonzero(ascending < NEIGHBOUR_RATIO**2 * following)
    if not len(gaps):
        return []
    members = inside[squares[inside] <= ascending[gaps[-1]]]
    grey = np.sqrt(np.maximum(squares[members], 0.0)) * np.maximum(contrast[members], own)
    members = members[grey < CROWD_DIFFERENCE]
    members = members[np.argsort(squares[members], kind="stable")]
    spread = np.linspace(0, len(members) - 1, min(CROWD_LINKS, len(members))).astype(np.int64)
    return [int(row) for row in np.union1d(members[:NEIGHBOURS], members[spread])]


def is_near_copy(first: Pixels, second: Pixels) -> bool:
    """Whether two pictures show the same up to recompression and resizing.

    Compared are local means of luma and of the two chroma planes, on a grid in which each cell covers at least
    two by two pixels of the smaller picture (never finer than 64): their RMS difference over their contrast, and
    the largest single difference, which a real change of the scene cannot hide from.
    """
    grid = _shared_grid(first, second)
    luma_a, *chroma_a = _planes(first, grid)
    luma_b, *chroma_b = _planes(second, grid)
    difference = luma_a - luma_b
    contrast = max(float(luma_a.std()), float(luma_b.std()))
    if contrast < LOWEST_CONTRAST or float(np.sqrt((difference**2).mean())) >= RELATIVE_DISTANCE * contrast:
        return False
    if float(np.abs(difference).max()) >= LOCAL_DIFFERENCE:
        return False
    return all(float(np.abs(a - b).max()) < LOCAL_DIFFERENCE for a, b in zip(chroma_a, chroma_b, strict=True))


def _shared_grid(first: Pixels, second: Pixels) -> int:
    side = min(*first.shape[:2], *second.shape[:2])
    return int(np.clip(side // 2, min(side, GRID), FINEST_GRID))


def _planes(pixels: Pixels, grid: int) -> list[NDArray[np.float64]]:
    """Centred luma (grid, grid), and blue and red differences on a coarser grid, as JPEG keeps them."""
    y = luma(pixels)
    planes = [local_means(y, grid)]
    planes[0] -= planes[0].mean()
    coarse = max(1, grid // 4)
    for channel in (2, 0):
        chroma = pixels[..., channel] - y if pixels.shape[2] == 3 else np.zeros_like(y)
        planes.append(local_means(chroma, coarse))
    return planes


class _Union:
    """Union–find over rows; the smallest row of a set is its root."""

    def __init__(self, size: int) -> None:
        self.parent = np.arange(size)

    def root(self, row: int) -> int:
        while self.parent[row] != row:
            self.parent[row] = self.parent[self.parent[row]]
            row = int(self.parent[row])
        return row

    def join(self, rows: Sequence[int]) -> None:
        roots = [self.root(row) for row in rows]
        for root in roots:
            self.parent[root] = min(roots)

    def labels(self) -> NDArray[np.int64]:
        """(N,) set of every row, numbered by first appearance."""
        roots = np.array([self.root(row) for row in range(len(self.parent))], dtype=np.int64)
        return np.unique(roots, return_inverse=True)[1].astype(np.int64)
