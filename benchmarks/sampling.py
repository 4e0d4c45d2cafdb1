"""How much faster is our fixed-shape sampling than a plain diffusers loop that makes one image at a time?

Both sides run the same briefly trained network, noise, scheduler, steps and guidance. The peer is the loop of
diffusers' own pipelines: ``scale_model_input``, one network call per guidance branch, ``scheduler.step``; it uses the
scheduler's preconditioning, not ours, so equal pictures also check ours. The last line is JSON.

    uv run python benchmarks/sampling.py [--side 28] [--patch 2] [--images 64] [--batch 16] [--guidance 1.5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from hardware import machine

from twinset.images import PixelBatch, from_model
from twinset.models.augmentation import PARAMETERS
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.networks import NetworkSettings
from twinset.models.preconditioning import Denoiser
from twinset.models.sampling import Request, SamplingSettings, pack, sample_batch
from twinset.models.training import TrainingSettings
from twinset.randomness import Stream

CLASSES = 10


def trained(args: argparse.Namespace) -> DiffusionModel:
    """A network that has seen smooth random pictures for a few steps, so that its output is not trivial."""
    rng = Stream(args.seed)
    coarse = rng.child("pictures").numpy().integers(256, size=(64, 4, 4, args.channels), dtype=np.uint8)
    times = -(-args.side // 4)
    images = coarse.repeat(times, axis=1).repeat(times, axis=2)[:, : args.side, : args.side]
    settings = DiffusionSettings(
        NetworkSettings("unet", args.width, 1, 2, args.patch),
        TrainingSettings(steps=args.training_steps, batch=32),
        SamplingSettings(steps=args.steps, guidance=args.guidance, batch=args.batch),
        looks=0,
    )
    class_ids = np.arange(len(images), dtype=np.int64) % CLASSES
    return fit_diffusion(images, class_ids, n_classes=CLASSES, settings=settings, rng=rng.child("fit"))


def ours(model: DiffusionModel, streams: list[Stream]) -> PixelBatch:
    """All images through :func:`sample_batch`."""
    out = []
    for batch in pack(range(len(streams)), model.settings.sampling.batch):
        requests = [Request(r, p % CLASSES, streams[p]) for r, p in enumerate(batch) if p is not None]
        out.append(sample_batch(model.denoiser, requests, model.settings.sampling, shape=model.spec.shape))
    return np.concatenate(out)


def plain(model: DiffusionModel, streams: list[Stream]) -> PixelBatch:
    """All images through the loop of a diffusers pipeline, one at a time."""
    from diffusers import EDMDPMSolverMultistepScheduler

    settings, denoiser = model.settings.sampling, model.denoiser
    scheduler = EDMDPMSolverMultistepScheduler(
        sigma_min=settings.sigma_min, sigma_max=settings.sigma_max, sigma_data=denoiser.sigma_data, rho=settings.rho
    )
    height, width, channels = model.spec.shape
    out = []
    for number, stream in enumerate(streams):
        scheduler.set_timesteps(settings.steps)
        generator = stream.child("noise").torch()
        x = torch.randn(1, channels, height, width, generator=generator) * settings.sigma_max
        for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
            scaled = scheduler.scale_model_input(x, timestep)
            raw = network(denoiser, scaled, sigma, number % CLASSES)
            if settings.guidance != 1 and settings.guidance_low < sigma / denoiser.sigma_data < settings.guidance_high:
                of_any = network(denoiser, scaled, sigma, denoiser.null_class)
                raw = of_any + settings.guidance * (raw - of_any)
            x = scheduler.step(raw, timestep, x).prev_sample
        out.append(from_model(x))
    return np.concatenate(out)


def network(denoiser: Denoiser, scaled: torch.Tensor, sigma: torch.Tensor, class_id: int) -> torch.Tensor:
    """F_θ of one image."""
    noise = 0.25 * (sigma / denoiser.sigma_data).log()[None]
    with torch.no_grad():
        raw: torch.Tensor = denoiser.network(scaled, noise, torch.tensor([class_id]), torch.zeros(1, len(PARAMETERS)))
    return raw


def timed(function: Callable[[], PixelBatch], repeats: int) -> tuple[PixelBatch, list[float]]:
    """The pictures and the seconds of each repeat, after one that warms up."""
    images, seconds = function(), []
    for _ in range(repeats):
        began = time.perf_counter()
        images = function()
        seconds.append(time.perf_counter() - began)
    return images, seconds


def main() -> None:
    """Runs both loops in turn and prints their ratio."""
    args = arguments()
    torch.set_num_threads(args.threads)
    model = trained(args)
    streams = [Stream(args.seed).child("image", number) for number in range(args.images)]
    batched, our_seconds = timed(lambda: ours(model, streams), args.repeats)
    single, their_seconds = timed(lambda: plain(model, streams), args.repeats)
    levels = np.abs(batched.astype(int) - single.astype(int))
    if levels.max() > 1:
        raise SystemExit(f"expected equal pictures within one grey level; got a difference of {levels.max()}")
    rates = [args.images / s for s in our_seconds], [args.images / s for s in their_seconds]
    result = {
        "benchmark": "sampling",
        "images_per_second": round(statistics.median(rates[0]), 2),
        "plain_images_per_second": round(statistics.median(rates[1]), 2),
        "ratio": round(statistics.median(rates[0]) / statistics.median(rates[1]), 2),
        "spread": [[round(min(rate), 2), round(max(rate), 2)] for rate in rates],
        "largest_difference_levels": int(levels.max()),
        "share_of_values_that_differ": float(f"{(levels > 0).mean():.2g}"),
        **machine("diffusers"),
        **vars(args),
    }
    print(
        f"ours {result['images_per_second']} images/s, plain loop {result['plain_images_per_second']}: "
        f"×{result['ratio']}; largest difference {levels.max()} of 255"
    )
    print(json.dumps(result))


def arguments() -> argparse.Namespace:
    """The sizes to measure at."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {
        "side": 8,
        "channels": 1,
        "images": 64,
        "batch": 16,
        "width": 64,
        "patch": 1,
        "steps": 20,
        "training-steps": 30,
        "threads": 1,
        "repeats": 3,
        "seed": 0,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--guidance", type=float, default=1.5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
