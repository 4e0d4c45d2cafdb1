"""Projection, its inverse, rays and the conventions of axes and pixels."""

import numpy as np
import pytest

from twinset.camera import Camera


def some_camera(roll: float = 20.0) -> Camera:
    return Camera.looking((3, -2, 1.5), (0.2, 0.1, 0.4), size=(60, 100), field_of_view_degrees=50, roll_degrees=roll)


def test_what_is_looked_at_is_in_the_middle_at_its_distance() -> None:
    camera = some_camera()
    pixels, depth = camera.project([[0.2, 0.1, 0.4]])
    np.testing.assert_allclose(pixels, [[50, 30]], atol=1e-9)
    np.testing.assert_allclose(depth, [np.linalg.norm([2.8, -2.1, 1.1])])


def test_up_in_the_world_is_up_in_the_picture_and_right_is_right() -> None:
    camera = Camera.looking((0, -5, 0), (0, 0, 0), size=(100, 100), field_of_view_degrees=40)
    (middle, above, right), _ = camera.project([[0, 0, 0], [0, 0, 1], [1, 0, 0]])
    assert above[1] < middle[1]
    assert above[0] == pytest.approx(middle[0])
    assert right[0] > middle[0]
    assert right[1] == pytest.approx(middle[1])


def test_from_straight_above_world_y_is_up() -> None:
    camera = Camera.looking((0, 0, 5), (0, 0, 0), size=(100, 100), field_of_view_degrees=40)
    (north, east), _ = camera.project([[0, 1, 0], [1, 0, 0]])
    assert north[1] < 50 < east[0]


def test_the_field_of_view_is_that_of_the_longer_side() -> None:
    camera = Camera.looking((0, 0, 5), (0, 0, 0), size=(50, 100), field_of_view_degrees=90)
    pixels, _ = camera.project([[5, 0, 0]])
    assert pixels[0, 0] == pytest.approx(100)


def test_unprojecting_takes_projection_back() -> None:
    camera = some_camera()
    points = np.random.default_rng(0).normal(size=(50, 3)) * 0.3
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(camera.unproject(pixels, depth), points, atol=1e-10)


def test_rays_go_through_pixel_centres() -> None:
    camera = some_camera()
    eye, rays = camera.rays()
    assert rays.shape == (60, 100, 3)
    pixels, depth = camera.project(eye + 2.5 * rays[7, 11][None])
    np.testing.assert_allclose(pixels, [[11.5, 7.5]])
    np.testing.assert_allclose(depth, [2.5])


def test_behind_the_camera_there_are_no_pixels() -> None:
    camera = some_camera()
    eye, rays = camera.rays()
    pixels, depth = camera.project(eye - rays[0, 0][None])
    assert np.isnan(pixels).all()
    assert depth[0] < 0


def test_a_resized_camera_sees_the_same() -> None:
    camera = some_camera()
    points = [[0.1, 0.2, 0.3]]
    np.testing.assert_allclose(camera.resized((120, 300)).project(points)[0], camera.project(points)[0] * (3, 2))


def test_world_to_camera_is_the_inverse_of_the_pose() -> None:
    camera = some_camera()
    np.testing.assert_allclose(camera.world_to_camera @ camera.pose, np.eye(4), atol=1e-12)
    here = camera.seen_from_here([[1.0, 2.0, 3.0]])[0]
    np.testing.assert_allclose(camera.world_to_camera @ [1, 2, 3, 1], [*here, 1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pose": 2 * np.eye(4)}, "last row"),
        ({"pose": np.diag([1.0, 1, -1, 1])}, "turns and shifts"),
        ({"pose": np.diag([2.0, 2, 2, 1])}, "turns and shifts"),
        ({"focal": (0.0, 1.0)}, "focal lengths"),
        ({"size": (0, 5)}, "size"),
        ({"centre": (float("nan"), 0.0)}, "principal point"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(change: dict, says: str) -> None:
    given = {"size": (4, 4), "focal": (2.0, 2.0), "centre": (2.0, 2.0), "pose": np.eye(4)} | change
    with pytest.raises(ValueError, match=says):
        Camera(**given)


def test_a_camera_cannot_look_at_itself() -> None:
    with pytest.raises(ValueError, match="away from"):
        Camera.looking((1, 1, 1), (1, 1, 1), size=(4, 4), field_of_view_degrees=50)


def test_equal_cameras_are_equal() -> None:
    assert some_camera() == some_camera()
    assert some_camera() != some_camera(roll=21)
