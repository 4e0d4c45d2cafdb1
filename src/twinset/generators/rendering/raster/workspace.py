"""Draws one scene at a time, in buffers that are kept from picture to picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Material
from twinset.generators.rendering.raster.blocks import BLOCK, NUMBERS
from twinset.generators.rendering.raster.drawing import SPARE, cover, draw
from twinset.generators.rendering.raster.lighting import Caster, Lighting, sky_numbers
from twinset.generators.rendering.raster.painting import fill_with_sky, paint, resolve
from twinset.generators.rendering.raster.projecting import Lattice, in_camera, project
from twinset.generators.rendering.raster.seeing import CREASE, find_edges, label, unpack
from twinset.generators.rendering.raster.shadows import STRIDE, seen_points
from twinset.generators.rendering.raster.surfaces import Geometry, Kept, reflecting
from twinset.generators.rendering.scene import NOTHING, Frame, Placed, Scene


@dataclass(frozen=True, eq=False)
class Seen:
    """One object before the camera: ``box`` the samples it may cover, numbers of its first triangle and surface."""

    placed: Placed
    row: int
    geometry: Geometry
    placing: NDArray[np.float64]
    points: NDArray[np.float64]
    nearness: NDArray[np.float64]
    spots: NDArray[np.int32]
    box: tuple[int, int, int, int]
    beyond: bool
    first_triangle: int
    first_surface: int

    @property
    def in_picture(self) -> bool:
        """Whether any sample may show it."""
        return self.box[0] <= self.box[1] and self.box[2] <= self.box[3]


@dataclass(frozen=True, eq=False)
class Tables:
    """By surface, a material of an object; one row more, for nothing, where −1 may be asked for."""

    surface_of: NDArray[np.int32]
    object_of: NDArray[np.int32]
    reflecting: NDArray[np.float32]
    materials: tuple[Material, ...]
    first_catcher: int


class Workspace:
    """Buffers for pictures of one size at a time; not to be used by two threads at once."""

    def __init__(self, samples: int, kept: Kept) -> None:
        self._samples = samples
        self._kept = kept
        self._lighting = Lighting()
        self._block = np.zeros(NUMBERS, np.float32)
        self._where = np.zeros((2, BLOCK), np.int64)
        self._size = (0, 0)
        self._points = np.zeros((0, 3))
        self._nearness = np.zeros(0)
        self._spots = np.zeros((0, 4), np.int32)

    def silhouettes(self, scene: Scene) -> tuple[NDArray[np.bool_], ...]:
        """For each object the pixels it covers alone."""
        height, width = scene.camera.size
        found = []
        lattice = (1, 2, height, width)
        for seen in self._seen(scene, range(len(scene.objects)), lattice):
            mask = np.zeros((height, width), np.bool_)
            if seen.placed.class_id is not None and not seen.placed.catcher and seen.in_picture:
                drawn = np.zeros((height, width + SPARE), np.uint8)
                cover(seen.points, seen.spots, seen.beyond, seen.geometry.faces, lattice, drawn)
                mask = drawn[:, :width].astype(np.bool_)
            found.append(mask)
        return tuple(found)

    def render(self, scene: Scene) -> Frame:
        """The picture with its labels."""
        height, width = scene.camera.size
        self._fit(height, width)
        lattice = self._lattice
        order = sorted(range(len(scene.objects)), key=lambda row: scene.objects[row].catcher)
        seen = self._seen(scene, order, lattice)
        tables = _tables(seen)
        self._draw(seen, tables)
        lens = _lens(scene)
        if self._samples == 2:
            tolerance = np.float32(CREASE / max(lens[0], lens[1]))
            find_edges(self._near, self._surfaces, tolerance, self._flags, self._needed, self._edges)
        depth = np.empty((height, width), np.float32)
        ids = np.empty((height, width), np.int32)
        normals = np.zeros((height, width, 3), np.float32)
        label(self._near, self._surfaces, tables.object_of, lattice[1], depth, ids)
        self._paint(scene, seen, tables, lens, normals)
        background = scene.background
        if background is None:
            background = np.empty((height, width, 3), np.uint8)
            fill_with_sky(background, sky_numbers(scene), scene.camera.focal, scene.camera.centre)
        rgb = np.empty((height, width, 3), np.uint8)
        background = np.require(background, np.uint8, ("C", "W"))
        resolve(self._colours, self._surfaces, self._edges, tables.first_catcher, background, rgb)
        return Frame(rgb, depth, ids, normals)

    def _fit(self, height: int, width: int) -> None:
        if self._size == (height, width):
            return
        self._size = (height, width)
        doubled = self._samples == 2
        self._lattice: Lattice = (0, 1, 2 * height + 1, 2 * width + 1) if doubled else (1, 2, height, width)
        rows, columns = self._lattice[2:]
        self._nearest = np.zeros((rows, columns + SPARE), np.int64)
        self._behind = np.zeros((0, columns + SPARE), np.int64)
        self._near = np.zeros((rows, columns), np.float32)
        self._triangles = np.zeros((rows, columns), np.int32)
        self._surfaces = np.zeros((rows, columns), np.int32)
        self._colours = np.zeros((rows, columns, 3), np.float32)
        self._flags = np.zeros(columns, np.uint8)
        self._needed = np.ones((rows, columns), np.uint8)
        self._edges = np.zeros((height, width), np.uint8)
        self._seen_points = np.zeros(((height // STRIDE + 2) * (width // STRIDE + 2), 3))

    def _seen(self, scene: Scene, order: Sequence[int], lattice: Lattice) -> list[Seen]:
        placed = [scene.objects[row] for row in order]
        geometries = [self._kept.geometry(each.mesh) for each in placed]
        starts = np.cumsum([0, *(len(geometry.vertices) for geometry in geometries)])
        if len(self._nearness) < starts[-1]:
            self._points, self._nearness = np.zeros((starts[-1], 3)), np.zeros(starts[-1])
            self._spots = np.zeros((starts[-1], 4), np.int32)
        lens, pose = _lens(scene), np.array(scene.camera.pose)
        found, triangle, surface = [], 1, 0
        for row, (each, geometry) in enumerate(zip(placed, geometries, strict=True)):
            part = slice(starts[row], starts[row + 1])
            points, nearness, spots = self._points[part], self._nearness[part], self._spots[part]
            placing = in_camera(pose, np.require(each.pose, np.float64, ("C", "W")))
            top, bottom, left, right, beyond = project(
                geometry.vertices, placing, lens, lattice, points, nearness, spots
            )
            box = (top, bottom, left, right)
            found.append(
                Seen(each, order[row], geometry, placing, points, nearness, spots, box, beyond, triangle, surface)
            )
            triangle += len(geometry.faces)
            surface += len(each.mesh.materials)
        return found

    def _draw(self, seen: list[Seen], tables: Tables) -> None:
        self._nearest.fill(0)
        catching = any(each.placed.catcher for each in seen)
        if catching:
            if not len(self._behind):
                self._behind = np.zeros_like(self._nearest)
            self._behind.fill(0)
        for each in seen:
            if each.in_picture:
                onto = self._behind if each.placed.catcher else self._nearest
                faces, first = each.geometry.faces, each.first_triangle
                draw(each.points, each.nearness, each.spots, each.beyond, faces, first, self._lattice, onto)
        behind = self._behind if catching else self._behind[:0]
        unpack(self._nearest, behind, tables.surface_of, self._near, self._triangles, self._surfaces)

    def _paint(
        self, scene: Scene, seen: list[Seen], tables: Tables, lens: NDArray[np.float64], normals: NDArray[np.float32]
    ) -> None:
        offset, step = self._lattice[:2]
        count = seen_points(self._near, self._surfaces, lens, offset, step, self._seen_points)
        casters = [Caster(each.geometry, each.placing) for each in seen if not each.placed.catcher]
        lights, heights, ranges = self._lighting.lit(scene, casters, self._seen_points[:count])
        sky = sky_numbers(scene)
        for each in seen:
            if not each.in_picture:
                continue
            turning = (each.placing[:, :3] / np.cbrt(np.linalg.det(each.placing[:, :3]))).astype(np.float32)
            for wanted, material in _groups(each, len(tables.object_of)):
                pyramid = self._kept.pyramid(material)
                paint(
                    each.points,
                    each.geometry.vertices,
                    each.geometry.faces,
                    each.geometry.normals,
                    each.geometry.uv,
                    each.first_triangle,
                    each.box,
                    wanted,
                    each.placed.catcher,
                    turning,
                    tables.reflecting,
                    pyramid.texels,
                    pyramid.levels,
                    self._lattice,
                    lens,
                    self._near,
                    self._triangles,
                    self._surfaces,
                    self._needed,
                    sky,
                    lights,
                    heights,
                    ranges,
                    self._block,
                    self._where,
                    self._colours,
                    normals,
                )


def _lens(scene: Scene) -> NDArray[np.float64]:
    """(4,) focal lengths and centre on the lattice of two positions a pixel."""
    return 2.0 * np.array([*scene.camera.focal, *scene.camera.centre])


def _tables(seen: list[Seen]) -> Tables:
    faces = [each.geometry.face_materials + np.int32(each.first_surface) for each in seen]
    objects = [
        np.full(len(each.placed.mesh.materials), NOTHING if each.placed.catcher else each.row, np.int32)
        for each in seen
    ]
    materials = tuple(material for each in seen for material in each.placed.mesh.materials)
    catchers = [each.first_surface for each in seen if each.placed.catcher]
    return Tables(
        np.concatenate([np.array([NOTHING], np.int32), *faces]).astype(np.int32),
        np.concatenate([*objects, np.array([NOTHING], np.int32)]).astype(np.int32),
        np.array([reflecting(material) for material in materials], np.float32).reshape(-1, 5),
        materials,
        min(catchers, default=len(materials)),
    )


def _groups(seen: Seen, length: int) -> list[tuple[NDArray[np.uint8], Material]]:
    """The object's surfaces: those without texture together, every other on its own."""
    plain = np.zeros(length, np.uint8)
    found: list[tuple[NDArray[np.uint8], Material]] = []
    for row, material in enumerate(seen.placed.mesh.materials):
        if material.texture is None or seen.placed.catcher:
            if not plain.any():
                found.append((plain, Material()))
            plain[seen.first_surface + row] = 1
        else:
            alone = np.zeros(length, np.uint8)
            alone[seen.first_surface + row] = 1
            found.append((alone, material))
    return found
