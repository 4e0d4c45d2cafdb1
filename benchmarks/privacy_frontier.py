"""What do synthetic digits cost in privacy, and what are they worth? And does an audit catch training without noise?

    uv run --extra dp python benchmarks/privacy_frontier.py [--parts frontier,canaries] [--epsilons 1,5,10]
        [--methods gan,dp-gan] [--out runs/privacy_frontier] [--figure docs/images/privacy_frontier.svg]

`frontier`: generators are fitted on 1,078 of the 1,797 `builtin:digits` with (ε, δ = 1/(10 n)); a classifier is trained
on 1,000 of their pictures and tested on the 719 real ones that nothing else sees, three seeds each.

- `dp-diffusion`: our diffusion model by DP-SGD.
- `dp-gan`: a GAN whose discriminator is trained by DP-SGD.
- `dp-merf`: one noisy mean embedding of random features.
- `evolution`: Private Evolution over a generator that has seen no image: Pillow's own font, drawn larger and smaller,
  shifted, turned, slanted and thickened. The votes are on raw pixels. It begins with knowing what a digit looks like.
- references: the same diffusion model and GAN by DP-SGD's cuts without noise, usual ones, the font without any votes,
  and the real training images themselves.

`canaries`: 1,000 canaries against private training (:mod:`twinset.privacy.audit.training`: a logistic regression).

Every cell runs in a process of its own, for its peak of memory, and is kept below ``--out``: what is there is not run
again. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hardware import machine
from PIL import Image, ImageDraw, ImageFont

import twinset
from twinset.alignment.evolution import Configurations, Electorate, Evolution, evolve, sigma_for
from twinset.dataset import Dataset, Sample
from twinset.gaussian_privacy import default_delta
from twinset.models.classical import augmentation
from twinset.models.classifier import ClassifierSettings, fit_classifier
from twinset.models.private.accounting import Privacy
from twinset.privacy.audit.training import audit_training
from twinset.randomness import Stream
from twinset.secret_randomness import fresh_key
from twinset.stages import Configuration, Generator, Slot

PRIVATE = 1078
MADE = 1000
SEEDS = 3
NETWORK: dict[str, Any] = {"family": "unet", "width": 32, "depth": 1, "levels": 1, "patch": 2}
PRIVATE_NETWORK: dict[str, Any] = {"family": "transformer", "width": 32, "depth": 2, "levels": 1, "patch": 2}
PRIVATE_STEPS = {"steps": 250, "batch": 270, "augment": 0.0, "learning_rate": 3e-3}
USUAL_STEPS = {"steps": 600, "batch": 128, "augment": 0.3}
GAN_RATES = {"learning_rate": 1.5e-3, "discriminator_rate": 2e-3, "discriminator_steps": 3}
GAN: dict[str, Any] = {"width": 16, "discriminator_width": 16, "batch": 64, "steps": 3000, **GAN_RATES}
PRIVATE_RATES = {"learning_rate": 1.5e-3, "discriminator_rate": 2e-3, "discriminator_steps": 2}
PRIVATE_GAN: dict[str, Any] = {"width": 16, "discriminator_width": 8, "batch": 216, "steps": 500, **PRIVATE_RATES}
CLASSIFIER = ClassifierSettings(width=16, steps=300, augmentation=augmentation("light"))
CANVAS = 64
SPACE = {
    "size": (56.0, 100.0),
    "shift_x": (-6.0, 6.0),
    "shift_y": (-6.0, 6.0),
    "turn": (-20.0, 20.0),
    "slant": (-0.4, 0.4),
    "stretch": (0.7, 1.5),
    "stroke": (0.0, 4.0),
    "light": (120.0, 255.0),
}
ROUNDS = 5


@dataclass(frozen=True)
class DrawnDigits:
    """Digits in Pillow's own font: a generator that has seen no image. Settings as in :data:`SPACE`."""

    weighted: tuple[tuple[float, Configuration], ...] = ()
    space: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(SPACE))

    def configured(self, weighted: Sequence[tuple[float, Configuration]]) -> DrawnDigits:
        return DrawnDigits(tuple(weighted))

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        for slot in slots:
            yield slot.sample(self.draw(slot), method="drawn-digits")

    def draw(self, slot: Slot) -> np.ndarray:
        random = slot.rng.numpy()
        chosen = {name: float(random.uniform(low, high)) for name, (low, high) in SPACE.items()}
        if self.weighted:
            shares = np.array([weight for weight, _ in self.weighted])
            own = self.weighted[int(random.choice(len(shares), p=shares / shares.sum()))][1]
            near = {name: 0.04 * (high - low) * random.standard_normal() for name, (low, high) in SPACE.items()}
            chosen = {name: float(np.clip(own[name] + near[name], *SPACE[name])) for name in SPACE}
        picture = Image.new("L", (CANVAS, CANVAS))
        ImageDraw.Draw(picture).text(
            (CANVAS / 2 + chosen["shift_x"], CANVAS / 2 + chosen["shift_y"]),
            str(slot.class_id),
            fill=int(chosen["light"]),
            font=ImageFont.load_default(chosen["size"]),
            anchor="mm",
            stroke_width=round(chosen["stroke"]),
        )
        middle, wide = CANVAS / 2, 1 / chosen["stretch"]
        slanted = (wide, chosen["slant"], middle * (1 - wide - chosen["slant"]), 0.0, 1.0, 0.0)
        picture = picture.transform(picture.size, Image.Transform.AFFINE, slanted, Image.Resampling.BILINEAR)
        picture = picture.rotate(chosen["turn"], Image.Resampling.BILINEAR).resize((8, 8), Image.Resampling.BOX)
        return np.asarray(picture)[:, :, None]


