from __future__ import annotations

import numpy as np
import pytest
import torch

from twinset.annotations import Annotation
from twinset.dataset import Sample
from twinset.editing.classical import Classical, TrivialAugment
from twinset.editing.origin import edited
from twinset.randomness import Stream
from twinset.stages import Editor

STILL = Classical(crop=1, rotate_degrees=0, translate=0, shear_degrees=0, brightness=0, contrast=0, saturation=0)


def sample(height: int = 16, width: int = 12, channels: int = 3) -> Sample:
    pixels = Stream(1).numpy().integers(256, size=(height, width, channels)).astype(np.uint8)
    return Sample("photo-1", Annotation(class_id=2, caption="a photo"), image=pixels)


@pytest.mark.parametrize("editor", [Classical(), Classical(flip=True), TrivialAugment()])
@pytest.mark.parametrize("channels", [1, 3])
def test_editors_keep_size_and_label_and_record_the_parent(editor: Editor, channels: int) -> None:
    original = sample(channels=channels)
    for seed in range(40):
        out = editor.edit(original, rng=Stream(seed))
        assert out.pixels().shape == original.pixels().shape
        assert out.annotation == original.annotation
        assert out.origin.parents == ("photo-1",)
        assert out.origin.synthetic
        assert out.origin.seed == seed


@pytest.mark.parametrize("editor", [Classical(flip=True), TrivialAugment()])
def test_equal_streams_give_equal_edits_without_touching_the_global_generator(editor: Editor) -> None:
    state = torch.random.get_rng_state()
    edits = [editor.edit(sample(), rng=Stream(seed)).pixels() for seed in (4, 4, 5)]
    np.testing.assert_array_equal(edits[0], edits[1])
    assert not np.array_equal(edits[0], edits[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_with_every_change_at_zero_the_pixels_stay() -> None:
    for seed in range(10):
        np.testing.assert_array_equal(STILL.edit(sample(), rng=Stream(seed)).pixels(), sample().pixels())


def test_mirroring_happens_only_when_asked_and_half_of_the_time() -> None:
    flipper = Classical(**{**STILL.__dict__, "flip": True})
    mirrored = sample().pixels()[:, ::-1]
    hits = sum(np.array_equal(flipper.edit(sample(), rng=Stream(s).child("x")).pixels(), mirrored) for s in range(100))
    assert 30 < hits < 70


def test_default_editors_never_mirror() -> None:
    # Left half black, right half white: no default edit may end with the left half brighter.
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, 8:] = 200
    lopsided = Sample("s", Annotation(class_id=0), image=pixels)
    for seed in range(60):
        out = Classical().edit(lopsided, rng=Stream(seed)).pixels().astype(float)
        assert out[:, 9:].mean() > out[:, :7].mean()


def test_brightness_scales_pixels() -> None:
    grey = Sample("g", Annotation(class_id=0), image=np.full((8, 8, 1), 100, np.uint8))
    brighten = Classical(**{**STILL.__dict__, "brightness": 0.5})
    values = [int(brighten.edit(grey, rng=Stream(seed)).pixels()[0, 0, 0]) for seed in range(60)]
    assert 50 <= min(values) < 65
    assert 135 < max(values) <= 150


def test_gaps_are_filled_by_continuing_the_border_without_a_seam() -> None:
    pixels = np.full((20, 20, 3), 240, np.uint8)
    pixels[6:14, 6:14] = 10
    mover = Classical(**{**STILL.__dict__, "translate": 0.25, "rotate_degrees": 30})
    for seed in range(20):
        out = mover.edit(Sample("s", Annotation(class_id=0), image=pixels), rng=Stream(seed)).pixels()
        assert (out[[0, 0, -1, -1], [0, -1, 0, -1]] == 240).all()


def test_trivial_augment_uses_all_its_operations_evenly() -> None:
    names = [TrivialAugment().edit(sample(), rng=Stream(s)).origin.method for s in range(700)]
    counts = {name: names.count(name) for name in set(names)}
    assert len(counts) == 14
    assert min(counts.values()) > 25
    grey = {TrivialAugment().edit(sample(channels=1), rng=Stream(s)).origin.method for s in range(300)}
    assert "trivialaugment.colour" not in grey


@pytest.mark.parametrize("wrong", [{"crop": 0.0}, {"brightness": 1.5}, {"translate": -0.1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Classical(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected"):
        TrivialAugment(rotate_degrees=200)


def test_chained_edits_keep_the_first_parent_and_add_later_ones() -> None:
    once = edited(sample(), sample().pixels(), method="a", rng=Stream(0))
    twice = edited(once, sample().pixels(), method="b", rng=Stream(1), extra_parents=("photo-9", "photo-1"))
    assert twice.origin.parents == ("photo-1", "photo-9")
    assert twice.origin.method == "a+b"
