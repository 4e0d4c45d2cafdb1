"""What every reader hands over: polygons with what lies on their corners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import PLAIN, Material

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Surface:
    """Polygons in a file's own axes and unit.

    ``positions`` (V, 3); ``sizes`` (P,) the corners of each polygon, of which ``corners`` (C,) lists the positions,
    counter-clockwise seen from outside; ``polygon_materials`` (P,) into ``materials``. On corners, NaN where there is
    none: ``uv`` (C, 2), v upwards from the picture's lower edge; ``normals`` (C, 3); ``colours`` (C, 3) sRGB 0…1, times
    the material's. ``ignored`` counts what was left out by kind.
    """

    positions: Floats
    sizes: Ints
    corners: Ints
    materials: tuple[Material, ...] = PLAIN
    polygon_materials: Ints | None = None
    uv: Floats | None = None
    normals: Floats | None = None
    colours: Floats | None = None
    ignored: Mapping[str, int] = field(default_factory=dict)
