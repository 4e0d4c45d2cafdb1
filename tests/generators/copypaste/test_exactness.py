"""What is labelled is what is painted, to the pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from twinset.dataset import Dataset
from twinset.generators.copypaste import CopyPaste, CopyPasteGenerator
from twinset.generators.copypaste.compositing import run_lengths, settle
from twinset.masks import Rle
from twinset.stages import Slot

Slots = Callable[..., list[Slot]]
RIGID = {"scale": (1.0, 1.0), "stretch": 1.0, "rotation_degrees": 0.0, "flip": False}


def painted(generator: CopyPasteGenerator, slot: Slot) -> tuple[np.ndarray, list[tuple[int, np.ndarray, list[int]]]]:
    """Painter's algorithm over whole pictures, for cut-outs that are only moved: pixels, and (class, visible mask,
    amodal box) of what is seen of each object, rearmost first."""
    settings, layout = generator.settings, generator.layout(slot)
    assert generator.backgrounds is not None
    canvas = generator.backgrounds.pictures[layout.background].copy()
    height, width = layout.size
    pad = 200
    whole, colours = [], []
    for placed in layout.objects:
        rgba = generator.cutouts.pictures[int(generator.cutouts.first[placed.cutout])]
        assert np.array_equal(placed.matrix[:, :2], np.eye(2))
        x, y = (int(v) for v in placed.matrix[:, 2])
        full = np.zeros((height + 2 * pad, width + 2 * pad, 4), dtype=np.uint8)
        full[y + pad : y + pad + rgba.shape[0], x + pad : x + pad + rgba.shape[1]] = rgba
        whole.append(full[..., 3] > 0)
        colours.append(full[pad : pad + height, pad : pad + width, :3])
    inside = [mask[pad : pad + height, pad : pad + width] for mask in whole]
    hidden = np.zeros(layout.size, dtype=bool)
    kept: list[int] = []
    for i in reversed(range(len(inside))):
        seen = inside[i] & ~hidden
        if inside[i].sum() < (1 - settings.truncation) * whole[i].sum() - 1:
            continue
        if seen.sum() and seen.sum() >= settings.min_visible * whole[i].sum():
            kept.insert(0, i)
            hidden |= inside[i]
    for i in kept:
        canvas[inside[i]] = colours[i][inside[i]]
    found = []
    for at, i in enumerate(kept):
        seen = inside[i].copy()
        for j in kept[at + 1 :]:
            seen &= ~inside[j]
        rows, columns = np.nonzero(whole[i])
        amodal = [columns.min() - pad, rows.min() - pad, columns.max() + 1 - pad, rows.max() + 1 - pad]
        found.append((layout.objects[i].class_id, seen, amodal))
    return canvas, found


@pytest.mark.slow
def test_pictures_and_labels_equal_the_painters_algorithm(masked: Dataset, slots: Slots) -> None:
    settings = CopyPaste(blending=("none",), placement="uniform", count=(12, 30), min_visible=0.3, **RIGID)
    generator = settings.fit(masked, rng=0)
    occluded = truncated = dropped = 0
    for slot, sample in zip(slots(25), generator.generate(slots(25)), strict=True):
        canvas, expected = painted(generator, slot)
        assert np.array_equal(sample.pixels(), canvas)
        assert sample.annotation is not None
        found = sample.annotation.instances
        assert found is not None
        assert found.class_ids.tolist() == [class_id for class_id, _, _ in expected]
        for k, (_, visible, amodal) in enumerate(expected):
            rows, columns = np.nonzero(visible)
            assert np.array_equal(found.dense_masks()[k], visible)
            assert found.boxes[k].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert found.amodal_boxes is not None
            assert found.amodal_boxes[k].tolist() == amodal
            share = found.columns["visible_fraction"][k]
            assert share is not None
            occluded += float(share) < 0.999
            outside = min(amodal[:2]) < 0 or amodal[2] > canvas.shape[1] or amodal[3] > canvas.shape[0]
            assert found.is_truncated[k] or not outside
            truncated += outside
        dropped += int(sample.annotation.attributes["left_out"])
    assert occluded > 30
    assert truncated > 12
    assert dropped > 5


def test_turned_and_magnified_objects_change_exactly_the_labelled_pixels(masked: Dataset, slots: Slots) -> None:
    generator = CopyPaste(blending=("none",), rotation_degrees=180, count=(3, 8)).fit(masked, rng=1)
    assert generator.backgrounds is not None
    for slot, sample in zip(slots(20), generator.generate(slots(20)), strict=True):
        background = generator.backgrounds.pictures[generator.layout(slot).background]
        changed = (sample.pixels() != background).any(2)
        assert sample.annotation is not None
        assert sample.annotation.instances is not None
        assert np.array_equal(changed, sample.annotation.instances.dense_masks().any(0))


@pytest.mark.parametrize("blend", ["alpha", "gaussian", "box", "poisson", "motion"])
def test_soft_blends_paint_the_object_within_its_mask_and_nothing_far_from_it(
    masked: Dataset, slots: Slots, blend: str
) -> None:
    hard = CopyPaste(blending=("none",), count=(1, 1)).fit(masked, rng=1)
    soft = CopyPaste(blending=(blend,), count=(1, 1)).fit(masked, rng=1)  # type: ignore[arg-type]
    for one, other in zip(hard.generate(slots(8)), soft.generate(slots(8)), strict=True):
        assert one.annotation is not None
        assert other.annotation is not None
        assert one.annotation.instances == other.annotation.instances
        assert one.annotation.instances is not None
        if not len(one.annotation.instances):
            continue
        difference = np.abs(one.pixels().astype(int) - other.pixels()).max(2)
        assert difference.max() > 0
        x0, y0, x1, y1 = one.annotation.instances.boxes[0].astype(int)
        near = np.zeros(difference.shape, dtype=bool)
        near[max(y0 - 5, 0) : y1 + 5, max(x0 - 5, 0) : x1 + 5] = True
        assert difference[~near].max() == 0
        assert np.abs(np.median(one.pixels()[near].astype(int) - other.pixels()[near])) < 40


@pytest.mark.slow
def test_no_object_has_no_area_and_none_is_too_far_outside(masked: Dataset) -> None:
    settings = CopyPaste(placement="uniform", count=(10, 25), size=(0.01, 0.5), rotation_degrees=90)
    generator = settings.fit(masked, rng=2)
    kept = 0
    for index in range(500):
        layout = generator.layout(Slot(index, 0, index, 0, "many"))
        settled = settle(layout, generator.cutouts, min_visible=0.1, truncation=0.25)
        areas = np.bincount(settled.numbers.ravel(), minlength=len(layout.objects) + 1)[1:]
        assert np.count_nonzero(areas) == len(settled.objects)
        assert settled.left_out + len(settled.objects) == len(layout.objects) + layout.left_out
        for seen in settled.objects:
            inside = np.count_nonzero(seen.mask)
            assert inside >= 0.75 * seen.whole - 1
            assert seen.visible.sum() >= max(1, 0.1 * seen.whole)
        kept += len(settled.objects)
    assert kept > 3000


def test_run_lengths_of_a_window_are_those_of_the_whole_picture() -> None:
    draws = np.random.Generator(np.random.PCG64(5))
    for _ in range(60):
        height, width = (int(n) for n in draws.integers(1, 12, size=2))
        y0, x0 = int(draws.integers(height)), int(draws.integers(width))
        y1, x1 = int(draws.integers(y0 + 1, height + 1)), int(draws.integers(x0 + 1, width + 1))
        mask = draws.random((y1 - y0, x1 - x0)) < draws.choice([0.2, 0.7, 1.1])
        picture = np.zeros((height, width), dtype=bool)
        picture[y0:y1, x0:x1] = mask
        assert run_lengths(mask, (x0, y0, x1, y1), (height, width)) == Rle.of(picture)
