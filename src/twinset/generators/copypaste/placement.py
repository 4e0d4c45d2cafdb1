"""Where objects stand, how large and of which shape they are, and how many of which class lie in one picture.

Fitted placement is a smoothed bootstrap (Silverman and Young, 1987): a training box is drawn, moved by Gaussian noise
of the shrunk class covariance, and drawn towards the class mean so that the covariance stays what it was. The noise is
as wide as leave-one-out likelihood allows (Duin, 1976), and never nil: no training box comes back verbatim. Sizes are
fitted within a picture, around that picture's own level, because one camera distance shapes all objects it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CANDIDATES = 12
"""Places that are drawn for every object; overlap and context choose among them."""
BANDWIDTHS = (0.1, 0.15, 0.22, 0.33, 0.5)
SHRINKAGE = 8.0
"""How many objects of its own a class needs to weigh as much as all classes together in its covariance."""
TOUCHING = 1.0
"""A box this near to a border, in pixels, is taken as cut off by it."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """n wanted boxes. ``class_ids``, ``log_area`` and ``log_aspect`` are (n,) as in ``marginals``.

    ``places`` (n, T, 2) are T candidate places: the share, 0…1, of the free way that the box has gone from the left
    and from the top. ``touching`` uint8 (n, T) says at which sides (1 left, 2 top, 4 right, 8 bottom) the border cuts
    the object off there.
    """

    class_ids: Ints
    log_area: Floats
    log_aspect: Floats
    places: Floats
    touching: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.class_ids)

    def sides(self, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Widths and heights (n,) in pixels in a picture of (height, width); at most the picture's own."""
        area = np.exp(self.log_area) * size[0] * size[1]
        aspect = np.exp(self.log_aspect)
        return np.clip(np.sqrt(area * aspect), 2, size[1]), np.clip(np.sqrt(area / aspect), 2, size[0])


