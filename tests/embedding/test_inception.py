"""Probabilities and maps are those of the network's own forward pass, from one local file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from twinset.dataset import Dataset
from twinset.embedding.inception import InceptionMaps, InceptionProbabilities
from twinset.errors import MissingModelError
from twinset.images import ImageSpec
from twinset.randomness import Stream

SPEC = ImageSpec(299, 299, 3)
NOTHING = Dataset.of([], classes=())


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, str]:
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = torchvision.models.inception_v3(weights=None, init_weights=False)
    save_file(made.state_dict(), path)
    return made.eval(), str(path)


@pytest.mark.slow
def test_probabilities_and_maps_are_those_of_the_forward_pass(network: tuple[torch.nn.Module, str]) -> None:
    made, path = network
    images = torch.rand(2, 3, 299, 299, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen = []
    made.get_submodule("Mixed_6e").register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        logits = made(images)
    rng = Stream(0)
    probabilities = InceptionProbabilities(path).fit(NOTHING, spec=SPEC, rng=rng)
    maps = InceptionMaps(path).fit(NOTHING, spec=SPEC, rng=rng)
    torch.testing.assert_close(torch.from_numpy(probabilities.embed(images)), logits.softmax(1), atol=1e-5, rtol=1e-3)
    expected = seen[0][:, :7].reshape(2, -1)
    assert expected.shape == (2, 7 * 17 * 17)
    torch.testing.assert_close(torch.from_numpy(maps.embed(images)), expected, atol=1e-4, rtol=1e-3)
    assert probabilities.name.startswith("inception-probabilities-")
    assert maps.name.removeprefix("inception-mixed-6e-") == probabilities.name.removeprefix("inception-probabilities-")


@pytest.mark.parametrize("method", [InceptionProbabilities, InceptionMaps])
def test_missing_weights_are_named_at_once(
    method: type[InceptionProbabilities | InceptionMaps], tmp_path: Path
) -> None:
    began = time.perf_counter()
    with pytest.raises(MissingModelError, match="expected the weights of inception; got no file") as error:
        method(str(tmp_path / "none.safetensors")).check()
    assert "0cc3c7bd" in error.value.hint
    assert time.perf_counter() - began < 1