def parts() -> tuple[Dataset, Dataset]:
    """Private and held-out digits."""
    digits = twinset.load("builtin:digits")
    order = Stream(0).child("split").numpy().permutation(len(digits))
    return digits.take(order[:PRIVATE].tolist()), digits.take(order[PRIVATE:].tolist())


def arrays(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([sample.pixels() for sample in dataset]), dataset.class_ids


def slots(seed: int) -> list[Slot]:
    return [Slot(row, 0, Stream(seed).child("slot", row).seed, row % 10, "benchmark") for row in range(MADE)]


def evolved(private: Dataset, epsilon: float) -> list[Generator]:
    """The winners of an election by pixels, a generator for every class."""
    images, class_ids = arrays(private)
    sigma = sigma_for(epsilon, default_delta(len(private)), ROUNDS)
    settings = Evolution(rounds=ROUNDS, population=400, pictures=4, sigma=sigma, threshold=2 * sigma, jitter=0.25)
    rounds = evolve(
        Electorate(images.reshape(len(images), -1) / 255.0, class_ids),
        Configurations(DrawnDigits()),
        lambda shown: np.stack([one.pixels().ravel() for one in shown]) / 255.0,
        settings,
        rng=Stream(1),
        key=fresh_key(),
        classes=10,
    )
    return [DrawnDigits().configured(rounds[-1].winners(class_id)) for class_id in range(10)]


def made_by(method: str, epsilon: float | None, private: Dataset) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """1,000 pictures, their classes, and what the generator says of its privacy."""
    if method == "real":
        return (*arrays(private), [])
    wanted, remarks = slots(2), []
    if method == "evolution":
        generators = evolved(private, epsilon) if epsilon is not None else [DrawnDigits()] * 10
        samples = [next(iter(generators[slot.class_id].generate([slot]))) for slot in wanted]
    else:
        fitted: Any
        if method == "dp-merf":
            fitted = twinset.MeanEmbedding(privacy=Privacy(epsilon)).fit(private, rng=0)
        elif method == "dp-diffusion":
            privacy = Privacy(epsilon, draws=2)
            fitted = twinset.Diffusion(**PRIVATE_NETWORK, **PRIVATE_STEPS, privacy=privacy).fit(private, rng=0)  # type: ignore[arg-type]
        elif method == "dp-gan":
            fitted = twinset.GAN(**PRIVATE_GAN, privacy=Privacy(epsilon, draws=2)).fit(private, rng=0)
        elif method == "gan":
            fitted = twinset.GAN(**GAN).fit(private, rng=0)
        else:
            fitted = twinset.Diffusion(**NETWORK, **USUAL_STEPS).fit(private, rng=0)  # type: ignore[arg-type]
        samples, remarks = list(fitted.generate(wanted)), list(fitted.remarks)
    return np.stack([one.pixels() for one in samples]), np.array([slot.class_id for slot in wanted]), remarks


def frontier_cell(method: str, epsilon: float | None) -> dict[str, Any]:
    private, held_out = parts()
    began = time.monotonic()
    images, class_ids, remarks = made_by(method, epsilon, private)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    test, truth = arrays(held_out)
    accuracies = []
    for seed in range(SEEDS):
        model = fit_classifier(images, class_ids, n_classes=10, settings=CLASSIFIER, rng=Stream(seed).child("utility"))
        accuracies.append(float((model.logits(test).argmax(1) == truth).mean()))
    return {"accuracies": accuracies, "seconds": round(seconds, 1), "peak_mib": round(peak), "remarks": remarks}


def canary_cell(epsilon: float | None) -> dict[str, Any]:
    private, _ = parts()
    images, class_ids = arrays(private)
    began = time.monotonic()
    found = audit_training(
        images, class_ids, n_classes=10, privacy=Privacy(epsilon, 1e-5), canaries=1000, rng=Stream(3)
    )
    shown = {**asdict(found.canaries), "vacuous": found.vacuous, "sentence": found.sentence()}
    return {**shown, "seconds": round(time.monotonic() - began, 1)}


def cells(wanted: Sequence[str], epsilons: Sequence[float]) -> list[tuple[str, str, float | None]]:
    found: list[tuple[str, str, float | None]] = []
    if "frontier" in wanted:
        found += [("frontier", method, epsilon) for method in ("dp-merf", "evolution") for epsilon in (*epsilons, None)]
        found += [("frontier", "real", None)]
    if "canaries" in wanted:
        found += [("canaries", "regression", epsilon) for epsilon in (None, *epsilons)]
    if "frontier" in wanted:
        found += [("frontier", "diffusion", None)]
        found += [("frontier", "dp-diffusion", epsilon) for epsilon in (*reversed(epsilons), None)]
        found += [("frontier", "gan", None)]
        found += [("frontier", "dp-gan", epsilon) for epsilon in (*reversed(epsilons), None)]
    return found


def name_of(cell: tuple[str, str, float | None]) -> str:
    return "-".join((cell[0], cell[1], "none" if cell[2] is None else f"{cell[2]:g}"))


def table(results: Mapping[str, dict[str, Any]], wanted: Sequence[tuple[str, str, float | None]]) -> str:
    lines = ["| generator | ε | accuracy on real digits | time | peak memory |", "|---|---|---|---|---|"]
    for cell in wanted:
        if cell[0] == "frontier" and name_of(cell) in results:
            one = results[name_of(cell)]
            found = one["accuracies"]
            assert isinstance(found, list)
            shown = f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})"
            epsilon = "no noise" if cell[2] is None else f"{cell[2]:g}"
            epsilon = "no votes" if cell[1:] == ("evolution", None) else epsilon
            lines.append(f"| {cell[1]} | {epsilon} | {shown} | {one['seconds']} s | {one['peak_mib']} MiB |")
    lines += ["", "| ε | shown at least | ceiling | right guesses | |", "|---|---|---|---|---|"]
    for cell in wanted:
        if cell[0] == "canaries" and name_of(cell) in results:
            one = results[name_of(cell)]
            epsilon = "no noise" if cell[2] is None else f"{cell[2]:g}"
            verdict = "vacuous" if one["vacuous"] and cell[2] is not None else ""
            shown = f"{one['epsilon']:.2f} | {one['ceiling']:.2f} | {one['right']} of {one['guesses']}"
            lines.append(f"| {epsilon} | {shown} | {verdict} |")
    return "\n".join(lines)


