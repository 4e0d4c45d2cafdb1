"""What path tracers share: layers over a background, pieces of meshes, square pixels, EXR files."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

from tests.generators.rendering.scenery import at, box, ground, sphere, view

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import CostlyRenderer, Placed, Scene
from twinset.generators.rendering.tracing.exr import channels_of
from twinset.generators.rendering.tracing.layers import Layers, composited
from twinset.generators.rendering.tracing.pieces import box_uv, pieces_of
from twinset.generators.rendering.tracing.traced import Traced
from twinset.generators.rendering.tracing.view import View


def scene(**more: object) -> Scene:
    objects = (Placed(sphere(20), at(-0.6, 0, 0.5, scale=0.5), class_id=0), Placed(box(1, 0.6, 0.8), at(0.7), 1))
    return Scene(view(), objects, **more)  # type: ignore[arg-type]


class Fixed:
    """A tracer with one answer."""

    def __init__(self, light: float, behind: float) -> None:
        self.layers = Layers(np.full((60, 80, 3), light, np.float32), np.full((60, 80, 3), behind, np.float32))

    def trace(self, scene: Scene) -> Layers:
        return self.layers


def test_labels_are_the_rasterisers_whatever_the_tracer_says() -> None:
    traced, drawn = Traced(Fixed(0.3, 0.0)), Rasterizer(samples=1)
    mine, theirs = traced.render(scene()), drawn.render(scene())
    for name in ("ids", "depth", "normals"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
    for one, two in zip(traced.silhouettes(scene()), drawn.silhouettes(scene()), strict=True):
        np.testing.assert_array_equal(one, two)
    # Linear 0.3 is byte 149: 255 · (1.055 · 0.3^(1 / 2.4) − 0.055) = 148.9.
    assert (mine.rgb == 149).all()


def test_a_picture_of_which_something_is_taken_out_is_traced_once() -> None:
    assert isinstance(Traced(Fixed(0.3, 0.0)), CostlyRenderer)
    assert not isinstance(Rasterizer(), CostlyRenderer)


def test_where_nothing_is_the_background_stays_byte_for_byte() -> None:
    background = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    layers = Fixed(0.0, 1.0).layers
    np.testing.assert_array_equal(composited(scene(background=background), layers), background)


def test_shadows_dim_the_background_in_linear_light_and_too_much_light_is_white() -> None:
    white = np.full((60, 80, 3), 255, np.uint8)
    # Half the light of white is byte 188.
    assert (composited(scene(background=white), Fixed(0.0, 0.5).layers) == 188).all()
    assert (composited(scene(background=white), Fixed(9.0, 0.0).layers) == 255).all()


def test_without_background_the_sky_shows_as_with_the_rasteriser() -> None:
    empty = Scene(view(), (), ambient=0.7, ambient_colour=(1.0, 0.8, 0.5), sky=0.8)
    mine, theirs = composited(empty, Fixed(0.0, 1.0).layers), Rasterizer().render(empty).rgb
    assert np.abs(mine.astype(int) - theirs.astype(int)).max() <= 1


def test_a_mesh_falls_into_a_piece_for_each_material_that_is_used() -> None:
    cube = box(1, 2, 3)
    red, wood = Material((1, 0, 0)), Material((1, 1, 1), texture=np.zeros((4, 4, 3), np.uint8))
    numbers = np.array([2] * 4 + [0] * 8, np.int32)
    pieces = pieces_of(replace(cube, materials=(red, Material(), wood), face_materials=numbers))
    assert [piece.material for piece in pieces] == [red, wood]
    assert [len(piece.corners) for piece in pieces] == [8, 4]
    assert pieces[0].uv is None
    assert pieces[1].uv is not None
    np.testing.assert_array_equal(pieces[1].corners, cube.corners[:4])


def test_faces_without_area_are_left_out_and_normals_without_length_are_the_faces() -> None:
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (2, 0, 0)], np.float32)
    normals = np.zeros((2, 3, 3), np.float32)
    mesh = Mesh(corners, np.array([(0, 1, 2), (0, 1, 3)], np.int32), normals=normals)
    (piece,) = pieces_of(mesh)
    assert len(piece.corners) == 1
    np.testing.assert_array_equal(piece.normals, [[(0, 0, 1)] * 3])


def test_a_box_is_projected_onto_the_axes_that_its_faces_lie_along() -> None:
    flat = np.array([[(1, 2, 3), (2, 2, 3), (1, 4, 3)], [(1, 2, 3), (1, 4, 3), (1, 2, 7)]], np.float32)
    np.testing.assert_array_equal(box_uv(flat), [[(1, 2), (2, 2), (1, 4)], [(2, 3), (4, 3), (2, 7)]])


def test_a_camera_of_one_focal_length_is_drawn_as_it_is() -> None:
    camera = replace(view(), centre=(10.0, 50.0))
    square = View.of(camera)
    assert square.size == square.picture == (60, 80)
    assert (square.focal, square.centre) == (camera.focal[0], (10.0, 50.0))


def test_a_camera_of_two_focal_lengths_is_drawn_in_square_pixels_and_averaged() -> None:
    camera = replace(view(), focal=(40.0, 100.0), centre=(30.0, 20.0))
    square = View.of(camera)
    assert square.size == (60, 200)
    assert (square.focal, square.centre) == (100.0, (75.0, 20.0))
    columns = np.arange(200, dtype=np.float32)
    found = square.resampled(np.broadcast_to(columns[None, :, None], (60, 200, 3)))
    # A pixel is two and a half columns wide: the first is (0 + 1 + 2 / 2) / 2.5.
    np.testing.assert_allclose(found[7, :3, 1], [0.8, 3.2, 5.8], rtol=1e-6)
    assert found.shape == (60, 80, 3)


def test_a_square_view_sees_what_the_camera_sees() -> None:
    camera = replace(view(), focal=(50.0, 80.0), centre=(33.0, 41.0))
    square = View.of(camera)
    points = np.array([(0.2, 0.3, 0.4), (-0.5, 0.8, 0.1)])
    wanted, _ = camera.project(points)
    same = replace(camera, size=square.size, focal=(square.focal, square.focal), centre=square.centre)
    found, _ = same.project(points)
    np.testing.assert_allclose(found / np.array(square.stretch[::-1]), wanted, rtol=1e-9)


def exr(planes: dict[str, np.ndarray], *, part: str = "") -> bytes:
    """A file of scan lines after the layout of openexr.com; of several parts, if it has a name, with one of them."""
    height, width = next(iter(planes.values())).shape
    kinds = {np.dtype("<u4"): 0, np.dtype("<f2"): 1, np.dtype("<f4"): 2}
    names = sorted(planes)
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iIii", kinds[planes[name].dtype], 0, 1, 1) for name in names
    )
    window = struct.pack("<4i", 0, 5, width - 1, 4 + height)
    attributes = [("channels", listed + b"\0"), ("compression", b"\0"), ("dataWindow", window)]
    attributes += [("name", part.encode())] if part else []
    head = b"".join(f"{name}\0x\0".encode() + struct.pack("<i", len(value)) + value for name, value in attributes)
    start = struct.pack("<ii", 20000630, 2 | (1 << 12 if part else 0)) + head + (b"\0\0" if part else b"\0")
    lines = b""
    for row in range(height):
        line = b"".join(planes[name][row].tobytes() for name in names)
        lines += (struct.pack("<i", 0) if part else b"") + struct.pack("<ii", 5 + row, len(line)) + line
    return start + bytes(8 * height) + lines


@pytest.mark.parametrize("part", ["", "Layer.Combined"])
def test_channels_of_every_type_are_read(part: str) -> None:
    rng = np.random.default_rng(1)
    planes = {
        "R": rng.random((3, 5)).astype("<f4"),
        "A": rng.random((3, 5)).astype("<f2"),
        "I": rng.integers(0, 9, (3, 5)).astype("<u4"),
    }
    found = channels_of(exr(planes, part=part))
    assert set(found) == {f"{part}.{name}" if part else name for name in planes}
    for name, plane in planes.items():
        np.testing.assert_array_equal(found[f"{part}.{name}" if part else name], plane.astype(np.float32))


@pytest.mark.parametrize("cut", [0, 3, 40, 200])
def test_a_file_that_ends_early_is_refused(cut: int) -> None:
    whole = exr({"R": np.ones((4, 6), "<f4")})
    with pytest.raises((ValueError, struct.error)):
        channels_of(whole[:cut])
    with pytest.raises(ValueError, match="expected an EXR file"):
        channels_of(b"\x89PNG" + whole[4:])


@pytest.mark.parametrize("row", [4, 9, -1, 2**30])
def test_a_row_beyond_the_window_is_refused(row: int) -> None:
    """One before the first would be taken for the last."""
    whole = exr({"R": np.ones((4, 6), "<f4")})
    at = len(whole) - 4 * (8 + 24)
    with pytest.raises(ValueError, match=f"got row {row} of part 0"):
        channels_of(whole[:at] + struct.pack("<i", row) + whole[at + 4 :])


@pytest.mark.parametrize("number", [1, -1])
def test_a_row_of_a_part_that_is_not_there_is_refused(number: int) -> None:
    whole = exr({"R": np.ones((4, 6), "<f4")}, part="Layer")
    at = len(whole) - 4 * (12 + 24)
    with pytest.raises(ValueError, match=f"of part {number}"):
        channels_of(whole[:at] + struct.pack("<i", number) + whole[at + 4 :])


def test_a_window_that_is_missing_empty_or_larger_than_the_file_is_refused() -> None:
    whole = exr({"R": np.ones((4, 6), "<f4")})
    with pytest.raises(ValueError, match="names its window"):
        channels_of(whole.replace(b"dataWindow", b"someWindow"))
    window = struct.pack("<4i", 0, 5, 5, 8)
    for other, told in (((0, 5, -1, 8), "window with pixels"), ((0, 5, 2**30, 2**30), "ends early|shorter")):
        with pytest.raises(ValueError, match=told):
            channels_of(whole.replace(window, struct.pack("<4i", *other)))


def test_a_compressed_file_is_refused() -> None:
    whole = exr({"R": np.ones((4, 6), "<f4")})
    at_byte = whole.index(b"compression\0x\0") + len(b"compression\0x\0") + 4
    with pytest.raises(ValueError, match="uncompressed"):
        channels_of(whole[:at_byte] + b"\x03" + whole[at_byte + 1 :])


def test_ground_is_kept_out_of_what_a_scene_labels() -> None:
    over = replace(scene(), objects=(*scene().objects, Placed(ground(), np.eye(4), catcher=True)))
    frame = Traced(Fixed(0.1, 0.5)).render(over)
    assert set(np.unique(frame.ids)) == {-1, 0, 1}
