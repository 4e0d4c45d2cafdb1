"""Mosaic and scene mixup: every picture has a colour of its own, so each pixel tells where it comes from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from twinset.annotations import Annotation, Camera, DepthMap, Instances, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.editing.mosaic import Mosaic
from twinset.editing.scene_mixup import WEIGHT, SceneMixup
from twinset.images import Pixels
from twinset.masks import Polygons, Rle
from twinset.randomness import Stream
from twinset.stages import EditorMethod

CLASSES = ("a", "b", "c", "d", "ground")
COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], dtype=np.uint8)
SIZE = (40, 60)


def square(number: int, *, kind: str = "rle", size: tuple[int, int] = SIZE) -> Sample:
    """A black picture with one large object in the colour and the class of its number."""
    x1, y1, x2, y2 = 12, 8, 44, 33
    pixels = np.zeros((*size, 3), dtype=np.uint8)
    pixels[y1:y2, x1:x2] = COLOURS[number]
    there = pixels.any(2)
    ring = tuple(map(float, (x1, y1, x2, y1, x2, y2, x1, y2)))
    masks = {"rle": (Rle.of(there),), "polygons": (Polygons(*size, (ring,)),), "boxes": None}[kind]
    instances = Instances(size, np.array([number]), np.array([[x1, y1, x2, y2]]), masks)
    ids = np.where(there, number, 4)
    return Sample(f"s{number}", Annotation(instances=instances, semantic=SemanticMap.of(ids)), image=pixels)


def training(kind: str = "rle") -> Dataset:
    return Dataset.of([square(n, kind=kind) for n in range(4)], classes=CLASSES)


def shown_in(pixels: Pixels, number: int) -> NDArray[np.bool_]:
    """Where a picture has the colour of an object, edges at half its brightness."""
    return np.asarray(((pixels > 127) == (COLOURS[number] > 127)).all(2))


def of(sample: Sample) -> tuple[Instances, SemanticMap]:
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    assert sample.annotation.semantic is not None
    return sample.annotation.instances, sample.annotation.semantic


@pytest.mark.parametrize("kind", ["rle", "polygons", "boxes"])
@pytest.mark.parametrize("seed", range(8))
def test_mosaic_labels_are_where_the_colours_are(kind: str, seed: int) -> None:
    edited = Mosaic(min_visible=0.0).fit(training(kind), rng=Stream(0)).edit(square(0, kind=kind), rng=Stream(seed))
    instances, semantic = of(edited)
    assert edited.pixels().shape == (*SIZE, 3)
    for number in range(4):
        shown = shown_in(edited.pixels(), number)
        rim = np.sqrt(shown.sum()) * 4
        assert (shown != (semantic.dense() == number)).sum() <= 0.3 * rim + 2
        row = np.flatnonzero(instances.class_ids == number)
        if shown.sum() < 8:
            continue
        assert len(row) == 1
        rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        expected = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(instances.boxes[row[0]], expected, atol=1.01)
        if kind != "boxes":
            assert (shown != instances.dense_masks()[row[0]]).sum() <= 0.3 * rim + 2
    assert (semantic.dense() >= 0).all()


def test_a_mosaic_of_tiles_of_the_right_size_is_exact() -> None:
    """With the crossing in the middle, no zoom and pictures of half the size, nothing is interpolated."""
    tiles = Dataset.of([square(n, size=(40, 60)) for n in range(1, 4)], classes=CLASSES)
    large = replace(square(0, size=(80, 120)), id="large")
    editor = Mosaic(centre=0.0, zoom=1.0).fit(tiles, rng=Stream(0))
    for seed in range(4):
        edited = editor.edit(large, rng=Stream(seed))
        instances, semantic = of(edited)
        for row, number in enumerate(instances.class_ids.tolist()):
            if number == 0:
                continue
            shown = (edited.pixels() == COLOURS[number]).all(2)
            assert shown.sum() == 32 * 25
            np.testing.assert_array_equal(instances.dense_masks()[row], shown)
            np.testing.assert_array_equal(semantic.dense() == number, shown)
        assert sorted(instances.class_ids.tolist()) == [0, 1, 2, 3]
        assert not instances.is_truncated.any()


def test_each_quarter_is_another_picture_and_all_are_parents() -> None:
    editor = Mosaic(centre=0.0).fit(training(), rng=Stream(0))
    places = set()
    for seed in range(12):
        edited = editor.edit(square(0), rng=Stream(seed))
        assert edited.origin.parents[0] == "s0"
        assert sorted(edited.origin.parents) == ["s0", "s1", "s2", "s3"]
        assert edited.origin.method == "mosaic"
        red = shown_in(edited.pixels(), 0)
        own = [bool(part.any()) for part in (red[:20, :30], red[:20, 30:], red[20:, :30], red[20:, 30:])]
        assert sum(own) <= 1
        places.add(tuple(own))
    assert len(places) >= 3


def test_mixup_blends_pictures_and_keeps_both_label_sets() -> None:
    partners = Dataset.of([square(1)], classes=CLASSES)
    editor = SceneMixup().fit(partners, rng=Stream(0))
    shares = []
    for seed in range(40):
        edited = editor.edit(square(0), rng=Stream(seed))
        instances, semantic = of(edited)
        assert instances.class_ids.tolist() == [0, 1]
        own, other = (float(w) for w in instances.columns[WEIGHT] if w is not None)
        assert own + other == pytest.approx(1)
        expected = np.rint(own * square(0).pixels().astype(float) + other * square(1).pixels())
        assert np.abs(edited.pixels() - expected).max() <= 1
        assert semantic == of(square(0))[1]
        assert edited.origin.parents == ("s0", "s1")
        shares.append(own)
    assert 0.5 <= min(shares) < 0.6
    assert 0.7 < max(shares) <= 0.75


def test_mixing_a_mixture_weakens_what_was_there() -> None:
    editor = SceneMixup().fit(Dataset.of([square(1)], classes=CLASSES), rng=Stream(0))
    once = editor.edit(square(0), rng=Stream(1))
    twice = editor.edit(once, rng=Stream(2))
    first = [float(w) for w in of(once)[0].columns[WEIGHT] if w is not None]
    second = [float(w) for w in of(twice)[0].columns[WEIGHT] if w is not None]
    share = 1 - second[2]
    assert second[:2] == pytest.approx([share * first[0], share * first[1]])
    assert sum(second) == pytest.approx(1)


def test_a_partner_of_another_size_and_channel_count_is_fitted() -> None:
    other = square(1, size=(80, 90))
    other = replace(other, image=np.ascontiguousarray(other.pixels()[..., :1]))
    partners = Dataset.of([other], classes=CLASSES)
    for method in (SceneMixup(least=0.5), Mosaic()):
        edited = method.fit(partners, rng=Stream(0)).edit(square(0), rng=Stream(0))
        assert edited.pixels().shape == (*SIZE, 3)
        assert of(edited)[0].size == SIZE
    mixed = SceneMixup(least=0.5).fit(partners, rng=Stream(0)).edit(square(0), rng=Stream(0))
    np.testing.assert_allclose(of(mixed)[0].boxes[1], [8, 4, 12 * 60 / 90 + 32 * 60 / 90, 16.5], atol=1)


@pytest.mark.parametrize("method", [Mosaic(), SceneMixup()])
def test_only_pictures_that_say_the_same_are_combined(method: Mosaic | SceneMixup) -> None:
    """No boxes: unmarked objects would come in. Another class: the label would be wrong."""
    silent = Sample("silent", Annotation(caption="x"), image=square(1).pixels())
    boxes_only = Sample("boxes", Annotation(instances=of(square(2))[0]), image=square(2).pixels())
    of_class = [Sample(f"c{i}", Annotation(class_id=i % 2), image=square(i % 4).pixels()) for i in range(4)]
    everything = Dataset.of([silent, boxes_only, square(3), *of_class], classes=CLASSES)
    editor = method.fit(everything, rng=Stream(0))
    for seed in range(6):
        assert set(editor.edit(square(0), rng=Stream(seed)).origin.parents) == {"s0", "s3"}
        kept = editor.edit(of_class[0], rng=Stream(seed))
        assert set(kept.origin.parents) == {"c0", "c2"}
        assert kept.annotation == of_class[0].annotation
    with pytest.raises(ValueError, match="expected a sample labelled as some training image"):
        editor.edit(replace(square(0), annotation=None), rng=Stream(0))
    with pytest.raises(ValueError, match="at least one labelled"):
        method.fit(Dataset.of([replace(silent, annotation=None)], classes=CLASSES), rng=Stream(0))


@pytest.mark.parametrize("method", [Mosaic(), SceneMixup()])
def test_equal_streams_give_equal_edits(method: Mosaic | SceneMixup) -> None:
    assert isinstance(method, EditorMethod)
    editor = method.fit(training(), rng=Stream(0))
    first, again, other = (editor.edit(square(0), rng=Stream(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pixels(), again.pixels())
    assert first.annotation == again.annotation
    assert not np.array_equal(first.pixels(), other.pixels())


def test_settings_out_of_range_are_refused() -> None:
    for wrong in (lambda: Mosaic(centre=0.5), lambda: Mosaic(zoom=0.5), lambda: SceneMixup(alpha=0)):
        with pytest.raises(ValueError, match="expected"):
            wrong()
    with pytest.raises(ValueError, match="least"):
        SceneMixup(least=0.6)


def seen(number: int) -> Sample:
    """:func:`square` with depth, a camera, a pose and two named keypoints."""
    sample = square(number)
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    instances = replace(
        sample.annotation.instances,
        poses=np.eye(4)[None],
        keypoints=np.array([[[20, 20, 2], [30, 20, 2]]], np.float32),
        keypoint_names=("left", "right"),
    )
    annotation = replace(
        sample.annotation,
        instances=instances,
        depth_metres=DepthMap.of(np.full(SIZE, number + 1.0, dtype=np.float32)),
        camera=Camera(SIZE, (50.0, 50.0), (30.0, 20.0), np.eye(4)),
    )
    return replace(sample, annotation=annotation)


def test_no_camera_sees_a_mosaic_and_that_of_the_sample_sees_a_mixture() -> None:
    known = Dataset.of([seen(n) for n in range(4)], classes=CLASSES)
    edits = [m.fit(known, rng=Stream(0)).edit(known[0], rng=Stream(1)) for m in (Mosaic(zoom=1.0), SceneMixup())]
    mosaic, mixture = (edit.annotation for edit in edits)
    assert mosaic is not None
    assert mixture is not None
    assert (mosaic.depth_metres, mosaic.normals, mosaic.camera) == (None, None, None)
    assert mosaic.instances is not None
    assert mosaic.instances.poses is None
    assert mosaic.instances.keypoint_names == ("left", "right")
    assert mixture.depth_metres is not None
    assert mixture.depth_metres.dense().max() == 1
    assert mixture.instances is not None
    assert mixture.instances.keypoint_names == ("left", "right")
    assert mixture.instances.poses is not None
    assert np.isnan(mixture.instances.poses).all((1, 2)).tolist() == [False, True]
