"""What a recipe or the matching loop wants of sizes, shapes, heights and counts, and how drawn boxes are brought to it.

A wanted marginal does not replace what was fitted: a drawn value keeps its rank, and gets the wanted distribution's
value at that rank (monotone transport). So the small class stays the small one when all areas are moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Measure = Literal["log_area", "log_aspect", "centre_x", "centre_y"]
MEASURES: tuple[Measure, ...] = ("log_area", "log_aspect", "centre_x", "centre_y")
RANKS = np.concatenate([[5e-4], np.linspace(0, 1, 402)[1:-1], [1 - 5e-4]])
"""Ranks at which quantile functions are tabulated."""

Values = NDArray[np.float64]


UNKNOWN_KEYS_ARE_ERRORS: Mapping[str, str] = {"extra": "forbid"}
"""What pydantic is told of settings inside settings, where a recipe is read."""


@dataclass(frozen=True)
class Normal:
    """One component of a mixture: its mean, its standard deviation, and its weight (they are brought to sum 1)."""

    __pydantic_config__ = UNKNOWN_KEYS_ARE_ERRORS

    mean: float
    std: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        sound = math.isfinite(self.mean) and math.isfinite(self.std) and math.isfinite(self.weight)
        if not sound or self.std < 0 or self.weight <= 0:
            raise ValueError(f"expected a finite mean, std ≥ 0 and weight > 0; got {self}")


Mixture = tuple[Normal, ...]


@dataclass(frozen=True)
class BoxTarget:
    """Wanted mixtures of box measures; an empty one leaves the measure as it was fitted.

    ``log_area`` is the natural logarithm of the box's share of the picture's area, ``log_aspect`` that of width over
    height in pixels, ``centre_x`` and ``centre_y`` are shares of the picture's sides.
    """

    __pydantic_config__ = UNKNOWN_KEYS_ARE_ERRORS

    log_area: Mixture = ()
    log_aspect: Mixture = ()
    centre_x: Mixture = ()
    centre_y: Mixture = ()


@dataclass(frozen=True)
class PlacementTarget(BoxTarget):
    """A target given in a recipe: mixtures for all classes together, or for a class by name; and the number of objects.

    ``count`` is a mixture of objects per picture; ``class_shares`` are class proportions by name.
    """

    count: Mixture = ()
    class_shares: Mapping[str, float] = field(default_factory=dict)
    per_class: Mapping[str, BoxTarget] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.class_shares and (min(self.class_shares.values()) < 0 or not sum(self.class_shares.values()) > 0):
            raise ValueError(f"expected class_shares ≥ 0, not all zero; got {dict(self.class_shares)}")


@dataclass(frozen=True)
class Configuration:
    """A point of the space that matching searches; None leaves a measure as it was fitted. Units as :class:`BoxTarget`.

    A mean is given together with its standard deviation.
    """

    log_area_mean: float | None = None
    log_area_std: float | None = None
    log_aspect_mean: float | None = None
    log_aspect_std: float | None = None
    centre_y_mean: float | None = None
    centre_y_std: float | None = None
    count_mean: float | None = None
    count_std: float | None = None

    def __post_init__(self) -> None:
        for name in ("log_area", "log_aspect", "centre_y", "count"):
            mean, std = getattr(self, f"{name}_mean"), getattr(self, f"{name}_std")
            if (mean is None) != (std is None):
                raise ValueError(f"expected {name}_mean and {name}_std together; got {mean} and {std}; give both")
            if std is not None and not (std >= 0 and math.isfinite(std) and math.isfinite(mean)):
                raise ValueError(f"expected a finite {name}_mean and {name}_std ≥ 0; got {mean} and {std}")

    def normal(self, name: str, weight: float = 1.0) -> Normal | None:
        """What is wanted of ``log_area``, ``log_aspect``, ``centre_y`` or ``count``, if anything."""
        mean, std = getattr(self, f"{name}_mean", None), getattr(self, f"{name}_std", None)
        return None if mean is None or std is None else Normal(mean, std, weight)


Weighted = tuple[tuple[float, Configuration], ...]


@lru_cache(maxsize=256)
def quantiles(mixture: Mixture) -> Values:
    """(Q,) the mixture's quantile function at :data:`RANKS`, by inverting its distribution function on a grid."""
    from scipy.special import ndtr

    weights = np.array([part.weight for part in mixture])
    means, stds = np.array([part.mean for part in mixture]), np.maximum([part.std for part in mixture], 1e-9)
    tables = [np.linspace(mean - 4 * std, mean + 4 * std, 801) for mean, std in zip(means, stds, strict=True)]
    grid = np.unique(np.concatenate(tables))
    below = ndtr((grid[:, None] - means) / stds) @ (weights / weights.sum())
    return np.asarray(np.interp(RANKS, below, grid))


def draw(mixture: Sequence[Normal], draws: np.random.Generator) -> float:
    """One value of the mixture."""
    weights = np.array([part.weight for part in mixture])
    part = mixture[int(draws.choice(len(mixture), p=weights / weights.sum()))]
    return float(draws.normal(part.mean, part.std))


def at_rank(ranks: Values, part: Normal) -> Values:
    """The normal's values at these ranks, which are kept off 0 and 1."""
    from scipy.special import ndtri

    return np.asarray(part.mean + part.std * ndtri(np.clip(ranks, RANKS[0], RANKS[-1])))


def at_ranks_of_mixture(ranks: Values, mixture: Sequence[Normal]) -> Values:
    """The mixture's values at these ranks."""
    return np.asarray(np.interp(ranks, RANKS, quantiles(tuple(mixture))))


@dataclass(frozen=True, eq=False)
class Reference:
    """The marginals that placement has by itself: for every measure its quantiles (Q,) at :data:`RANKS`."""

    tables: Mapping[Measure, Values]

    @staticmethod
    def of(values: Mapping[Measure, Values]) -> Reference:
        """From many drawn values of every measure."""
        return Reference({name: np.quantile(drawn, RANKS) for name, drawn in values.items()})

    def rank(self, name: Measure, values: Values) -> Values:
        """The rank, 0…1, of values under this marginal."""
        return np.asarray(np.interp(values, self.tables[name], RANKS))


def components(weighted: Weighted, areas: Values, draws: np.random.Generator) -> NDArray[np.int64]:
    """(n,) which configuration each object follows, given the log areas (n,) that the mixture of all has given it.

    Where all configurations speak of area, an object's component is drawn from its posterior given that area, so area,
    component and what else the component asks for are jointly as configured.
    """
    weights = np.array([weight for weight, _ in weighted])
    share = np.repeat((weights / weights.sum())[None], len(areas), axis=0)
    parts = [configuration.normal("log_area") for _, configuration in weighted]
    if all(part is not None for part in parts):
        means = np.array([part.mean for part in parts if part])
        stds = np.maximum([part.std for part in parts if part], 1e-9)
        exponent = -0.5 * ((areas[:, None] - means) / stds) ** 2
        share = share * np.exp(exponent - exponent.max(1, keepdims=True)) / stds
    bounds = np.cumsum(share, axis=1)
    return np.asarray((draws.random((len(areas), 1)) * bounds[:, -1:] > bounds).sum(1), dtype=np.int64)
