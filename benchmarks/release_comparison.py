"""What gives less away: the synthetic dataset, its generator, or a classifier trained on the dataset?

    OMP_NUM_THREADS=1 uv run python benchmarks/release_comparison.py [--data DIR] [--cells digits,pneumonia_mnist]
        [--out runs/releases] [--seed 0]

Two sets of real images: the digits of scikit-learn, and pneumonia_mnist below ``--data`` at 16 pixels a side (all 764
images of its scarce version, its own splits put together). Each is split once at random into training, held-out,
reference and public images. Three generators: a diffusion model of the training images; a kernel density on them (a
training image with noise), whose release leaks by construction; and a Gaussian for every class of the *public* images,
which cannot know the training images. Each releases as many images as there are training images; the classifier is
trained on these. All nine releases of a set are audited on the same split, by ``twinset.privacy.audit``, with its
controls. The blind baseline is left out: the sides are parts of one set at random.

A cell is kept as JSON below ``--out`` and not run again. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from hardware import machine
from numpy.typing import NDArray

import twinset
from twinset.copytest import Known
from twinset.dataset import Dataset
from twinset.images import ImageSpec, PixelBatch
from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
from twinset.models.diffusion import DiffusionSettings, fit_diffusion
from twinset.models.networks import NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.privacy.attacks.diffusion import ReleasedDiffusion
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.generator import ReleasedGenerator
from twinset.privacy.audit.classifier_release import ClassifierRelease, ShadowAttack, audit_classifier
from twinset.privacy.audit.dataset_release import DatasetAudit, DatasetRelease, audit_dataset
from twinset.privacy.audit.generator_release import GeneratorRelease, audit_generator
from twinset.privacy.audit.model_release import ModelAudit, Targets
from twinset.privacy.audit.witnesses import witnesses
from twinset.randomness import Stream
from twinset.threads import torch_threads

Labels = NDArray[np.integer]
Side = tuple[PixelBatch, Labels]
Scores = NDArray[np.float64]
Name = Literal["digits", "pneumonia_mnist"]

SETS: tuple[Name, ...] = ("digits", "pneumonia_mnist")
GENERATORS = ("diffusion", "kernel density", "public Gaussian")
RELEASES = ("dataset", "generator", "classifier")
PARTS: dict[Name, dict[str, int]] = {
    "digits": {"training": 500, "holdout": 500, "reference": 300, "public": 497},
    "pneumonia_mnist": {"training": 250, "holdout": 250, "reference": 100, "public": 164},
}
SIDE = 16
NOISE = 12.0
"""Deviation of the kernel density, in grey values of 255."""

STEPS = {"digits": 300, "pneumonia_mnist": 300}
WIDTH = {"digits": 64, "pneumonia_mnist": 32}
CLASSIFIER = ClassifierSettings(steps=400)


@dataclass(frozen=True, eq=False)
class Real:
    """One split of one set: sides by name, and the number of classes."""

    name: Name
    sides: dict[str, Side]
    n_classes: int
    seed: int

    @property
    def stream(self) -> Stream:
        """The stream of everything random about this set."""
        return Stream(self.seed).child("release comparison", self.name)


@lru_cache(maxsize=1)
def real(name: Name, data: Path | None, seed: int) -> Real:
    """The split of a set; the same for all cells."""
    dataset = twinset.load("builtin:digits") if name == "digits" else _pneumonia(data)
    spec = ImageSpec(*dataset[0].pixels().shape) if name == "digits" else ImageSpec(SIDE, SIDE, 1)
    order = Stream(seed).child("split", name).numpy().permutation(len(dataset))
    sides: dict[str, Side] = {}
    start = 0
    for part, count in PARTS[name].items():
        rows = order[start : start + count]
        some = dataset.take(rows.tolist())
        sides[part], start = (some.prepared(spec), some.class_ids), start + count
    return Real(name, sides, len(dataset.classes), seed)


def _pneumonia(data: Path | None) -> Dataset:
    if data is None:
        raise SystemExit("pneumonia_mnist: expected --data DIR or TWINSET_DATA; got neither")
    return twinset.load(str(data / "pneumonia_mnist"))


@dataclass(frozen=True, eq=False)
class KernelDensity:
    """A training image of the class, with noise; its loss is −log p."""

    centres: PixelBatch
    class_ids: Labels
    deviation: float = NOISE

    times = (0,)

    def sample(self, class_ids: Labels, *, rng: Stream) -> PixelBatch:
        """One picture a class id."""
        draw = rng.numpy()
        rows = np.array([draw.choice(np.flatnonzero(self.class_ids == each)) for each in class_ids])
        made = self.centres[rows] + draw.normal(0, self.deviation, (len(rows), *self.centres.shape[1:]))
        drawn: PixelBatch = np.clip(np.rint(made), 0, 255).astype(np.uint8)
        return drawn

    def losses(self, pictures: PixelBatch, class_ids: Labels, *, time: int, rng: Stream) -> Scores:  # noqa: ARG002
        """−log of the mean kernel over the images of the class, up to a constant, float64 (N,)."""
        rows, centres = (each.reshape(len(each), -1).astype(np.float64) for each in (pictures, self.centres))
        squares = (rows**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * rows @ centres.T
        logs = np.where(class_ids[:, None] == self.class_ids, -squares / (2 * self.deviation**2), -np.inf)
        largest = logs.max(axis=1)
        found: Scores = -(largest + np.log(np.exp(logs - largest[:, None]).sum(axis=1)))
        return found


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian for every class, its covariance shrunk by ``ridge``; its loss is −log p. ``exposed``: see there."""

    pictures: PixelBatch
    class_ids: Labels
    weights: Scores
    ridge: float = 25.0

    times = (0,)

    def sample(self, class_ids: Labels, *, rng: Stream) -> PixelBatch:
        """One picture a class id."""
        made = np.empty((len(class_ids), *self.pictures.shape[1:]), dtype=np.uint8)
        for each in np.unique(class_ids):
            mean, covariance = self._law(int(each))
            rows = np.flatnonzero(class_ids == each)
            drawn = rng.child(int(each)).numpy().multivariate_normal(mean, covariance, size=len(rows))
            made[rows] = np.clip(np.rint(drawn), 0, 255).astype(np.uint8).reshape(len(rows), *made.shape[1:])
        return made

    def losses(self, pictures: PixelBatch, class_ids: Labels, *, time: int, rng: Stream) -> Scores:  # noqa: ARG002
        """−log p up to a constant, float64 (N,)."""
        found = np.empty(len(pictures))
        for each in np.unique(class_ids):
            mean, covariance = self._law(int(each))
            rows = np.flatnonzero(class_ids == each)
            off = pictures[rows].reshape(len(rows), -1).astype(np.float64) - mean
            _, log_volume = np.linalg.slogdet(covariance)
            found[rows] = 0.5 * ((off @ np.linalg.inv(covariance) * off).sum(axis=1) + log_volume)
        return found

    def exposed(self, pictures: PixelBatch, class_ids: Labels, *, passes: int, rng: Stream) -> Gaussian:  # noqa: ARG002
        """The Gaussian of its images and of these, each of which counts ``passes`` times."""
        return Gaussian(
            np.concatenate([self.pictures, pictures]),
            np.concatenate([self.class_ids, class_ids]),
            np.concatenate([self.weights, np.full(len(pictures), float(passes))]),
            self.ridge,
        )

    def _law(self, class_id: int) -> tuple[Scores, Scores]:
        own = self.class_ids == class_id
        rows, weights = self.pictures[own].reshape(int(own.sum()), -1).astype(np.float64), self.weights[own]
        mean = np.average(rows, axis=0, weights=weights)
        return mean, np.cov(rows.T, aweights=weights, bias=True) + self.ridge * np.eye(rows.shape[1])


