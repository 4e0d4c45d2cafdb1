"""Sums of cut gradients, against one gradient at a time and against opacus."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from twinset.images import ImageSpec
from twinset.models.diffusion import fresh_denoiser
from twinset.models.networks import NetworkSettings
from twinset.models.preconditioning import Denoiser, denoising_loss
from twinset.models.private.gradients import clipped_sum
from twinset.randomness import Stream

Example = tuple[torch.Tensor, ...]


def denoiser(family: str) -> Denoiser:
    network = NetworkSettings(family, 32, 1, 1, 2)  # type: ignore[arg-type]
    found = fresh_denoiser(network, ImageSpec(8, 8, 1), 3, sigma_data=0.5, rng=Stream(0))
    generator = Stream(1).torch()
    with torch.no_grad():
        for value in found.parameters():
            value.add_(torch.randn(value.shape, generator=generator) * 0.05)
    return found


def examples(count: int = 5, draws: int = 2) -> Example:
    generator = Stream(2).torch()
    images = torch.randn(count, draws, 1, 8, 8, generator=generator)
    sigma = torch.rand(count, draws, generator=generator) + 0.1
    return images, sigma, torch.arange(count)[:, None].expand(-1, draws) % 3, torch.zeros(count, draws, 6)


@pytest.mark.parametrize("family", ["unet", "transformer"])
@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_the_sum_is_that_of_single_gradients_cut_one_by_one(family: str, clip: float) -> None:
    network = denoiser(family)
    parameters = dict(network.named_parameters())

    def loss(values: Mapping[str, torch.Tensor], one: Example) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return denoising_loss(torch.func.functional_call(network, dict(values), one), one[0], one[1], 0.5)

    expected = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for row in range(5):
        one = tuple(part[row] for part in examples())
        found = torch.autograd.grad(denoising_loss(network(*one), one[0], one[1], 0.5), list(parameters.values()))
        norm = torch.cat([part.flatten() for part in found]).norm()
        for name, part in zip(parameters, found, strict=True):
            expected[name] += part * min(1.0, clip / float(norm))
    plain = {name: value.detach() for name, value in parameters.items()}
    total, norms = clipped_sum(loss, plain, examples(), clip=clip, block=2)
    assert len(norms) == 5
    for name, value in expected.items():
        torch.testing.assert_close(total[name], value, rtol=2e-3, atol=2e-5 * min(1.0, clip))


def linear_loss(values: Mapping[str, torch.Tensor], one: Example) -> torch.Tensor:
    return nn.functional.cross_entropy((values["weight"] @ one[0] + values["bias"])[None], one[1][None])


def test_opacus_finds_the_same_gradients() -> None:
    pytest.importorskip("opacus", reason="needs twinset[dp]")
    from opacus.grad_sample import GradSampleModule

    generator = Stream(3).torch()
    rows, classes = torch.randn(6, 5, generator=generator), torch.arange(6) % 3
    layer = nn.Linear(5, 3)
    wrapped = GradSampleModule(layer, loss_reduction="sum")
    nn.functional.cross_entropy(wrapped(rows.clone().requires_grad_()), classes, reduction="sum").backward()
    single = {name: value.grad_sample for name, value in layer.named_parameters()}
    norms = torch.cat([one.flatten(1) for one in single.values()], dim=1).norm(dim=1)
    scale = (0.5 / norms).clamp(max=1)
    plain = {name: value.detach() for name, value in layer.named_parameters()}
    total, found = clipped_sum(linear_loss, plain, (rows, classes), clip=0.5)
    torch.testing.assert_close(found.float(), norms)
    for name, one in single.items():
        torch.testing.assert_close(total[name], torch.tensordot(scale, one, dims=1))


def test_one_image_moves_the_sum_by_no_more_than_the_clip() -> None:
    generator = Stream(4).torch()
    plain = {"weight": torch.zeros(3, 5), "bias": torch.zeros(3)}
    rows, classes = torch.randn(8, 5, generator=generator) * 100, torch.arange(8) % 3
    whole, _ = clipped_sum(linear_loss, plain, (rows, classes), clip=0.7)
    less, _ = clipped_sum(linear_loss, plain, (rows[1:], classes[1:]), clip=0.7)
    moved = torch.cat([(whole[name] - less[name]).flatten() for name in plain]).norm()
    assert float(moved) == pytest.approx(0.7, rel=1e-4)


def test_an_image_without_a_finite_gradient_adds_nothing() -> None:
    plain = {"weight": torch.zeros(3, 5), "bias": torch.zeros(3)}
    rows, classes = torch.ones(2, 5), torch.tensor([0, 1])
    rows[1] = torch.nan
    whole, _ = clipped_sum(linear_loss, plain, (rows, classes), clip=1.0)
    alone, _ = clipped_sum(linear_loss, plain, (rows[:1], classes[:1]), clip=1.0)
    for name in plain:
        torch.testing.assert_close(whole[name], alone[name])


def test_no_images_are_a_sum_of_nothing() -> None:
    plain = {"weight": torch.zeros(3, 5), "bias": torch.zeros(3)}
    total, norms = clipped_sum(linear_loss, plain, (torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)), clip=1.0)
    assert not total["weight"].any()
    assert not len(norms)
