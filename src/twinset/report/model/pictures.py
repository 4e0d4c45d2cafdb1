"""Small pictures as the page shows them: of each class, and those that were rejected."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.images import Pixels, check_pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """A small picture with a name: uint8 (H, W, 1) or (H, W, 3)."""

    id: str
    pixels: Pixels

    def __post_init__(self) -> None:
        check_pixels(self.pixels)


@dataclass(frozen=True)
class Twin:
    """A synthetic picture beside the real training picture nearest to it, and how far that is."""

    synthetic: Picture
    nearest: Picture | None = None
    distance: float | None = None


@dataclass(frozen=True)
class ClassGrid:
    """Pictures of one class, by ``class_id`` into the report's classes; None where images have no class."""

    class_id: int | None
    real: tuple[Picture, ...]
    synthetic: tuple[Twin, ...]


@dataclass(frozen=True)
class Gallery:
    """Real and synthetic pictures by class. ``distance_in`` names the space and unit of the twin distances.

    ``marked`` says that objects are drawn in the pictures, which are then shown larger and without neighbours.
    """

    grids: tuple[ClassGrid, ...]
    distance_in: str = "pixels, root mean square, 0…1"
    marked: bool = False


@dataclass(frozen=True)
class Rejected:
    """A rejected picture, the reason and, for the curious, the score that decided."""

    picture: Picture
    reason: str
    class_id: int | None = None
    score: str = ""