def diffusion(found: Real, folder: Path) -> ReleasedDiffusion:
    """A diffusion model of the training images, kept in the folder."""
    pictures, class_ids = found.sides["training"]
    settings = DiffusionSettings(
        NetworkSettings("unet", WIDTH[found.name], 1, 2, 2),
        TrainingSettings(steps=STEPS[found.name], batch=128, augment=0.5),
        SamplingSettings(),
        looks=0,
    )
    return ReleasedDiffusion(
        fit_diffusion(
            pictures,
            class_ids.astype(np.int64, copy=False),
            n_classes=found.n_classes,
            settings=settings,
            rng=found.stream.child("diffusion"),
            folder=folder,
        )
    )


def generator_of(name: str, found: Real, out: Path) -> ReleasedGenerator:
    """One of the three."""
    if name == "diffusion":
        return diffusion(found, out / f"{found.name}-diffusion")
    if name == "kernel density":
        return KernelDensity(*found.sides["training"])
    pictures, class_ids = found.sides["public"]
    return Gaussian(pictures, class_ids, np.ones(len(pictures)))


def targets_of(found: Real) -> Targets:
    """Who testifies, for all releases."""
    training, holdout = found.sides["training"], found.sides["holdout"]
    real_ones = witnesses(training[0], holdout[0], Known(training[1]), Known(holdout[1]))
    return Targets.of(real_ones, training, holdout)


@lru_cache(maxsize=1)
def shadows_of(found: Real) -> ShadowAttack:
    """Shadows of this split, for all its classifiers."""
    targets = targets_of(found)
    return ShadowAttack.prepare(
        targets.pictures,
        targets.class_ids,
        targets.witnesses.units,
        n_classes=found.n_classes,
        population=found.sides["reference"],
        rng=found.stream.child("shadows"),
    )


