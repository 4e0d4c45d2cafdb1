from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from twinset.errors import MissingModelError
from twinset.models.checkpoint import save_tensors
from twinset.models.segmentation import PixelScenes, scene_augmentation
from twinset.models.segmentation.training import segmentation_loss
from twinset.models.vision import VisionSegmenter, VisionSegmenterSettings, fit_vision_segmenter
from twinset.models.vision.models import seeded
from twinset.models.vision.segmenter import _build
from twinset.randomness import Stream

SMALL = VisionSegmenterSettings(steps=2, batch=2)
NAMES = ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large")


def halves(n: int = 4) -> PixelScenes:
    """Bright above or below; class 1 where it is bright."""
    images = Stream(3).numpy().integers(0, 60, size=(n, 48, 64, 3)).astype(np.uint8)
    maps = np.zeros((n, 48, 64), np.int16)
    for row in range(n):
        part = slice(0, 24) if row % 2 else slice(24, 48)
        images[row, part] += 150
        maps[row, part] = 1
    return PixelScenes(images, maps, np.tile(np.array([[60, 70]], np.int32), (n, 1)))


def fit(settings: VisionSegmenterSettings, *, seed: int = 0) -> VisionSegmenter:
    return fit_vision_segmenter(halves(), n_classes=2, settings=settings, rng=Stream(seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_both_train_predict_save_and_load_and_repeat(name: str, tmp_path: Path) -> None:
    settings = replace(SMALL, name=name, augmentation=scene_augmentation("medium", flips="horizontal"))
    state = torch.random.get_rng_state()
    first, again = fit(settings), fit(settings)
    assert torch.equal(state, torch.random.get_rng_state())
    found = first.predict(halves())
    assert [(values.shape, values.dtype) for values in found] == [((60, 70), np.dtype(np.int32))] * 4
    assert all(torch.equal(a, b) for a, b in zip(first.network.parameters(), again.network.parameters(), strict=True))
    first.save(tmp_path / "segmenter.safetensors")
    loaded = VisionSegmenter.load(tmp_path / "segmenter.safetensors").predict(halves())
    assert all((a == b).all() for a, b in zip(found, loaded, strict=True))


@pytest.mark.slow
def test_the_loss_falls() -> None:
    from twinset.images import to_model

    def loss(segmenter: VisionSegmenter) -> float:
        scenes = halves()
        with torch.no_grad(), seeded(Stream(0)):
            logits = segmenter.network.train()(to_model(scenes.images))
            return float(segmentation_loss(logits, torch.from_numpy(scenes.maps.astype(np.int64)), dice_share=0.5))

    short, long = (loss(fit(replace(SMALL, batch=4, steps=steps, learning_rate=3e-3))) for steps in (1, 14))
    assert long < 0.7 * short


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_weights_give_everything_but_the_head_and_freeze_norms(name: str, tmp_path: Path) -> None:
    with seeded(Stream(5)):
        network = _build(name, 21).network  # type: ignore[arg-type]
    state = network.state_dict()
    state["backbone.0.1.running_mean"].fill_(0.5)
    save_file(state, tmp_path / "weights.safetensors")
    settings = replace(SMALL, name=name, weights=str(tmp_path / "weights.safetensors"), learning_rate=1e-12)
    found = fit(settings).network.network.state_dict()
    shared = [key for key in found if found[key].shape == state[key].shape and not key.endswith("tracked")]
    heads = [key for key in found if key.startswith("classifier") and found[key].shape != state[key].shape]
    assert len(heads) in (2, 4)
    for key in shared:
        torch.testing.assert_close(found[key], state[key], atol=1e-6, rtol=1e-4)


def test_a_backbone_fills_the_body(tmp_path: Path) -> None:
    from torchvision.models import mobilenet_v3_large

    with seeded(Stream(9)):
        state = mobilenet_v3_large(weights=None).state_dict()
    save_file(state, tmp_path / "mobilenet.safetensors")
    settings = replace(SMALL, backbone=str(tmp_path / "mobilenet.safetensors"), learning_rate=1e-12)
    found = fit(settings).network.network.state_dict()
    for key in ("4.block.0.0.weight", "16.1.running_var"):
        torch.testing.assert_close(found[f"backbone.{key}"], state[f"features.{key}"], atol=1e-6, rtol=1e-4)


def test_missing_and_pickled_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"lraspp_mobilenet_v3_large-d234d4ea.pth there as safetensors"):
        fit(replace(SMALL, weights=str(tmp_path / "none.safetensors")))
    with pytest.raises(MissingModelError, match="got pickled weights"):
        fit(replace(SMALL, backbone=str(tmp_path / "none.pth")))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {"format": "diffusion"})
    with pytest.raises(ValueError, match="expected a twinset-vision-segmenter/1 file; got 'diffusion'"):
        VisionSegmenter.load(tmp_path / "other.safetensors")


def test_settings_survive_json_and_impossible_ones_are_refused() -> None:
    settings = replace(SMALL, crop=(32, 48), name="deeplabv3_mobilenet_v3_large")
    assert VisionSegmenterSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    for wrong in ({"name": "unet"}, {"weights": "a", "backbone": "b"}, {"batch": 1}, {"steps": 0}):
        with pytest.raises(ValueError, match="expected"):
            replace(SMALL, **wrong)  # type: ignore[arg-type]
