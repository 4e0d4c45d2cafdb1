"""Triangles with materials: what every object of a scene is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.images import Pixels

Floats32 = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Colour = tuple[float, float, float]
"""sRGB, 0…1."""

MOST_FACES = 2_000_000


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface reflects: ``colour`` sRGB 0…1, times ``texture`` (uint8 (h, w, 3), repeating) where there is one.

    ``roughness`` 0 (mirror-like highlight) … 1 (matte), ``metallic`` 0…1. Below an ``opacity`` of 1 a share 1 − opacity
    of the light from behind passes, filtered by the colour: 0 < opacity ≤ 1. What is seen through a surface has no
    label there. Translucent surfaces throw no shadow.
    """

    colour: Colour = (0.7, 0.7, 0.7)
    roughness: float = 0.6
    metallic: float = 0.0
    texture: Pixels | None = None
    opacity: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.opacity <= 1:
            raise ValueError(f"expected an opacity above 0, at most 1; got {self.opacity}")
        if len(self.colour) != 3 or not all(0 <= part <= 1 for part in (*self.colour, self.roughness, self.metallic)):
            raise ValueError(f"expected colour, roughness and metallic in 0…1; got {self}")
        if self.texture is not None and (self.texture.dtype != np.uint8 or self.texture.shape[2:] != (3,)):
            raise ValueError(f"expected a texture uint8 (h, w, 3); got {self.texture.dtype} {self.texture.shape}")


