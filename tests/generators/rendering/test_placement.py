"""Objects stand where and as large as was drawn, on the ground, and apart."""

import numpy as np
import pytest

from twinset.camera import Camera
from twinset.generators.rendering.drawing import Drawing, check_configuration, space_of
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.placement import (
    Footprint,
    draw_camera,
    extent,
    float_freely,
    overlap,
    rest_on_ground,
)
from twinset.generators.rendering.settings import Rendering


def box(x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Mesh:
    corners = np.array([[i, j, k] for i in (-x / 2, x / 2) for j in (-y / 2, y / 2) for k in (0, z)], dtype=np.float32)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in sides for t in ((a, b, c), (a, c, d))], dtype=np.int32)
    return Mesh(corners, faces)


def corners_on_ground(mesh: Mesh, pose: np.ndarray) -> np.ndarray:
    low, high = mesh.bounds
    at = np.array(
        [[x, y, 0, 1] for x, y in ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))]
    )
    return (at @ pose.T)[:, :2]


def test_turned_rectangles_overlap_as_polygons_do() -> None:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        pair = [
            Footprint(tuple(rng.uniform(-1.5, 1.5, 2)), tuple(rng.uniform(0.2, 1.2, 2)), rng.uniform(0, 6.3))
            for _ in range(2)
        ]
        shapes = [((*one.middle,), (2 * one.half[0], 2 * one.half[1]), np.degrees(one.angle)) for one in pair]
        kind, region = cv2.rotatedRectangleIntersection(*shapes)
        touching = kind != 0 and region is not None and cv2.contourArea(cv2.convexHull(region)) > 1e-4
        found.append(overlap(*pair))
        if touching:
            assert found[-1]
        elif kind == 0:
            assert not found[-1]
    assert 0.2 < np.mean(found) < 0.9


def test_objects_rest_on_the_ground_and_do_not_meet() -> None:
    drawing = Drawing(Rendering(), {})
    meshes = [box(1, 2, 1)] * 12
    rng = np.random.default_rng(3)
    camera = draw_camera(drawing, extent(meshes[0]), (200, 300), rng)
    poses = [pose for pose in rest_on_ground(meshes, camera, drawing, rng) if pose is not None]
    assert len(poses) > 3
    for pose in poses:
        assert pose[2, 3] == 0
        np.testing.assert_allclose(pose[2, :2], 0)
    prints = []
    for mesh, pose in zip(meshes, poses, strict=False):
        at = corners_on_ground(mesh, pose)
        edge = at[1] - at[0]
        half = (np.linalg.norm(edge) / 2, np.linalg.norm(at[2] - at[1]) / 2)
        prints.append(Footprint(tuple(at.mean(0)), half, float(np.arctan2(edge[1], edge[0]))))
    assert not any(overlap(a, b) for k, a in enumerate(prints) for b in prints[:k])


def test_the_middle_of_an_object_appears_where_it_was_drawn() -> None:
    wanted = {"centre_x_mean": 0.3, "centre_x_std": 0.0, "centre_y_mean": 0.6, "centre_y_std": 0.0}
    drawing = Drawing(Rendering(elevation_degrees=(40, 40)), wanted)
    rng = np.random.default_rng(0)
    mesh = box(1, 1, 0.5)
    camera = draw_camera(drawing, extent(mesh), (200, 300), rng)
    (pose,) = rest_on_ground([mesh], camera, drawing, rng)
    assert pose is not None
    scale = float(np.cbrt(np.linalg.det(pose[:3, :3])))
    pixels, _ = camera.project([[*pose[:2, 3], scale * 0.25]])
    np.testing.assert_allclose(pixels, [[90, 120]], atol=1e-6)


def test_a_typical_object_spans_its_share_of_the_picture() -> None:
    drawing = Drawing(Rendering(size=(0.2, 0.2), elevation_degrees=(90, 90), roll_degrees=(0, 0)), {})
    camera = draw_camera(drawing, 2.0, (150, 300), np.random.default_rng(0))
    pixels, _ = camera.project([[-1, 0, 0], [1, 0, 0]])
    assert np.linalg.norm(pixels[1] - pixels[0]) == pytest.approx(0.2 * 300, rel=1e-6)


