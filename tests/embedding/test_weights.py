"""The tables of published checkpoints, against the libraries that name them."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision import models

from twinset.embedding.weights import HUB, LPIPS, TORCHVISION, check_lpips, weights_of, where_to_put
from twinset.errors import MissingModelError


def test_torchvisions_checkpoints_have_its_names_and_their_digests() -> None:
    urls = {
        "resnet18": models.ResNet18_Weights.IMAGENET1K_V1.url,
        "resnet50": models.ResNet50_Weights.IMAGENET1K_V2.url,
        "inception": models.Inception_V3_Weights.IMAGENET1K_V1.url,
        "alexnet": models.AlexNet_Weights.IMAGENET1K_V1.url,
        "vgg16": models.VGG16_Weights.IMAGENET1K_V1.url,
    }
    known = {**TORCHVISION, **{files.backbone: files.checkpoint for files in LPIPS.values()}}
    for name, published in known.items():
        assert urls[name].endswith(f"/{published.file}")
        assert published.file.endswith(f"-{published.digest}.pth")


@pytest.mark.parametrize("name", ["dinov2", "clip"])
def test_checkpoints_of_transformers_are_named_with_owner_file_and_digest(name: str) -> None:
    hint = where_to_put(name)  # type: ignore[arg-type]
    assert HUB[name].owner in hint
    assert f"{HUB[name].file} (sha256 begins with {HUB[name].digest})" in hint
    assert ("as safetensors: convert them by" in hint) == HUB[name].file.endswith(".bin")


def test_a_path_is_a_folder_or_the_file_in_it(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    assert weights_of("clip", str(tmp_path)) == weights_of("clip", str(weights)) == weights
    (tmp_path / "pytorch_model.bin").touch()
    assert weights_of("clip", str(tmp_path)).name == "pytorch_model.bin"
    weights.touch()
    assert weights_of("clip", str(tmp_path)) == weights
    assert weights_of("resnet18", str(tmp_path / "x.safetensors")) == tmp_path / "x.safetensors"


def test_both_files_of_lpips_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path))
    with pytest.raises(MissingModelError, match="expected the backbone of LPIPS"):
        check_lpips()
    (tmp_path / "alexnet.safetensors").touch()
    with pytest.raises(MissingModelError, match="expected the heads of LPIPS"):
        check_lpips()
    (tmp_path / "lpips-alex.safetensors").touch()
    check_lpips()
