"""Average precision against cocoapi itself, against small cases done by hand, and under weights."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from twinset import interpolated_precision, matching_detections
from twinset.average_precision import AveragePrecision, Matches, match_detections
from twinset.instances import Instances
from twinset.masks import Polygons, Rle
from twinset.matching_detections import Kind

SIZE = (160, 200)
FIGURES = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)


def objects(boxes: Sequence[Sequence[float]], classes: Sequence[int] | None = None, **more: object) -> Instances:
    ids = np.zeros(len(boxes), dtype=np.int64) if classes is None else np.asarray(classes)
    arrays = {
        key: np.asarray(value, dtype=np.float32) if key in ("areas", "confidences") else value
        for key, value in more.items()
    }
    return Instances(SIZE, ids, np.asarray(boxes, dtype=np.float32).reshape(-1, 4), **arrays)  # type: ignore[arg-type]


def scene(
    draw: np.random.Generator, *, classes: int, most: int, found: bool, masks: bool, near: Instances | None = None
) -> Instances:
    """Boxes on a coarse grid of places and sizes (32 and 96 among them) and confidences, so that ties abound."""
    k = int(draw.integers(0, most + 1)) * int(draw.random() > 0.2)
    low = draw.integers(0, (10, 8), size=(k, 2)) * 10.0
    sides = draw.choice([8, 16, 32, 33, 64, 96, 97, 100], size=(k, 2))
    boxes = np.concatenate([low, np.minimum(low + sides, (SIZE[1], SIZE[0]))], axis=1)
    ids = draw.integers(0, classes, size=k)
    if near is not None and len(near) and k:
        source = draw.integers(0, len(near), size=k)
        keep = draw.random(k) < 0.8
        moved = near.boxes[source] + draw.choice([0, 0, 0, 1, 2, 4], size=(k, 4)) * [1, 1, -1, -1]
        sound = (moved[:, 0] < moved[:, 2]) & (moved[:, 1] < moved[:, 3])
        boxes, ids = (
            np.where((keep & sound)[:, None], moved, boxes),
            np.where(keep & sound, near.class_ids[source], ids),
        )
    more: dict[str, object] = {}
    if found:
        more["confidences"] = draw.integers(0, 12, size=k) / 12
    else:
        more["crowd"] = draw.random(k) < 0.15
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * draw.choice([0.5, 1.0], size=k)
        more["areas"] = np.where(draw.random(k) < 0.5, areas, np.nan)
    if masks:
        more["masks"] = tuple(blob(box, draw) for box in boxes)
    return objects(boxes, ids, **more)


def blob(box: np.ndarray, draw: np.random.Generator) -> Rle | Polygons:
    x1, y1, x2, y2 = box
    if draw.random() < 0.4:
        return Polygons(*SIZE, ((x1, y1, x2, y1 + 1, x2 - 1, y2, x1, (y1 + y2) / 2),))
    dense = np.zeros(SIZE, dtype=np.bool_)
    dense[int(y1) : int(y2), int(x1) : int(x2)] = True
    if draw.random() < 0.1:
        dense[:] = False
    return Rle.of(dense)


def scenes(seed: int, *, n: int = 12, classes: int = 4, masks: bool = False) -> tuple[list[Instances], list[Instances]]:
    draw = np.random.Generator(np.random.PCG64(seed))
    truth = [scene(draw, classes=classes - 1, most=8, found=False, masks=masks) for _ in range(n)]
    found = [scene(draw, classes=classes, most=14, found=True, masks=masks, near=one) for one in truth]
    return truth, found


class Oracle(COCOeval):  # type: ignore[misc]
    """cocoapi, which drops a source's ``ignore``; here it stays."""

    def _prepare(self) -> None:
        super()._prepare()
        for found in self._gts.values():
            for one in found:
                one["ignore"] = one["iscrowd"] or one["hidden"]


