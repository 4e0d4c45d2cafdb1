"""Labels of scenes whose truth is known: occlusion, truncation, what is hardly seen, keypoints."""

import numpy as np
import pytest

from twinset.camera import Camera
from twinset.generators.rendering.labels import instances_of, too_hidden
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Placed, Scene
from twinset.generators.rendering.sensor import Lens

CAMERA = Camera.looking((0, 0, 10), (0, 0, 0), size=(100, 100), field_of_view_degrees=2 * np.degrees(np.arctan(0.5)))
"""Sees 10 × 10 metres of the plane z = 0: ten pixels a metre."""


def sheet(low: tuple[float, float], high: tuple[float, float], keypoints: dict | None = None) -> Mesh:
    (x1, y1), (x2, y2) = low, high
    at = np.array([[x1, y1, 0], [x2, y1, 0], [x2, y2, 0], [x1, y2, 0]], dtype=np.float32)
    return Mesh(at, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32), keypoints=keypoints or {})


def placed(mesh: Mesh, *, height: float = 0.0, class_id: int | None = 0, shape: str = "s") -> Placed:
    pose = np.eye(4)
    pose[2, 3] = height
    return Placed(mesh, pose, class_id, shape)


def labels_of(*objects: Placed, lens: Lens | None = None):
    lens = lens or Lens(CAMERA)
    scene = Scene(lens.wide, tuple(objects))
    renderer = Rasterizer(samples=1)
    frame, alone = renderer.render(scene), renderer.silhouettes(scene)
    alone = tuple(lens.labels(mask) for mask in alone)
    ids = lens.labels(frame.ids)
    names = tuple(sorted({name for one in objects for name in one.mesh.keypoints}))
    found = instances_of(scene, lens, ids, lens.labels(frame.depth), alone, keypoint_names=names)
    return scene, ids, alone, found


def test_a_sheet_has_the_box_and_mask_of_its_corners() -> None:
    *_, found = labels_of(placed(sheet((-2, -1), (1, 2))))
    np.testing.assert_array_equal(found.boxes, [[30, 30, 60, 60]])
    assert found.masks is not None
    assert found.masks[0] is not None
    assert found.masks[0].area == 900
    assert found.columns["visible_fraction"] == (1.0,)
    assert found.columns["shape_id"] == ("s",)
    assert not found.truncated


def test_what_lies_in_front_takes_its_share_of_the_mask_and_not_of_the_whole() -> None:
    behind, front = placed(sheet((-2, -2), (2, 2))), placed(sheet((0, -3), (3, 3)), height=1e-4, class_id=1)
    *_, found = labels_of(behind, front)
    np.testing.assert_array_equal(found.class_ids, [0, 1])
    np.testing.assert_allclose(found.boxes[0], [30, 30, 50, 70], atol=1)
    assert found.columns["visible_fraction"][0] == pytest.approx(0.5, abs=0.03)
    assert found.amodal_boxes is not None
    np.testing.assert_array_equal(found.amodal_boxes[0], [30, 30, 70, 70])


def test_what_leaves_the_picture_is_truncated_and_its_whole_box_goes_on() -> None:
    *_, found = labels_of(placed(sheet((3, -1), (7, 1))))
    assert found.truncated is not None
    assert found.truncated.all()
    np.testing.assert_array_equal(found.boxes, [[80, 40, 100, 60]])
    np.testing.assert_allclose(found.amodal_boxes, [[80, 40, 120, 60]], atol=0.01)


def test_furniture_covers_and_is_not_labelled() -> None:
    *_, found = labels_of(placed(sheet((-2, -2), (2, 2))), placed(sheet((-2, -2), (2, 0)), height=1e-4, class_id=None))
    assert len(found) == 1
    assert found.columns["visible_fraction"][0] == pytest.approx(0.5, abs=0.03)


def test_what_is_covered_has_no_label_and_is_named_as_hidden() -> None:
    scene, ids, alone, found = labels_of(
        placed(sheet((-1, -1), (1, 1))), placed(sheet((-2, -2), (2, 2)), height=0.01, class_id=1)
    )
    np.testing.assert_array_equal(found.class_ids, [1])
    assert too_hidden(scene, ids, alone, share=0.1, pixels=5) == [0]


def test_what_is_small_is_hidden_and_a_share_counts_of_what_is_inside() -> None:
    scene, ids, alone, _ = labels_of(placed(sheet((0, 0), (0.2, 0.2))), placed(sheet((4.8, -1), (9, 1)), class_id=1))
    assert too_hidden(scene, ids, alone, share=0.5, pixels=5) == [0]


def test_keypoints_are_seen_covered_or_outside() -> None:
    points = {"a": (-1.5, 0.0, 0.0), "b": (1.5, 0.0, 0.0), "c": (9.0, 0.0, 0.0)}
    *_, found = labels_of(
        placed(sheet((-2, -2), (2, 2), points)), placed(sheet((1, -1), (2, 1)), height=1.0, class_id=1)
    )
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints[0], [[34.5, 49.5, 2], [64.5, 49.5, 1], [0, 0, 0]], atol=1e-4)
    np.testing.assert_array_equal(found.keypoints[1], np.zeros((3, 3)))


def test_a_keypoint_is_seen_only_where_its_object_is() -> None:
    points = {"beside": (3.0, 0.0, 0.0), "corner": (2.0, 2.0, 0.0), "under": (0.0, 0.0, -0.1)}
    *_, found = labels_of(placed(sheet((-2, -2), (2, 2), points)))
    assert found.keypoints is not None
    np.testing.assert_array_equal(found.keypoints[0, :, 2], [1, 2, 2])


def test_poses_take_the_mesh_to_the_camera() -> None:
    *_, found = labels_of(placed(sheet((-1, -1), (1, 1), {"a": (1.0, 1.0, 0.0)}), height=2.0))
    assert found.poses is not None
    assert found.keypoint_names == ("a",)
    here = (found.poses[0] @ [1, 1, 0, 1])[:3]
    pixels = CAMERA.matrix @ here / here[2]
    assert found.keypoints is not None
    np.testing.assert_allclose(pixels[:2] - 0.5, found.keypoints[0, 0, :2], atol=1e-4)


def test_distance_is_that_of_the_origin() -> None:
    *_, found = labels_of(placed(sheet((-1, -1), (1, 1)), height=2.0))
    assert found.columns["distance_metres"] == (8.0,)


@pytest.mark.parametrize("k1", [-0.2, 0.2])
def test_through_a_lens_boxes_are_tight_to_warped_masks(k1: float) -> None:
    *_, found = labels_of(placed(sheet((1, 1), (4, 4), {"corner": (1.0, 1.0, 0.0)})), lens=Lens(CAMERA, k1))
    assert found.masks is not None
    mask = found.masks[0].dense()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    np.testing.assert_array_equal(found.boxes[0], [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert found.keypoints is not None
    x, y, _ = found.keypoints[0, 0]
    assert abs(x + 0.5 - columns[0]) < 1.5
    assert abs(y + 0.5 - (rows[-1] + 1)) < 1.5


def test_an_empty_scene_has_no_objects() -> None:
    *_, found = labels_of(placed(sheet((20, 20), (21, 21))))
    assert len(found) == 0