def classifier_on(side: Side, found: Real, rng: Stream) -> Classifier:
    """The classifier that is released, or one of its kind."""
    return fit_classifier(*side, n_classes=found.n_classes, settings=CLASSIFIER, rng=rng)


def audit(release: str, generator: str, found: Real, out: Path) -> tuple[DatasetAudit | ModelAudit, dict[str, float]]:
    """The audit of a cell, and figures beside it."""
    rng = found.stream.child("audit", release)
    training, holdout, reference = (found.sides[name] for name in ("training", "holdout", "reference"))
    made_by = generator_of(generator, found, out)
    samples = made_by.sample(training[1], rng=found.stream.child("samples", generator))
    if release == "dataset":
        asked = DatasetRelease(samples, training[0], holdout[0], reference[0], Known(training[1]), Known(holdout[1]))
        return audit_dataset(asked, rng=rng), {}
    targets = targets_of(found)
    if release == "generator":
        return audit_generator(GeneratorRelease(made_by, targets, samples, reference), rng=rng), {}
    fitted = classifier_on((samples, training[1]), found, found.stream.child("classifier", generator))
    accuracy = float((fitted.logits(holdout[0]).argmax(axis=1) == holdout[1]).mean())
    asked_of = ClassifierRelease(
        fitted,
        targets,
        found.n_classes,
        lambda pictures, class_ids, stream: classifier_on((pictures, class_ids), found, stream),
        (samples, training[1]),
        reference,
    )
    return audit_classifier(asked_of, rng=rng, shadows=shadows_of(found)), {"accuracy": accuracy}


def best(found: DatasetAudit | ModelAudit) -> AttackFigures:
    """The attack with the smallest p-value among those with an AUC."""
    return min(found.attacks, key=lambda each: (found.p_values.get(each.name, 1.0), -each.auc))


def run_cell(name: Name, generator: str, release: str, *, data: Path | None, seed: int, out: Path) -> dict[str, object]:
    """A row of the table, from its file or made."""
    path = out / f"{name}-{generator}-{release}-{seed}.json".replace(" ", "_")
    if path.exists():
        kept: dict[str, object] = json.loads(path.read_text())
        return kept
    began = time.perf_counter()
    with torch_threads(1):
        found, more = audit(release, generator, real(name, data, seed), out)
    told = best(found)
    row: dict[str, object] = {
        "set": name,
        "generator": generator,
        "release": release,
        "answer": found.answer,
        "finding": found.finding,
        "p_value": found.p_value,
        "p_values": dict(found.p_values),
        "best": told.to_record(),
        "attacks": [each.to_record() for each in found.attacks],
        "facts": dict(found.facts) if isinstance(found, ModelAudit) else {},
        "seconds": round(time.perf_counter() - began, 1),
        **more,
    }
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row))
    return row


def line(row: dict[str, object]) -> str:
    """Of the table."""
    told = row["best"]
    assert isinstance(told, dict)
    power = next((each for each in told["powers"] if each["rate"] == 0.01), None)
    shown = "" if power is None else f"{power['share']:.1%} ({power['low']:.1%}…{power['high']:.1%})"
    accuracy = f"{row['accuracy']:.1%}" if "accuracy" in row else ""
    return (
        f"| {row['set']} | {row['generator']} | {row['release']} | {str(row['answer']).replace('_', ' ')} | "
        f"{told['name']} {told['auc']:.3f} ({told['low']:.3f}…{told['high']:.3f}) | {shown} | "
        f"{row['p_value']:.2g} | {accuracy} | {row['seconds']} |"
    )


def chosen(text: str | None) -> list[tuple[Name, str, str]]:
    """The cells that are asked for: prefixes of set/generator/release between commas."""
    cells = [(name, generator, release) for name in SETS for generator in GENERATORS for release in RELEASES]
    prefixes: Sequence[str] = [""] if text is None else text.split(",")
    return [cell for cell in cells if any("/".join(cell).startswith(prefix) for prefix in prefixes)]


def main() -> None:
    """Runs the cells and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=os.environ.get("TWINSET_DATA"))
    parser.add_argument("--cells", default=None, help="prefixes of set/generator/release, between commas")
    parser.add_argument("--out", type=Path, default=Path("runs/releases"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = None if args.data is None else Path(args.data)
    print("| set | generator | release | answer | best attack, AUC | TPR at 1 % FPR | p | accuracy | s |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name, generator, release in chosen(args.cells):
        rows.append(run_cell(name, generator, release, data=data, seed=args.seed, out=args.out))
        print(line(rows[-1]), flush=True)
    print(json.dumps({"benchmark": "release_comparison", "parts": PARTS, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
