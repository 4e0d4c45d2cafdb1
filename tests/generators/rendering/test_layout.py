"""Objects follow the boxes of training pictures: where, how large, how long, how many."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.camera import Camera
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.copypaste.placement import Boxes
from twinset.generators.rendering import Rendering, RenderingGenerator
from twinset.generators.rendering.drawing import Drawing
from twinset.generators.rendering.layout import Layouts, outline_of, rest_as_wanted, spanned
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.placement import draw_camera, extent
from twinset.generators.rendering.settings import FOLLOWED, Follow
from twinset.instances import Instances
from twinset.stages import FollowsLayouts, Slot

SIZE = (300, 400)
LEFT, BOTTOM = 1, 8


def slab(x: float = 2.0, y: float = 1.0, z: float = 0.02) -> Mesh:
    corners = np.array([[i, j, k] for i in (-x / 2, x / 2) for j in (-y / 2, y / 2) for k in (0, z)], dtype=np.float32)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return Mesh(corners, np.array([t for a, b, c, d in sides for t in ((a, b, c), (a, c, d))], dtype=np.int32))


def wanted(n: int, *, area: float = 0.01, aspect: float = 1.5, touching: int = 0, seed: int = 0) -> Boxes:
    """n boxes of one share of the picture's area and one aspect at places anywhere."""
    draws = np.random.default_rng(seed)
    return Boxes(
        np.zeros(n, dtype=np.int64),
        np.full(n, np.log(area)),
        np.full(n, np.log(aspect)),
        draws.random((n, 12, 2)),
        np.full((n, 12), touching, dtype=np.uint8),
    )


def seen(
    boxes: Boxes, *, follow: tuple[Follow, ...] = FOLLOWED, elevation: float = 90.0, gap: float = -0.9
) -> tuple[np.ndarray, np.ndarray, Camera]:
    """Boxes xyxy (n, 4) of slabs laid as wanted, one after the other, and where each was to stand; the camera."""
    settings = Rendering(elevation_degrees=(elevation, elevation), follow=FOLLOWED, gap=gap, scale=(1.0, 1.0))
    mesh, draws = slab(), np.random.default_rng(1)
    drawing = Drawing(settings, {}).with_size(spanned(boxes, [mesh] * len(boxes), SIZE))
    camera = draw_camera(drawing, extent(mesh), SIZE, draws)
    found, places = [], []
    for k in range(len(boxes)):
        names = ("class_ids", "log_area", "log_aspect", "places", "touching")
        one = Boxes(*(getattr(boxes, name)[k : k + 1] for name in names))
        (pose,) = rest_as_wanted([mesh], [outline_of(mesh)], one, camera, drawing, follow, draws)
        if pose is None:
            continue
        points, _ = camera.project(mesh.vertices @ pose[:3, :3].T + pose[:3, 3])
        found.append([*points.min(0), *points.max(0)])
        places.append(one.places[0, 0])
    return np.array(found), np.array(places), camera


def sides_of(boxes: np.ndarray) -> np.ndarray:
    return boxes[:, 2:] - boxes[:, :2]


@pytest.mark.parametrize("elevation", [90.0, 50.0])
@pytest.mark.parametrize("aspect", [0.7, 1.0, 1.6])
def test_areas_and_aspects_are_the_wanted_ones(elevation: float, aspect: float) -> None:
    boxes, _, _ = seen(wanted(40, aspect=aspect), elevation=elevation)
    assert len(boxes) == 40
    sides = sides_of(boxes)
    np.testing.assert_allclose(sides.prod(1) / np.prod(SIZE), 0.01, rtol=0.08)
    assert np.median(np.abs(np.log(sides[:, 0] / sides[:, 1]) - np.log(aspect))) < 0.08


def test_boxes_lie_at_the_wanted_places() -> None:
    boxes, places, _ = seen(wanted(40, area=0.02))
    frame = np.array(SIZE[::-1])
    low = places * (frame - sides_of(boxes))
    np.testing.assert_allclose(boxes[:, :2], low, atol=0.02 * frame.max())


def test_what_a_border_cut_off_is_cut_off_by_it_and_shows_the_wanted_part() -> None:
    boxes, _, _ = seen(wanted(60, area=0.02, touching=LEFT))
    assert (boxes[:, 0] < 1).all()
    assert (boxes[:, 2] > 0).all()
    shown = boxes[:, 2] * sides_of(boxes)[:, 1] / np.prod(SIZE)
    assert np.median(shown) == pytest.approx(0.02, rel=0.06)
    boxes, _, _ = seen(wanted(20, touching=BOTTOM))
    assert (boxes[:, 3] > SIZE[0] - 1).all()
    assert (boxes[:, 1] < SIZE[0]).all()


def test_what_is_not_followed_is_left_to_chance() -> None:
    turned, _, _ = seen(wanted(60, aspect=1.8), follow=("area", "position"))
    aspects = np.log(np.divide(*sides_of(turned).T))
    assert aspects.std() > 0.25
    assert abs(np.median(aspects)) < 0.3
    sized, _, _ = seen(wanted(30, area=0.01), follow=("aspect",))
    own = sides_of(sized).prod(1)
    for k in range(30):
        mixed = wanted(30)
        mixed.log_area[k] = np.log(0.1)
    other, _, _ = seen(mixed, follow=("aspect",))
    np.testing.assert_allclose(np.median(sides_of(other).prod(1)), np.median(own), rtol=0.15)


