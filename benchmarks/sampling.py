"""How much faster is our sampling loop than a plain one-image-at-a-time loop over a diffusers scheduler?

    uv run python benchmarks/sampling.py [--images 64] [--side 16] [--repeats 3]

The same network, noise and scheduler on both sides; pictures must agree within one grey level. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from hardware import machine

from twinset.images import ImageSpec, from_model
from twinset.models.augmentation import PARAMETERS
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fresh_denoiser
from twinset.models.networks import NetworkSettings
from twinset.models.preconditioning import scalings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.randomness import Stream


def plain_loop(model: DiffusionModel, class_ids: list[int], streams: list[Stream]) -> np.ndarray:
    """What a diffusers tutorial does: one image, one scheduler, step by step."""
    from diffusers import EDMDPMSolverMultistepScheduler

    sampling, denoiser, images = model.settings.sampling, model.denoiser, []
    for class_id, stream in zip(class_ids, streams, strict=True):
        scheduler = EDMDPMSolverMultistepScheduler(
            sigma_min=sampling.sigma_min, sigma_max=sampling.sigma_max, sigma_data=denoiser.sigma_data, rho=sampling.rho
        )
        scheduler.set_timesteps(sampling.steps)
        height, width, channels = model.spec.shape
        noise = torch.randn(channels, height, width, generator=stream.child("noise").torch())
        x = sampling.sigma_max * noise[None]
        for index, step in enumerate(scheduler.timesteps):
            sigma = scheduler.sigmas[index].reshape(1)
            with torch.no_grad():
                clean = denoiser(x, sigma, torch.tensor([class_id]), torch.zeros(1, len(PARAMETERS)))
            skip, out, _ = scalings(sigma, denoiser.sigma_data)
            x = scheduler.step((clean - skip * x) / out, step, x).prev_sample
        images.append(from_model(x)[0])
    return np.stack(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    spec = ImageSpec(options.side, options.side, 1)
    network = NetworkSettings("unet", 64, 1, 2, 2)
    denoiser = fresh_denoiser(network, spec, 10, sigma_data=0.5, rng=Stream(0)).eval().requires_grad_(False)
    settings = DiffusionSettings(network, TrainingSettings(), SamplingSettings(batch=64))
    model = DiffusionModel(denoiser, spec, 10, settings)
    class_ids = [n % 10 for n in range(options.images)]
    streams = [Stream(n) for n in range(options.images)]
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(options.repeats):
        began = time.perf_counter()
        ours = model.sample(class_ids, list(range(options.images)), streams)
        seconds["ours"].append(time.perf_counter() - began)
        began = time.perf_counter()
        plain = plain_loop(model, class_ids, streams)
        seconds["plain"].append(time.perf_counter() - began)
    apart = int(np.abs(ours.astype(int) - plain.astype(int)).max())
    ratio = float(np.median(seconds["plain"]) / np.median(seconds["ours"]))
    rate = {side: options.images / float(np.median(values)) for side, values in seconds.items()}
    print(f"ours {rate['ours']:.1f} images/s, plain loop {rate['plain']:.1f}: ×{ratio:.1f}; largest Δ {apart} of 255")
    print(
        json.dumps(
            {
                "benchmark": "sampling",
                "seconds": seconds,
                "ratio": ratio,
                "largest_difference": apart,
                "images": options.images,
                "side": options.side,
                "steps": 20,
                "seed": 0,
                **machine("diffusers"),
            }
        )
    )
    if apart > 1:
        raise SystemExit("expected pictures within one grey level")


if __name__ == "__main__":
    main()
