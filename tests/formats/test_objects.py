"""What is left of stated objects once the pictures are known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinset.formats.objects import STATED, Mishap, Objects, Stated
from twinset.formats.settling import CORNERS, SLACK
from twinset.instances import Instances, from_value
from twinset.masks import Polygons, Rle

SIZE = (20, 30)
CLASSES = ("cat", "dog")


def settled(*stated: Stated, relative: bool = False) -> tuple[Instances, list[Mishap]]:
    objects = Objects(relative=relative)
    number = objects.picture(stated)
    rows, array, mishaps = objects.settle({number: SIZE}, CLASSES)
    return from_value(array[rows[number]].as_py()), mishaps


def test_a_box_inside_stays_as_it_is() -> None:
    found, mishaps = settled(Stated("dog", (1.5, 2, 10, 20), 7, difficult=True, confidence=0.5))
    assert found.boxes.tolist() == [[1.5, 2, 10, 20]]
    assert found.class_ids.tolist() == [1]
    assert found.is_difficult.tolist() == [True]
    assert found.confidences is not None
    assert found.confidences.tolist() == [0.5]
    assert mishaps == []


@pytest.mark.parametrize(
    ("box", "kept", "told"),
    [
        ((-5, 2, 10, 10), [0, 2, 10, 10], "clipped"),
        ((5, 2, 40, 10), [5, 2, 30, 10], "clipped"),
        ((5, -3, 10, 40), [5, 0, 10, 20], "clipped"),
        ((-SLACK / 2, 2, 30 + SLACK / 2, 10), [0, 2, 30, 10], None),
        ((4, 4, 4, 9), None, "with an area"),
        ((9, 4, 4, 9), None, "with an area"),
        ((4, 9, 9, 9), None, "with an area"),
        ((30, 4, 35, 9), None, "inside 30 x 20"),
        ((4, -9, 9, 0), None, "inside 30 x 20"),
        ((float("nan"), 4, 9, 9), None, "with an area"),
        ((0, 4, float("inf"), 9), None, "with an area"),
        ((-1e300, -1e300, 1e300, 1e300), [0, 0, 30, 20], "clipped"),
    ],
)
def test_boxes_that_stick_out_are_clipped_and_empty_ones_dropped(
    box: tuple[float, float, float, float], kept: list[float] | None, told: str | None
) -> None:
    found, mishaps = settled(Stated("cat", box, 3))
    assert found.boxes.tolist() == ([] if kept is None else [kept])
    assert [(m.number, told in m.problem) for m in mishaps if told] == ([(3, True)] if told else [])
    assert len(mishaps) == bool(told)


def test_fractions_are_of_width_and_of_height() -> None:
    found, mishaps = settled(Stated("cat", (0.1, 0.1, 0.5, 1)), relative=True)
    assert found.boxes.tolist() == [[3, 2, 15, 20]]
    assert mishaps == []


def test_a_box_left_out_is_that_of_the_outline_or_of_the_run_lengths() -> None:
    mask = np.zeros(SIZE, dtype=bool)
    mask[3:7, 4:10] = True
    found, _ = settled(Stated("cat", rings=((2, 3, 12, 3, 2, 9),)), Stated("dog", rle=Rle.of(mask)))
    assert found.boxes.tolist() == [[2, 3, 12, 9], [4, 3, 10, 7]]
    assert found.masks is not None
    assert isinstance(found.masks[0], Polygons)
    assert (found.masks[1].dense() == mask).all()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ring", "kept", "told"),
    [
        ((-4, 3, 12, 3, 2, 9), [0, 3, 12, 9], "got [-4, 3, 12, 9]; clipped"),
        ((20, 3, 60, 3, 20, 30), [20, 3, 30, 20], "got [20, 3, 60, 30]; clipped"),
        ((0, 0, 31.9, 0, 31.9, 20), [0, 0, 30, 20], None),
        ((40, 3, 60, 3, 50, 9), None, "got [40, 3, 60, 9]; left out"),
    ],
)
def test_outlines_that_stick_out_are_told_as_boxes_are(
    ring: tuple[float, ...], kept: list[float] | None, told: str | None
) -> None:
    found, mishaps = settled(Stated("cat", rings=(ring,)))
    assert found.boxes.tolist() == ([] if kept is None else [kept])
    assert [told in mishap.problem for mishap in mishaps if told is not None] == [True] * (told is not None)


def test_outlines_in_fractions_come_out_in_pixels() -> None:
    ring, square = (0.1, 0.1, 0.5, 0.1, 0.1, 0.5), (0.5, 0.25, 1, 0.25, 1, 1, 0.5, 1)
    odd = Stated("cat", rings=((0.1,) * 7, square))
    outlined = [Stated("cat", rings=rings) for rings in ((ring,), (square, ring))]
    found, mishaps = settled(outlined[0], Stated("cat", (0, 0, 1, 1)), odd, outlined[1], relative=True)
    scaled, square = (3.0, 2.0, 15.0, 2.0, 3.0, 10.0), (15.0, 5.0, 30.0, 5.0, 30.0, 20.0, 15.0, 20.0)
    assert found.masks == (Polygons(*SIZE, (scaled,)), None, Polygons(*SIZE, (square, scaled)))
    assert [mishap.problem for mishap in mishaps] == [
        "expected outlines of at least three points x, y; got fewer; left out"
    ]


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (Stated("bird", (1, 1, 2, 2)), "expected a known class; got 'bird'; left out"),
        (Stated(None, (1, 1, 2, 2)), "expected a known class; got none; left out"),
        (Stated("cat"), "expected a box or a mask; got neither; left out"),
        (Stated("cat", rings=((1, 1, 2, 2),)), "expected outlines of at least three points x, y; got fewer; left out"),
        (
            Stated("cat", rle=Rle.of(np.ones((5, 6), dtype=bool))),
            "expected a mask of 30 x 20; got one of 6 x 5; left out",
        ),
        (
            Stated("cat", rle=Rle.of(np.zeros(SIZE, dtype=bool))),
            "expected a box with an area; got [0, 0, 0, 0]; left out",
        ),
    ],
)
def test_what_cannot_be_used_is_told_once_and_left_out(stated: Stated, told: str) -> None:
    found, mishaps = settled(Stated("dog", (1, 1, 3, 3)), stated)
    assert found.class_ids.tolist() == [1]
    assert [mishap.problem for mishap in mishaps] == [told]


def test_pictures_keep_their_own_objects_in_any_order_and_some_never_open() -> None:
    objects = Objects()
    numbers = [objects.picture([Stated("cat", (i, 0, i + 1, 1))] * i) for i in range(5)]
    rows, array, mishaps = objects.settle({numbers[4]: SIZE, numbers[0]: SIZE, numbers[2]: (40, 50)}, CLASSES)
    assert {n: len(array[rows[n]].as_py()["objects"]) for n in rows} == {numbers[0]: 0, numbers[2]: 2, numbers[4]: 4}
    assert array[rows[numbers[2]]].as_py()["width"] == 50
    assert {value["x1"] for value in array[rows[numbers[4]]].as_py()["objects"]} == {4}
    assert mishaps == []


def test_columns_and_single_claims_mix() -> None:
    objects = Objects()
    first = objects.picture([Stated("cat", (0, 0, 1, 1))])
    table = pa.Table.from_pylist(
        [{"picture": 1, "label": "dog", "x1": 2.0, "y1": 2.0, "x2": 3.0, "y2": 3.0}], schema=STATED
    )
    second = objects.extend(2, table.to_batches())
    third = objects.picture([Stated("dog", (5, 5, 6, 6))])
    assert (first, second, third) == (0, 1, 3)
    assert objects.labels() == ["cat", "dog"]
    rows, array, _ = objects.settle(dict.fromkeys(range(4), SIZE), CLASSES)
    boxes = [[o["x1"] for o in array[rows[n]].as_py()["objects"]] for n in range(4)]
    assert boxes == [[0], [], [2], [5]]


@pytest.mark.parametrize(("held", "shelf"), [(1 << 20, 1024), (0, 1024), (0, 1), (200, 2)])
def test_claims_in_any_order_and_in_several_chunks_go_to_their_pictures(
    held: int, shelf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinset.formats.claims.CHUNK", 2)
    monkeypatch.setattr("twinset.formats.objects.SHELF", shelf)
    monkeypatch.setattr("twinset.formats.spool.HELD", held)
    pictures = [2, 0, 1, 0, 2, 2, 1]
    table = pa.table(
        {
            "picture": pictures,
            "label": pa.array(["dog" if n % 2 else "cat" for n in range(7)]).dictionary_encode(),
            "number": [None, None, *range(2, 7)],
            **{name: pa.array([float(n) + (name[1] == "2") for n in range(7)], pa.float32()) for name in CORNERS},
            "area": [None, None, None, 3.0, None, None, 6.0],
            "crowd": [None, None, None, None, True, None, None],
        }
    )
    objects = Objects()
    assert objects.extend(3, table.to_batches()) == 0
    assert objects.labels() == ["cat", "dog"]
    rows, array, mishaps = objects.settle({0: SIZE, 1: (3, 4), 2: (5, 30)}, CLASSES)
    found = [array[rows[n]].as_py()["objects"] for n in range(3)]
    assert [[one["x1"] for one in picture] for picture in found] == [[1, 3], [2], [0, 4]]
    assert [[one["class_id"] for one in picture] for picture in found] == [[1, 1], [0], [0, 0]]
    assert [[one["area"] for one in picture] for picture in found] == [[None, 3], [None], [None, None]]
    assert [[one["crowd"] for one in picture] for picture in found] == [[False] * 2, [False], [False, True]]
    assert [(m.picture, m.number) for m in mishaps] == [(1, 6), (2, 5)]


def test_many_shuffled_claims_keep_the_order_of_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinset.formats.objects.SHELF", 7)
    monkeypatch.setattr("twinset.formats.spool.HELD", 1000)
    monkeypatch.setattr("twinset.formats.claims.RUN", 5000)
    pictures = np.random.Generator(np.random.PCG64(0)).integers(0, 20, 400)
    objects = Objects()
    for start in range(0, 400, 50):
        numbers = np.arange(start, start + 50)
        columns = {"picture": pa.array(pictures[numbers], pa.int32()), "label": pa.array(["cat"] * 50)}
        columns |= {name: pa.array(numbers / 50 + (name[1] == "2")) for name in CORNERS}
        objects.extend(0, [pa.record_batch(columns)])
    rows, array, _ = objects.settle(dict.fromkeys(range(20), SIZE), CLASSES)
    for picture in range(20):
        found = [one["x1"] for one in array[rows[picture]].as_py()["objects"]]
        assert np.allclose(found, np.flatnonzero(pictures == picture) / 50)


LONG = {
    "rings": (tuple(float(n % 30) for n in range(20_000)),),
    "rle": Rle(20, 30, b"0" * 160_000),
    "amodal_rle": Rle(20, 30, b"0" * 160_000),
    "keypoints": tuple(float(n) for n in range(20_000)),
    "attributes": "x" * 160_000,
}


@pytest.mark.parametrize("name", [*LONG, "box"])
def test_objects_of_pictures_wait_within_a_bound(name: str) -> None:
    objects, before, most = Objects(), pa.total_allocated_bytes(), 0
    one = Stated("cat", (0, 0, 1, 1), **{name: LONG[name]} if name in LONG else {})
    pictures = 200 if name in LONG else 20_000
    for number in range(pictures):
        objects.picture([one])
        most = max(most, len(objects._pending)) if number >= pictures // 2 else 0
    assert most == (13 if name in LONG else 8191)
    assert pa.total_allocated_bytes() - before < 12 << 20
    assert objects.labels() == ["cat"]


def test_labels_may_be_a_dictionary_with_repeats_nulls_and_names_that_nobody_has() -> None:
    values = pa.array(["bird", "dog", None, "dog", "cat"])
    labels = pa.DictionaryArray.from_arrays(pa.array([4, 1, 3, None, 2], pa.int8()), values)
    columns = {name: pa.array([1.0 + (name[1] == "2")] * 5) for name in CORNERS}
    objects = Objects()
    objects.extend(1, [pa.record_batch({"picture": pa.array([0] * 5, pa.int32()), "label": labels, **columns})])
    objects.extend(1, [pa.record_batch({"picture": pa.array([], pa.int32()), "label": pa.array([], pa.string())})])
    assert objects.labels() == ["cat", "dog"]
    rows, array, mishaps = objects.settle(dict.fromkeys(range(2), SIZE), CLASSES)
    assert [one["class_id"] for one in array[rows[0]].as_py()["objects"]] == [0, 1, 1]
    assert [mishap.problem for mishap in mishaps] == ["expected a known class; got none; left out"] * 2


def test_small_parts_with_classes_of_their_own_are_settled_together() -> None:
    objects = Objects()
    for name in ("dog", "cat"):
        boxes = {corner: pa.array([1.0 + (corner[1] == "2")]) for corner in CORNERS}
        label = pa.array([name]).dictionary_encode()
        objects.extend(1, [pa.record_batch({"picture": pa.array([0], pa.int32()), "label": label, **boxes})])
    rows, array, _ = objects.settle({0: SIZE, 1: SIZE}, CLASSES)
    assert [array[rows[n]].as_py()["objects"][0]["class_id"] for n in range(2)] == [1, 0]


def test_claims_are_settled_once() -> None:
    objects = Objects()
    number = objects.picture([Stated("cat", (0, 0, 1, 1))])
    objects.settle({number: SIZE}, CLASSES)
    with pytest.raises(ValueError, match="were settled before"):
        objects.settle({number: SIZE}, CLASSES)


SOUND = (1, 1, 5, 1, 5, 5)
RINGS = st.lists(
    st.lists(st.integers(0, 20) | st.sampled_from([float("nan"), float("inf")]), max_size=9).map(tuple), max_size=3
)


@settings(max_examples=100, deadline=None)
@example([None, [SOUND], [(1,) * 7], [SOUND, (1,) * 4], [SOUND]])
@example([[SOUND], [SOUND, (1, 1, 2, 2, 3, float("nan"))], [SOUND]])
@example([[(float("nan"),) * 6], [SOUND]])
@given(st.lists(st.none() | RINGS, max_size=6))
def test_outlines_are_dropped_where_a_mask_refuses_them(said: list[list[tuple[float, ...]] | None]) -> None:
    box = (1.0, 1.0, 9.0, 9.0)
    claims = [None if rings is None else tuple(rings) for rings in said]
    found, mishaps = settled(*(Stated("cat", box, n, rings) for n, rings in enumerate(claims)))
    sound: list[Polygons | None] = []
    told: list[str] = []
    for rings in claims:
        try:
            sound.append(None if rings is None else Polygons(*SIZE, rings))
        except ValueError as error:
            told.append(f"{error}; left out")
    assert [mishap.problem for mishap in mishaps] == told
    assert list(found.masks or [None] * len(found)) == sound


def test_nothing_stated_settles_to_nothing() -> None:
    rows, array, mishaps = Objects().settle({}, CLASSES)
    assert (rows, len(array), mishaps) == ({}, 0, [])


COORDINATE = st.one_of(st.floats(-100, 100), st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 35))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["cat", "dog", "bird"]), *[COORDINATE] * 4), max_size=12))
def test_every_object_is_kept_as_it_is_or_told(claims: list[tuple[str, float, float, float, float]]) -> None:
    found, mishaps = settled(*(Stated(label, box, n) for n, (label, *box) in enumerate(claims)))  # type: ignore[arg-type]
    left_out = {mishap.number for mishap in mishaps if mishap.problem.endswith("left out")}
    kept = [claim for n, claim in enumerate(claims) if n not in left_out]
    assert len(found) == len(kept)
    told = {mishap.number for mishap in mishaps}
    untouched = [np.abs(np.subtract(box, one[1:])).max() <= SLACK for box, one in zip(found.boxes, kept, strict=True)]
    assert untouched == [n not in told for n in range(len(claims)) if n not in left_out]