@dataclass(frozen=True)
class Uniform:
    """The frozen baseline: uniform places, uniform side over ``size`` (root of the share of the picture's area)."""

    size: tuple[float, float]

    def draw(self, class_ids: Ints, scene: int, draws: np.random.Generator) -> Boxes:
        """Boxes of these classes (n,); the scene makes no difference. Aspect is NaN: that of the cut-out."""
        del scene
        n = len(class_ids)
        side = draws.uniform(*self.size, size=n)
        aspect = np.full(n, np.nan)
        places = draws.random((n, CANDIDATES, 2))
        return Boxes(class_ids, 2 * np.log(side), aspect, places, np.zeros((n, CANDIDATES), dtype=np.uint8))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A smoothed bootstrap of M training boxes. Rows are sorted by class, whether they touch a border, and size.

    ``points`` (M, 4): log area less its picture's level, log aspect, place across and down; ``touching`` uint8 (M,);
    ``kinds`` int64 (M,): twice the class, and one more where the border cuts the object off; ``groups`` int64 (M, 2)
    first and last + 1 of the rows of one kind; ``starts`` (C + 1,) by class. By kind: ``means`` (2C, 4), ``noise``
    (2C, 4, 4) Cholesky factors of covariance, ``bandwidths`` (2C,): whole objects keep their narrow spread of shapes.
    ``levels`` (N,) log-area level of every training picture.
    """

    points: Floats
    touching: NDArray[np.uint8]
    kinds: Ints
    groups: Ints
    starts: Ints
    means: Floats
    noise: Floats
    bandwidths: Floats
    levels: Floats

    def draw(self, class_ids: Ints, scene: int, draws: np.random.Generator) -> Boxes:
        """Boxes of these classes (n,) as in the training picture ``scene``; of any, where that is −1."""
        n = len(class_ids)
        level = self.levels[scene if scene >= 0 else int(draws.integers(len(self.levels)))]
        low, high = self.starts[class_ids], self.starts[class_ids + 1]
        absent = low == high  # a class without training boxes is placed as any object
        low, high = np.where(absent, 0, low), np.where(absent, len(self.points), high)
        rows = low + (draws.random(n) * (high - low)).astype(np.int64)
        first, last = self.groups[rows, 0], self.groups[rows, 1]
        reach = np.maximum(5, (last - first) // 20)
        beside = rows[:, None] + np.rint(draws.uniform(-1, 1, (n, CANDIDATES)) * reach[:, None]).astype(np.int64)
        beside[:, 0] = rows
        beside = np.clip(beside, first[:, None], last[:, None] - 1)
        kinds = self.kinds[rows]
        h = self.bandwidths[kinds][:, None, None]
        shocks = np.einsum("nij,ntj->nti", self.noise[kinds], draws.normal(size=(n, CANDIDATES, 4)))
        centre = self.means[kinds][:, None]
        points = centre + np.sqrt(1 - h**2) * (self.points[beside] - centre) + h * shocks
        touching = self.touching[beside]
        places = _folded(points[..., 2:])
        return Boxes(class_ids, points[:, 0, 0] + level, points[:, 0, 1], places, touching)


def _folded(places: Floats) -> Floats:
    """Values mirrored at 0 and 1, so that noise leaves no mass outside and none heaped on the borders."""
    there = np.mod(places, 2.0)
    return np.asarray(np.where(there > 1, 2 - there, there))


def fit_boxes(training: Dataset, sizes: Ints) -> Fitted:
    """Fitted to all boxes of pictures of ``sizes`` (N, 2) height and width; there must be one."""
    boxes = training.object_boxes().astype(np.float64)
    class_ids = training.object_column("class_id").astype(np.int64)
    rows = np.repeat(np.arange(len(training)), training.object_counts())
    points, touching = measured(boxes, sizes[rows])
    levels = _levels(points[:, 0], class_ids, rows, len(training))
    points[:, 0] -= levels[rows]
    order = np.lexsort((points[:, 0], touching > 0, class_ids))
    points, touching, class_ids = points[order], touching[order], class_ids[order]
    n_classes = len(training.classes)
    kinds = class_ids * 2 + (touching > 0)
    means, noise, widths = _smoothing(points, kinds, 2 * n_classes)
    groups = np.stack([np.searchsorted(kinds, kinds, "left"), np.searchsorted(kinds, kinds, "right")], 1)
    starts = np.searchsorted(class_ids, np.arange(n_classes + 1))
    return Fitted(points, touching, kinds, groups, starts, means, noise, widths, levels)


def _smoothing(points: Floats, kinds: Ints, n_kinds: int) -> tuple[Floats, Floats, Floats]:
    """Means, Cholesky factors and bandwidths by kind; covariances are drawn to those of the class, these to all."""
    everything = np.cov(points.T) if len(points) > 1 else np.zeros((4, 4))
    means, noise = np.zeros((n_kinds, 4)), np.zeros((n_kinds, 4, 4))
    widths = np.full(n_kinds, BANDWIDTHS[-1])
    for kind in range(n_kinds):
        own, of_class = points[kinds == kind], points[kinds // 2 == kind // 2]
        means[kind] = own.mean(0) if len(own) else points.mean(0)
        covariance = _covariance(own, _covariance(of_class, everything))
        noise[kind] = np.linalg.cholesky(covariance)
        if len(own) > 2:
            widths[kind] = _bandwidth(own, covariance)
    return means, noise, widths


def measured(boxes: Floats, sizes: Ints) -> tuple[Floats, NDArray[np.uint8]]:
    """(M, 4) log area, log aspect, place across and down, and (M,) touched sides, of boxes in pictures of ``sizes``."""
    frame = sizes[:, ::-1].astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    free = frame - sides
    places = np.where(free > 1e-6, boxes[:, :2] / np.maximum(free, 1e-6), 0.5)
    area, aspect = np.log(sides.prod(1) / frame.prod(1)), np.log(sides[:, 0] / sides[:, 1])
    near = np.concatenate([boxes[:, :2] <= TOUCHING, boxes[:, 2:] >= frame - TOUCHING], 1)
    touching = (near * np.array([1, 2, 4, 8])).sum(1).astype(np.uint8)
    return np.column_stack([area, aspect, np.clip(places, 0, 1)]), touching


def _levels(log_area: Floats, class_ids: Ints, rows: Ints, n_pictures: int) -> Floats:
    """(N,) by how much the objects of each picture are larger than their classes are: shrunk random effects."""
    totals = np.bincount(class_ids, weights=log_area)
    residual = log_area - (totals / np.maximum(np.bincount(class_ids), 1))[class_ids]
    counts = np.bincount(rows, minlength=n_pictures)
    means = np.bincount(rows, weights=residual, minlength=n_pictures) / np.maximum(counts, 1)
    free = max(len(rows) - int((counts > 0).sum()), 1)
    within = float(((residual - means[rows]) ** 2).sum()) / free
    several = counts > 1
    if several.sum() < 2 or within <= 0:
        return np.zeros(n_pictures)
    between = max(0.0, float(np.var(means[several]) - (within / counts[several]).mean()))
    return np.asarray(counts * between / np.maximum(counts * between + within, 1e-12) * means)


def _covariance(points: Floats, pooled: Floats) -> Floats:
    """A class's covariance (4, 4), drawn towards that of all classes where it has few objects; never singular."""
    n = len(points)
    own = np.cov(points.T) if n > 1 else pooled
    mixed = (n * own + SHRINKAGE * pooled) / (n + SHRINKAGE)
    return np.asarray(mixed + np.diag([1e-4, 1e-4, 1e-4, 1e-4]))


