"""How a mesh file is to be understood, how much of it is accepted, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.choices import check_choices
from twinset.generators.rendering.meshes import MOST_FACES

Axis = Literal["y", "z"]
MAX_MESH_BYTES = 256 * 1024 * 1024
MAX_TEXELS = 128_000_000


@dataclass(frozen=True)
class MeshSettings:
    """``up`` is the file's vertical axis (None: y for glTF, which says so; z for the others, which do not).

    A file's unit is ``scale`` metres; or ``height_metres`` makes the mesh that high, whatever its unit. ``standing``
    moves it onto z = 0 around the z axis. A texture that is absent or no picture refuses the mesh (``"refuse"``), or
    its material keeps its colour alone and the report counts it (``"plain"``). ``most_vertices``, ``most_faces`` (of
    triangles), ``most_bytes`` (of all files together) and ``most_texels`` (of all its textures) bound what is read.
    """

    up: Axis | None = None
    scale: float = 1.0
    height_metres: float | None = None
    standing: bool = True
    missing_textures: Literal["refuse", "plain"] = "refuse"
    most_vertices: int = MOST_FACES
    most_faces: int = MOST_FACES
    most_bytes: int = MAX_MESH_BYTES
    most_texels: int = MAX_TEXELS

    def __post_init__(self) -> None:
        check_choices(self)
        if not (isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"expected a scale > 0; got {self.scale}")
        if self.height_metres is not None and not (isfinite(self.height_metres) and self.height_metres > 0):
            raise ValueError(f"expected a height > 0 metres; got {self.height_metres}")
        if self.height_metres is not None and self.scale != 1.0:
            raise ValueError(f"expected a scale or a height; got {self.scale} and {self.height_metres}; give one")
        if min(self.most_vertices, self.most_faces, self.most_bytes, self.most_texels) < 1:
            raise ValueError(f"expected limits ≥ 1; got {self}")
        if self.most_faces > MOST_FACES:
            raise ValueError(f"expected at most {MOST_FACES} faces; got {self.most_faces}")


DEFAULTS = MeshSettings()


@dataclass(frozen=True)
class MeshReport:
    """What a file held and what became of it.

    ``triangulated`` counts polygons of more than three corners, ``degenerate`` the faces dropped for lack of area,
    ``unused_vertices`` the vertices dropped as no face has them. ``boundary_edges`` have one face, ``crowded_edges``
    more than two (the mesh is no manifold there), among faces that meet in equal coordinates. ``turned`` says that
    the closed surface was inside out. ``missing_textures`` names those drawn without; ``ignored`` counts what was
    left out by kind (lines, points, animations, …). ``files`` maps every file read, as its name is in the folder, to
    its sha256. ``size_metres`` is (x, y, z). ``frame`` float64 (4, 4) takes the file's coordinates to the mesh's.
    """

    vertices: int
    faces: int
    size_metres: tuple[float, float, float]
    triangulated: int = 0
    degenerate: int = 0
    unused_vertices: int = 0
    boundary_edges: int = 0
    crowded_edges: int = 0
    turned: bool = False
    textures: int = 0
    missing_textures: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    frame: NDArray[np.float64] = field(default_factory=lambda: np.eye(4), compare=False)

    def __post_init__(self) -> None:
        for name in ("ignored", "files"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def closed(self) -> bool:
        """Whether every edge has two faces."""
        return self.boundary_edges == self.crowded_edges == 0

    def lines(self) -> list[str]:
        """One sentence for each thing that was changed or left out; none for a file that came through whole."""
        found = [
            (self.triangulated, f"{self.triangulated} polygons were cut into triangles"),
            (self.degenerate, f"{self.degenerate} faces without area were dropped"),
            (self.unused_vertices, f"{self.unused_vertices} vertices without a face were dropped"),
            (self.boundary_edges, f"{self.boundary_edges} edges have one face only: the surface is open"),
            (self.crowded_edges, f"{self.crowded_edges} edges have more than two faces: the surface is no manifold"),
            (self.turned, "the surface was inside out and was turned"),
            (self.missing_textures, f"drawn without the textures or materials {', '.join(self.missing_textures)}"),
        ]
        said = [sentence for cause, sentence in found if cause]
        return said + [f"{count} {what} were ignored" for what, count in sorted(self.ignored.items())]


def told_together(reports: Sequence[MeshReport]) -> list[str]:
    """How many of these meshes are odd in which way; nothing where all are sound."""
    kinds = (
        ("open (edges with one face)", [report.boundary_edges > 0 for report in reports]),
        ("no manifold (edges with more than two faces)", [report.crowded_edges > 0 for report in reports]),
        ("inside out, and were turned", [report.turned for report in reports]),
        ("had faces without area, which were dropped", [report.degenerate > 0 for report in reports]),
        ("drawn without textures that are missing", [bool(report.missing_textures) for report in reports]),
        ("had lines, points or the like, which were left out", [any(report.ignored.values()) for report in reports]),
    )
    return [f"{sum(which)} of {len(reports)} {what}" for what, which in kinds if any(which)]
