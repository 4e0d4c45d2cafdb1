from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from twinset.images import to_model
from twinset.privacy.attacks.diffusion import ReleasedDiffusion, noise_level
from twinset.privacy.attacks.extraction import extraction
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.generator import SeenGenerator
from twinset.privacy.attacks.generator_loss import GeneratorLoss
from twinset.privacy.attacks.pia import Pia
from twinset.privacy.attacks.quantile_regression import Seen, quantile_regression
from twinset.privacy.attacks.secmi import SecMI
from twinset.randomness import Stream


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """uint8 (300, 8, 8, 1), in random order."""
    from sklearn.datasets import load_digits

    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    return images[np.random.Generator(np.random.PCG64(0)).permutation(len(images))[:300]]


class Nothing(torch.nn.Module):
    """D(x; σ) = 0: the best denoiser of a single black picture."""

    sigma_data = 0.5

    def forward(self, x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


class ByHeart(torch.nn.Module):
    """The best denoiser of some pictures: their mean, weighted by how likely each is under the noise."""

    sigma_data = 0.5

    def __init__(self, known: np.ndarray) -> None:
        super().__init__()
        self.known = to_model(known)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        squares = torch.cdist(x.flatten(1), self.known.flatten(1)).square()
        weights = torch.softmax(-squares / (2 * sigma[:, None].square()), dim=1)
        return (weights @ self.known.flatten(1)).view_as(x)


@dataclass
class Model:
    denoiser: torch.nn.Module
    device: str = "cpu"


def seen(denoiser: torch.nn.Module, pictures: np.ndarray) -> SeenGenerator:
    released = ReleasedDiffusion(Model(denoiser))  # type: ignore[arg-type]
    return SeenGenerator(released, pictures, np.zeros(len(pictures), dtype=int), Stream(0))


def test_a_step_is_the_noise_level_of_equal_signal_to_noise_ratio() -> None:
    kept = float(np.prod(1 - np.linspace(1e-4, 0.02, 1000)[:100]))
    assert noise_level(100, 0.5) == pytest.approx(math.sqrt(1 / kept - 1))
    assert noise_level(100, 0.25) == pytest.approx(noise_level(100, 0.5) / 2)
    with pytest.raises(ValueError, match="0…1000"):
        noise_level(1001, 0.5)


def test_where_the_flow_is_a_line_secmi_comes_back_to_where_it_was(digits) -> None:
    """D = 0 makes ε = x / σ, which scales a picture; Euler steps do that exactly, there and back."""
    assert SecMI().scores(seen(Nothing(), digits[:9]), time=100) == pytest.approx(np.zeros(9), abs=1e-6)


def test_pia_is_the_norm_of_what_the_noise_differs_by(digits) -> None:
    """D = 0: ε₀ = x / σ₀, x_t = x (1 + σ_t / σ₀), ε_t = x (1 / σ_t + 1 / σ₀): R = ‖x‖₄ / σ_t."""
    found = Pia().scores(seen(Nothing(), digits[:9]), time=200)
    norms = (to_model(digits[:9]).double() ** 4).flatten(1).sum(dim=1) ** 0.25
    assert found == pytest.approx(-norms.numpy() / noise_level(200, 0.5), rel=1e-4)


@pytest.mark.parametrize("attack", [GeneratorLoss(), SecMI(), Pia()], ids=lambda attack: attack.name)
def test_what_a_denoiser_knows_by_heart_scores_higher_and_what_it_does_not_is_at_chance(attack, digits) -> None:
    members = np.arange(200) < 100
    by_heart = attack.scores(seen(ByHeart(digits[:100]), digits[:200]), time=50)
    fair = attack.scores(seen(ByHeart(digits[200:]), digits[:200]), time=50)
    assert AttackFigures.of("x", by_heart[members], by_heart[~members]).auc > 0.95
    found = AttackFigures.of("x", fair[members], fair[~members])
    assert found.interval.low <= 0.5 <= found.interval.high


def test_attacks_on_the_inside_are_for_diffusion_models_only(digits) -> None:
    other = SeenGenerator(object(), digits[:3], np.zeros(3, dtype=int), Stream(0))  # type: ignore[arg-type]
    for attack in (GeneratorLoss(), SecMI(), Pia()):
        assert attack.times(other.generator) == ()
        with pytest.raises(ValueError, match="got object"):
            attack.scores(other, time=100)


def test_quantiles_tell_what_a_picture_should_lose_and_keep_their_rate(digits) -> None:
    """The loss grows with contrast, whoever was trained on; a member loses a little less."""
    draw = np.random.Generator(np.random.PCG64(1))
    scale = draw.uniform(0.2, 1.0, 900)
    rows = digits[draw.integers(len(digits), size=900)].astype(float)
    pictures = np.rint(rows * scale[:, None, None, None]).astype(np.uint8)
    contrast = pictures.reshape(900, -1).std(axis=1) / 255
    members = np.arange(900) < 200
    losses = 10 * contrast + draw.normal(0, 0.1, 900) - 0.3 * members
    classes = np.zeros(900, dtype=int)
    asked, known = slice(0, 400), slice(400, 900)
    found = quantile_regression(
        Seen(pictures[asked], classes[asked], losses[asked]), Seen(pictures[known], classes[known], losses[known])
    )
    plain = AttackFigures.of("x", -losses[:200], -losses[200:400])
    better = AttackFigures.of("x", found.scores[:200], found.scores[200:])
    assert plain.auc < 0.6
    assert better.auc > 0.9
    above = found.margins[0.1] > 0
    assert above[:200].mean() > 0.7
    assert 0.04 < above[200:].mean() < 0.18
    with pytest.raises(ValueError, match="at least 60 pictures"):
        quantile_regression(
            Seen(pictures[asked], classes[asked], losses[asked]), Seen(pictures[:9], classes[:9], losses[:9])
        )


def test_images_that_are_given_back_are_extracted_and_no_others() -> None:
    """Pictures of noise: no two are near unless one was copied."""
    draw = np.random.Generator(np.random.PCG64(2))
    real, made = (draw.integers(0, 256, (count, 12, 12, 1)).astype(np.uint8) for count in (120, 60))
    assert not len(extraction(made, real).hit)
    copies = real[np.arange(20) % 7, :, ::-1] + draw.normal(0, 8, (20, 12, 12, 1))
    made[:20] = np.clip(np.rint(copies), 0, 255).astype(np.uint8)
    found = extraction(made, real)
    assert found.hit.tolist() == list(range(7))
    assert found.scores[:7].min() > found.scores[7:].max()
    with pytest.raises(ValueError, match="at least 3 real images"):
        extraction(made, real[:2])