def oracle(
    truth: Sequence[Instances],
    found: Sequence[Instances],
    *,
    n_classes: int,
    kind: str = "boxes",
    ignore_difficult: bool = False,
) -> Oracle:
    images = [{"id": n, "height": one.size[0], "width": one.size[1]} for n, one in enumerate(truth)]
    categories = [{"id": c, "name": str(c)} for c in range(n_classes)]
    left, right = COCO(), COCO()
    sides = ((left, truth, False), (right, found, True))
    with contextlib.redirect_stdout(io.StringIO()):
        for side, pictures, predicted in sides:
            notes = [
                annotation(one, i, n, kind, predicted=predicted, ignore_difficult=ignore_difficult)
                for n, one in enumerate(pictures)
                for i in range(len(one))
            ]
            side.dataset = {
                "images": images,
                "categories": categories,
                "annotations": [{**note, "id": number} for number, note in enumerate(notes, start=1)],
            }
            side.createIndex()
        judge = Oracle(left, right, "bbox" if kind == "boxes" else "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


def annotation(
    one: Instances, i: int, image: int, kind: str, *, predicted: bool, ignore_difficult: bool
) -> dict[str, object]:
    x1, y1, x2, y2 = (float(v) for v in one.boxes[i])
    note: dict[str, object] = {
        "image_id": image,
        "category_id": int(one.class_ids[i]),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": int(one.is_crowd[i]),
        "hidden": ignore_difficult and bool(one.is_difficult[i]),
    }
    mask = one.masks[i] if one.masks else None
    if mask is not None and (kind == "masks" or not predicted):
        packed = {"size": list(one.size), "counts": mask.rle().counts}
        note |= {"segmentation": packed, "area": float(coco_mask.area(packed))}
    if not predicted and one.areas is not None and not np.isnan(one.areas[i]):
        note["area"] = float(one.areas[i])
    if predicted:
        note["score"] = float(one.confidences[i])  # type: ignore[index]
    return note


def coco_summary(
    truth: Sequence[Instances],
    found: Sequence[Instances],
    *,
    n_classes: int,
    kind: Kind = "boxes",
    ignore_difficult: bool = False,
) -> AveragePrecision:
    matches = match_detections(truth, found, n_classes=n_classes, kind=kind, ignore_difficult=ignore_difficult)
    return matches.average_precision()


def assert_equal(ours: AveragePrecision, judge: Oracle) -> None:
    theirs = np.where(judge.stats == -1, np.nan, judge.stats)
    np.testing.assert_allclose([ours.figures()[name] for name in FIGURES], theirs, rtol=0, atol=1e-12)
    precision = np.where(judge.eval["precision"] == -1, np.nan, judge.eval["precision"])[..., 0, 2]
    np.testing.assert_allclose(ours.class_ap, precision.mean(axis=(0, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.class_ap50, precision[0].mean(axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_equals_cocoapi_on_random_boxes(seed: int) -> None:
    truth, found = scenes(seed)
    assert_equal(coco_summary(truth, found, n_classes=5), oracle(truth, found, n_classes=5))


@pytest.mark.parametrize("seed", range(6))
def test_equals_cocoapi_on_random_masks(seed: int) -> None:
    truth, found = scenes(seed, n=6, masks=True)
    for kind in ("boxes", "masks"):
        ours = coco_summary(truth, found, n_classes=5, kind=kind)  # type: ignore[arg-type]
        assert_equal(ours, oracle(truth, found, n_classes=5, kind=kind))


def adversarial() -> dict[str, tuple[list[Instances], list[Instances]]]:
    box = [10.0, 10, 42, 42]
    right = [12.0, 10, 44, 42]
    nothing = Instances.none(SIZE)
    rows = [[x, y, x + 9, y + 9] for x in range(0, 190, 10) for y in range(0, 80, 10)]
    draw = np.random.Generator(np.random.PCG64(5))
    confident = draw.random(len(rows)).round(1)
    return {
        "all empty": ([nothing, nothing], [nothing, nothing]),
        "only detections": ([nothing], [objects([box], confidences=[0.9])]),
        "only objects": ([objects([box])], [nothing]),
        "only crowds": ([objects([box], crowd=[True])], [objects([box, box], confidences=[0.9, 0.8])]),
        "a class without objects": ([objects([box], [1])], [objects([box, box], [1, 2], confidences=[0.5, 0.6])]),
        "a crowd taken often": (
            [objects([[0, 0, 100, 100], box], crowd=[True, False])],
            [objects([[5, 5, 20, 20], [30, 30, 60, 60], box, box], confidences=[0.9, 0.8, 0.7, 0.6])],
        ),
        "a crowd that overlaps more than the object": (
            [objects([[0, 0, 100, 100], [12, 12, 42, 42]], crowd=[True, False])],
            [objects([box], confidences=[0.9])],
        ),
        "equal overlaps": (
            [objects([box, right, box])],
            [objects([box, right, [11, 10, 43, 42]], confidences=[1, 1, 1])],
        ),
        "the last of equals is taken": (
            [objects([box, [14, 10, 46, 42]]), objects([[14, 10, 46, 42], box])],
            [objects([right, box], confidences=[0.9, 0.8])] * 2,
        ),
        "equal confidences over pictures": (
            [objects([box]), objects([box]), objects([box])],
            [objects([rows[5], box], confidences=[0.5, 0.5]), objects([box], confidences=[0.5]), nothing],
        ),
        "more than a hundred detections": ([objects(rows)], [objects(rows, confidences=confident)]),
        "areas at the borders": (
            [objects([box, [50, 10, 146, 106], [0, 0, 10, 10]], areas=[1024, 9216, np.nan])],
            [
                objects(
                    [box, [50, 10, 146, 106], [150, 110, 182, 142], [0, 0, 10, 10]], confidences=[0.9, 0.8, 0.7, 0.6]
                )
            ],
        ),
        "overlap exactly at a threshold": (
            [objects([[0, 0, 20, 10], [50, 0, 60, 10]])],
            [objects([[0, 0, 10, 10], [50, 0, 60, 7.5]], confidences=[0.9, 0.8])],
        ),
        "found out of range": ([objects([box], areas=[5000])], [objects([box, [0, 0, 5, 5]], confidences=[0.9, 0.95])]),
    }


@pytest.mark.parametrize("name", adversarial())
def test_equals_cocoapi_where_it_is_hard(name: str) -> None:
    truth, found = adversarial()[name]
    assert_equal(coco_summary(truth, found, n_classes=3), oracle(truth, found, n_classes=3))


def drawn(*areas: tuple[slice, slice]) -> Rle:
    """The mask of these rows and columns together."""
    dense = np.zeros(SIZE, dtype=np.bool_)
    for rows, columns in areas:
        dense[rows, columns] = True
    return Rle.of(dense)


def adversarial_masks() -> dict[str, tuple[list[Instances], list[Instances]]]:
    box = [20.0, 20, 60, 60]
    whole = drawn((slice(20, 60), slice(20, 60)))
    left, right = drawn((slice(20, 60), slice(20, 40))), drawn((slice(20, 60), slice(40, 60)))
    frame = drawn((slice(20, 60), slice(20, 25)), (slice(20, 60), slice(55, 60)), (slice(20, 25), slice(20, 60)))
    outline = Polygons(*SIZE, ((20.0, 20, 60, 20, 60, 60, 20, 60),))
    corners = Polygons(*SIZE, ((20.0, 20, 60, 20, 20, 60), (150.0, 100, 180, 100, 165, 140)))
    empty, everywhere = Rle.of(np.zeros(SIZE, dtype=np.bool_)), Rle.of(np.ones(SIZE, dtype=np.bool_))
    nothing = Instances.none(SIZE)
    half = drawn((slice(20, 60), slice(20, 40)), (slice(60, 61), slice(0, 1)))
    return {
        "equal boxes, other masks": (
            [objects([box, box], masks=(left, right))],
            [objects([box, box, box], masks=(right, left, whole), confidences=[0.9, 0.8, 0.95])],
        ),
        "a frame around nothing": (
            [objects([box], masks=(frame,))],
            [objects([box, box], masks=(whole, frame), confidences=[0.9, 0.9])],
        ),
        "an outline and the run lengths of its pixels": (
            [objects([box, box], masks=(outline, whole))],
            [objects([box, box], masks=(whole, outline), confidences=[0.5, 0.5])],
        ),
        "two outlines of one object": (
            [objects([[20, 20, 180, 140]], masks=(corners,))],
            [objects([[20, 20, 180, 140], box], masks=(corners, outline), confidences=[0.4, 0.6])],
        ),
        "a crowd of run lengths": (
            [objects([[0, 0, 200, 160], box], masks=(everywhere, left), crowd=[True, False])],
            [objects([box] * 4, masks=(right, left, whole, frame), confidences=[0.9, 0.8, 0.8, 0.7])],
        ),
        "a crowd with a hole where the detection is": (
            [objects([box], masks=(frame,), crowd=[True])],
            [objects([box, box], masks=(drawn((slice(30, 50), slice(30, 50))), frame), confidences=[0.9, 0.8])],
        ),
        "masks without a pixel": (
            [objects([box, box], masks=(empty, whole))],
            [objects([box, box, box], masks=(empty, empty, whole), confidences=[0.9, 0.8, 0.7])],
        ),
        "overlap exactly one half": (
            [objects([box], masks=(whole,)), objects([box], masks=(left,))],
            [objects([box], masks=(left,), confidences=[0.9]), objects([box], masks=(half,), confidences=[0.9])],
        ),
        "the size is that of the mask, not of the box": (
            [objects([[0, 0, 200, 160], box], masks=(frame, whole))],
            [objects([[0, 0, 200, 160], box], masks=(frame, whole), confidences=[0.3, 0.2])],
        ),
        "empty pictures between": (
            [nothing, objects([box], masks=(whole,)), nothing, objects([box], masks=(left,), crowd=[True])],
            [objects([box], masks=(whole,), confidences=[0.6])] * 2 + [nothing] * 2,
        ),
    }


@pytest.mark.parametrize("name", adversarial_masks())
def test_equals_cocoapi_where_masks_are_hard(name: str) -> None:
    truth, found = adversarial_masks()[name]
    for kind in ("boxes", "masks"):
        ours = coco_summary(truth, found, n_classes=2, kind=kind)  # type: ignore[arg-type]
        assert_equal(ours, oracle(truth, found, n_classes=2, kind=kind))


@pytest.mark.parametrize("masks", [False, True])
def test_equals_cocoapi_when_all_are_equally_confident_and_many_are_crowds(masks: bool) -> None:
    draw = np.random.Generator(np.random.PCG64(11))
    truth, found = scenes(11, n=8, classes=3, masks=masks)
    truth = [replace(one, crowd=draw.random(len(one)) < 0.5) for one in truth]
    found = [replace(one, confidences=np.full(len(one), 0.5, dtype=np.float32)) for one in found]
    kind: Kind = "masks" if masks else "boxes"
    assert sum(int(one.is_crowd.sum()) for one in truth) > 5
    assert_equal(coco_summary(truth, found, n_classes=4, kind=kind), oracle(truth, found, n_classes=4, kind=kind))


def test_difficult_objects_are_neither_missed_nor_found_when_ignored() -> None:
    truth, found = scenes(3)
    truth = [
        objects(one.boxes, one.class_ids, difficult=np.arange(len(one)) % 3 == 0, crowd=one.crowd) for one in truth
    ]
    ignored = coco_summary(truth, found, n_classes=5, ignore_difficult=True)
    assert_equal(ignored, oracle(truth, found, n_classes=5, ignore_difficult=True))
    assert_equal(coco_summary(truth, found, n_classes=5), oracle(truth, found, n_classes=5))
    assert ignored.objects.sum() < coco_summary(truth, found, n_classes=5).objects.sum()


def test_many_pairs_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, found = scenes(4)
    whole = coco_summary(truth, found, n_classes=5).figures()
    monkeypatch.setattr(matching_detections, "PAIRS_AT_ONCE", 3)
    assert coco_summary(truth, found, n_classes=5).figures() == pytest.approx(whole, nan_ok=True, abs=0)


def test_hit_miss_hit_by_hand() -> None:
    """Two objects, met at ranks 1 and 3: precision 1 up to recall .5 (51 of 101 levels), 2/3 from there on (50)."""
    a, b, off = [0.0, 0, 20, 20], [40.0, 40, 60, 60], [100.0, 100, 120, 120]
    found = objects([b, off, a], confidences=[0.3, 0.6, 0.9])
    figures = coco_summary([objects([a, b])], [found], n_classes=1)
    assert figures.ap == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert figures.ap50 == pytest.approx(figures.ap)
    assert (figures.ar1, figures.ar10, figures.ap_small) == (0.5, 1.0, pytest.approx(figures.ap))
    assert np.isnan(figures.ap_large)


def test_truth_and_detections_are_not_interchangeable() -> None:
    """One object found twice and once beside: precision suffers; two of three objects missed: recall does."""
    box, beside, far = [0.0, 0, 20, 20], [40.0, 40, 60, 60], [100.0, 100, 120, 120]
    one, three = objects([box], confidences=[0.5]), objects([beside, far, box], confidences=[0.9, 0.8, 0.7])
    assert coco_summary([one], [three], n_classes=1).ap == pytest.approx(1 / 3)
    assert coco_summary([three], [one], n_classes=1).ap == pytest.approx(34 / 101)


def test_confidence_orders_from_high_to_low() -> None:
    box, off = [0.0, 0, 20, 20], [40.0, 40, 60, 60]
    sure = coco_summary([objects([box])], [objects([box, off], confidences=[0.9, 0.1])], n_classes=1)
    wrong = coco_summary([objects([box])], [objects([box, off], confidences=[0.1, 0.9])], n_classes=1)
    assert (sure.ap, wrong.ap) == (1.0, pytest.approx(0.5))


def test_detections_in_a_crowd_are_not_blamed() -> None:
    """The first lies in the crowd wholly but covers 4 % of it: left out, so that the hit stands alone."""
    truth = objects([[0, 0, 100, 100], [110, 110, 150, 150]], crowd=[True, False])
    found = objects([[10, 10, 30, 30], [110, 110, 150, 150]], confidences=[0.9, 0.8])
    assert coco_summary([truth], [found], n_classes=1).ap == 1.0


def test_matches_say_what_became_of_each_detection() -> None:
    box, off = [0.0, 0, 20, 20], [40.0, 40, 60, 60]
    found = [objects([off, box], [1, 1], confidences=[0.4, 0.6]), objects([box], [0], confidences=[0.5])]
    matches = match_detections([objects([box], [1]), Instances.none(SIZE)], found, n_classes=2)
    assert matches.class_ids.tolist() == [0, 1, 1]
    assert matches.images.tolist() == [1, 0, 0]
    assert matches.rows.tolist() == [0, 1, 0]
    assert matches.ranks.tolist() == [0, 0, 1]
    assert matches.outcomes[0, 0].tolist() == [0, 1, 0]


def untied(seed: int, n: int = 12) -> tuple[list[Instances], list[Instances]]:
    """Scenes in which no two detections are equally confident."""
    truth, found = scenes(seed, n=n)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(sum(map(len, found))) + 1
    ends = np.cumsum([len(one) for one in found])
    levels = np.split(order / (len(order) + 1), ends[:-1])
    return truth, [
        objects(one.boxes, one.class_ids, confidences=level) for one, level in zip(found, levels, strict=True)
    ]


def repeated(pictures: Sequence[Instances], weights: np.ndarray) -> list[Instances]:
    return [pictures[n] for n in np.repeat(np.arange(len(pictures)), weights)]


@pytest.mark.parametrize("seed", range(4))
def test_weights_equal_repeated_pictures(seed: int) -> None:
    truth, found = untied(seed)
    weights = np.random.Generator(np.random.PCG64(seed)).integers(0, 4, size=(8, len(truth)))
    matches = match_detections(truth, found, n_classes=5)
    for figure in ("ap", "ap50", "ap75"):
        values = matches.resampled(weights, figure=figure)  # type: ignore[arg-type]
        for row, value in zip(weights, values, strict=True):
            copies = coco_summary(repeated(truth, row), repeated(found, row), n_classes=5)
            weighted = matches.average_precision(weights=row)
            assert value == pytest.approx(copies.figures()[figure], abs=1e-12)
            assert weighted.figures() == pytest.approx(copies.figures(), abs=1e-12, nan_ok=True)
            np.testing.assert_array_equal(weighted.objects, copies.objects)


def test_ties_between_pictures_do_not_part_weights_from_copies_side_by_side() -> None:
    box, off = [0.0, 0, 20, 20], [40.0, 40, 60, 60]
    truth = [objects([box]), objects([box])]
    found = [objects([box], confidences=[0.5]), objects([off], confidences=[0.5])]
    row = np.array([2, 3])
    copies = coco_summary(repeated(truth, row), repeated(found, row), n_classes=1)
    assert match_detections(truth, found, n_classes=1).resampled(row[None])[0] == pytest.approx(copies.ap, abs=1e-12)


def test_ties_within_a_picture_leave_weights_between_the_orders_of_copies() -> None:
    """A hit and a false alarm of equal confidence, twice: in blocks the two hits come first, one by one they do not."""
    box, off = [0.0, 0, 20, 20], [40.0, 40, 60, 60]
    truth, found = [objects([box])], [objects([box, off], confidences=[0.5, 0.5])]
    row = np.array([2])
    assert match_detections(truth, found, n_classes=1).resampled(row[None])[0] == 1.0
    copies = coco_summary(repeated(truth, row), repeated(found, row), n_classes=1)
    assert copies.ap == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_class_without_objects_in_a_draw_is_left_out_of_its_mean() -> None:
    box = [0.0, 0, 20, 20]
    truth = [objects([box], [0]), objects([box], [1])]
    found = [objects([box], [0], confidences=[0.9]), Instances.none(SIZE)]
    matches = match_detections(truth, found, n_classes=3)
    values = matches.resampled(np.array([[1, 1], [1, 0], [0, 1], [0, 0]]))
    np.testing.assert_array_equal(values, [0.5, 1.0, 0.0, np.nan])


def test_resampling_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, found = scenes(7)
    weights = np.random.Generator(np.random.PCG64(7)).integers(0, 3, size=(30, len(truth)))
    matches = match_detections(truth, found, n_classes=5)
    whole = matches.resampled(weights)
    monkeypatch.setattr("twinset.average_precision.VALUES_AT_ONCE", 64)
    np.testing.assert_array_equal(matches.resampled(weights), whole)
    once = matches.resampled(np.ones((1, len(truth)), dtype=np.int64))
    assert once[0] == pytest.approx(matches.average_precision().ap, abs=1e-15)


def test_recalls_are_those_of_cocoapi() -> None:
    from pycocotools.cocoeval import Params

    np.testing.assert_array_equal(interpolated_precision.RECALLS, Params("bbox").recThrs)


def test_matches_come_back_from_a_pickle() -> None:
    truth, found = scenes(2)
    matches = match_detections(truth, found, n_classes=5)
    other = pickle.loads(pickle.dumps(matches))
    assert isinstance(other, Matches)
    assert other.areas == ("all", "small", "medium", "large")
    assert other.average_precision().to_json() == matches.average_precision().to_json()


def test_json_has_null_where_nothing_can_be_said() -> None:
    found = coco_summary([objects([[0, 0, 20, 20]])], [Instances.none(SIZE)], n_classes=2).to_json()
    assert json.loads(json.dumps(found, allow_nan=False))["ap_large"] is None
    assert (found["ap"], found["class_ap"], found["objects"]) == (0.0, [0.0, None], [1, 0])


def test_bad_arguments_are_named() -> None:
    box = [[0.0, 0, 20, 20]]
    truth, found = [objects(box)], [objects(box, confidences=[0.5])]
    with pytest.raises(ValueError, match="a confidence for each detection"):
        coco_summary(truth, truth, n_classes=1)
    with pytest.raises(ValueError, match="a confidence for each detection"):
        coco_summary(truth, [objects(box, confidences=[np.nan])], n_classes=1)
    with pytest.raises(ValueError, match="class ids below 1; got 3"):
        coco_summary(truth, [objects(box, [3], confidences=[0.5])], n_classes=1)
    with pytest.raises(ValueError, match="as many pictures"):
        coco_summary(truth, [], n_classes=1)
    with pytest.raises(ValueError, match="one size of picture 0"):
        coco_summary(truth, [Instances.none((3, 3))], n_classes=1)
    with pytest.raises(ValueError, match="a mask for each object"):
        coco_summary(truth, found, n_classes=1, kind="masks")
    with pytest.raises(ValueError, match="overlap in"):
        match_detections(truth, found, n_classes=1, iou_thresholds=(0.0,))
    with pytest.raises(ValueError, match="named 'all'"):
        match_detections(truth, found, n_classes=1, area_ranges={"tiny": (0, 9)})
    with pytest.raises(ValueError, match="at least 1 detection"):
        match_detections(truth, found, n_classes=1, most=0)
    matches = match_detections(truth, found, n_classes=1, iou_thresholds=(0.75,))
    with pytest.raises(ValueError, match="threshold of ap50"):
        matches.resampled(np.ones((1, 1), dtype=np.int64), figure="ap50")
    for weights in (np.ones((2, 3), dtype=np.int64), np.ones((2, 1)), np.array([[-1]])):
        with pytest.raises(ValueError, match="integers ≥ 0"):
            matches.resampled(weights)
