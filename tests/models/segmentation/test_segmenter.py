from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.errors import RunFolderError, UsageError
from twinset.models.checkpoint import save_tensors
from twinset.models.segmentation import (
    PixelScenes,
    SceneAugmentation,
    Segmenter,
    SegmenterSettings,
    fit_segmenter,
    scene_augmentation,
)
from twinset.models.segmentation.network import build_unet
from twinset.models.segmentation.sampling import batch_rows, draw_batch
from twinset.models.segmentation.training import segmentation_loss
from twinset.randomness import Stream

QUICK = SegmenterSettings(width=8, depth=2, steps=60, batch=4, learning_rate=1e-2)


def discs(n: int, *, seed: int = 0, size: int = 32) -> PixelScenes:
    """Bright and striped discs on a noisy ground: class 1 is plain, class 2 striped, 0 the ground."""
    generator = Stream(seed).numpy()
    y, x = np.mgrid[:size, :size]
    images = generator.integers(60, 100, size=(n, size, size, 1)).astype(np.uint8)
    maps = np.zeros((n, size, size), np.int16)
    for row in range(n):
        for class_id in (1, 2):
            centre = generator.uniform(6, size - 6, 2)
            inside = np.hypot(y - centre[0], x - centre[1]) < 6
            texture = 200 if class_id == 1 else np.where(y % 4 < 2, 220, 20)
            images[row, ..., 0] = np.where(inside, texture, images[row, ..., 0])
            maps[row] = np.where(inside, class_id, maps[row])
    return PixelScenes(images, maps, np.full((n, 2), size, np.int32))


def mean_iou(segmenter: Segmenter, scenes: PixelScenes) -> float:
    found = np.stack(segmenter.predict(scenes))
    return float(
        np.mean(
            [
                ((found == c) & (scenes.maps == c)).sum() / max(1, ((found == c) | (scenes.maps == c)).sum())
                for c in range(3)
            ]
        )
    )


@pytest.fixture(scope="module")
def fitted() -> Segmenter:
    return fit_segmenter(discs(16), n_classes=3, settings=QUICK, rng=Stream(0))


def test_discs_are_learnt(fitted: Segmenter) -> None:
    assert mean_iou(fitted, discs(12, seed=9)) > 0.75


def test_shuffled_maps_teach_nothing() -> None:
    scenes = discs(16)
    shuffled = PixelScenes(scenes.images, np.roll(scenes.maps, 5, axis=0), scenes.originals)
    assert mean_iou(fit_segmenter(shuffled, n_classes=3, settings=QUICK, rng=Stream(0)), discs(12, seed=9)) < 0.45


def test_equal_streams_give_equal_weights_and_the_global_generator_is_left_alone() -> None:
    settings = replace(
        QUICK, steps=4, crop=(16, 24), class_balanced=True, augmentation=scene_augmentation("strong", flips="all")
    )
    state = torch.random.get_rng_state()
    first, again, other = (
        fit_segmenter(discs(6), n_classes=3, settings=settings, rng=Stream(seed)).network.state_dict()
        for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_memory_maps_train_as_arrays_do(tmp_path: Path) -> None:
    scenes = discs(6)
    scenes.save(tmp_path)
    settings = replace(QUICK, steps=3)
    held, mapped = (
        fit_segmenter(s, n_classes=3, settings=settings, rng=Stream(1)).network.state_dict()
        for s in (scenes, PixelScenes.load(tmp_path))
    )
    assert all(torch.equal(held[name], mapped[name]) for name in held)


def test_ignored_pixels_give_no_gradient() -> None:
    logits = torch.randn(2, 3, 6, 6, generator=Stream(1).torch(), requires_grad=True)
    maps = torch.randint(-1, 3, (2, 6, 6), generator=Stream(2).torch())
    segmentation_loss(logits, maps, dice_share=0.5).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    touched = logits.grad.abs().sum(1) > 0
    assert torch.equal(touched, maps >= 0)


def test_pictures_that_are_ignored_everywhere_have_loss_zero() -> None:
    logits = torch.randn(1, 3, 4, 4, generator=Stream(1).torch(), requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 4, 4), -1), dice_share=0.5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_loss_by_hand() -> None:
    """Two pixels, two classes, p = (¾, ¼) for both; truth 0 and 1.

    Cross-entropy (ln 4/3 + ln 4) / 2; Dice of class 0: 1 − 2·¾ / (1½ + 1), of class 1: 1 − 2·¼ / (½ + 1).
    """
    logits = torch.tensor([math.log(3), 0.0])[None, :, None, None].expand(1, 2, 1, 2)
    maps = torch.tensor([[[0, 1]]])
    entropy, dice = (math.log(4 / 3) + math.log(4)) / 2, ((1 - 1.5 / 2.5) + (1 - 0.5 / 1.5)) / 2
    assert float(segmentation_loss(logits, maps, dice_share=0)) == pytest.approx(entropy)
    assert float(segmentation_loss(logits, maps, dice_share=1)) == pytest.approx(dice)
    assert float(segmentation_loss(logits, maps, dice_share=0.25)) == pytest.approx(0.75 * entropy + 0.25 * dice)


def test_dice_is_over_the_classes_that_occur() -> None:
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 0] = 50
    assert float(segmentation_loss(logits, torch.zeros(1, 2, 2, dtype=torch.int64), dice_share=1)) < 1e-6


