from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.editing.mixing import CutMix, Cutout, Mixup, PatchShuffle
from twinset.randomness import Stream
from twinset.stages import Editor, EditorMethod

CLASSES = ("black", "white", "unused")


def flat(name: str, class_id: int | None, value: int, shape: tuple[int, int, int] = (10, 10, 1)) -> Sample:
    annotation = None if class_id is None else Annotation(class_id=class_id)
    return Sample(name, annotation, image=np.full(shape, value, np.uint8))


BLACK, WHITE = flat("b", 0, 0), flat("w", 1, 255)
ONLY_WHITE = Dataset.of([WHITE], classes=CLASSES)


@pytest.mark.parametrize("method", [Mixup(), CutMix(), Mixup(alpha=2.0)])
def test_the_label_is_the_share_of_white_in_the_picture(method: Mixup | CutMix) -> None:
    editor = method.fit(ONLY_WHITE, rng=Stream(0))
    shares = []
    for seed in range(200):
        out = editor.edit(BLACK, rng=Stream(seed))
        assert out.annotation is not None
        soft = out.annotation.class_probabilities
        assert soft is not None
        white = out.pixels().mean() / 255
        assert soft[1] == pytest.approx(white, abs=0.5 / 255 + 1e-9)
        assert soft[0] == pytest.approx(1 - white, abs=0.5 / 255 + 1e-9)
        assert soft[2] == 0
        shares.append(white)
    assert max(shares) <= 0.5 + 1e-9
    assert min(shares) < 0.1
    assert max(shares) > 0.4


@pytest.mark.parametrize("method", [Mixup(), CutMix()])
def test_both_parents_are_recorded_and_the_sample_keeps_its_class(method: Mixup | CutMix) -> None:
    out = method.fit(ONLY_WHITE, rng=Stream(0)).edit(BLACK, rng=Stream(3))
    assert out.origin.parents == ("b", "w")
    assert out.annotation is not None
    assert out.annotation.class_id == 0
    assert isinstance(method, EditorMethod)


@pytest.mark.parametrize("shape", [(8, 8), (32, 32), (8, 20), (1, 9)])
def test_cutmix_leaves_at_least_half_of_the_original(shape: tuple[int, int]) -> None:
    black, white = np.zeros((*shape, 1), np.uint8), np.full((*shape, 1), 255, np.uint8)
    draws, method = Stream(4).numpy(), CutMix()
    shares = []
    for _ in range(4000):
        mixed, share = method.blend(black, white, draws)
        assert share == pytest.approx(1 - mixed.mean() / 255)
        shares.append(share)
    assert 0.5 <= min(shares) < 0.56


def test_a_sample_of_which_exactly_half_is_left_keeps_its_class() -> None:
    editor = CutMix().fit(Dataset.of([flat("b", 0, 0, (3, 4, 1))], classes=CLASSES), rng=Stream(0))
    edits = [editor.edit(flat("w", 1, 255, (3, 4, 1)), rng=Stream(seed)) for seed in range(300)]
    assert min(edit.pixels().mean() for edit in edits) == 127.5
    assert {edit.annotation.class_id for edit in edits if edit.annotation} == {1}


