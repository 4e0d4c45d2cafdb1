"""What stands in front of the camera, and what a renderer makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.rendering.environments import Environment
from twinset.generators.rendering.meshes import Colour, Mesh
from twinset.images import Pixels
from twinset.instances import AttributeValue

NOTHING = -1
"""The id of pixels that show no labelled object."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A mesh in the world. ``pose`` float64 (4, 4), object to world: turn, shift and one positive scale.

    ``class_id`` None makes it furniture: drawn, without label. ``shape_id`` names its shape. ``catcher`` makes it
    invisible but for the shadows that fall on it (the ground of a photograph). ``frame`` (4, 4), turn, shift and one
    scale, takes the coordinates of the file that the mesh was read from to the mesh's (None: these are its own).
    """

    mesh: Mesh
    pose: NDArray[np.float64]
    class_id: int | None = None
    shape_id: str = ""
    catcher: bool = False
    columns: Mapping[str, AttributeValue] = field(default_factory=dict)
    frame: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        pose = np.asarray(self.pose, dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise ValueError(f"expected a finite pose (4, 4); got {pose.tolist()}")
        square = pose[:3, :3] @ pose[:3, :3].T
        scale = float(np.trace(square) / 3)
        if not scale > 0 or not np.allclose(square, scale * np.eye(3), atol=1e-5 * scale) or np.linalg.det(pose) <= 0:
            raise ValueError(f"expected a pose that turns, shifts and scales evenly; got {pose.tolist()}")
        object.__setattr__(self, "pose", pose)

    @property
    def told_pose(self) -> NDArray[np.float64]:
        """(4, 4) to the world from the coordinates in which the object's owner knows it."""
        return self.pose if self.frame is None else np.asarray(self.pose @ self.frame)

    @property
    def corners(self) -> NDArray[np.float64]:
        """(F, 3, 3) in the world."""
        return np.asarray(self.mesh.corners.astype(np.float64) @ self.pose[:3, :3].T + self.pose[:3, 3])


@dataclass(frozen=True)
class Light:
    """A far light, as the sun. ``towards`` (3,) points from the scene to it.

    ``strength`` is the light on a surface that faces it: matte white shows 1 / π of it. ``softness_degrees`` is the
    angle of its disc, which blurs the edges of shadows.
    """

    towards: tuple[float, float, float]
    strength: float = 1.5
    colour: Colour = (1.0, 1.0, 1.0)
    shadows: bool = True
    softness_degrees: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.towards).all() or not np.linalg.norm(self.towards) > 0 or not self.strength >= 0:
            raise ValueError(f"expected a direction other than 0 and a strength ≥ 0; got {self}")


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything a picture shows. ``background`` uint8 (H, W, 3) lies behind all geometry, as large as the picture.

    ``ambient`` is the light that comes from everywhere, of ``ambient_colour``, more of it from above where ``sky`` > 0.
    Lights and ambient are in units of the picture's white, without any exposure of its own: matte white shows, linear,
    ambient · (1 + ⅔ sky · height of its normal) + strength / π · cosine for every light, and what is above 1 is cut
    off. So matte white that faces the light of the defaults shows 0.3 · 1.3 + 1.5 / π = 0.87, byte 239.

    An ``environment`` takes the place of the sky's light: ``ambient`` is then its mean over all directions. It is seen
    where there is neither geometry nor a ``background``. A renderer without such light shows ``sky`` in its stead.

    Without lights and ambient the picture is black but for the background; that is no error. A renderer that works at
    random draws from ``seed`` (0 … 2⁶³ − 1).
    """

    camera: Camera
    objects: tuple[Placed, ...]
    lights: tuple[Light, ...] = (Light((0.3, -0.4, 1.0)),)
    ambient: float = 0.3
    ambient_colour: Colour = (1.0, 1.0, 1.0)
    sky: float = 0.5
    background: Pixels | None = None
    seed: int = 0
    environment: Environment | None = None

    def __post_init__(self) -> None:
        shape = (*self.camera.size, 3)
        if self.background is not None and (self.background.shape != shape or self.background.dtype != np.uint8):
            raise ValueError(
                f"expected a background uint8 {shape}; got {self.background.dtype} {self.background.shape}"
            )
        if not (np.isfinite(self.ambient) and self.ambient >= 0 and 0 <= self.sky <= 1):
            raise ValueError(f"expected ambient ≥ 0 and sky in 0…1; got {self.ambient} and {self.sky}")


@dataclass(frozen=True, eq=False)
class Frame:
    """A rendered scene, at the camera's size.

    ``rgb`` uint8 (H, W, 3). The others are sampled at pixel centres, without smoothing: ``depth`` float32 (H, W) metres
    along the camera's axis, inf where there is nothing; ``ids`` int32 (H, W) index into the scene's objects of what is
    nearest, −1 where there is nothing (or a shadow catcher); ``normals`` float32 (H, W, 3) unit vectors of the surface
    in camera coordinates, turned to the camera, zero where there is nothing.
    """

    rgb: Pixels
    depth: NDArray[np.float32]
    ids: NDArray[np.int32]
    normals: NDArray[np.float32]


class Renderer(Protocol):
    """Draws scenes. Equal scenes give equal frames; ids and depth are those of every other renderer, up to edges."""

    def render(self, scene: Scene) -> Frame:
        """The picture with its per-pixel truth."""
        ...

    def silhouettes(self, scene: Scene) -> tuple[NDArray[np.bool_], ...]:
        """For each object the mask bool (H, W) that it would have alone; all False for furniture and catchers."""
        ...


@runtime_checkable
class CostlyRenderer(Renderer, Protocol):
    """A renderer whose labels cost far less than its pictures."""

    def labelled(self, scene: Scene) -> Frame:
        """As ``render``, with any picture."""
        ...
