"""Do synthetic images, balanced by an attribute, help the group of which there are few real ones?

    uv run python benchmarks/fairness.py [--draws 0,1,2,3,4] [--rare 4] [--out runs/fairness] [--table DIR]

The data: `builtin:digits`. A digit is *thick* where it has more ink (mean grey) than the median digit of its class,
else *thin*. Of every class 40 thin and ``--rare`` thick digits train, 10 of each validate, and the same 35 of each test
in all draws; a draw is another choice of the training images. A conditional diffusion model (`by: pen`) is fitted on
the training images, and a classifier is trained for equally many steps on

- `real`: the training images;
- `real, drawn evenly`: the same, thick ones repeated until they are as many (no generator: what balance alone does);
- `+ proportional`: and synthetic images, thin and thick as in training;
- `+ balanced`: and as many synthetic images, so dealt that real and synthetic together are equally many of each
  (`count: {by: pen, each: balance}`).

Each with and without classical augmentation. Figures are balanced accuracies on the thick and on
the thin test images; intervals are Student's over draws, of differences paired by draw: other training images, the same
test images. ``--table`` writes one draw as pictures and a table, for `twinset run`, and ends. Every draw is kept below
``--out`` and not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from hardware import machine
from scipy import stats

import twinset
from twinset.annotations import Annotation
from twinset.dataset import Dataset
from twinset.generators.diffusion import DiffusionGenerator
from twinset.models.classical import Strength, augmentation
from twinset.models.classifier import ClassifierSettings, fit_classifier
from twinset.pipeline.group_counts import group_counts
from twinset.randomness import Stream
from twinset.recipe import GroupCountPart
from twinset.stages import Slot, Workspace

PENS = ("thick", "thin")
FREQUENT, VALIDATION, TEST = 40, 10, 35
NETWORK = {"family": "unet", "width": 32, "depth": 1, "levels": 1, "patch": 2, "sample_batch": 128}
TRAINING = {"steps": 600, "batch": 64, "augment": 0.3, "looks": 2}
CLASSIFIER = ClassifierSettings(width=16, steps=300, batch=64)
STRENGTHS: tuple[Strength, ...] = ("none", "medium")
CLASSIFIERS = 1
ARMS = ("real", "real, drawn evenly", "+ proportional", "+ balanced")

Arrays = tuple[np.ndarray, np.ndarray]


def pens() -> Dataset:
    """All digits with their pen."""
    digits = twinset.load("builtin:digits")
    ink = np.array([sample.pixels().mean() for sample in digits])
    middle = np.array([np.median(ink[digits.class_ids == c]) for c in range(10)])
    thick = ink > middle[digits.class_ids]
    return Dataset.of(
        (
            replace(sample, annotation=Annotation(class_id=int(c), attributes={"pen": "thick" if t else "thin"}))
            for sample, c, t in zip(digits, digits.class_ids, thick, strict=True)
        ),
        classes=digits.classes,
        name="pens",
    )


def drawn(dataset: Dataset, draw: int, rare: int) -> Dataset:
    """Training, validation and test images of one draw; the test images are the same in all."""
    values, splits = np.array(dataset.attribute("pen")), np.full(len(dataset), "", dtype=object)
    for class_id in range(10):
        for value in PENS:
            mine = np.flatnonzero((dataset.class_ids == class_id) & (values == value))
            fixed = Stream(0).child("test", class_id, value).numpy().permutation(mine)
            rest = Stream(draw).child("training", class_id, value).numpy().permutation(fixed[TEST:])
            wanted = FREQUENT if value == "thin" else rare
            splits[fixed[:TEST]] = "test"
            splits[rest[:wanted]] = "train"
            splits[rest[wanted : wanted + VALIDATION]] = "validation"
    used = np.flatnonzero(splits != "")
    return dataset.take(used).with_splits(splits[used].tolist())


def part(dataset: Dataset, name: str) -> Dataset:
    return dataset.where([split == name for split in dataset.splits])


def arrays(dataset: Dataset) -> Arrays:
    return np.stack([sample.pixels() for sample in dataset]), dataset.class_ids


def cells(training: Dataset) -> dict[str, dict[str, int]]:
    """Training images of every class and pen."""
    values = np.array(training.attribute("pen"))
    return {
        name: {pen: int(((training.class_ids == c) & (values == pen)).sum()) for pen in PENS}
        for c, name in enumerate(training.classes)
    }


def made(generator: DiffusionGenerator, wanted: dict[str, dict[str, int]], draw: int) -> Dataset:
    """So many images of every class and pen."""
    asked = [(c, pen) for c, values in enumerate(wanted.values()) for pen, n in values.items() for _ in range(n)]
    slots = [
        Slot(at, 0, Stream(draw).child("slot", at).seed, c, "benchmark", attribute=("pen", pen))
        for at, (c, pen) in enumerate(asked)
    ]
    return Dataset.of(generator.generate(slots), classes=generator.classes)


def evenly(training: Dataset) -> Dataset:
    """The training images, those of the rarer pen of a class repeated until both are equally many."""
    values, rows = np.array(training.attribute("pen")), []
    for class_id in range(10):
        both = [np.flatnonzero((training.class_ids == class_id) & (values == pen)) for pen in PENS]
        rows += [np.resize(mine, max(map(len, both))) for mine in both]
    repeated = enumerate(training[int(row)] for row in np.concatenate(rows))
    return Dataset.of((replace(sample, id=f"{at}") for at, sample in repeated), classes=training.classes)


def synthetic(training: Dataset, validation: Dataset, draw: int) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """The synthetic images of both arms, equally many, and what the generator remarks."""
    method = twinset.Diffusion(by="pen", **NETWORK, **TRAINING)  # type: ignore[arg-type]
    generator = method.fit(training, rng=Stream(draw).child("fit"), workspace=Workspace(holdout=validation))
    have = cells(training)
    balanced = group_counts(GroupCountPart(by="pen", each="balance"), have).of
    assert balanced is not None
    share = sum(sum(values.values()) for values in balanced.values()) / len(training)
    proportional = {c: {pen: round(share * n) for pen, n in values.items()} for c, values in have.items()}
    wanted = {"+ proportional": proportional, "+ balanced": balanced}
    return {arm: made(generator, each, draw) for arm, each in wanted.items()}, generator.remarks


def accuracies(
    training: Dataset, extra: Dataset | None, test: Dataset, strength: Strength, draw: int
) -> dict[str, float]:
    """Balanced accuracy on the test images of either pen."""
    images, labels = arrays(training)
    source = None
    if extra is not None:
        pictures, class_ids = arrays(extra)
        source = np.repeat([0, 1], [len(images), len(pictures)])
        images, labels = np.concatenate([images, pictures]), np.concatenate([labels, class_ids])
    settings = replace(CLASSIFIER, augmentation=augmentation(strength))
    right = []
    for seed in range(CLASSIFIERS):
        rng = Stream(draw).child("classifier", seed)
        fitted = fit_classifier(images, labels, n_classes=10, settings=settings, rng=rng, source=source)
        right.append(fitted.logits(arrays(test)[0]).argmax(axis=1) == test.class_ids)
    share, values = np.mean(right, axis=0), np.array(test.attribute("pen"))
    return {
        pen: float(np.mean([share[(test.class_ids == c) & (values == pen)].mean() for c in range(10)])) for pen in PENS
    }


def measured(draw: int, rare: int) -> dict[str, object]:
    """Accuracies of one draw, by strength of augmentation, arm and pen."""
    began = time.monotonic()
    everything = pens()
    dataset = drawn(everything, draw, rare)
    training, test = part(dataset, "train"), part(dataset, "test")
    extra, remarks = synthetic(training, part(dataset, "validation"), draw)
    found = {
        strength: {
            arm: accuracies(
                evenly(training) if arm == "real, drawn evenly" else training, extra.get(arm), test, strength, draw
            )
            for arm in ARMS
        }
        for strength in STRENGTHS
    }
    return {
        "draw": draw,
        "rare": rare,
        "synthetic": {arm: len(images) for arm, images in extra.items()},
        "told": {pen: told(everything, extra["+ balanced"], pen) for pen in PENS},
        "remarks": list(remarks),
        "accuracy": found,
        "seconds": round(time.monotonic() - began, 1),
    }


def told(everything: Dataset, images: Dataset, pen: str) -> float:
    """The share of images asked for with a pen that the rule itself calls so: more ink than the median digit."""
    ink = np.array([sample.pixels().mean() for sample in everything])
    middle = np.array([np.median(ink[everything.class_ids == c]) for c in range(10)])
    mine = np.array(images.attribute("pen")) == pen
    thick = np.array([sample.pixels().mean() for sample in images]) > middle[images.class_ids]
    return float(np.mean(thick[mine] == (pen == "thick")))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def table(results: list[dict[str, object]]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for strength in STRENGTHS:
        arms = [
            cast("dict[str, dict[str, dict[str, dict[str, float]]]]", each)["accuracy"][strength] for each in results
        ]
        of = {(arm, pen): np.array([each[arm][pen] for each in arms]) for arm in ARMS for pen in PENS}
        for arm in ARMS:
            row: dict[str, object] = {"augmentation": strength, "arm": arm}
            for pen in PENS:
                row[pen] = float(of[arm, pen].mean())
                row[f"{pen} against real"] = interval(of[arm, pen] - of["real", pen])
            row["gap"] = interval(of[arm, "thin"] - of[arm, "thick"])
            rows.append(row)
    return rows


def points(told: object) -> str:
    value, low, high = cast("tuple[float, float, float]", told)
    return f"{100 * value:+5.1f} ({100 * low:+.1f} … {100 * high:+.1f})"


def write_table(folder: Path, draw: int, rare: int) -> None:
    dataset = drawn(pens(), draw, rare)
    folder.mkdir(parents=True)
    lines = ["path,label,split,pen"]
    for sample, split in zip(dataset, dataset.splits, strict=True):
        name = f"{sample.id.rpartition('/')[2]}.png"
        (folder / name).write_bytes(sample.encoded())
        annotation = cast(Annotation, sample.annotation)
        lines.append(f"{name},{annotation.class_id},{split},{annotation.attributes['pen']}")
    (folder / "pens.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", default="0,1,2,3,4")
    parser.add_argument("--rare", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/fairness"))
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    draws = [int(draw) for draw in asked.draws.split(",")]
    if asked.table:
        write_table(asked.table, draws[0], asked.rare)
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    results = []
    for draw in draws:
        kept = asked.out / f"{asked.rare}-{draw}.json"
        if not kept.exists():
            kept.write_text(json.dumps(measured(draw, asked.rare)))
        results.append(json.loads(kept.read_text()))
    if len(results) < 2:
        print(json.dumps(results[0]))
        return
    rows = table(results)
    for row in rows:
        print(
            f"{row['augmentation']!s:7} {row['arm']!s:20} thick {100 * cast(float, row['thick']):5.1f}  against real "
            f"{points(row['thick against real'])}  thin {100 * cast(float, row['thin']):5.1f}  against real "
            f"{points(row['thin against real'])}  gap {points(row['gap'])}"
        )
    shown = {pen: float(np.mean([each["told"][pen] for each in results])) for pen in PENS}
    seconds = float(np.mean([each["seconds"] for each in results]))
    print(
        json.dumps({"draws": draws, "rare": asked.rare, "told": shown, "seconds": seconds, "rows": rows, **machine()})
    )


if __name__ == "__main__":
    main()
