"""Draws one scene at a time, in buffers that are kept from picture to picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Material
from twinset.generators.rendering.raster.blocks import BLOCK, CORNERS, NUMBERS, PLACES, WHOLES
from twinset.generators.rendering.raster.drawing import SPARE, cover, draw
from twinset.generators.rendering.raster.gathering import Desk, Figure
from twinset.generators.rendering.raster.layering import Layers, resolve_through
from twinset.generators.rendering.raster.lighting import Caster, Lighting, sky_numbers
from twinset.generators.rendering.raster.painting import Canvas, Coat, Shine, paint
from twinset.generators.rendering.raster.picking import STRETCH, Needed, Sheet, list_needed
from twinset.generators.rendering.raster.projecting import Lattice, in_camera, project, turning_in
from twinset.generators.rendering.raster.resolving import fill_with_sky, resolve
from twinset.generators.rendering.raster.seeing import CREASE, find_edges, label, unpack
from twinset.generators.rendering.raster.shadows import STRIDE, seen_points
from twinset.generators.rendering.raster.surfaces import Geometry, Kept, reflecting
from twinset.generators.rendering.scene import NOTHING, Frame, Placed, Scene

Sheets = list[tuple[Sheet, tuple[int, int, int, int]]]
"""What was drawn, front to back, each with the first and last row and column of what is to be painted."""


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

    @property
    def translucent(self) -> bool:
        """Whether something may be seen through it."""
        return self.in_picture and self.geometry.translucent and not self.placed.catcher

    @property
    def figure(self) -> Figure:
        """What painting needs of it."""
        turning = turning_in(self.placing)
        mesh = self.geometry
        return Figure(self.points, mesh.vertices, mesh.faces, mesh.normals, mesh.uv, self.first_triangle, turning)


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
        self._desk = Desk(
            np.zeros(NUMBERS, np.float32),
            np.zeros((WHOLES, BLOCK), np.int64),
            np.zeros(PLACES, np.int32),
            np.zeros(CORNERS),
        )
        self._size = (0, 0)
        self._points = np.zeros((0, 3))
        self._nearness = np.zeros(0)
        self._spots = np.zeros((0, 4), np.int32)
        self._later = np.zeros(0, np.int32)

    def silhouettes(self, scene: Scene) -> tuple[NDArray[np.bool_], ...]:
        """For each object the pixels it covers alone."""
        height, width = scene.camera.size
        found = []
        lattice = (1, 2, height, width)
        drawn = np.zeros((height, width + SPARE), np.uint8)
        for seen in self._seen(scene, range(len(scene.objects)), lattice):
            mask = np.zeros((height, width), np.bool_)
            if seen.placed.class_id is not None and not seen.placed.catcher and seen.in_picture:
                cover(seen.points, seen.spots, seen.beyond, seen.geometry.faces, lattice, drawn)
                rows = slice(seen.box[0], seen.box[1] + 1)
                mask[rows] = drawn[rows, :width]
                drawn[rows] = 0
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
        tolerance = np.float32(CREASE / max(lens[0], lens[1]))
        if self._samples == 2:
            find_edges(self._near, self._surfaces, tolerance, self._flags, self._needed, self._edges)
        depth = np.empty((height, width), np.float32)
        ids = np.empty((height, width), np.int32)
        normals = np.zeros((height, width, 3), np.float32)
        label(self._near, self._surfaces, tables.object_of, lattice[1], depth, ids)
        sheets: Sheets = [(self._sheet(lens), (0, lattice[2] - 1, 0, lattice[3] - 1))]
        through = any(each.translucent for each in seen)
        if through:
            sheets += self._behind_the_nearest(seen, tables, sheets[0][0], tolerance)
        sky, background = sky_numbers(scene), scene.background
        if background is None and scene.environment is not None:
            background = scene.environment.seen(scene.camera, scene.ambient)
        if background is not None:
            rgb = np.array(background, np.uint8, order="C")
        else:
            rgb = np.empty((height, width, 3), np.uint8)
            opaque = 0 if through else tables.first_catcher
            drawn = self._surfaces, self._edges, opaque
            fill_with_sky(rgb, *drawn, sky, scene.camera.focal, scene.camera.centre)
        canvas = Canvas(self._colours, self._passing if through else self._passing[:0], rgb, self._edges, normals)
        self._paint(self._shine(scene, sky, seen, sheets), seen, tables, sheets, canvas)
        if through:
            resolve_through(self._colours, self._passing, self._surfaces, self._edges, rgb)
        else:
            resolve(self._colours, self._surfaces, self._edges, tables.first_catcher, rgb)
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
        self._passing = np.zeros((0, columns, 3), np.float32)
        self._layers: Layers | None = None
        self._flags = np.zeros(columns, np.uint8)
        self._needed = np.ones((rows, columns), np.uint8)
        self._lists = Needed(np.zeros(rows * columns + 1, np.int32), np.zeros((rows, 2 + columns // STRETCH), np.int32))
        self._edges = np.zeros((height, width), np.uint8)
        self._seen_points = np.zeros(((height // STRIDE + 2) * (width // STRIDE + 2), 3))

    def _seen(self, scene: Scene, order: Sequence[int], lattice: Lattice) -> list[Seen]:
        placed = [scene.objects[row] for row in order]
        geometries = [self._kept.geometry(each.mesh) for each in placed]
        starts = np.cumsum([0, *(len(geometry.vertices) for geometry in geometries)])
        if len(self._nearness) < starts[-1]:
            self._points, self._nearness = np.zeros((starts[-1], 3)), np.zeros(starts[-1])
            self._spots = np.zeros((starts[-1], 4), np.int32)
        most = max((len(geometry.faces) for geometry in geometries), default=0)
        if len(self._later) < most:
            self._later = np.zeros(most, np.int32)
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
        catching = any(each.placed.catcher for each in seen)
        if catching:
            if not len(self._behind):
                self._behind = np.zeros_like(self._nearest)
            self._behind.fill(0)
        for each in seen:
            if each.in_picture:
                onto = self._behind if each.placed.catcher else self._nearest
                faces, first = each.geometry.faces, each.first_triangle
                draw(
                    each.points, each.nearness, each.spots, each.beyond, faces, first, self._lattice, self._later, onto
                )
        behind = self._behind if catching else self._behind[:0]
        unpack(self._nearest, behind, tables.surface_of, self._near, self._triangles, self._surfaces)

    def _sheet(self, lens: NDArray[np.float64]) -> Sheet:
        """The nearest surfaces."""
        return Sheet(self._lattice, lens, self._near, self._triangles, self._surfaces)

    def _behind_the_nearest(self, seen: list[Seen], tables: Tables, sheet: Sheet, tolerance: np.float32) -> Sheets:
        """Draws what is seen through translucent surfaces, and readies the lattice for it."""
        if self._layers is None:
            self._layers = Layers(self._lattice, self._size)
            self._passing = np.zeros_like(self._colours)
        self._colours.fill(0)
        self._passing.fill(1)
        catching = any(each.placed.catcher for each in seen)
        catchers = self._behind if catching else self._behind[:0]
        found = self._layers.behind(seen, catchers, tables.surface_of, self._later, sheet)
        if self._samples == 2:
            self._layers.join_edges([each for each, _ in found], tolerance, self._edges, self._needed)
        return found

    def _shine(self, scene: Scene, sky: NDArray[np.float32], seen: list[Seen], sheets: Sheets) -> Shine:
        """The scene's light on all that is seen."""
        offset, step = self._lattice[:2]
        sheet = sheets[0][0]
        count = seen_points(sheet.nearness, sheet.surfaces, sheet.lens, offset, step, self._seen_points)
        points = self._seen_points[:count]
        if self._layers is not None and len(sheets) > 1:
            points = np.concatenate([points, self._layers.points([each for each, _ in sheets[1:]])])
        throwing = [each for each in seen if each.geometry.clear_from and not each.placed.catcher]
        casters = [Caster(each.geometry, each.placing) for each in throwing]
        return Shine(sky, *self._lighting.lit(scene, casters, points))

    def _paint(self, shine: Shine, seen: list[Seen], tables: Tables, sheets: Sheets, canvas: Canvas) -> None:
        list_needed(self._needed, self._surfaces, self._lists.columns, self._lists.marks)
        painted = [(each, each.figure, _groups(each, len(tables.object_of))) for each in seen if each.in_picture]
        for layer, (sheet, area) in enumerate(sheets):
            for each, figure, groups in painted:
                box = (
                    max(each.box[0], area[0]),
                    min(each.box[1], area[1]),
                    max(each.box[2], area[2]),
                    min(each.box[3], area[3]),
                )
                if box[0] > box[1] or box[2] > box[3]:
                    continue
                for wanted, material in groups:
                    pyramid = self._kept.pyramid(material)
                    coat = Coat(wanted, tables.reflecting, pyramid.texels, pyramid.levels)
                    onto = canvas._replace(normals=canvas.normals[:0]) if layer else canvas
                    paint(figure, box, coat, sheet, self._lists, shine, self._desk, each.placed.catcher, onto)


