"""A few steps on tiny pictures: the libraries' own quality is theirs to test, the wiring is ours."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import MissingExtraError, MissingModelError, UsageError
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.models.checkpoint import save_tensors
from twinset.models.detection import SceneAugmentation, Scenes
from twinset.models.vision import VisionDetector, VisionDetectorSettings, fit_vision_detector, scene_masks
from twinset.models.vision.detector import model_of, unit_pictures
from twinset.models.vision.models import Targets, seeded
from twinset.models.vision.settings import NAMES, TRANSFORMERS
from twinset.models.vision.training import _batches
from twinset.randomness import Stream

SMALL = VisionDetectorSettings(steps=2, batch=2)


def squares(n: int, *, size: tuple[int, int] = (64, 64)) -> Dataset:
    """Bright squares of two shades on a dark ground, one or two of them, and an empty picture at the end."""
    generator = Stream(3).numpy()
    samples = []
    for index in range(n):
        pixels = generator.integers(0, 60, size=(*size, 3)).astype(np.uint8)
        boxes, classes, masks = [], [], []
        for class_id in range(2 if index < n - 1 else 0):
            side = int(generator.integers(14, 22))
            x = int(generator.integers(0, size[1] // 2 - side)) + class_id * size[1] // 2
            y = int(generator.integers(0, size[0] - side))
            pixels[y : y + side, x : x + side] = 250 - 100 * class_id
            mask = np.zeros(size, np.bool_)
            mask[y : y + side, x : x + side] = True
            boxes.append([x, y, x + side, y + side])
            classes.append(class_id)
            masks.append(Rle.of(mask))
        instances = Instances(
            size, np.array(classes, np.int64), np.array(boxes, np.float32).reshape(-1, 4), tuple(masks) or None
        )
        samples.append(Sample(f"s{index}", Annotation(instances=instances), image=pixels))
    return Dataset.of(samples, classes=["bright", "dim"])


DATA = squares(4)
SCENES = Scenes.of(DATA, height=64, width=64, channels=3)


def fit(settings: VisionDetectorSettings, scenes: Scenes = SCENES, *, seed: int = 0) -> VisionDetector:
    masks = scene_masks(DATA, scenes) if settings.has_masks else None
    return fit_vision_detector(scenes, n_classes=2, settings=settings, rng=Stream(seed), masks=masks)


def check_inside(found: list[Instances], scenes: Scenes) -> None:
    """Instances checks boxes, lengths and sizes itself; here is the rest."""
    assert len(found) == len(scenes)
    for instances, size in zip(found, scenes.sizes.tolist(), strict=True):
        assert list(instances.size) == size
        assert instances.confidences is not None
        assert (np.diff(instances.confidences) <= 0).all()
        assert set(instances.class_ids.tolist()) <= {0, 1}


def tiny_config(name: str, path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    small = {
        "encoder_hidden_dim": 16,
        "encoder_ffn_dim": 16,
        "encoder_attention_heads": 2,
        "d_model": 16,
        "decoder_in_channels": [16, 16, 16],
        "decoder_ffn_dim": 16,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "num_queries": 12,
        "num_denoising": 4,
    }
    if name == "d_fine":
        backbone = transformers.HGNetV2Config(
            stem_channels=[3, 8, 8],
            stage_in_channels=[8, 16, 16, 16],
            stage_mid_channels=[8, 8, 8, 8],
            stage_out_channels=[16, 16, 16, 16],
            stage_num_blocks=[1, 1, 1, 1],
            stage_numb_of_layers=[1, 1, 1, 1],
            hidden_sizes=[8, 16, 16, 16],
            embedding_size=8,
            out_indices=[2, 3, 4],
        )
        config = transformers.DFineConfig(backbone_config=backbone, encoder_in_channels=[16, 16, 16], **small)
    else:
        backbone = transformers.RTDetrResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16, 16, 16],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_indices=[2, 3, 4],
        )
        kind = transformers.RTDetrConfig if name == "rt_detr" else transformers.RTDetrV2Config
        config = kind(backbone_config=backbone, encoder_in_channels=[16, 16, 16], **small)
    path.mkdir(parents=True)
    config.save_pretrained(path)
    return path / "config.json"


@pytest.fixture(scope="module")
def small_rcnn() -> VisionDetector:
    return fit(replace(SMALL, score_threshold=0.0))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ssdlite320_mobilenet_v3_large", marks=pytest.mark.slow),
        pytest.param("fasterrcnn_resnet50_fpn", marks=pytest.mark.slow),
        pytest.param("retinanet_resnet50_fpn", marks=pytest.mark.slow),
        pytest.param("fcos_resnet50_fpn", marks=pytest.mark.slow),
    ],
)
def test_every_detector_of_torchvision_trains_and_predicts(name: str) -> None:
    settings = replace(SMALL, name=name, steps=1, score_threshold=0.0)
    state = torch.random.get_rng_state()
    check_inside(fit(settings).predict(SCENES.take([0, 3])), SCENES.take([0, 3]))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_detector_of_transformers_trains_predicts_saves_and_loads(name: str, tmp_path: Path) -> None:
    config = tiny_config(name, tmp_path / "tiny")
    settings = replace(SMALL, name=name, config=str(config), batch=4)
    state = torch.random.get_rng_state()
    first, again = fit(settings), fit(settings)
    assert torch.equal(state, torch.random.get_rng_state())
    found = first.predict(SCENES)
    check_inside(found, SCENES)
    assert all(len(instances) for instances in found)
    assert found == again.predict(SCENES)
    first.save(tmp_path / "detector.safetensors")
    assert VisionDetector.load(tmp_path / "detector.safetensors").predict(SCENES) == found


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_detectors_of_transformers_begin_from_a_local_folder_with_a_new_head(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = tiny_config(name, tmp_path / "tiny")
    kinds = {"rt_detr": "RTDetr", "rt_detr_v2": "RTDetrV2", "d_fine": "DFine"}
    values = getattr(transformers, f"{kinds[name]}Config").from_json_file(config)
    values.num_labels = 7
    with torch.random.fork_rng():
        saved = getattr(transformers, f"{kinds[name]}ForObjectDetection")(values)
    saved.save_pretrained(tmp_path / "pretrained")
    settings = replace(SMALL, name=name, weights=str(tmp_path / "pretrained"), learning_rate=1e-12, steps=1)
    detector = fit(settings)
    weights = load_file(tmp_path / "pretrained" / "model.safetensors")
    kept = [
        key
        for key, value in detector.network.state_dict().items()
        if key in weights and weights[key].shape == value.shape and value.is_floating_point()
    ]
    assert len(kept) > 0.9 * len([key for key in weights if weights[key].is_floating_point()])
    for key in kept:
        torch.testing.assert_close(detector.network.state_dict()[key], weights[key], atol=1e-6, rtol=1e-4)
    check_inside(detector.predict(SCENES), SCENES)
    hole = next(key for key in weights if "encoder_input_proj" in key)
    del weights[hole]
    save_file(weights, tmp_path / "pretrained" / "model.safetensors")
    with pytest.raises(MissingModelError, match="a checkpoint without 1 of its tensors"):
        fit(settings)


@pytest.mark.slow
def test_predictions_are_those_of_the_network_in_original_pixels(small_rcnn: VisionDetector) -> None:
    data = squares(2, size=(96, 128))
    scenes = Scenes.of(data, height=64, width=64, channels=3)
    found = small_rcnn.predict(scenes)
    check_inside(found, scenes)
    with torch.inference_mode():
        (out,) = small_rcnn.network(list(unit_pictures(scenes.images[:1])))
    objects = out["labels"] > 0
    boxes = out["boxes"][objects].numpy()
    # Twice as large, after eight grey rows above.
    boxes = np.clip((boxes - [0, 8, 0, 8]) * 2, 0, [128, 96, 128, 96])
    seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
    np.testing.assert_allclose(found[0].boxes, boxes[seen], atol=1e-3)
    assert found[0].class_ids.tolist() == (out["labels"][objects].numpy()[seen] - 1).tolist()
    assert len(found[0]) > 0


@pytest.mark.slow
def test_equal_streams_give_equal_detectors_whatever_the_global_generator(small_rcnn: VisionDetector) -> None:
    settings = replace(SMALL, score_threshold=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(77)
        again = fit(settings)
    other = fit(settings, seed=1)
    pairs = list(zip(small_rcnn.network.parameters(), again.network.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert small_rcnn.predict(SCENES) == again.predict(SCENES)
    assert not all(
        torch.equal(a, b) for a, b in zip(small_rcnn.network.parameters(), other.network.parameters(), strict=True)
    )


UNTAUGHT = 1e-12
"""A learning rate at which a network stays what it was drawn as."""


@pytest.mark.slow
def test_the_loss_falls(tmp_path: Path) -> None:
    def loss(detector: VisionDetector) -> float:
        targets = [
            Targets(torch.from_numpy(SCENES.boxes[row]), torch.from_numpy(SCENES.class_ids[row]), None)
            for row in range(3)
        ]
        with seeded(Stream(0)), torch.no_grad():
            model = model_of(detector.network.train(), detector.settings)
            return float(model.loss(unit_pictures(SCENES.images[:3]), targets))

    config = str(tiny_config("rt_detr", tmp_path / "tiny"))
    settings = replace(SMALL, name="rt_detr", batch=3, learning_rate=5e-3, config=config)
    short, long = (loss(fit(replace(settings, steps=steps))) for steps in (1, 30))
    assert long < 0.75 * short


@pytest.mark.slow
def test_both_stages_of_faster_rcnn_learn() -> None:
    """Against a network that learnt nothing: the sum of losses need not fall from one step to another.

    The first stage answers for fixed anchors. The second is asked about the regions that the first proposes, and the
    more of these show objects the harder that is: its loss of boxes, which counts those alone, rises as both learn.
    """

    def losses(network: torch.nn.Module) -> dict[str, float]:
        rows = [
            {"boxes": torch.from_numpy(SCENES.boxes[row]), "labels": torch.from_numpy(SCENES.class_ids[row]) + 1}
            for row in range(3)
        ]
        with seeded(Stream(0)), torch.no_grad():
            found = network.train()(list(unit_pictures(SCENES.images[:3])), rows)
        return {name: float(value) for name, value in found.items()}

    def of_anchors(found: dict[str, float]) -> float:
        return found["loss_objectness"] + found["loss_rpn_box_reg"]

    def weights(network: torch.nn.Module, part: str) -> torch.Tensor:
        return torch.cat([value.detach().flatten() for value in network.get_submodule(part).parameters()])

    drawn, taught = (
        fit(replace(SMALL, batch=3, learning_rate=rate, steps=steps)).network
        for rate, steps in ((UNTAUGHT, 1), (1e-3, 20))
    )
    before, after = losses(drawn), losses(taught)
    assert of_anchors(after) < 0.3 * of_anchors(before)
    assert after["loss_classifier"] < 0.75 * before["loss_classifier"]
    # A backbone that learns can make up for a head that does not.
    for part in ("backbone", "rpn", "roi_heads"):
        assert (weights(taught, part) - weights(drawn, part)).norm() > 0.01 * weights(drawn, part).norm(), part


@pytest.mark.slow
def test_saved_and_loaded_predicts_the_same(small_rcnn: VisionDetector, tmp_path: Path) -> None:
    small_rcnn.save(tmp_path / "detector.safetensors")
    loaded = VisionDetector.load(tmp_path / "detector.safetensors")
    assert loaded.predict(SCENES) == small_rcnn.predict(SCENES)
    save_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {"format": "diffusion"})
    with pytest.raises(ValueError, match="expected a twinset-vision-detector/1 file; got 'diffusion'"):
        VisionDetector.load(tmp_path / "other.safetensors")


@pytest.mark.slow
def test_weights_of_another_number_of_classes_give_everything_but_the_head(
    small_rcnn: VisionDetector, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    weights = {key: value.contiguous() for key, value in small_rcnn.network.state_dict().items()}
    head = "roi_heads.box_predictor.cls_score.weight"
    weights[head] = torch.zeros(91, weights[head].shape[1])
    weights = {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    save_file(weights, path)
    settings = replace(SMALL, weights=str(path), steps=1, learning_rate=1e-12)
    state = fit(settings).network.state_dict()
    for key in ("backbone.body.0.0.weight", "backbone.body.0.1.running_mean", "rpn.head.cls_logits.weight"):
        torch.testing.assert_close(state[key], weights[key], atol=1e-6, rtol=1e-4)
    assert state[head].shape[0] == 3
    del weights["rpn.head.cls_logits.weight"]
    save_file(weights, path)
    with pytest.raises(MissingModelError, match=r"without 1 of its tensors \(first rpn.head.cls_logits.weight\)"):
        fit(settings)
    weights["rpn.head.cls_logits.weight"] = torch.full((1,), float("nan"))
    save_file(weights, path)
    with pytest.raises(MissingModelError, match=r"NaN or infinity in rpn.head.cls_logits.weight"):
        fit(settings)


@pytest.mark.slow
def test_a_backbone_fills_the_body_and_freezes_its_norms(tmp_path: Path) -> None:
    from torchvision.models import mobilenet_v3_large

    with seeded(Stream(9)):
        network = mobilenet_v3_large(weights=None)
    network.features[0][1].running_mean.fill_(0.5)
    save_file(network.state_dict(), tmp_path / "mobilenet.safetensors")
    settings = replace(SMALL, backbone=str(tmp_path / "mobilenet.safetensors"))
    state = fit(settings).network.state_dict()
    assert (state["backbone.body.0.1.running_mean"] == 0.5).all()
    wanted = network.state_dict()["features.4.block.0.0.weight"]
    torch.testing.assert_close(state["backbone.body.4.block.0.0.weight"], wanted, atol=2e-3, rtol=0)


@pytest.mark.slow
def test_mask_rcnn_learns_and_predicts_masks() -> None:
    settings = replace(SMALL, name="maskrcnn_resnet50_fpn", steps=1, score_threshold=0.0, most_objects=5)
    found = fit(settings).predict(SCENES.take([0]))
    check_inside(found, SCENES.take([0]))
    assert found[0].has_masks


def test_masks_follow_mirrored_pictures() -> None:
    masks = scene_masks(DATA, SCENES)
    settings = replace(SMALL, name="maskrcnn_resnet50_fpn", steps=12, augmentation=SceneAugmentation(flip=True))
    mirrored = 0
    for images, targets in _batches(SCENES, 2, settings, None, masks, Stream(2)):
        for image, (boxes, class_ids, shown) in zip(images, targets, strict=True):
            assert shown is not None
            for box, class_id, mask in zip(boxes, class_ids, shown.numpy().astype(bool), strict=True):
                x1, y1, x2, y2 = (int(v) for v in box)
                assert mask[y1:y2, x1:x2].all()
                assert mask.sum() == (x2 - x1) * (y2 - y1)
                assert (image[mask] == 250 - 100 * int(class_id)).all()
                mirrored += int((x1 < 32) == bool(class_id))
    assert 5 < mirrored < 35


def test_masks_go_into_the_frame_and_back() -> None:
    from twinset.models.vision.masks import masks_in_original

    data = squares(2, size=(96, 128))
    scenes = Scenes.of(data, height=64, width=64, channels=3)
    (framed, second), none = scene_masks(data, scenes)
    assert none == ()
    assert second is not None
    assert framed is not None
    np.testing.assert_allclose(framed.box(), scenes.boxes[0][0], atol=0.51)
    back = masks_in_original(scenes, 0, torch.from_numpy(framed.dense()[None].astype(np.float32)))
    instances = data[0].annotation.instances  # type: ignore[union-attr]
    assert instances is not None
    truth = instances.dense_masks()[0]
    assert (back[0].dense() & truth).sum() / (back[0].dense() | truth).sum() > 0.8


def test_masks_and_mask_rcnn_belong_together() -> None:
    masks = scene_masks(DATA, SCENES)
    with pytest.raises(ValueError, match="expected masks for Mask R-CNN and for no other; got fasterrcnn"):
        fit_vision_detector(SCENES, n_classes=2, settings=SMALL, rng=Stream(0), masks=masks)
    settings = replace(SMALL, name="maskrcnn_resnet50_fpn")
    with pytest.raises(ValueError, match="expected masks for Mask R-CNN"):
        fit_vision_detector(SCENES, n_classes=2, settings=settings, rng=Stream(0))
    with pytest.raises(ValueError, match="expected a mask, or None, for every object"):
        fit_vision_detector(SCENES, n_classes=2, settings=settings, rng=Stream(0), masks=(*masks[:-2], (), ()))


@pytest.mark.parametrize("name", NAMES)
def test_missing_weights_are_named_at_once(name: str, tmp_path: Path) -> None:
    started = time.perf_counter()
    settings = replace(SMALL, name=name, weights=str(tmp_path / "none.safetensors"))
    with pytest.raises(MissingModelError, match=r"none.safetensors: expected the weights of .* got no file; put"):
        fit(settings)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(("name", "file"), [("fcos_resnet50_fpn", "a.pth"), ("rt_detr", "pytorch_model.bin")])
def test_pickled_weights_are_refused(name: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"\x80\x04")
    where = tmp_path if name == "rt_detr" else tmp_path / file
    with pytest.raises(MissingModelError, match="expected safetensors; got pickled weights, which can run code"):
        replace(SMALL, name=name, weights=str(where)).check()


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"install twinset\[pretrained\]"):
        replace(SMALL, name="d_fine").check()


def test_a_configuration_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "detr"}))
    with pytest.raises(MissingModelError, match="expected the configuration of rt_detr; got one of detr"):
        fit(replace(SMALL, name="rt_detr", config=str(tmp_path / "config.json")))


@pytest.mark.slow
def test_sizes_that_a_transformer_cannot_take_are_refused(tmp_path: Path) -> None:
    config = tiny_config("rt_detr", tmp_path / "tiny")
    scenes = Scenes.of(DATA, height=48, width=64, channels=3)
    with pytest.raises(ValueError, match="multiples of 32; got 48 x 64"):
        fit(replace(SMALL, name="rt_detr", config=str(config)), scenes)


def test_wrong_scenes_are_refused(small_rcnn: VisionDetector) -> None:
    with pytest.raises(ValueError, match=r"expected class ids in 0…0; got 0…1"):
        fit_vision_detector(SCENES, n_classes=1, settings=SMALL, rng=Stream(0))
    with pytest.raises(ValueError, match="expected objects to learn; got none"):
        fit_vision_detector(SCENES.take([3]), n_classes=2, settings=SMALL, rng=Stream(0))
    unlabelled = replace(SCENES, labelled=np.zeros(4, np.bool_))
    with pytest.raises(ValueError, match="4 of them unlabelled"):
        fit_vision_detector(unlabelled, n_classes=2, settings=SMALL, rng=Stream(0))
    with pytest.raises(ValueError, match=r"expected scenes of \(64, 64, 3\)"):
        small_rcnn.predict(Scenes.of(DATA, height=32, width=64, channels=3))


def test_a_diverging_run_says_so() -> None:
    with pytest.raises(UsageError, match="expected a finite loss"):
        fit(replace(SMALL, learning_rate=1e30, steps=4))


def test_settings_survive_json() -> None:
    settings = replace(SMALL, augmentation=SceneAugmentation(flip=True, scale=1.2), weights="here")
    assert VisionDetectorSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(TypeError):
        VisionDetectorSettings.from_dict({"speed": 3})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "yolo"},
        {"steps": 0},
        {"score_threshold": 1.0},
        {"learning_rate": float("nan")},
        {"weights": "a", "backbone": "b"},
        {"config": "a"},
        {"name": "ssdlite320_mobilenet_v3_large", "backbone": "b"},
        {"name": "d_fine", "backbone": "b"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(SMALL, **wrong)  # type: ignore[arg-type]
