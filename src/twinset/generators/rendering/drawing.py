"""The numbers of one picture: drawn evenly between a least and a most, or as a configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinset.generators.rendering.settings import LIMITS, Rendering
from twinset.stages import Configuration

STEERED = ("size", "elevation_degrees", "count", "centre_x", "centre_y", "sun_strength", "ambient")
"""What a configuration can say, as ``NAME_mean`` and ``NAME_std``; of ``size`` the natural logarithm."""

LOGARITHMIC = frozenset({"size"})

MEASURED_BY = {
    "box_area": ("size",),
    "aspect_ratio": ("elevation_degrees",),
    "centre_x": ("centre_x",),
    "centre_y": ("centre_y",),
    "count": ("count",),
    "brightness": ("sun_strength", "ambient"),
    "contrast": ("sun_strength", "ambient"),
}
"""Which of them move a metadata measure."""

NARROW = 0.02
"""Least standard deviation of a configuration, in shares of the width of its bounds."""

SPACE: Mapping[str, tuple[float, float]] = {
    "size": (float(np.log(0.01)), float(np.log(1.0))),
    "elevation_degrees": (5.0, 90.0),
    "count": (0.0, 60.0),
    "centre_x": (0.0, 1.0),
    "centre_y": (0.0, 1.0),
    "sun_strength": (0.0, 6.0),
    "ambient": (0.1, 2.0),
}
"""Bounds of the means."""


def space_of(names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Bounds of every parameter of a configuration that speaks of these."""
    found = {}
    for name in names:
        low, high = SPACE[name]
        found[f"{name}_mean"] = (low, high)
        found[f"{name}_std"] = (NARROW * (high - low), 0.35 * (high - low))
    return found


@dataclass(frozen=True)
class Drawing:
    """What is drawn for one picture: the settings' ranges, and what a configuration says instead."""

    settings: Rendering
    configuration: Configuration

    def number(self, name: str, draws: np.random.Generator) -> float:
        """One value, within the limits of its range."""
        low, high = getattr(self.settings, name)
        if f"{name}_mean" not in self.configuration:
            if name in LOGARITHMIC:
                return float(np.exp(draws.uniform(np.log(low), np.log(high))))
            return float(draws.uniform(low, high))
        value = draws.normal(self.configuration[f"{name}_mean"], self.configuration[f"{name}_std"])
        return float(np.clip(np.exp(value) if name in LOGARITHMIC else value, *LIMITS[name]))

    def whole(self, name: str, draws: np.random.Generator) -> int:
        """One whole number; both ends of the range are drawn as often as what lies between."""
        if f"{name}_mean" in self.configuration:
            return round(self.number(name, draws))
        low, high = getattr(self.settings, name)
        return int(draws.integers(low, high + 1))


def check_configuration(configuration: Configuration) -> None:
    """Raises :class:`ValueError` for a parameter that does not exist, or one without its fellow."""
    known = space_of(STEERED)
    for name, value in configuration.items():
        if name not in known or not np.isfinite(value):
            raise ValueError(f"expected finite values of {', '.join(known)}; got {name} {value}")
        stem, _, kind = name.rpartition("_")
        other = f"{stem}_{'std' if kind == 'mean' else 'mean'}"
        if other not in configuration or (kind == "std" and value < 0):
            raise ValueError(f"expected {name} ≥ 0 for a deviation, and {other} beside it; got {dict(configuration)}")
