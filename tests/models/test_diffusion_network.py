"""Network, preconditioning, told augmentation and noise levels: laws that hold before anything is trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from twinset.images import to_model
from twinset.models.augmentation import PARAMETERS, augment, draw_augmentations
from twinset.models.networks import Network, NetworkSettings, build_network
from twinset.models.preconditioning import (
    Denoiser,
    denoising_loss,
    measure_sigma_data,
    scalings,
    training_noise_levels,
)
from twinset.models.sampling import SamplingSettings, guided

FAMILIES = [NetworkSettings("unet", 32, 1, 2, 2), NetworkSettings("transformer", 32, 2, 1, 2)]


def network(settings: NetworkSettings, *, channels: int = 1, restless: bool = False) -> Network:
    """A fresh network of 3 classes; ``restless``: no weight is zero, so that everything reaches the output."""
    built = build_network(
        settings, channels=channels, classes=3, augmentations=6, generator=torch.Generator().manual_seed(0)
    )
    if restless:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for value in built.parameters():
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return built


def inputs(count: int = 3, side: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    x = torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(2))
    return x, torch.linspace(-1, 1, count), torch.arange(count) % 3, torch.zeros(count, 6)


@pytest.mark.parametrize("settings", FAMILIES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 7, 13)])
def test_any_size_and_channel_count_passes(settings: NetworkSettings, shape: tuple[int, int, int]) -> None:
    x = torch.zeros(2, *shape)
    out = network(settings, channels=shape[0])(x, torch.zeros(2), torch.tensor([0, 3]), torch.zeros(2, 6))
    assert out.shape == x.shape


@pytest.mark.parametrize("settings", FAMILIES)
def test_every_part_of_the_condition_reaches_the_output(settings: NetworkSettings) -> None:
    model = network(settings, restless=True)
    x, noise, class_ids, augmentation = inputs()
    with torch.no_grad():
        out = model(x, noise, class_ids, augmentation)
        for other in (
            model(x, noise + 0.5, class_ids, augmentation),
            model(x, noise, (class_ids + 1) % 4, augmentation),
            model(x, noise, class_ids, augmentation + 0.5),
        ):
            assert (out - other).abs().max() > 1e-3


@pytest.mark.parametrize("settings", FAMILIES)
def test_rows_of_a_batch_do_not_mix(settings: NetworkSettings) -> None:
    model = network(settings, restless=True)
    x, noise, class_ids, augmentation = inputs()
    with torch.no_grad():
        out = model(x, noise, class_ids, augmentation)
        x[1:] = 9.0
        assert torch.equal(model(x, noise, class_ids, augmentation)[0], out[0])


def test_the_global_generator_is_not_touched() -> None:
    before = torch.get_rng_state()
    network(FAMILIES[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "wrong", [{"width": 40}, {"family": "mlp"}, {"depth": 0}, {"family": "transformer", "levels": 2}]
)
def test_impossible_networks_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        NetworkSettings(**wrong)  # type: ignore[arg-type]


def test_preconditioning_gives_unit_variance_inputs_and_targets() -> None:
    generator = torch.Generator().manual_seed(3)
    clean = 0.7 * torch.randn(4000, 1, 2, 2, generator=generator)
    for level in (0.01, 0.7, 20.0):
        noisy = clean + level * torch.randn(clean.shape, generator=generator)
        skip, out, scale_in = scalings(torch.full((4000,), level), 0.7)
        assert float((scale_in * noisy).std()) == pytest.approx(1, abs=0.03)
        assert float(((clean - skip * noisy) / out).std()) == pytest.approx(1, abs=0.03)


def test_a_fresh_denoiser_is_the_best_linear_one_and_its_loss_is_one() -> None:
    denoiser = Denoiser(network(FAMILIES[0]), sigma_data=0.7)
    generator = torch.Generator().manual_seed(4)
    clean = 0.7 * torch.randn(512, 1, 4, 4, generator=generator)
    sigma = training_noise_levels((torch.arange(512) + 0.5) / 512, 0.7)
    noisy = clean + sigma[:, None, None, None] * torch.randn(clean.shape, generator=generator)
    with torch.no_grad():
        denoised = denoiser(noisy, sigma, torch.zeros(512, dtype=torch.long), torch.zeros(512, 6))
    assert torch.allclose(denoised, scalings(sigma, 0.7)[0] * noisy)
    assert float(denoising_loss(denoised, clean, sigma, 0.7)) == pytest.approx(1, abs=0.05)


def test_noise_levels_are_log_normal_around_the_data() -> None:
    levels = training_noise_levels((torch.arange(9999) + 0.5) / 9999, 0.4).double().log()
    assert float(levels.mean()) == pytest.approx(math.log(0.4) - 0.5, abs=1e-3)
    assert float(levels.std()) == pytest.approx(1.2, abs=0.01)


def test_sigma_data_is_the_standard_deviation_of_the_pixels() -> None:
    images = np.random.default_rng(0).integers(256, size=(300, 5, 4, 3), dtype=np.uint8)
    assert measure_sigma_data(images) == pytest.approx(float(to_model(images).double().std(unbiased=False)))
    assert measure_sigma_data(np.full((2, 4, 4, 1), 9, dtype=np.uint8)) == 0.05


def one(name: str, value: float) -> torch.Tensor:
    parameters = torch.zeros(1, len(PARAMETERS))
    parameters[0, PARAMETERS.index(name)] = value
    return parameters


def test_each_augmentation_does_what_its_name_says() -> None:
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 6, 4] = 1.0

    def centre(parameters: torch.Tensor) -> tuple[float, float]:
        out = augment(x, parameters)[0, 0]
        rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        return float((out * rows).sum() / out.sum()), float((out * columns).sum() / out.sum())

    assert centre(one("flip", 1)) == pytest.approx((6, 11), abs=1e-4)
    assert centre(one("shift_y", 1)) == pytest.approx((8, 4), abs=1e-4)
    assert centre(one("shift_x", -1)) == pytest.approx((6, 2), abs=1e-4)
    zoomed, aspect = centre(one("zoom", 1)), centre(one("aspect", 1))
    assert zoomed[0] < 6
    assert zoomed[1] < 4
    assert aspect[0] < 6
    assert aspect[1] > 4
    turned = centre(one("turn", 1))
    assert math.hypot(turned[0] - 7.5, turned[1] - 7.5) == pytest.approx(math.hypot(1.5, 3.5), abs=0.3)
    assert turned != pytest.approx((6, 4), abs=0.3)


def test_an_image_that_is_not_augmented_is_the_same_to_the_bit() -> None:
    x = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(5))
    parameters = torch.cat([one("turn", 0), one("turn", 1)])
    out = augment(x, parameters)
    assert torch.equal(out[0], x[0])
    assert not torch.equal(out[1], x[1])


def test_augmentations_come_as_often_as_asked_and_flips_only_when_allowed() -> None:
    drawn = draw_augmentations(4000, probability=0.4, flip=True, generator=torch.Generator().manual_seed(6))
    shares = (drawn != 0).double().mean(dim=0)
    assert torch.allclose(shares, torch.tensor([0.2, 0.4, 0.4, 0.4, 0.4, 0.4], dtype=torch.float64), atol=0.03)
    assert drawn.abs().max() <= 1
    assert not draw_augmentations(99, probability=1, flip=False, generator=torch.Generator().manual_seed(6))[:, 0].any()


class Leaning(Denoiser):
    """D = class id: the guided answer can be computed by hand. Counts its calls."""

    def __init__(self) -> None:
        super().__init__(network(FAMILIES[0]), sigma_data=0.5)
        self.sizes: list[int] = []

    def forward(
        self, x: torch.Tensor, sigma: torch.Tensor, class_ids: torch.Tensor, augmentation: torch.Tensor
    ) -> torch.Tensor:
        self.sizes.append(len(x))
        return torch.zeros_like(x) + class_ids[:, None, None, None]


def test_guidance_moves_away_from_the_unconditional_answer_on_its_interval_only() -> None:
    denoiser = Leaning()
    settings = SamplingSettings(guidance=2.0, guidance_low=1.0, guidance_high=4.0)
    denoise = guided(denoiser, torch.tensor([0, 1]), settings)
    x = torch.zeros(2, 1, 2, 2)
    inside, below, above = (denoise(x, torch.full((2,), sigma)).mean(dim=(1, 2, 3)) for sigma in (1.0, 0.5, 2.0))
    assert inside.tolist() == [3 + 2 * (0 - 3), 3 + 2 * (1 - 3)]
    assert below.tolist() == above.tolist() == [0, 1]
    assert denoiser.sizes == [4, 2, 2]
