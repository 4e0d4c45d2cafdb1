from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.contracts import digits
from twinset.embedding.embedder import embed_images, require_unfitted
from twinset.embedding.pixels import SmallPixels
from twinset.embedding.pretrained import Pretrained
from twinset.embedding.random_convolution import RandomConvolution
from twinset.embedding.self_trained import SelfTrained, SelfTrainedEmbedder
from twinset.errors import MissingModelError
from twinset.images import ImageSpec
from twinset.randomness import Stream

SPEC = ImageSpec(8, 8, 1)


@pytest.mark.parametrize("embedder", [RandomConvolution(), SmallPixels()])
def test_features_of_an_image_do_not_depend_on_its_company(embedder: RandomConvolution | SmallPixels) -> None:
    images = digits(40).prepared(SPEC)
    together = embed_images(embedder, images, batch=16)
    assert np.array_equal(together[7:8], embed_images(embedder, images[7:8], batch=16))
    assert together.dtype == np.float32
    assert embedder.fitted_on == frozenset()


@pytest.mark.slow
def test_neighbours_in_fixed_features_are_mostly_of_the_same_class() -> None:
    dataset = digits(600)
    features = embed_images(RandomConvolution(), dataset.prepared(SPEC)).astype(np.float64)
    distances = ((features[:, None] - features[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    right = dataset.class_ids[distances.argmin(1)] == dataset.class_ids
    assert right.mean() > 0.9


@pytest.mark.slow
def test_a_self_trained_embedder_knows_its_images_and_must_not_judge_them(tmp_path: Path) -> None:
    dataset = digits(80)
    embedder = SelfTrained(steps=10).fit(dataset, spec=SPEC, rng=Stream(0))
    assert embedder.fitted_on == frozenset(dataset.ids)
    with pytest.raises(ValueError, match="saw none of the compared images"):
        require_unfitted(embedder, dataset.ids[:1])
    require_unfitted(embedder, ["somebody else"])
    embedder.save(tmp_path)
    again = SelfTrainedEmbedder.load(tmp_path)
    images = dataset.prepared(SPEC)
    assert np.array_equal(embed_images(embedder, images), embed_images(again, images))
    other = SelfTrained(steps=10).fit(dataset, spec=SPEC, rng=Stream(0))
    assert other.name == embedder.name


@pytest.mark.parametrize("name", ["dinov2", "clip", "resnet50", "inception"])
def test_missing_weights_are_named_at_once(name: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(MissingModelError, match="expected the weights of") as caught:
        Pretrained(name, str(tmp_path / "nowhere")).check()  # type: ignore[arg-type]
    assert time.monotonic() - began < 1
    assert str(tmp_path / "nowhere") in caught.value.message
    assert caught.value.exit_code == 3


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"x")
    with pytest.raises(MissingModelError, match="pickled"):
        Pretrained("resnet50", str(tmp_path / "weights.pth")).check()


@pytest.mark.slow
def test_a_tiny_dinov2_loads_from_a_local_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    with torch.random.fork_rng():
        transformers.Dinov2Model(config).save_pretrained(tmp_path)
    embedder = Pretrained("dinov2", str(tmp_path)).fit(digits(10), spec=SPEC, rng=Stream(0))
    features = embed_images(embedder, digits(10).prepared(SPEC), batch=8)
    assert features.shape == (10, 32)
    assert embedder.name.startswith("dinov2-")


@pytest.mark.slow
def test_a_tiny_clip_loads_from_a_local_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=24,
    )
    with torch.random.fork_rng():
        transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path)
    embedder = Pretrained("clip", str(tmp_path)).fit(digits(10), spec=SPEC, rng=Stream(0))
    assert embed_images(embedder, digits(10).prepared(SPEC), batch=8).shape == (10, 24)


@pytest.mark.slow
def test_a_resnet_loads_from_one_file(tmp_path: Path) -> None:
    import torchvision
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        save_file(torchvision.models.resnet50(weights=None).state_dict(), tmp_path / "resnet.safetensors")
    embedder = Pretrained("resnet50", str(tmp_path / "resnet.safetensors")).fit(digits(4), spec=SPEC, rng=Stream(0))
    assert embed_images(embedder, digits(4).prepared(SPEC), batch=4).shape == (4, 2048)
