"""The samplers against the exact denoiser of a Gaussian, whose probability-flow ODE has a closed solution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from twinset.models.sampling import SamplingSettings, integrate, pack

MEAN, STD = 0.3, 0.7


def exact(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """E[clean | x] for clean ~ N(MEAN, STD²)."""
    s2 = sigma[:, None, None, None] ** 2
    return (STD**2 * x + s2 * MEAN) / (STD**2 + s2)


def solution(x: torch.Tensor, sigma_max: float) -> torch.Tensor:
    """Where the ODE carries x: the standardised value is kept while the standard deviation shrinks to STD."""
    return MEAN + (x - MEAN) * STD / math.sqrt(STD**2 + sigma_max**2)


def error(sampler: str, steps: int) -> float:
    settings = SamplingSettings(sampler=sampler, steps=steps, sigma_max=20.0, sigma_min=0.01)  # type: ignore[arg-type]
    x = 20.0 * torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    return float((integrate(exact, x, settings) - solution(x, 20.0)).abs().max())


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1.0), ("dpm++2m", 1.6)])
def test_the_error_falls_with_the_order_of_the_method(sampler: str, order: float) -> None:
    coarse, fine = error(sampler, 16), error(sampler, 64)
    assert math.log(coarse / fine, 4) > order - 0.3
    assert fine < coarse < 1.0


def test_the_second_order_method_is_closer_at_twenty_steps() -> None:
    assert error("dpm++2m", 20) < 0.5 * error("ddim", 20)


def test_samples_have_the_moments_of_the_data() -> None:
    settings = SamplingSettings(steps=40, sigma_max=20.0, sigma_min=0.01)
    x = 20.0 * torch.randn(4000, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    values = integrate(exact, x, settings).flatten().double().numpy()
    assert abs(values.mean() - MEAN) < 0.05
    assert abs(values.std() - STD) < 0.05


def test_an_index_always_sits_in_the_same_row() -> None:
    for indices in ([5], [1, 5, 9, 2], [9, 5, 1]):
        for batch in pack(indices, 4):
            for row, position in enumerate(batch):
                assert position is None or indices[position] % 4 == row
        assert sorted(p for batch in pack(indices, 4) for p in batch if p is not None) == list(range(len(indices)))


@pytest.mark.parametrize("values", [{"steps": 0}, {"sampler": "euler"}, {"guidance": -1.0}, {"sigma_max": 0.0}])
def test_impossible_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SamplingSettings(**values)  # type: ignore[arg-type]


def test_levels_span_the_schedule() -> None:
    settings = SamplingSettings()
    levels = [settings.noise_level_at(share) for share in np.linspace(0, 1, 5)]
    assert levels == sorted(levels)
    assert levels[0] == pytest.approx(settings.sigma_min)
