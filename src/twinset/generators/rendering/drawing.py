"""The numbers of one picture: drawn evenly between a least and a most, or as a configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinset.generators.rendering.settings import LIMITS, Follow, Rendering
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
    "distance_metres": ("size",),
    "camera_elevation_degrees": ("elevation_degrees",),
    "sun_strength": ("sun_strength",),
    "ambient": ("ambient",),
}
"""Which of them move a metadata measure."""

SAID_BY: Mapping[str, Follow] = {
    "size_mean": "area",
    "centre_x_mean": "position",
    "centre_y_mean": "position",
    "count_mean": "count",
}
"""What of the training boxes is no longer followed where a configuration speaks of these."""

CLOSE_SIZES = (0.4, 0.8)
CLOSE_PLACES = (0.25, 0.75)
CLOSE_OBJECTS = 3
CLOSE_DEGREES = 45.0
"""Sizes, places and number of objects in close-ups, and the widest angle: a wider one would stand inside of objects."""

CLOSE_DRAWN = ("size_", "centre_x_", "centre_y_", "count_")
"""What of a configuration does not hold for close-ups."""

NARROW = 0.02
"""Least standard deviation of a configuration, in shares of the width of its bounds."""

SPACE: Mapping[str, tuple[float, float]] = {
    "size": (float(np.log(0.01)), float(np.log(1.0))),
    "elevation_degrees": (5.0, 90.0),
    "count": (0.0, 60.0),
    "centre_x": (0.0, 1.0),
    "centre_y": (0.0, 1.0),
    "sun_strength": (0.0, 4.0),
    "ambient": (0.05, 1.25),
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


def steered_by(measures: Sequence[str]) -> tuple[str, ...]:
    """What of a configuration moves these metadata measures; ``ValueError`` where nothing does."""
    names = dict.fromkeys(name for measure in measures for name in MEASURED_BY.get(measure, ()))
    if not names:
        raise ValueError(f"expected measures out of {', '.join(MEASURED_BY)}; got {', '.join(measures)}")
    return tuple(names)


def ranges_of(settings: Rendering) -> dict[str, tuple[float, float]]:
    """What the settings say of everything that can be steered, as a configuration would: of ``size`` the logarithm."""
    found = {name: getattr(settings, name) for name in STEERED}
    return {
        name: (float(np.log(low)), float(np.log(high))) if name in LOGARITHMIC else (float(low), float(high))
        for name, (low, high) in found.items()
    }


@dataclass(frozen=True)
class Drawing:
    """What is drawn for one picture: the settings' ranges, and what a configuration says instead."""

    settings: Rendering
    configuration: Configuration
    close_up: bool = False

    def number(self, name: str, draws: np.random.Generator) -> float:
        """One value, within the limits of its range."""
        low, high = getattr(self.settings, name)
        if f"{name}_mean" not in self.configuration:
            if name in LOGARITHMIC:
                return float(np.exp(draws.uniform(np.log(low), np.log(high))))
            return float(draws.uniform(low, high))
        value = draws.normal(self.configuration[f"{name}_mean"], self.configuration[f"{name}_std"])
        return float(np.clip(np.exp(value) if name in LOGARITHMIC else value, *LIMITS[name]))

    @property
    def followed(self) -> frozenset[Follow]:
        """What of the training boxes a picture follows: all that the settings name but what a configuration says."""
        said = {SAID_BY[name] for name in self.configuration if name in SAID_BY}
        return frozenset(self.settings.follow) - said

    def with_size(self, share: float) -> Drawing:
        """The same, with this share of the longer side for what a typical object spans."""
        low, high = LIMITS["size"]
        said = {"size_mean": float(np.log(np.clip(share, low, high))), "size_std": 0.0}
        return replace(self, configuration={**self.configuration, **said})

    def close(self) -> Drawing:
        """The same as a close-up: few objects, the first of them near enough to fill much of the picture."""
        settings = self.settings
        narrow = settings.field_of_view_degrees
        near = replace(
            settings,
            follow=(),
            size=CLOSE_SIZES,
            centre_x=CLOSE_PLACES,
            centre_y=CLOSE_PLACES,
            count=(1, max(1, min(CLOSE_OBJECTS, settings.count[1]))),
            field_of_view_degrees=(min(narrow[0], CLOSE_DEGREES), min(narrow[1], CLOSE_DEGREES)),
        )
        said = {name: value for name, value in self.configuration.items() if not name.startswith(CLOSE_DRAWN)}
        return Drawing(near, said, close_up=True)

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
