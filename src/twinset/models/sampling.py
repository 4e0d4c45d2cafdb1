"""Sampling a denoiser through diffusers' schedulers: fixed-shape batches, one random stream per image.

What is equal to what:

* Bitwise, on one machine with one package set and thread count: an image is a function of (weights, settings, its
  request). A request names its ``row`` in the batch; the batch always has ``settings.batch`` rows, unused ones are
  padding, and no operation mixes rows. So it does not matter which other requests are made, in which order, or how
  they fall into batches (:func:`pack`).
* Within float tolerance only: the same request in another row, another ``batch``, another thread count or device,
  because matrix kernels may sum in another order there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch

from twinset.images import PixelBatch, from_model
from twinset.models.augmentation import PARAMETERS
from twinset.models.preconditioning import Denoise, Denoiser
from twinset.randomness import Stream

Sampler = Literal["dpm++2m", "ddim"]


@dataclass(frozen=True)
class SamplingSettings:
    """How to sample.

    Noise falls from ``sigma_max`` to ``sigma_min`` in ``steps`` levels, evenly spaced in σ^(1/ρ) (Karras et al. 2022,
    equation 5), then to zero. ``guidance`` w moves D∅ + w (D_c − D∅); 1 is none, and it holds where
    guidance_low < σ/σ_data < guidance_high (Kynkäänniemi et al. 2024). ``batch``: rows of the fixed-shape batch.
    """

    sampler: Sampler = "dpm++2m"
    steps: int = 20
    guidance: float = 1.0
    guidance_low: float = 0.0
    guidance_high: float = 1e9
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    batch: int = 64

    def __post_init__(self) -> None:
        if self.sampler not in ("dpm++2m", "ddim"):
            raise ValueError(f"expected sampler 'dpm++2m' or 'ddim'; got {self.sampler!r}")
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"expected steps and batch ≥ 1; got {self.steps} and {self.batch}")
        if not (0 < self.sigma_min < self.sigma_max and self.rho > 0):
            raise ValueError(f"expected 0 < sigma_min < sigma_max and rho > 0; got {self}")
        if self.guidance < 0 or not 0 <= self.guidance_low < self.guidance_high:
            raise ValueError(f"expected guidance ≥ 0 on an interval low < high; got {self}")

    def noise_level_at(self, strength: float) -> float:
        """σ at a share of the way from clean (0) to pure noise (1), in the units of σ^(1/ρ).

        >>> round(SamplingSettings().noise_level_at(1.0), 6), round(SamplingSettings().noise_level_at(0.5), 2)
        (80.0, 2.52)
        """
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return float((low + strength * (high - low)) ** self.rho)


class Request(NamedTuple):
    """One image to make: where in the batch, of which class, from which stream, and from which picture (C, H, W)."""

    row: int
    class_id: int
    rng: Stream
    start: torch.Tensor | None = None


class Stepper(Protocol):
    """A noise schedule and its update rule."""

    sigmas: tuple[float, ...]

    def step(self, index: int, x: torch.Tensor, denoised: torch.Tensor) -> torch.Tensor:
        """x at ``sigmas[index]`` to x at the next level (zero after the last)."""
        ...


class DpmSolver:
    """DPM-Solver++(2M) (Lu et al. 2022), diffusers' ``EDMDPMSolverMultistepScheduler``.

    The scheduler preconditions by itself, so it is given the F that yields our D: (D − c_skip x) / c_out.
    """

    def __init__(self, settings: SamplingSettings) -> None:
        from diffusers import EDMDPMSolverMultistepScheduler

        self._scheduler = EDMDPMSolverMultistepScheduler(
            sigma_min=settings.sigma_min, sigma_max=settings.sigma_max, sigma_data=1.0, rho=settings.rho
        )
        self._scheduler.set_timesteps(settings.steps)
        self.sigmas = tuple(float(sigma) for sigma in self._scheduler.sigmas[:-1])

    def step(self, index: int, x: torch.Tensor, denoised: torch.Tensor) -> torch.Tensor:
        """One multistep update; the first and last are of first order."""
        total = self.sigmas[index] ** 2 + 1.0
        raw = (denoised - x / total) * (math.sqrt(total) / self.sigmas[index])
        out: torch.Tensor = self._scheduler.step(raw, self._scheduler.timesteps[index], x, return_dict=False)[0]
        return out


class Ddim:
    """DDIM with η = 0 (Song et al. 2021), diffusers' ``DDIMScheduler`` on exactly our noise levels.

    The scheduler lives in the variance-preserving scale x / √(1 + σ²) with ᾱ = 1 / (1 + σ²); its table of ᾱ is set in
    float64, for 1 − ᾱ loses σ = 0.002 in float32.
    """

    def __init__(self, settings: SamplingSettings) -> None:
        from diffusers import DDIMScheduler

        rising = [settings.noise_level_at(_share(index, settings.steps)) for index in range(settings.steps)]
        self.sigmas = tuple(reversed(rising))
        kept = 1 / (1 + torch.tensor(rising, dtype=torch.float64).square())
        betas = 1 - kept / torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        self._scheduler = DDIMScheduler(
            num_train_timesteps=settings.steps,
            trained_betas=betas.tolist(),
            clip_sample=False,
            prediction_type="sample",
        )
        self._scheduler.alphas_cumprod = kept
        self._scheduler.set_timesteps(settings.steps)

    def step(self, index: int, x: torch.Tensor, denoised: torch.Tensor) -> torch.Tensor:
        """One update of first order."""
        timestep = len(self.sigmas) - 1 - index
        below = self.sigmas[index + 1] if timestep else 0.0
        scaled = x / math.sqrt(1 + self.sigmas[index] ** 2)
        out: torch.Tensor = self._scheduler.step(denoised, timestep, scaled, return_dict=False)[0]
        return out * math.sqrt(1 + below**2)


def _share(index: int, steps: int) -> float:
    return index / (steps - 1) if steps > 1 else 1.0


def make_stepper(settings: SamplingSettings) -> Stepper:
    """A fresh scheduler (multistep schedulers remember the images they step)."""
    return DpmSolver(settings) if settings.sampler == "dpm++2m" else Ddim(settings)


def integrate(denoise: Denoise, x: torch.Tensor, settings: SamplingSettings) -> torch.Tensor:
    """Images (N, C, H, W) with noise ``settings.sigma_max`` to clean images, along the probability-flow ODE."""
    stepper = make_stepper(settings)
    for index, sigma in enumerate(stepper.sigmas):
        x = stepper.step(index, x, denoise(x, x.new_full((len(x),), sigma)))
    return x


def guided(denoiser: Denoiser, class_ids: torch.Tensor, settings: SamplingSettings) -> Denoise:
    """The denoiser of these classes with classifier-free guidance (Ho & Salimans 2022).

    Both branches go through the network as one batch, and only where guidance is on.
    """
    unmoved = torch.zeros(len(class_ids), len(PARAMETERS), device=class_ids.device)
    both_classes = torch.cat([class_ids, torch.full_like(class_ids, denoiser.null_class)])

    def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        share = float(sigma[0]) / denoiser.sigma_data
        inside = settings.guidance_low < share < settings.guidance_high
        if settings.guidance == 1.0 or not inside:
            return _run(denoiser, x, sigma, class_ids, unmoved)
        twice = (torch.cat([part, part]) for part in (x, sigma, unmoved))
        doubled, sigmas, augmentations = twice
        of_class, of_any = _run(denoiser, doubled, sigmas, both_classes, augmentations).chunk(2)
        return torch.lerp(of_any, of_class, settings.guidance)

    return denoise


def _run(
    denoiser: Denoiser, x: torch.Tensor, sigma: torch.Tensor, class_ids: torch.Tensor, augmentation: torch.Tensor
) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = denoiser(x, sigma, class_ids, augmentation)
    return out


def pack(indices: Sequence[int], batch: int) -> list[list[int | None]]:
    """Batches of positions in ``indices``; index i always sits in row i modulo ``batch``, in the first free batch.

    >>> pack([0, 1, 2, 5, 4], 4)
    [[0, 1, 2, None], [4, 3, None, None]]
    """
    batches: list[list[int | None]] = []
    used = [0] * batch
    for position, index in enumerate(indices):
        row = index % batch
        if used[row] == len(batches):
            batches.append([None] * batch)
        batches[used[row]][row] = position
        used[row] += 1
    return batches


def sample_batch(
    denoiser: Denoiser,
    requests: Sequence[Request],
    settings: SamplingSettings,
    *,
    shape: tuple[int, int, int],
    device: str = "cpu",
) -> PixelBatch:
    """uint8 (len(requests), H, W, C), in order: one pass of the fixed-shape batch. ``shape`` is (H, W, C).

    A request with a ``start`` picture begins at start + σ_max · noise, others at σ_max · noise; the noise is
    drawn from the request's own stream.
    """
    rows = [request.row for request in requests]
    if len(set(rows)) != len(rows) or any(not 0 <= row < settings.batch for row in rows):
        raise ValueError(f"expected distinct rows below {settings.batch}; got {rows}")
    height, width, channels = shape
    x = torch.zeros(settings.batch, channels, height, width)
    class_ids = torch.full((settings.batch,), denoiser.null_class)
    for request in requests:
        noise = torch.randn(channels, height, width, generator=request.rng.child("noise").torch())
        x[request.row] = settings.sigma_max * noise
        if request.start is not None:
            x[request.row] += request.start
        class_ids[request.row] = request.class_id
    out = integrate(guided(denoiser, class_ids.to(device), settings), x.to(device), settings)
    return from_model(out[rows])
