"""Is a GAN worth having beside diffusion? Both with what calibration decides for the same time, on digits.

    uv run python benchmarks/gan.py [--seconds 60] [--seeds 3] [--out runs/gan]

The 1,078 and 719 digits of `benchmarks/privacy_frontier.py`. A generator is fitted on the former, without looks for
copies; 1,000 pictures of it train a classifier (three seeds) that is tested on the latter. Fréchet distance to the
latter by random convolutions, beside that of as many real images; diversity within classes beside the training
images', the median of classes and the lowest. Pictures per second are the better of two passes over 1,000, each
method with its own batch, one thread. A machine with other work gives a fit less than its time: the table tells how
much of it was computed.

Every cell runs in a process of its own and is kept below ``--out``: what is there is not run again. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hardware import machine
from privacy_frontier import CLASSIFIER, SEEDS, arrays, parts, slots

import twinset
from twinset.embedding.random_convolution import RandomConvolution
from twinset.evaluation.distances.frechet import frechet_value
from twinset.images import ImageSpec, to_model
from twinset.models.classifier import fit_classifier
from twinset.models.gan.diversity import class_diversity
from twinset.randomness import Stream

METHODS = ("gan", "diffusion")


def cell(method: str, seed: int, seconds: float) -> dict[str, Any]:
    """Everything measured of one generator."""
    torch.set_num_threads(1)
    private, held_out = parts()
    real, of_real = arrays(private)
    test, truth = arrays(held_out)
    chosen = twinset.GAN(looks=0) if method == "gan" else twinset.Diffusion(looks=0)
    spec = ImageSpec(*real.shape[1:])
    settled = chosen.resolve(spec, n_classes=10, n_training=len(real), seconds=seconds, threads=1)
    began, computed = time.monotonic(), time.process_time()
    fitted = settled.fit(private, rng=seed)
    fit_seconds, fit_cpu_seconds = time.monotonic() - began, time.process_time() - computed
    wanted, passes = slots(2), []
    for _ in range(2):
        began = time.monotonic()
        made = np.stack([one.pixels() for one in fitted.generate(wanted)])
        passes.append(time.monotonic() - began)
    class_ids = np.array([slot.class_id for slot in wanted])
    accuracies = []
    for number in range(SEEDS):
        rng = Stream(number).child("utility")
        model = fit_classifier(made, class_ids, n_classes=10, settings=CLASSIFIER, rng=rng)
        accuracies.append(float((model.logits(test).argmax(1) == truth).mean()))
    embed = RandomConvolution().embed
    there = embed(to_model(test))
    shares = [share for share in class_diversity(made, class_ids, real, of_real, n_classes=10) if share is not None]
    return {
        "settings": repr(settled),
        "accuracies": accuracies,
        "frechet": frechet_value(there, embed(to_model(made))),
        "frechet_of_real": frechet_value(there, embed(to_model(real[: len(made)]))),
        "diversity_median": float(np.median(shares)),
        "diversity_lowest": min(shares),
        "fit_seconds": round(fit_seconds, 1),
        "fit_cpu_seconds": round(fit_cpu_seconds, 1),
        "images_per_second": round(len(wanted) / min(passes), 1),
        "remarks": list(fitted.remarks),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """Means and ranges over seeds."""
    lines = [
        "| generator | accuracy | Fréchet distance | diversity: median, lowest | fit | computing | pictures/s |",
        "|---|---|---|---|---|---|---|",
    ]

    def shown(name: str, digits: int) -> str:
        values = [one for found in own for one in np.ravel(found[name])]
        return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    for method in METHODS:
        own = [found for name, found in results.items() if name.startswith(f"{method}-")]
        if own:
            diverse = f"{shown('diversity_median', 2)}, {min(found['diversity_lowest'] for found in own):.2f}"
            lines.append(
                f"| {method} | {shown('accuracies', 3)} | {shown('frechet', 2)} | {diverse} | "
                f"{shown('fit_seconds', 0)} s | {shown('fit_cpu_seconds', 0)} s | {shown('images_per_second', 0)} |"
            )
    own = list(results.values())
    lines.append(f"| as many real images | | {shown('frechet_of_real', 2)} | | | | |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/gan"))
    parser.add_argument("--cell", help="one cell, as JSON: what a process of its own is started with")
    args = parser.parse_args()
    if args.cell:
        print(json.dumps(cell(*json.loads(args.cell))))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for seed in range(args.seeds):
        for method in METHODS:
            name = f"{method}-{seed}-{args.seconds:g}"
            path = args.out / f"{name}.json"
            if not path.exists():
                command = [sys.executable, __file__, "--cell", json.dumps([method, seed, args.seconds])]
                told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
                path.write_text(told + "\n")
            results[name] = json.loads(path.read_text())
            print(name, results[name], flush=True)
    print(table(results))
    rates = {
        method: np.mean([found["images_per_second"] for name, found in results.items() if name.startswith(method)])
        for method in METHODS
    }
    ratio = round(float(rates["gan"] / rates["diffusion"]), 1)
    print(json.dumps({"machine": machine(), "ratio_of_images_per_second": ratio, "cells": results}))


if __name__ == "__main__":
    main()
