"""A network of others gives the same features wherever it runs, and says in which precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from twinset.embedding import foreign_embedder
from twinset.embedding.extraction import _identity
from twinset.embedding.foreign_embedder import ForeignEmbedder, plain_arithmetic
from twinset.embedding.pretrained import IMAGENET

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def embedder() -> ForeignEmbedder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
    return ForeignEmbedder(network.eval().requires_grad_(False), "net-0", 20, *IMAGENET, sha256="0" * 64)


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 20, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_processor_is_where_it_already_is(embedder: ForeignEmbedder) -> None:
    assert embedder.on("cpu") is embedder


def test_bfloat16_needs_hardware_that_has_it(embedder: ForeignEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expected a GPU that computes in bfloat16; got cpu; use float32"):
        embedder.on("cpu", precision="bfloat16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with pytest.raises(ValueError, match="expected a GPU that computes in bfloat16; got cuda; use float32"):
        embedder.on("cuda", precision="bfloat16")


def test_another_precision_is_none(embedder: ForeignEmbedder) -> None:
    with pytest.raises(ValueError, match="expected precision float32 or bfloat16; got 'float16'"):
        embedder.on("cpu", precision="float16")  # type: ignore[arg-type]


def test_features_of_another_device_or_precision_are_kept_apart(embedder: ForeignEmbedder) -> None:
    elsewhere = replace(embedder, device="cuda:1")
    found = {_identity(each) for each in (embedder, elsewhere, replace(elsewhere, precision="bfloat16"))}
    assert len(found) == 3
    assert _identity(elsewhere) == _identity(replace(embedder, device="cuda:0"))


def test_on_a_gpu_nothing_computes_in_tensorfloat_and_all_is_as_before_afterwards() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with plain_arithmetic("cuda"):
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
            assert not torch.is_autocast_enabled("cuda")
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32 == before[0]
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before[1]


@pytest.mark.gpu
@GPU
def test_a_gpu_gives_the_features_of_the_processor(embedder: ForeignEmbedder) -> None:
    count = foreign_embedder.BATCH_ON_GPU + 5
    moved = embedder.on("cuda")
    assert next(moved.network.parameters()).is_cuda
    assert not next(embedder.network.parameters()).is_cuda
    expected = embedder.embed(images(count))
    np.testing.assert_allclose(moved.embed(images(count)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(moved.embed(images(count)[7:9]), moved.embed(images(count))[7:9])


@pytest.mark.gpu
@GPU
def test_bfloat16_is_near_and_not_the_same(embedder: ForeignEmbedder) -> None:
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bfloat16")
    exact, coarse = embedder.on("cuda"), embedder.on("cuda", precision="bfloat16")
    one, other = exact.embed(images(9)), coarse.embed(images(9))
    assert other.dtype == np.float32
    assert 0 < np.abs(one - other).max() < 0.05
