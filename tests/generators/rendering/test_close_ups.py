"""Close-ups and shapes left out: what a rendering generator does when it is asked for them."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.contracts import same
from twinset.dataset import Dataset, Sample
from twinset.generators.rendering import Rendering, RenderingGenerator
from twinset.instances import Instances
from twinset.stages import Curatable, Slot

SIZE = (72, 96)


def training() -> Dataset:
    draws = np.random.default_rng(0)
    samples = []
    for k in range(3):
        pixels = np.clip(draws.normal(120, 10, (*SIZE, 3)), 0, 255).astype(np.uint8)
        box = np.array([[30, 20, 50, 40]], dtype=np.float32)
        objects = Instances(size=SIZE, class_ids=np.array([k % 2]), boxes=box)
        samples.append(Sample(id=f"real-{k}", image=pixels, annotation=Annotation(instances=objects)))
    return Dataset.of(samples, classes=("chair", "table"))


def fitted(**settings: object) -> RenderingGenerator:
    given = {"shapes_per_class": 4, "count": (2, 4), "size": (0.1, 0.15), "backdrop": "room", **settings}
    return Rendering(**given).fit(training(), rng=0)  # type: ignore[arg-type]


def slots(count: int) -> list[Slot]:
    return [Slot(k, 0, 500 + k, 0, "d") for k in range(count)]


def objects_of(sample: Sample) -> Instances:
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    return sample.annotation.instances


def largest(sample: Sample) -> float:
    """Share of the picture that the largest box covers."""
    return float(objects_of(sample).box_areas.max(initial=0.0)) / (SIZE[0] * SIZE[1])


@pytest.fixture(scope="module")
def near() -> list[Sample]:
    return list(fitted(close_ups=1.0).generate(slots(30)))


@pytest.mark.slow
def test_one_object_fills_much_of_a_close_up(near: list[Sample]) -> None:
    shares = [largest(sample) for sample in near]
    assert float(np.median(shares)) > 0.25
    assert min(shares) > 0.03
    assert all(sample.annotation is not None and sample.annotation.attributes["close_up"] for sample in near)
    far = [largest(sample) for sample in fitted().generate(slots(30))]
    assert float(np.median(far)) < 0.1
    assert not any("close_up" in sample.annotation.attributes for sample in fitted().generate(slots(4)))


@pytest.mark.slow
def test_labels_of_cut_objects_reach_beyond_the_picture_and_say_so(near: list[Sample]) -> None:
    cut = 0
    for sample in near:
        objects = objects_of(sample)
        assert objects.amodal_boxes is not None
        assert objects.masks is not None
        height, width = objects.size
        for box, whole, truncated, mask in zip(
            objects.boxes, objects.amodal_boxes, objects.is_truncated, objects.masks, strict=True
        ):
            assert mask is not None
            rows, columns = np.flatnonzero(mask.dense().any(1)), np.flatnonzero(mask.dense().any(0))
            np.testing.assert_array_equal(box, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            beyond = bool((whole[:2] < 0).any() or whole[2] > width or whole[3] > height)
            assert truncated == beyond
            assert (whole[:2] <= box[:2]).all()
            assert (whole[2:] >= box[2:]).all()
            cut += beyond
    assert cut >= 8


def test_the_share_of_close_ups_is_what_was_asked_for_and_leaves_the_other_pictures_alone() -> None:
    some, none = fitted(close_ups=0.3), fitted()
    marked = [bool(some._drawing(slot).close_up) for slot in slots(400)]
    assert 0.23 < float(np.mean(marked)) < 0.37
    row = marked.index(False)
    assert same(
        next(iter(some.generate(slots(400)[row : row + 1]))), next(iter(none.generate(slots(400)[row : row + 1])))
    )


def test_close_ups_are_near_whatever_a_configuration_says_of_sizes() -> None:
    told = {"size_mean": float(np.log(0.02)), "size_std": 0.01, "count_mean": 30.0, "count_std": 0.1}
    made = list(fitted(close_ups=1.0).configured([(1.0, told)]).generate(slots(6)))
    assert min(largest(sample) for sample in made) > 0.03
    assert max(len(objects_of(sample)) for sample in made) <= 3


def test_the_camera_never_stands_inside_of_an_object() -> None:
    generator = fitted(close_ups=1.0, elevation_degrees=(5.0, 25.0))
    for slot in slots(25):
        scene = generator.scene(slot)
        eye = scene.camera.pose[:3, 3]
        for placed in scene.objects:
            if placed.class_id is None:
                continue
            low, high = placed.mesh.bounds.astype(np.float64)
            local = np.linalg.inv(placed.pose) @ np.append(eye, 1.0)
            assert (local[:3] < low).any() or (local[:3] > high).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "told",
    [
        {"elevation_degrees": (3.0, 8.0)},
        {"elevation_degrees": (3.0, 8.0), "close_ups": 1.0},
        {"placement": "free"},
        {"placement": "free", "close_ups": 1.0},
    ],
)
def test_hardly_any_picture_is_empty(told: dict[str, object]) -> None:
    """A third were with low cameras and free objects: no ground at the middle's height, under ground, behind walls."""
    generator = fitted(**{"size": (0.1, 0.4), "count": (1, 3), **told})
    shown = [sum(one.class_id is not None for one in generator.scene(slot).objects) for slot in slots(30)]
    assert sum(not count for count in shown) <= 2


def test_no_object_stands_in_or_behind_a_wall() -> None:
    generator = fitted(count=(6, 6), elevation_degrees=(8.0, 20.0), size=(0.05, 0.08))
    walls = 0
    for slot in slots(20):
        scene, *_ = generator._scene(slot, generator._drawing(slot))
        for wall in (one for one in scene.objects if one.class_id is None and np.ptp(one.corners[..., 2]) > 0):
            foot = np.unique(wall.corners.reshape(-1, 3)[wall.corners.reshape(-1, 3)[:, 2] == 0, :2], axis=0)
            away = np.array([foot[1, 1] - foot[0, 1], foot[0, 0] - foot[1, 0]])
            away *= np.sign(away @ foot[0])
            walls += 1
            for placed in scene.objects:
                if placed.class_id is not None:
                    assert (placed.corners[..., :2] @ away).max() < away @ foot[0]
    assert walls == 40


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="expected close_ups as a share"):
        Rendering(close_ups=share)


def test_shapes_that_are_left_out_are_never_drawn_again() -> None:
    generator = fitted()
    assert isinstance(generator, Curatable)
    known = {name: list(shapes) for name, shapes in generator.shape_parameters.items()}
    assert {name: len(shapes) for name, shapes in known.items()} == {"chair": 4, "table": 4}
    assert all(values["legs"] for values in generator.shape_parameters["chair"].values())
    gone = known["chair"][:3]
    left = generator.without({"chair": gone})
    assert list(left.shape_parameters["chair"]) == known["chair"][3:]
    assert left.shape_parameters["table"] == generator.shape_parameters["table"]
    drawn = {shape for sample in left.generate(slots(12)) for shape in objects_of(sample).shape_ids}
    assert drawn <= {known["chair"][3], *known["table"]}
    assert drawn & {known["chair"][3]}


@pytest.mark.parametrize("gone", [{"chair": ["unknown"]}, {"sofa": []}])
def test_shapes_that_there_are_not_cannot_be_left_out(gone: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="expected some, not all, of the"):
        fitted().without(gone)


def test_no_class_can_lose_all_of_its_shapes() -> None:
    generator = fitted()
    with pytest.raises(ValueError, match="expected some, not all, of the 4 shapes of 'chair'"):
        generator.without({"chair": list(generator.shape_parameters["chair"])})