def test_saved_and_loaded_predicts_the_same(fitted: Segmenter, tmp_path: Path) -> None:
    fitted.save(tmp_path / "segmenter.safetensors")
    loaded = Segmenter.load(tmp_path / "segmenter.safetensors")
    scenes = discs(2, seed=4)
    for before, after in zip(fitted.predict(scenes), loaded.predict(scenes), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {"format": "diffusion"})
    with pytest.raises(ValueError, match=r"expected a twinset-segmenter/1 file; got 'diffusion'"):
        Segmenter.load(tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(RunFolderError):
        Segmenter.load(tmp_path / "broken.safetensors")


def test_predictions_have_the_original_size_and_do_not_depend_on_the_others(fitted: Segmenter) -> None:
    scenes = discs(3, seed=5)
    originals = np.array([[32, 32], [64, 48], [17, 90]], np.int32)
    resized = PixelScenes(scenes.images, scenes.maps, originals)
    found = fitted.predict(resized)
    assert [values.shape for values in found] == [(32, 32), (64, 48), (17, 90)]
    assert all(values.dtype == np.int32 for values in found)
    np.testing.assert_array_equal(fitted.predict(resized.take([1]))[0], found[1])
    # Twice the size and back is the map itself, up to a pixel at the edges.
    assert (fitted.predict(scenes)[1] == found[1][::2, :][:, (np.arange(32) * 48 + 24) // 32]).mean() > 0.95


def test_scenes_of_another_shape_are_refused(fitted: Segmenter) -> None:
    with pytest.raises(ValueError, match=r"expected scenes of \(32, 32, 1\); got \(24, 24, 1\)"):
        fitted.predict(discs(1, size=24))


@pytest.mark.parametrize("size", [(32, 32), (17, 45), (1, 3)])
def test_the_network_takes_any_size(size: tuple[int, int]) -> None:
    network = build_unet(channels=3, n_classes=4, width=8, depth=3, generator=Stream(1).torch())
    assert network(torch.zeros(2, 3, *size)).shape == (2, 4, *size)


def test_every_batch_holds_its_share_of_synthetic_scenes() -> None:
    pixels = np.ones((10, 2), np.int64)
    source = np.array([0] * 4 + [1] * 6)
    settings = replace(QUICK, steps=30, batch=8, synthetic_share=0.25)
    rows = np.stack([r for r, _ in batch_rows(pixels, source, settings, Stream(1))])
    assert ((rows >= 4).sum(1) == 2).all()
    assert np.bincount(rows.ravel())[:4].tolist() == [45] * 4
    assert np.bincount(rows.ravel())[4:].tolist() == [10] * 6
    fewer = np.stack([r for r, _ in batch_rows(pixels[:9], source[:9], settings, Stream(1))])
    np.testing.assert_array_equal(fewer[fewer < 4], rows[rows < 4])
    alone = np.stack([r for r, _ in batch_rows(pixels, np.ones(10, int), settings, Stream(1))])
    assert alone.shape == (30, 8)


def test_balanced_crops_go_through_the_classes_and_scenes_without_labels_are_left_out() -> None:
    pixels = np.array([[5, 0, 0], [5, 1, 0], [0, 0, 0], [5, 0, 0]])
    settings = replace(QUICK, steps=40, batch=4, class_balanced=True)
    rows, classes = (np.stack(part) for part in zip(*batch_rows(pixels, None, settings, Stream(1)), strict=True))
    assert set(rows.ravel()) == {0, 1, 3}
    assert (rows[classes == 1] == 1).all()
    assert [(classes == c).sum() for c in (-1, 0, 1, 2)] == [80, 40, 40, 0]


def test_a_balanced_batch_shows_its_classes() -> None:
    scenes = discs(8)
    maps = np.where(scenes.maps == 2, 2, 0).astype(np.int16)
    scenes = PixelScenes(scenes.images, maps, scenes.originals)
    settings = replace(QUICK, crop=(16, 16))
    rows, classes = np.arange(8), np.array([2] * 4 + [-1] * 4)
    _, shown = draw_batch(scenes, rows, classes, settings, Stream(1))
    assert shown.shape == (8, 16, 16)
    assert (shown[:4] == 2).any((1, 2)).all()


def test_settings_survive_json() -> None:
    settings = SegmenterSettings(crop=(24, 32), augmentation=SceneAugmentation(zoom=1.5, flips="all"))
    for value in (settings, SegmenterSettings()):
        assert SegmenterSettings.from_dict(json.loads(json.dumps(value.to_dict()))) == value
    with pytest.raises(TypeError):
        SegmenterSettings.from_dict({"speed": 3})


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 12},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"dice_share": 1.5},
        {"synthetic_share": -0.1},
        {"crop": (8, 64)},
        {"weight_decay": math.inf},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(QUICK, **wrong)


def test_wrong_scenes_are_refused() -> None:
    scenes = discs(2)
    with pytest.raises(ValueError, match=r"expected class ids −1…1; got 0…2 in scene 0"):
        fit_segmenter(scenes, n_classes=2, settings=QUICK, rng=Stream(0))
    empty = PixelScenes(scenes.images, np.full_like(scenes.maps, -1), scenes.originals)
    with pytest.raises(ValueError, match="expected scenes with labelled pixels; got none in 2"):
        fit_segmenter(empty, n_classes=3, settings=QUICK, rng=Stream(0))
    with pytest.raises(ValueError, match="expected source"):
        fit_segmenter(scenes, n_classes=3, settings=QUICK, rng=Stream(0), source=np.array([0, 2]))


def test_a_diverging_run_says_so() -> None:
    with pytest.raises(UsageError, match="expected a finite loss"):
        fit_segmenter(discs(4), n_classes=3, settings=replace(QUICK, learning_rate=1e30), rng=Stream(0))


def test_progress_ends_at_the_last_step() -> None:
    told: list[tuple[int, int, str]] = []
    settings = replace(QUICK, steps=21)
    fit_segmenter(discs(2), n_classes=3, settings=settings, rng=Stream(0), progress=lambda *what: told.append(what))
    assert told == [(20, 21, "segmenter"), (21, 21, "segmenter")]