def test_cutmix_pastes_one_box_and_mixup_blends_everywhere() -> None:
    pasted = CutMix().fit(ONLY_WHITE, rng=Stream(0)).edit(BLACK, rng=Stream(1)).pixels()[..., 0]
    assert set(np.unique(pasted)) <= {0, 255}
    rows, columns = np.nonzero(pasted)
    assert (pasted[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == 255).all()
    blended = Mixup().fit(ONLY_WHITE, rng=Stream(0)).edit(BLACK, rng=Stream(1)).pixels()
    assert len(np.unique(blended)) == 1


def test_soft_parents_mix_their_probabilities() -> None:
    soft = Sample("s", Annotation(class_probabilities=(0.6, 0.0, 0.4)), image=np.zeros((4, 4, 1), np.uint8))
    out = Mixup().fit(ONLY_WHITE, rng=Stream(0)).edit(soft, rng=Stream(5))
    assert out.annotation is not None
    p = out.annotation.class_probabilities
    assert p is not None
    assert sum(p) == pytest.approx(1)
    assert p[0] / p[2] == pytest.approx(1.5)


def test_partners_of_another_size_are_fitted_to_the_sample() -> None:
    partners = Dataset.of([flat("w", 1, 255, (20, 30, 3))], classes=CLASSES)
    assert CutMix().fit(partners, rng=Stream(0)).edit(BLACK, rng=Stream(0)).pixels().shape == (10, 10, 1)


def test_unlabelled_images_are_neither_partners_nor_mixed() -> None:
    unlabelled = Dataset.of([flat("u", None, 9)], classes=CLASSES)
    with pytest.raises(ValueError, match="labelled training image"):
        Mixup().fit(unlabelled, rng=Stream(0))
    partners = Mixup().fit(unlabelled.concat(ONLY_WHITE), rng=Stream(0)).partners
    assert partners.ids == ["w"]
    with pytest.raises(ValueError, match="labelled sample"):
        Mixup().fit(ONLY_WHITE, rng=Stream(0)).edit(flat("u", None, 9), rng=Stream(0))


def test_cutout_changes_one_box_of_the_asked_size_at_most() -> None:
    pixels = Stream(1).numpy().integers(256, size=(20, 20, 3)).astype(np.uint8)
    original = Sample("s", Annotation(class_id=1), image=pixels)
    for seed in range(50):
        out = Cutout(side=0.4).edit(original, rng=Stream(seed))
        changed = (out.pixels() != pixels).any(2)
        assert 0 < changed.sum() <= 64
        assert out.annotation == original.annotation
        assert out.origin.parents == ("s",)
        assert len(np.unique(out.pixels()[changed], axis=0)) == 1


def test_patch_shuffle_keeps_every_tile_s_pixels_and_moves_some() -> None:
    pixels = np.arange(9 * 9 * 3).reshape(9, 9, 3).astype(np.uint8)
    out = PatchShuffle(patch=4, share=1.0).edit(Sample("s", Annotation(class_id=1), image=pixels), rng=Stream(0))
    shuffled = out.pixels()
    assert not np.array_equal(shuffled, pixels)
    for top in (0, 4):
        for left in (0, 4):
            before = pixels[top : top + 4, left : left + 4].reshape(-1, 3)
            after = shuffled[top : top + 4, left : left + 4].reshape(-1, 3)
            assert sorted(before.tolist()) == sorted(after.tolist())
    np.testing.assert_array_equal(shuffled[8], pixels[8])
    np.testing.assert_array_equal(shuffled[:, 8], pixels[:, 8])


def test_patch_shuffle_touches_about_the_asked_share_of_tiles() -> None:
    pixels = Stream(2).numpy().integers(256, size=(80, 80, 1)).astype(np.uint8)
    out = PatchShuffle(patch=4, share=0.25).edit(Sample("s", Annotation(class_id=1), image=pixels), rng=Stream(0))
    tiles = (out.pixels() != pixels).reshape(20, 4, 20, 4).any((1, 3))
    assert 0.17 < tiles.mean() < 0.33


@pytest.mark.parametrize("editor", [Cutout(), PatchShuffle(), CutMix().fit(ONLY_WHITE, rng=Stream(0))])
def test_equal_streams_give_equal_edits(editor: Editor) -> None:
    pixels = Stream(2).numpy().integers(256, size=(16, 16, 1)).astype(np.uint8)
    original = Sample("s", Annotation(class_id=1), image=pixels)
    edits = [editor.edit(original, rng=Stream(seed)).pixels() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(edits[0], edits[1])
    assert not np.array_equal(edits[0], edits[2])


def test_settings_out_of_range_are_refused() -> None:
    for wrong in (
        lambda: Mixup(alpha=0),
        lambda: CutMix(alpha=-1),
        lambda: Cutout(side=0),
        lambda: PatchShuffle(patch=1),
    ):
        with pytest.raises(ValueError, match="expected"):
            wrong()