def test_free_objects_lie_in_front_of_the_camera_and_apart() -> None:
    drawing = Drawing(Rendering(placement="free"), {})
    rng = np.random.default_rng(0)
    meshes = [box()] * 8
    camera = draw_camera(drawing, 1.0, (200, 200), rng)
    poses = [pose for pose in float_freely(meshes, camera, drawing, rng) if pose is not None]
    assert len(poses) > 4
    middles = np.array([pose[:3, :3] @ [0, 0, 0.5] + pose[:3, 3] for pose in poses])
    assert (camera.project(middles)[1] > 0).all()
    gaps = np.linalg.norm(middles[:, None] - middles[None], axis=-1) + 9 * np.eye(len(poses))
    assert gaps.min() > 0.9 * np.sqrt(3)
    turned = np.array([pose[2, 2] / np.linalg.norm(pose[:3, 2]) for pose in poses])
    assert np.abs(turned).min() < 0.9


def test_above_a_ground_free_objects_lie_above_it() -> None:
    for backdrop, lowest in (("room", 0.0), ("white", -np.inf)):
        drawing = Drawing(Rendering(placement="free", elevation_degrees=(60, 90), backdrop=backdrop), {})
        heights = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            camera = draw_camera(drawing, 1.0, (200, 200), rng)
            (pose,) = float_freely([box()], camera, drawing, rng)
            assert pose is not None
            heights.append(float((box().vertices @ pose[2, :3]).min() + pose[2, 3]))
        assert min(heights) >= lowest
        assert (min(heights) < 0) == (backdrop == "white")


def test_a_camera_lower_than_the_middle_of_an_object_still_finds_a_place_for_it() -> None:
    drawing = Drawing(Rendering(size=(0.3, 0.4), elevation_degrees=(3, 5), centre_y=(0.4, 0.8)), {})
    for seed in range(20):
        rng = np.random.default_rng(seed)
        camera = draw_camera(drawing, 1.0, (200, 300), rng)
        assert camera.pose[2, 3] < 0.5
        (pose,) = rest_on_ground([box()], camera, drawing, rng)
        assert pose is not None
        pixels, depth = camera.project([[*pose[:2, 3], 0.75 * camera.pose[2, 3]]])
        assert depth[0] > 0
        assert 0.39 * 200 < pixels[0, 1] < 0.81 * 200


def test_above_the_horizon_no_place_is_found() -> None:
    drawing = Drawing(Rendering(centre_y=(0.0, 0.05)), {})
    camera = Camera.looking((0, -5, 0.5), (0, 0, 0), size=(100, 100), field_of_view_degrees=60)
    assert rest_on_ground([box()], camera, drawing, np.random.default_rng(0)) == [None]


def test_a_configuration_moves_what_it_names_and_nothing_else() -> None:
    settings = Rendering(size=(0.1, 0.2))
    steered = Drawing(settings, {"size_mean": float(np.log(0.5)), "size_std": 0.1})
    rng = np.random.default_rng(0)
    sizes = np.log([steered.number("size", rng) for _ in range(2000)])
    assert sizes.mean() == pytest.approx(np.log(0.5), abs=0.01)
    assert sizes.std() == pytest.approx(0.1, rel=0.1)
    plain = [steered.number("centre_x", np.random.default_rng(k)) for k in range(5)]
    assert plain == [Drawing(settings, {}).number("centre_x", np.random.default_rng(k)) for k in range(5)]


@pytest.mark.parametrize(
    "configuration", [{"size_mean": 0.1}, {"weather_mean": 1.0, "weather_std": 1.0}, {"size_mean": 0, "size_std": -1}]
)
def test_a_configuration_that_says_nothing_sensible_is_refused(configuration: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_configuration(configuration)


def test_the_space_holds_means_and_deviations() -> None:
    space = space_of(("size", "count"))
    assert set(space) == {"size_mean", "size_std", "count_mean", "count_std"}
    assert all(low < high for low, high in space.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (0.4, 0.1)},
        {"count": (-1, 3)},
        {"distortion": (-0.5, 0)},
        {"samples": 9},
        {"backdrop": "photos"},
        {"backdrop_path": "x"},
        {"backdrop_path": ""},
        {"backdrop": "photos", "backdrop_path": ""},
        {"shapes_per_class": 1_000_000_000},
        {"image_size": (4, 4)},
        {"placement": "sideways"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Rendering(**wrong)  # type: ignore[arg-type]