def test_objects_that_find_no_free_place_are_left_out() -> None:
    mesh, draws = slab(), np.random.default_rng(0)
    boxes = wanted(30, area=0.2)
    drawing = Drawing(Rendering(elevation_degrees=(90.0, 90.0), follow=FOLLOWED, gap=0.0), {})
    drawing = drawing.with_size(spanned(boxes, [mesh] * 30, SIZE))
    camera = draw_camera(drawing, extent(mesh), SIZE, draws)
    poses = rest_as_wanted([mesh] * 30, [outline_of(mesh)] * 30, boxes, camera, drawing, FOLLOWED, draws)
    assert 1 <= sum(pose is not None for pose in poses) < 12


def test_an_outline_gives_the_box_of_all_vertices_from_any_side() -> None:
    draws = np.random.default_rng(0)
    points = draws.normal(size=(500, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    mesh = Mesh((points * (2, 1, 0.5)).astype(np.float32), draws.integers(0, 500, (300, 3)).astype(np.int32))
    few = outline_of(mesh)
    assert len(few) <= 96
    for _ in range(20):
        turn = np.linalg.qr(draws.normal(size=(3, 3)))[0]
        whole, part = (np.ptp(vertices @ turn, axis=0) for vertices in (mesh.vertices, few))
        assert (part <= whole + 1e-6).all()
        np.testing.assert_allclose(part, whole, rtol=0.04)


def real(classes: tuple[str, ...] = ("chair", "table"), *, labelled: bool = True) -> Dataset:
    """Pictures of 96 × 72 with 3 to 5 boxes of about 12 × 16 pixels, twice as many of the first class."""
    draws = np.random.default_rng(0)
    samples = []
    for k in range(12):
        n = 3 + k % 3 if labelled else 0
        low = draws.uniform((2, 2), (80, 52), (n, 2))
        boxes = np.concatenate([low, low + (12, 16) * np.exp(draws.normal(0, 0.08, (n, 1)))], axis=1)
        objects = Instances(size=(72, 96), class_ids=np.arange(n) % 3 // 2, boxes=boxes.astype(np.float32))
        pixels = np.clip(draws.normal(120, 10, (72, 96, 3)), 0, 255).astype(np.uint8)
        samples.append(Sample(id=f"real-{k}", image=pixels, annotation=Annotation(instances=objects)))
    return Dataset.of(samples, classes=classes)


def fitted(**settings: object) -> RenderingGenerator:
    chosen = {"shapes_per_class": 3, "elevation_degrees": (60, 90), "min_pixels": 4, "maps": (), **settings}
    return Rendering(**chosen).fit(real(), rng=0)  # type: ignore[arg-type]


def test_pictures_measure_as_the_training_pictures() -> None:
    generator = fitted(follow=FOLLOWED, backdrop="white")
    slots = [Slot(k, 0, 50 + k, 0, "d") for k in range(30)]
    made = Dataset.of(generator.generate(slots), classes=generator.classes)
    sides = sides_of(made.object_boxes())
    assert np.exp(np.median(np.log(sides.prod(1)))) == pytest.approx(12 * 16, rel=0.1)
    assert np.median(np.log(sides[:, 0] / sides[:, 1])) == pytest.approx(np.log(12 / 16), abs=0.08)
    assert made.object_counts().mean() == pytest.approx(4, abs=0.5)
    counts = made.object_class_counts()
    assert counts["chair"] > 1.3 * counts["table"]


def test_a_generator_can_follow_layouts_after_it_was_fitted() -> None:
    free = fitted(placement="free")
    assert isinstance(free, FollowsLayouts)
    assert not free.follows_layouts
    laid = free.following_layouts()
    assert laid.follows_layouts
    assert laid.settings.placement == "surface"
    slot = Slot(0, 0, 7, 0, "d")
    pixels = [next(iter(one.generate([slot]))).pixels() for one in (laid, laid, free)]
    np.testing.assert_array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])


def test_a_configuration_has_the_last_word() -> None:
    drawing = Drawing(Rendering(follow=FOLLOWED), {"size_mean": -2.0, "size_std": 0.1})
    assert drawing.followed == {"position", "aspect", "count"}
    assert Drawing(Rendering(follow=("count",)), {"count_mean": 3.0, "count_std": 1.0}).followed == frozenset()


def test_without_boxes_there_is_nothing_to_follow() -> None:
    training = real(labelled=False)
    with pytest.raises(DataError, match="expected boxes to follow; got none"):
        Layouts.of(training, np.full((12, 2), (72, 96)), [0])
    with pytest.raises(ValueError, match="expected placement: surface with follow; got free and area"):
        Rendering(placement="free", follow=("area",))
    with pytest.raises(ValueError, match="each once; got"):
        Rendering(follow=("area", "area"))