def _lens(scene: Scene) -> NDArray[np.float64]:
    """(4,) focal lengths and centre on the lattice of two positions a pixel."""
    return 2.0 * np.array([*scene.camera.focal, *scene.camera.centre])


def _tables(seen: list[Seen]) -> Tables:
    surface_of = np.full(1 + sum(len(each.geometry.faces) for each in seen), NOTHING, np.int32)
    for each in seen:
        own = surface_of[each.first_triangle : each.first_triangle + len(each.geometry.faces)]
        np.add(each.geometry.face_materials, each.first_surface, out=own, dtype=np.int32)
    objects = [
        np.full(len(each.placed.mesh.materials), NOTHING if each.placed.catcher else each.row, np.int32)
        for each in seen
    ]
    materials = tuple(material for each in seen for material in each.placed.mesh.materials)
    catchers = [each.first_surface for each in seen if each.placed.catcher]
    return Tables(
        surface_of,
        np.concatenate([*objects, np.array([NOTHING], np.int32)]).astype(np.int32),
        reflecting(materials),
        materials,
        min(catchers, default=len(materials)),
    )


def _groups(seen: Seen, length: int) -> list[tuple[NDArray[np.uint8], Material]]:
    """The object's surfaces, from 1 on: those without texture together, every other on its own."""
    plain = np.zeros(length, np.uint8)
    found: list[tuple[NDArray[np.uint8], Material]] = []
    for row, material in enumerate(seen.placed.mesh.materials):
        if material.texture is None or seen.placed.catcher:
            if not plain.any():
                found.append((plain, Material()))
            plain[1 + seen.first_surface + row] = 1
        else:
            alone = np.zeros(length, np.uint8)
            alone[1 + seen.first_surface + row] = 1
            found.append((alone, material))
    return found
