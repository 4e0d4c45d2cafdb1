"""Tiny checkpoints are built here, saved, and loaded back as a user's would be."""

from __future__ import annotations

import importlib.util
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from twinset.contracts import digits
from twinset.embedding.embedder import embed_images
from twinset.embedding.pretrained import Pretrained
from twinset.errors import MissingExtraError, MissingModelError
from twinset.images import ImageSpec

IMAGES = digits(6).prepared(ImageSpec(8, 8, 1))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def dinov2(tmp_path: Path) -> Iterator[Path]:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    with torch.random.fork_rng():
        transformers.Dinov2Model(config).save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"


def resnet18(path: Path) -> nn.Module:
    import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.resnet18(weights=None)
    save_file(network.state_dict(), path)
    return network


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_features_are_those_of_the_network_on_the_resized_normalised_picture(tmp_path: Path) -> None:
    network = resnet18(tmp_path / "resnet18.safetensors").eval()
    network.fc = nn.Identity()
    before = torch.random.get_rng_state()
    embedder = Pretrained("resnet18", str(tmp_path / "resnet18.safetensors")).load()
    found = embed_images(embedder, IMAGES, batch=8)
    assert torch.equal(before, torch.random.get_rng_state())
    pictures = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2) / 255.0).float()
    pictures = nn.functional.interpolate(pictures, (224, 224), mode="bicubic", antialias=True).expand(-1, 3, -1, -1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = network((pictures - mean[:, None, None]) / std[:, None, None]).numpy()
    assert found.shape == (6, 512)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert embedder.fitted_on == frozenset()


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_dinov2_gives_the_class_token_and_a_name_with_the_digest(dinov2: Path) -> None:
    import hashlib

    from transformers import Dinov2Model

    embedder = Pretrained("dinov2", str(dinov2)).load()
    digest = hashlib.sha256((dinov2 / "model.safetensors").read_bytes()).hexdigest()
    assert embedder.name == f"dinov2-{digest[:12]}"
    images = torch.zeros(2, 3, 28, 28)
    model = Dinov2Model.from_pretrained(dinov2).eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        token = model((images + 0.5 - mean[:, None, None]) / std[:, None, None]).last_hidden_state[:, 0]
    assert np.allclose(embedder.embed(images), token.numpy(), atol=1e-4)


def test_a_checkpoint_with_a_hole_is_an_error_and_not_random_numbers(dinov2: Path) -> None:
    weights = load_file(dinov2 / "model.safetensors")
    missing = next(key for key in weights if "layer.0" in key)
    del weights[missing]
    save_file(weights, dinov2 / "model.safetensors", {"format": "pt"})
    with pytest.raises(MissingModelError, match="a checkpoint without 1 of its tensors"):
        Pretrained("dinov2", str(dinov2)).load()


@pytest.mark.parametrize("damage", ["nan", "truncated", "other"])
def test_damaged_weights_are_one_clear_error(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "resnet18.safetensors"
    resnet18(path)
    if damage == "nan":
        weights = load_file(path)
        weights["conv1.weight"][0] = float("nan")
        save_file(weights, path)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        save_file({"somebody.weight": torch.zeros(3)}, path)
    with pytest.raises(MissingModelError, match="expected the weights of resnet18; got"):
        Pretrained("resnet18", str(path)).load()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["dinov2", "clip", "resnet18", "resnet50", "inception"])
def test_without_a_path_the_models_folder_is_searched_and_named_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path / "models"))
    began = time.monotonic()
    with pytest.raises(MissingModelError) as caught:
        Pretrained(name).load()  # type: ignore[arg-type]
    assert time.monotonic() - began < 1
    assert str(tmp_path / "models" / name) in caught.value.message
    assert "twinset downloads nothing" in caught.value.hint
    if name in ("resnet18", "resnet50", "inception"):
        assert "sha256 begins with" in caught.value.hint


def test_weights_in_the_models_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path))
    resnet18(tmp_path / "resnet18.safetensors")
    assert (
        Pretrained("resnet18").load().name == Pretrained("resnet18", str(tmp_path / "resnet18.safetensors")).load().name
    )


def test_pickled_weights_beside_a_configuration_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(MissingModelError, match="got pickled weights, which can run code") as caught:
        Pretrained("clip", str(tmp_path)).load()
    assert "weights_only=True" in caught.value.hint


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else found(name))
    with pytest.raises(MissingExtraError, match="transformers"):
        Pretrained("dinov2", str(tmp_path)).check()


@pytest.mark.slow
def test_inception_loads_from_one_file(tmp_path: Path) -> None:
    import torchvision

    with torch.random.fork_rng():
        network = torchvision.models.inception_v3(weights=None, init_weights=False)
    save_file(network.state_dict(), tmp_path / "inception.safetensors")
    embedder = Pretrained("inception", str(tmp_path / "inception.safetensors")).load()
    assert embed_images(embedder, IMAGES[:2], batch=2).shape == (2, 2048)


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_black_and_white_reach_inception_as_minus_one_and_one(tmp_path: Path) -> None:
    # torchvision's weights came from TensorFlow, whose Inception was trained on pixels in [-1, 1].
    import torchvision

    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, init_weights=False)
    zeros = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in network.state_dict().items()}
    save_file(zeros, tmp_path / "inception.safetensors")
    embedder = Pretrained("inception", str(tmp_path / "inception.safetensors")).load()
    assert isinstance(embedder.network, torchvision.models.Inception3)
    shown: list[torch.Tensor] = []
    embedder.network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    black_and_white = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 255)])
    embed_images(embedder, black_and_white, batch=2)
    assert shown[0].shape[1:] == (3, 299, 299)
    for picture, value in zip(shown[0], (-1.0, 1.0), strict=False):
        assert torch.allclose(picture, torch.full_like(picture, value), atol=1e-5)
