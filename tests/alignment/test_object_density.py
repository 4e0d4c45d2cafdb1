import pickle
from dataclasses import replace

import numpy as np
import pytest

from twinset.alignment import align
from twinset.alignment.object_density import (
    BlackBoxes,
    DropBoxes,
    ObjectDensity,
    embedded_crops,
    painted_over,
    without_objects,
)
from twinset.annotations import Annotation, DepthMap, NormalMap, SemanticMap
from twinset.dataset import Dataset, Origin, Sample
from twinset.embedding.random_convolution import RandomConvolution
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.randomness import Stream

SPEC = ImageSpec(96, 96, 3)
PLACES = [(6, 8), (52, 10), (30, 55)]
BALL, TILE, STRIPES = 0, 1, 2


def drawn(draw, look, side):
    """A red ball, a green tile or black and white stripes, each a little different."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    if look == STRIPES:
        return np.repeat(((np.arange(side) // 3) % 2 * 255)[None, :, None], side, axis=0).repeat(3, axis=2)
    shape = np.where(x**2 + y**2 < 0.22, 1.0, 0.3) if look == BALL else np.where(abs(x) + abs(y) < 0.5, 0.8, 0.4)
    colour = np.array([220, 40, 40] if look == BALL else [40, 200, 60]) + draw.integers(-20, 20, 3)
    return shape[..., None] * colour + draw.normal(0, 6, (side, side, 3))


def scenes(count, seed, *, prefix, looks=None, labels=None, synthetic=False):
    """Pictures of three objects each. ``looks`` (count, 3) and ``labels``, the same unless they lie."""
    draw = np.random.default_rng(seed)
    looks = draw.integers(0, 2, (count, 3)) if looks is None else np.asarray(looks)
    labels = looks % 2 if labels is None else np.asarray(labels)
    samples = []
    for row in range(count):
        pixels = draw.normal(128, 10, (96, 96, 3))
        boxes = []
        for (x, y), look in zip(PLACES, looks[row], strict=True):
            side = int(draw.integers(26, 34))
            pixels[y : y + side, x : x + side] = drawn(draw, look, side)
            boxes.append([x, y, x + side, y + side])
        found = Instances((96, 96), labels[row], np.array(boxes, dtype=np.float32))
        origin = Origin("test", 3, "digest", ("train/0001",)) if synthetic else Origin()
        shown = np.clip(pixels, 0, 255).astype(np.uint8)
        samples.append(Sample(f"{prefix}/{row:03d}", Annotation(instances=found), origin, image=shown))
    return Dataset.of(samples, classes=["ball", "tile"])


@pytest.fixture(scope="module")
def real():
    return scenes(50, 0, prefix="train"), scenes(30, 1, prefix="test")


@pytest.fixture(scope="module")
def pilot():
    looks = np.random.default_rng(7).integers(0, 2, (40, 3))
    looks[:10, 1] = STRIPES
    return scenes(40, 2, prefix="made", looks=looks, synthetic=True)


@pytest.fixture(scope="module")
def fitted(real, pilot):
    return ObjectDensity().fit(pilot, training=real[0], holdout=real[1], spec=SPEC, rng=Stream(0))


def test_pictures_with_an_object_like_no_real_one_go(real, pilot, fitted):
    judgement = fitted.judge(pilot)
    gone = [reason is not None for reason in judgement.reasons]
    assert all(gone[:10])
    assert sum(gone[10:]) <= 2
    assert "1 of 3 objects far from all real ones" in judgement.reasons[0]
    scores = judgement.scores["farthest_object"]
    assert scores[:10].min() > fitted.threshold >= np.sort(scores[10:])[-3]


def test_it_stands_in_line_with_the_other_filters(real, pilot):
    alignment = align(pilot, training=real[0], holdout=real[1], spec=SPEC, aligners=[ObjectDensity()], rng=Stream(0))
    assert set(pilot.ids[:10]) <= set(alignment.rejected.ids)
    assert len(alignment.kept) >= 28


def test_a_usual_held_out_object_scores_one(real, fitted):
    scores = fitted.object_scores(real[1])
    classes = real[1].object_column("class_id")
    for class_id in (0, 1):
        assert np.median(scores[classes == class_id]) == pytest.approx(1.0, rel=1e-5)


def test_an_object_is_judged_among_its_own_class(real):
    honest = scenes(20, 3, prefix="honest")
    labels = honest.object_column("class_id").reshape(20, 3)
    lying = scenes(20, 3, prefix="lying", looks=labels, labels=1 - labels)
    judge = ObjectDensity(threshold="quantile").fit(honest, training=real[0], holdout=real[1], spec=SPEC, rng=Stream(0))
    assert sum(reason is not None for reason in judge.judge(honest).reasons) <= 2
    assert all("3 of 3" in str(reason) for reason in judge.judge(lying).reasons)


def test_a_pilot_of_nothing_but_far_objects_cannot_raise_its_own_threshold(real):
    far = scenes(20, 4, prefix="far", looks=np.full((20, 3), STRIPES))
    judge = ObjectDensity().fit(far, training=real[0], holdout=real[1], spec=SPEC, rng=Stream(0))
    assert all(judge.judge(far).reasons)
    assert judge.threshold <= judge.object_scores(real[1]).max() * 1.5


def test_allowed_objects_are_allowed(real, pilot):
    lenient = ObjectDensity(allowed=1).fit(pilot, training=real[0], holdout=real[1], spec=SPEC, rng=Stream(0))
    assert not any(lenient.judge(pilot).reasons[:10])


def test_dropped_boxes_lose_their_label_and_keep_their_pixels(pilot, fitted):
    before = pilot[0]
    after = DropBoxes(fitted).revise(before)
    assert len(after.annotation.instances) == 2
    np.testing.assert_array_equal(after.annotation.instances.boxes, before.annotation.instances.boxes[[0, 2]])
    np.testing.assert_array_equal(after.pixels(), before.pixels())
    assert after.origin == before.origin
    untouched = next(row for row in range(10, 40) if fitted.judge(pilot).reasons[row] is None)
    sample = pilot[untouched]
    assert DropBoxes(fitted).revise(sample) is sample
    assert BlackBoxes(fitted).revise(sample) is sample


@pytest.mark.parametrize("paint", ["black", "mean"])
def test_black_boxes_leave_nothing_of_the_object(pilot, fitted, paint):
    before = pilot[0]
    after = BlackBoxes(fitted, paint=paint).revise(before)
    x1, y1, x2, y2 = before.annotation.instances.boxes[1].astype(int)
    colour = [0, 0, 0] if paint == "black" else np.rint(before.pixels().mean(axis=(0, 1)))
    assert (after.pixels()[y1:y2, x1:x2] == colour).all()
    rest = np.ones((96, 96), dtype=bool)
    rest[y1:y2, x1:x2] = False
    np.testing.assert_array_equal(after.pixels()[rest], before.pixels()[rest])
    assert len(after.annotation.instances) == 2
    assert after.origin.method == "test+black-box"
    assert after.origin.parents == ("train/0001",)
    assert before.pixels()[y1:y2, x1:x2].any()


def test_what_stays_is_not_painted_over_and_semantic_maps_ignore_the_paint():
    near = np.zeros((20, 20), dtype=bool)
    near[:, :8] = True
    far = np.zeros((20, 20), dtype=bool)
    far[5:15, 5:15] = True
    found = Instances(
        (20, 20), np.array([0, 1]), np.array([[0, 0, 8, 20], [5, 5, 15, 15]]), masks=(Rle.of(near), Rle.of(far))
    )
    annotation = Annotation(instances=found, semantic=SemanticMap.of(np.ones((20, 20), dtype=int)))
    sample = Sample("a", annotation, image=np.full((20, 20, 1), 9, dtype=np.uint8))
    after = painted_over(sample, np.array([False, True]), paint="black")
    painted = far & ~near
    assert (after.pixels()[..., 0] == np.where(painted, 0, 9)).all()
    assert (after.annotation.semantic.dense() == np.where(painted, -1, 1)).all()
    assert after.origin.synthetic
    assert after.origin.parents == ("a",)
    assert len(without_objects(sample, np.array([True, True])).annotation.instances) == 0


def test_pictures_without_objects_stay_and_crowds_are_not_judged(real, fitted):
    stripes = scenes(1, 5, prefix="x", looks=[[STRIPES] * 3])[0]
    crowd = Instances((96, 96), [0, 0, 0], stripes.annotation.instances.boxes, crowd=np.ones(3, dtype=bool))
    samples = [
        Sample("crowd", Annotation(instances=crowd), image=stripes.pixels()),
        Sample("empty", Annotation(instances=Instances.none((96, 96))), image=stripes.pixels()),
        Sample("unlabelled", None, image=stripes.pixels()),
    ]
    dataset = Dataset.of(samples, classes=["ball", "tile"])
    judgement = fitted.judge(dataset)
    assert judgement.reasons == (None, None, None)
    assert judgement.scores["farthest_object"].tolist() == [0, 0, 0]
    assert not any(fitted.far_objects(sample).any() for sample in dataset)
    assert fitted.judge(dataset.take([])).reasons == ()


def test_a_class_with_few_real_objects_is_judged_among_all(real):
    labels = np.zeros((50, 3), dtype=int)
    labels[0, 0] = 1
    training = scenes(50, 6, prefix="rare", looks=labels, labels=labels)
    judge = ObjectDensity().fit(
        training.take([]), training=training, holdout=training.take([]), spec=SPEC, rng=Stream(0)
    )
    rare = scenes(1, 8, prefix="y", looks=[[BALL] * 3], labels=[[1, 1, 1]])
    assert np.isfinite(judge.object_scores(rare)).all()
    with pytest.raises(ValueError, match="more than 6 real objects; got 3"):
        ObjectDensity().fit(rare, training=rare, holdout=rare, spec=SPEC, rng=Stream(0))


def test_judgements_survive_pickling_and_do_not_depend_on_company(pilot, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    whole = again.object_scores(pilot)
    np.testing.assert_array_equal(again.object_scores(pilot.take([11, 0])), [*whole[33:36], *whole[0:3]])


def test_crops_come_in_the_order_of_the_objects(real):
    features, classes = embedded_crops(RandomConvolution(), real[0], side=32)
    assert features.shape == (150, 128)
    assert classes.tolist() == real[0].object_column("class_id").tolist()
    alone, _ = embedded_crops(RandomConvolution(), real[0].take([7]), side=32)
    np.testing.assert_array_equal(features[21:24], alone)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="side ≥ 8"):
        ObjectDensity(side=2)


def test_a_picture_that_loses_all_objects_with_keypoints_can_still_be_kept():
    points = np.zeros((1, 2, 3), dtype=np.float32)
    box = np.array([[2, 2, 9, 9]], dtype=np.float32)
    one = Instances((16, 16), np.zeros(1, dtype=np.int64), box, keypoints=points, keypoint_names=("a", "b"))
    sample = Sample("x", Annotation(instances=one), image=np.zeros((16, 16, 3), dtype=np.uint8))
    left = Dataset.of([without_objects(sample, np.array([True]))], classes=["ball"])[0]
    assert len(left.annotation.instances) == 0


def test_a_judge_that_was_kept_in_a_file_judges_the_same(pilot, fitted, tmp_path):
    fitted.save(tmp_path / "judge.safetensors")
    again = ObjectDensity().load(tmp_path / "judge.safetensors")
    assert again.threshold == fitted.threshold
    assert again.scales == fitted.scales
    np.testing.assert_array_equal(again.object_scores(pilot), fitted.object_scores(pilot))


def test_what_is_done_about_far_objects_is_a_setting(pilot, fitted):
    assert not ObjectDensity().revises
    assert ObjectDensity(far="drop-box").reviser(fitted) == DropBoxes(fitted)
    black = ObjectDensity(far="black-box", paint="mean").reviser(fitted)
    assert black == BlackBoxes(fitted, "mean")
    assert black.revise(pilot[0]).annotation.attributes["objects_far"] == 1
    with pytest.raises(ValueError, match="expected allowed with far: drop-picture only"):
        ObjectDensity(far="black-box", allowed=1)


def test_depth_and_normals_say_nothing_where_a_picture_was_painted_over(pilot):
    depth = DepthMap.of(np.full((96, 96), 2.0, dtype=np.float32))
    normals = NormalMap.of(np.broadcast_to(np.float32([0, 0, -1]), (96, 96, 3)))
    sample = replace(pilot[0], annotation=replace(pilot[0].annotation, depth_metres=depth, normals=normals))
    after = painted_over(sample, np.array([False, True, False]), paint="black").annotation
    x1, y1, x2, y2 = pilot[0].annotation.instances.boxes[1].astype(int)
    inside = np.zeros((96, 96), dtype=bool)
    inside[y1:y2, x1:x2] = True
    np.testing.assert_array_equal(np.isinf(after.depth_metres.dense()), inside)
    np.testing.assert_array_equal((after.normals.dense() == 0).all(axis=2), inside)