PLAIN = (Material(),)


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in an object's own frame: metres, z up, standing on z = 0 around the z axis.

    ``vertices`` float32 (V, 3); ``faces`` int32 (F, 3), counter-clockwise seen from outside; ``face_materials`` int32
    (F,) into ``materials``; ``uv`` float32 (F, 3, 2) texture coordinates of corners (None: projected from a box, one
    unit a metre); ``normals`` float32 (F, 3, 3) of corners, unit length (None: flat). ``keypoints`` name points (3,).

    Raises :class:`ValueError` for what is not finite, out of range, or has no face of positive area.
    """

    vertices: Floats32
    faces: NDArray[np.int32]
    materials: tuple[Material, ...] = PLAIN
    face_materials: NDArray[np.int32] | None = None
    uv: Floats32 | None = None
    normals: Floats32 | None = None
    keypoints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("vertices", np.ascontiguousarray(self.vertices, dtype=np.float32))
        put("faces", np.ascontiguousarray(self.faces, dtype=np.int32))
        count = len(self.faces)
        given = self.face_materials
        put("face_materials", np.zeros(count, np.int32) if given is None else np.asarray(given, dtype=np.int32))
        put("keypoints", MappingProxyType(dict(self.keypoints)))
        self._check()

    def _check(self) -> None:
        count = len(self.faces)
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3 or not np.isfinite(self.vertices).all():
            raise ValueError(f"expected finite vertices (V, 3); got {self.vertices.shape}")
        if self.faces.ndim != 2 or self.faces.shape[1:] != (3,) or not 1 <= count <= MOST_FACES:
            raise ValueError(f"expected 1…{MOST_FACES} faces (F, 3); got {self.faces.shape}")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ValueError(f"expected faces of the {len(self.vertices)} vertices; got {self.faces.max()}")
        assert self.face_materials is not None
        ids = self.face_materials
        if ids.shape != (count,) or ids.min() < 0 or ids.max() >= len(self.materials):
            raise ValueError(f"expected a material out of {len(self.materials)} for each of {count} faces; got {ids}")
        for name, shape in (("uv", (count, 3, 2)), ("normals", (count, 3, 3))):
            value = getattr(self, name)
            if value is not None and (value.shape != shape or not np.isfinite(value).all()):
                raise ValueError(f"expected finite {name} {shape}; got {value.shape}")
        if not (self.face_areas() > 0).any():
            raise ValueError("expected a face of positive area; got none")

    def __reduce__(self) -> tuple[object, ...]:
        plain = (self.vertices, self.faces, self.materials, self.face_materials, self.uv, self.normals)
        return (Mesh, (*plain, dict(self.keypoints)))

    def __repr__(self) -> str:
        return f"Mesh({len(self.vertices)} vertices, {len(self.faces)} faces, {len(self.materials)} materials)"

    @property
    def corners(self) -> Floats32:
        """(F, 3, 3): face, corner, coordinate."""
        return self.vertices[self.faces]

    @cached_property
    def bounds(self) -> Floats32:
        """(2, 3), not to be written to: least and largest coordinates of the vertices."""
        found = np.stack([self.vertices.min(0), self.vertices.max(0)])
        found.setflags(write=False)
        return found

    def face_areas(self) -> NDArray[np.float64]:
        """(F,) square metres."""
        points = self.vertices.astype(np.float64)
        first = points[self.faces[:, 0]]
        # By component: four times as fast as NumPy's cross product.
        (ux, uy, uz), (vx, vy, vz) = (points[self.faces[:, 1]] - first).T, (points[self.faces[:, 2]] - first).T
        return np.asarray(np.sqrt((uy * vz - uz * vy) ** 2 + (uz * vx - ux * vz) ** 2 + (ux * vy - uy * vx) ** 2) / 2)

    def transformed(self, matrix: ArrayLike) -> Mesh:
        """The mesh under an affine map (4, 4); a mirror image keeps its faces' outside outside."""
        full = np.asarray(matrix, dtype=np.float64)
        linear, shift = full[:3, :3], full[:3, 3]
        flip = np.linalg.det(linear) < 0
        faces = self.faces[:, ::-1] if flip else self.faces
        normals = self.normals
        if normals is not None:
            turned = normals.astype(np.float64) @ np.linalg.inv(linear)
            turned /= np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-12)
            normals = (turned[:, ::-1] if flip else turned).astype(np.float32)
        uv = self.uv[:, ::-1] if flip and self.uv is not None else self.uv
        return replace(
            self,
            vertices=(self.vertices.astype(np.float64) @ linear.T + shift).astype(np.float32),
            faces=faces,
            normals=normals,
            uv=uv,
            keypoints={name: _moved(at, linear, shift) for name, at in self.keypoints.items()},
        )

    def painted(self, material: Material) -> Mesh:
        """The same shape, all of one material."""
        return replace(self, materials=(material,), face_materials=None)

    @property
    def to_stand(self) -> Floats64:
        """(4, 4) the move after which it stands on z = 0 with the middle of its bounds on the z axis."""
        low, high = self.bounds.astype(np.float64)
        move = np.eye(4)
        move[:3, 3] = (-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2])
        return move

    def standing(self) -> Mesh:
        """Moved by :attr:`to_stand`."""
        return self.transformed(self.to_stand)

    @staticmethod
    def joined(parts: Sequence[Mesh]) -> Mesh:
        """One mesh of several, with all their materials; texture coordinates stay where all have them."""
        if not parts:
            raise ValueError("expected at least one part; got none")
        starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
        first = np.cumsum([0, *(len(part.materials) for part in parts[:-1])])
        ids = [part.face_materials for part in parts]
        return Mesh(
            vertices=np.concatenate([part.vertices for part in parts]),
            faces=np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]).astype(
                np.int32
            ),
            materials=tuple(material for part in parts for material in part.materials),
            face_materials=np.concatenate(
                [own + start for own, start in zip(ids, first, strict=True) if own is not None]
            ).astype(np.int32),
            uv=_all_or_none([part.uv for part in parts]),
            normals=_all_or_none([part.normals if part.normals is not None else flat_normals(part) for part in parts])
            if any(part.normals is not None for part in parts)
            else None,
            keypoints={name: at for part in parts for name, at in part.keypoints.items()},
        )


def flat_normals(mesh: Mesh) -> Floats32:
    """(F, 3, 3) the face's own unit normal at each of its corners; zero for a face without area."""
    a, b, c = mesh.corners.astype(np.float64).transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    return np.repeat(normal[:, None], 3, axis=1).astype(np.float32)


def _moved(at: tuple[float, float, float], linear: Floats64, shift: Floats64) -> tuple[float, float, float]:
    x, y, z = (float(part) for part in linear @ np.asarray(at) + shift)
    return x, y, z


def _all_or_none(arrays: Sequence[Floats32 | None]) -> Floats32 | None:
    given = [array for array in arrays if array is not None]
    return np.concatenate(given) if len(given) == len(arrays) else None
