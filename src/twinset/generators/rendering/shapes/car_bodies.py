"""The bodies of cars as a table of sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from twinset.generators.rendering.meshes import Material


@dataclass(frozen=True)
class CarBody:
    """Metres, and shares of the length from the front: windscreen and rear window, each at the belt and at the roof."""

    length: tuple[float, float]
    width: tuple[float, float]
    height: float
    belt: float
    screen: tuple[float, float]
    rear: tuple[float, float]
    deck: float  # height of the boot's lid (or of a pickup's bed)
    clearance: float = 0.19
    wheel: float = 0.315
    windows: tuple[tuple[float, float], ...] = ((0.04, 0.46), (0.50, 0.90))  # shares of the side, front to rear


BODIES: Mapping[str, CarBody] = MappingProxyType(
    {
        "hatchback": CarBody((3.5, 4.3), (1.62, 1.80), 1.48, 0.92, (0.25, 0.42), (0.965, 0.86), 0.90),
        "sedan": CarBody((4.3, 5.1), (1.72, 1.90), 1.45, 0.90, (0.28, 0.42), (0.845, 0.70), 0.94),
        "estate": CarBody(
            (4.4, 5.0),
            (1.72, 1.88),
            1.48,
            0.91,
            (0.27, 0.40),
            (0.97, 0.90),
            0.90,
            windows=((0.04, 0.37), (0.40, 0.66), (0.69, 0.93)),
        ),
        "suv": CarBody(
            (4.2, 5.0),
            (1.80, 1.96),
            1.72,
            1.07,
            (0.26, 0.38),
            (0.97, 0.89),
            1.04,
            0.24,
            0.36,
            ((0.04, 0.38), (0.41, 0.68), (0.71, 0.92)),
        ),
        "pickup": CarBody(
            (4.9, 5.2),
            (1.80, 1.95),
            1.78,
            1.12,
            (0.25, 0.36),
            (0.595, 0.575),
            0.93,
            0.26,
            0.38,
            ((0.05, 0.52), (0.57, 0.9)),
        ),
        "van": CarBody(
            (4.4, 5.2), (1.78, 1.98), 1.95, 1.12, (0.13, 0.28), (0.985, 0.965), 1.1, 0.2, 0.33, ((0.05, 0.28),)
        ),
        "minibus": CarBody(
            (4.6, 5.2),
            (1.82, 2.0),
            1.95,
            1.10,
            (0.12, 0.26),
            (0.985, 0.965),
            1.1,
            0.2,
            0.33,
            ((0.05, 0.27), (0.30, 0.60), (0.63, 0.94)),
        ),
        "coupe": CarBody(
            (4.0, 4.7), (1.74, 1.92), 1.33, 0.86, (0.31, 0.47), (0.90, 0.70), 0.92, 0.15, 0.33, ((0.05, 0.72),)
        ),
        "convertible": CarBody((3.8, 4.6), (1.70, 1.86), 1.30, 0.86, (0.32, 0.42), (0.76, 0.74), 0.88, 0.16, 0.32),
    }
)


@dataclass(frozen=True)
class CarPlan:
    """One car in metres; x is +length/2 at its front."""

    body: CarBody
    length: float
    width: float
    height: float
    paint: Material
    glass: Material

    def at(self, share: float) -> float:
        """The x of a share of the length from the front."""
        return self.length * (0.5 - share)

    @property
    def axles(self) -> list[float]:
        """x of the front and the rear axle."""
        return [self.at(0.185), self.at(0.80)]
