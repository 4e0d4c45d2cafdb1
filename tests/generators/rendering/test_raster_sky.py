"""The sky behind what is drawn: filled in only where it is seen, wherever it is seen."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.camera import Camera
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.scene import Placed, Scene

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer

CAMERA = Camera.looking((0, -3, 1), (0, 0, 1), size=(50, 60), field_of_view_degrees=60)


def sheet(grey: float = 1.0, opacity: float = 1.0) -> Mesh:
    """A wall before the camera that covers the middle of the picture."""
    corners = np.array([(-0.6, 0, 0.5), (0.6, 0, 0.5), (0.7, 0, 1.5), (-0.7, 0, 1.5)], np.float32)
    return Mesh(corners, np.array([(0, 1, 2), (0, 2, 3)], np.int32), (Material((grey, grey, grey), opacity=opacity),))


@pytest.mark.parametrize("samples", [1, 2])
def test_a_catcher_on_which_no_shadow_falls_shows_the_sky_as_it_is(samples: int) -> None:
    renderer = Rasterizer(samples=samples)
    empty = renderer.render(Scene(CAMERA, (), lights=(), ambient=0.5))
    caught = renderer.render(Scene(CAMERA, (Placed(sheet(), np.eye(4), catcher=True),), lights=(), ambient=0.5))
    assert len(np.unique(empty.rgb)) > 5
    assert np.abs(caught.rgb.astype(int) - empty.rgb).max() <= 1


@pytest.mark.parametrize("samples", [1, 2])
def test_the_sky_is_seen_beside_an_object_and_through_it(samples: int) -> None:
    renderer = Rasterizer(samples=samples)
    dark, glass = Placed(sheet(0.1), np.eye(4), class_id=0), Placed(sheet(1.0, 0.02), np.eye(4), class_id=0)
    empty, opaque, clear = (
        renderer.render(Scene(CAMERA, objects, lights=(), ambient=0.5)).rgb.astype(int)
        for objects in ((), (dark,), (glass,))
    )
    assert np.array_equal(opaque[0], empty[0])
    assert np.array_equal(opaque[:, :4], empty[:, :4])
    assert np.abs(opaque[25, 30] - empty[25, 30]).min() > 60
    assert np.abs(clear - empty).max() <= 2