COLOURS = {"dp-diffusion": "#2563a8", "dp-gan": "#7c3aad", "dp-merf": "#c2571a", "evolution": "#2f855a"}
REFERENCES = {
    "frontier-real-none": "real images",
    "frontier-diffusion-none": "diffusion",
    "frontier-gan-none": "GAN",
    "frontier-evolution-none": "font",
}
WIDE, HIGH, EDGE = 640, 380, 56
LINE = 15
"""Pixels from one label to the next below."""


def figure(results: Mapping[str, dict[str, Any]], epsilons: Sequence[float]) -> str:
    """Accuracy against ε (logarithmic) as SVG; dashed: references without a guarantee."""
    low, high = np.log(min(epsilons) / 1.3), np.log(max(epsilons) * 1.3)

    def at(epsilon: float, accuracy: float) -> tuple[float, float]:
        x = EDGE + (np.log(epsilon) - low) / (high - low) * (WIDE - EDGE - 150)
        return round(float(x), 1), round(HIGH - EDGE - accuracy * (HIGH - 2 * EDGE + 20), 1)

    def mean(name: str) -> float | None:
        return float(np.mean(results[name]["accuracies"])) if name in results else None

    right = at(max(epsilons) * 1.3, 0)[0]
    body = []
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        y = at(1, tick)[1]
        body.append(f'<path d="M{EDGE} {y}H{right}" stroke="#ddd"/>')
        body.append(f'<text x="{EDGE - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    body += [f'<text x="{at(e, 0)[0]}" y="{HIGH - EDGE + 20}" text-anchor="middle">{e:g}</text>' for e in epsilons]
    known = {label: value for name, label in REFERENCES.items() if (value := mean(name)) is not None}
    below = 0.0
    for label, value in sorted(known.items(), key=lambda one: -one[1]):
        y = at(1, value)[1]
        below = max(y + 4, below + LINE)
        body.append(f'<path d="M{EDGE} {y}H{right}" stroke="#777" stroke-dasharray="5 4"/>')
        body.append(f'<text x="{right + 6}" y="{below}" fill="#555">{label}</text>')
    for number, (method, colour) in enumerate(COLOURS.items()):
        points = [(e, mean(f"frontier-{method}-{e:g}")) for e in epsilons]
        places = [at(e, value) for e, value in points if value is not None]
        path = " ".join(f"{x},{y}" for x, y in places)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in places]
        body.append(f'<text x="{EDGE + 6 + number * 120}" y="20" fill="{colour}">{method}</text>')
    middle, turned = (EDGE + right) / 2, f'transform="rotate(-90 16 {HIGH / 2})"'
    body.append(f'<text x="{middle}" y="{HIGH - 12}" text-anchor="middle">ε (δ = 1/(10 n)), 1,078 digits</text>')
    body.append(f'<text x="16" y="{HIGH / 2}" {turned} text-anchor="middle">accuracy on real digits</text>')
    space = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}"'
    head = f'<svg {space} font-family="sans-serif" font-size="13"><rect width="{WIDE}" height="{HIGH}" fill="white"/>'
    return "\n".join([head, *body, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parts", default="frontier,canaries")
    parser.add_argument("--epsilons", default="1,5,10")
    parser.add_argument("--methods", help="only these rows of the frontier, between commas")
    parser.add_argument("--out", type=Path, default=Path("runs/privacy_frontier"))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--cell", help="one cell, as JSON: what a process of its own is started with")
    args = parser.parse_args()
    if args.cell:
        part, method, epsilon = json.loads(args.cell)
        found = canary_cell(epsilon) if part == "canaries" else frontier_cell(method, epsilon)
        print(json.dumps(found))
        return
    epsilons = [float(one) for one in args.epsilons.split(",")]
    wanted = cells(args.parts.split(","), epsilons)
    if args.methods:
        wanted = [cell for cell in wanted if cell[0] != "frontier" or cell[1] in args.methods.split(",")]
    args.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for cell in wanted:
        path = args.out / f"{name_of(cell)}.json"
        if not path.exists():
            command = [sys.executable, __file__, "--cell", json.dumps(cell)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            path.write_text(told + "\n")
        results[name_of(cell)] = json.loads(path.read_text())
        print(name_of(cell), results[name_of(cell)], flush=True)
    print(table(results, wanted))
    if args.figure:
        args.figure.write_text(figure(results, epsilons))
    print(json.dumps({"machine": machine("opacus"), "cells": results}))


if __name__ == "__main__":
    main()