def _bandwidth(points: Floats, covariance: Floats) -> float:
    """The width out of :data:`BANDWIDTHS`, in standard deviations, with the best leave-one-out likelihood."""
    points = points[:: max(1, len(points) // 400)]
    white = np.linalg.solve(np.linalg.cholesky(covariance), points.T).T
    squares = ((white[:, None] - white[None]) ** 2).sum(-1)
    np.fill_diagonal(squares, np.inf)
    scores = []
    for h in BANDWIDTHS:
        exponent = -0.5 * squares / h**2
        peak = exponent.max(1, keepdims=True)
        scores.append(float((peak[:, 0] + np.log(np.exp(exponent - peak).sum(1))).mean() - 4 * np.log(h)))
    return BANDWIDTHS[int(np.argmax(scores))]


@dataclass(frozen=True, eq=False)
class Counts:
    """How many objects of which class: ``counts`` int64 (N, C) of training pictures, wanted ``shares`` (C,) or None.

    A total is drawn from the smoothed quantiles of the training totals; its classes are those of a training picture
    with a similar total, in proportion, rounded at random so that the expectation is kept.
    """

    counts: Ints
    range: tuple[int, int] | None = None
    shares: Floats | None = None
    balance: float = 0.0
    available: Ints | None = None

    def total(self, draws: np.random.Generator) -> int:
        """Objects in one picture."""
        if self.range is not None:
            return int(draws.integers(self.range[0], self.range[1] + 1))
        totals = np.sort(self.counts.sum(1))
        at = draws.random() * len(totals) - 0.5
        value = float(np.interp(at, np.arange(len(totals)), totals))
        return int(np.floor(value + draws.random()))

    def classes(self, total: int, draws: np.random.Generator) -> Ints:
        """(total,) class ids, in random order."""
        shares = self._shares(total, draws)
        expected = np.cumsum(total * shares)
        steps = np.floor(
            expected + draws.random()
        )  # systematic sampling: each class gets floor or ceiling of its share
        steps = np.minimum(steps, total)
        steps[-1] = total
        per_class = np.diff(steps, prepend=0.0).astype(np.int64)
        ids = np.repeat(np.arange(len(shares)), per_class)
        if self.balance:
            usable = self.usable
            ids = np.where(draws.random(total) < self.balance, usable[draws.integers(len(usable), size=total)], ids)
        return np.asarray(draws.permutation(ids), dtype=np.int64)

    @property
    def usable(self) -> Ints:
        """Classes of which there are cut-outs."""
        return np.arange(self.counts.shape[1]) if self.available is None else self.available

    def _shares(self, total: int, draws: np.random.Generator) -> Floats:
        wanted = self.shares
        if wanted is None:
            totals = self.counts.sum(1)
            distance = np.abs(np.log1p(totals) - np.log1p(total))
            weights = np.exp(-0.5 * (distance / 0.25) ** 2) * (totals > 0) + 1e-9 * (totals > 0)
            if self.range is not None or not weights.any():
                wanted = self.counts.sum(0).astype(np.float64)
            else:
                row = int(draws.choice(len(totals), p=weights / weights.sum()))
                wanted = self.counts[row] + self.counts.sum(0) / max(self.counts.sum(), 1)
        kept = np.zeros(self.counts.shape[1])
        kept[self.usable] = np.asarray(wanted, dtype=np.float64)[self.usable]
        if not kept.any():
            kept[self.usable] = 1.0
        return np.asarray(kept / kept.sum())


def overlaps(boxes: Floats, starts: Ints) -> Floats:
    """(M,) how much every box at most overlaps another of its picture, by the smaller's area; ``starts`` (N + 1,)."""
    found = np.zeros(len(boxes))
    for low, high in pairwise(starts.tolist()):
        if high - low > 1:
            _, table = overlap(boxes[low:high], boxes[low:high])
            np.fill_diagonal(table, 0)
            found[low:high] = table.max(1)
    return found


def overlap(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """(n, m) intersections of boxes xyxy (n, 4) and (m, 4): over their union, and over the smaller's area."""
    (x0, y0, x1, y1), (u0, v0, u1, v1) = left.T[:, :, None], right.T[:, None]
    wide, high = np.minimum(x1, u1) - np.maximum(x0, u0), np.minimum(y1, v1) - np.maximum(y0, v0)
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    area, other = (x1 - x0) * (y1 - y0), (u1 - u0) * (v1 - v0)
    return both / np.maximum(area + other - both, 1e-12), both / np.maximum(np.minimum(area, other), 1e-12)
