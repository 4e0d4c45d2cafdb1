"""Do synthetic images, balanced by an attribute, help the group of which there are few real ones?

    uv run python benchmarks/fairness.py [--attribute page] [--draws 0,1,2,3,4] [--rare 4] [--out runs/fairness]
        [--table DIR]

The data: `builtin:digits`, with an attribute of two values of which one is rare in training:

- `page`: every other digit lies *sideways* (turned by a quarter, as if another scanner had taken it), the others are
  *upright*. A classifier that knows the one does not know the other.
- `pen`: a digit is *thick* where it has more ink (mean grey) than the median digit of its class, else *thin*. The two
  look much alike.

Of every class 40 images of the frequent value and ``--rare`` of the other train, 10 of each validate, and the same 35
of each test in all draws; a draw is another choice of the training images. A conditional diffusion model (`by: page`)
is fitted on the training images, and a classifier is trained for equally many steps on

- `real`: the training images;
- `real, drawn evenly`: the same, rare ones repeated until they are as many (no generator: what balance alone does);
- `+ proportional`: and synthetic images, by value as in training;
- `+ balanced`: and as many synthetic images, so dealt that real and synthetic together are equally many of each
  (`count: {by: page, each: balance}`).

Each with and without classical augmentation. Figures are balanced accuracies on the test images of either value;
intervals are Student's over draws, of differences paired by draw: other training images, the same test images. `told`
is the share of images whose nearest real image of their class, of all that do not test, has their value. ``--table``
writes one draw as pictures and a table, for `twinset run`, and ends. Every draw is kept below ``--out`` and not
measured again.
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
from twinset.neighbours import nearest
from twinset.pipeline.group_counts import group_counts
from twinset.randomness import Stream
from twinset.recipe import GroupCountPart
from twinset.stages import Slot, Workspace

VALUES = {"page": ("sideways", "upright"), "pen": ("thick", "thin")}
"""The rare value comes first."""

FREQUENT, VALIDATION, TEST = 40, 10, 35
NETWORK = {"family": "unet", "width": 32, "depth": 1, "levels": 1, "patch": 2, "sample_batch": 128}
TRAINING = {"steps": 600, "batch": 64, "augment": 0.3, "looks": 2}
CLASSIFIER = ClassifierSettings(width=16, steps=300, batch=64)
STRENGTHS: tuple[Strength, ...] = ("none", "medium")
ARMS = ("real", "real, drawn evenly", "+ proportional", "+ balanced")

Arrays = tuple[np.ndarray, np.ndarray]


def valued(attribute: str) -> Dataset:
    """All digits with a value of the attribute."""
    digits = twinset.load("builtin:digits")
    rare, frequent = VALUES[attribute]
    if attribute == "page":
        first = np.arange(len(digits)) % 2 == 0
    else:
        ink = np.array([sample.pixels().mean() for sample in digits])
        middle = np.array([np.median(ink[digits.class_ids == c]) for c in range(10)])
        first = ink > middle[digits.class_ids]
    return Dataset.of(
        (
            replace(
                sample,
                image=np.rot90(sample.pixels()).copy() if attribute == "page" and r else sample.pixels(),
                annotation=Annotation(class_id=int(c), attributes={attribute: rare if r else frequent}),
            )
            for sample, c, r in zip(digits, digits.class_ids, first, strict=True)
        ),
        classes=digits.classes,
        name=attribute,
    )


def drawn(dataset: Dataset, attribute: str, draw: int, rare: int) -> Dataset:
    """Training, validation and test images of one draw; the test images are the same in all."""
    values, splits = np.array(dataset.attribute(attribute)), np.full(len(dataset), "", dtype=object)
    for class_id in range(10):
        for value in VALUES[attribute]:
            mine = np.flatnonzero((dataset.class_ids == class_id) & (values == value))
            fixed = Stream(0).child("test", class_id, value).numpy().permutation(mine)
            rest = Stream(draw).child("training", class_id, value).numpy().permutation(fixed[TEST:])
            wanted = rare if value == VALUES[attribute][0] else FREQUENT
            splits[fixed[:TEST]] = "test"
            splits[rest[:wanted]] = "train"
            splits[rest[wanted : wanted + VALIDATION]] = "validation"
    used = np.flatnonzero(splits != "")
    return dataset.take(used).with_splits(splits[used].tolist())


def part(dataset: Dataset, name: str) -> Dataset:
    return dataset.where([split == name for split in dataset.splits])


def arrays(dataset: Dataset) -> Arrays:
    return np.stack([sample.pixels() for sample in dataset]), dataset.class_ids


def cells(training: Dataset, attribute: str) -> dict[str, dict[str, int]]:
    """Training images of every class and value."""
    values = np.array(training.attribute(attribute))
    return {
        name: {value: int(((training.class_ids == c) & (values == value)).sum()) for value in VALUES[attribute]}
        for c, name in enumerate(training.classes)
    }


def made(generator: DiffusionGenerator, wanted: dict[str, dict[str, int]], attribute: str, draw: int) -> Dataset:
    """So many images of every class and value."""
    asked = [(c, value) for c, values in enumerate(wanted.values()) for value, n in values.items() for _ in range(n)]
    slots = [
        Slot(at, 0, Stream(draw).child("slot", at).seed, c, "benchmark", attribute=(attribute, value))
        for at, (c, value) in enumerate(asked)
    ]
    return Dataset.of(generator.generate(slots), classes=generator.classes)


def evenly(training: Dataset, attribute: str) -> Dataset:
    """The training images, those of the rarer value of a class repeated until both are equally many."""
    values, rows = np.array(training.attribute(attribute)), []
    for class_id in range(10):
        both = [np.flatnonzero((training.class_ids == class_id) & (values == value)) for value in VALUES[attribute]]
        rows += [np.resize(mine, max(map(len, both))) for mine in both]
    repeated = enumerate(training[int(row)] for row in np.concatenate(rows))
    return Dataset.of((replace(sample, id=f"{at}") for at, sample in repeated), classes=training.classes)


def synthetic(
    training: Dataset, validation: Dataset, attribute: str, draw: int
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """The synthetic images of both arms, equally many, and what the generator remarks."""
    method = twinset.Diffusion(by=attribute, **NETWORK, **TRAINING)  # type: ignore[arg-type]
    generator = method.fit(training, rng=Stream(draw).child("fit"), workspace=Workspace(holdout=validation))
    have = cells(training, attribute)
    balanced = group_counts(GroupCountPart(by=attribute, each="balance"), have).of
    assert balanced is not None
    share = sum(sum(values.values()) for values in balanced.values()) / len(training)
    proportional = {c: {value: round(share * n) for value, n in values.items()} for c, values in have.items()}
    wanted = {"+ proportional": proportional, "+ balanced": balanced}
    return {arm: made(generator, each, attribute, draw) for arm, each in wanted.items()}, generator.remarks


def accuracies(
    training: Dataset, extra: Dataset | None, test: Dataset, *, attribute: str, strength: Strength, draw: int
) -> dict[str, float]:
    """Balanced accuracy on the test images of either value."""
    images, labels = arrays(training)
    source = None
    if extra is not None:
        pictures, class_ids = arrays(extra)
        source = np.repeat([0, 1], [len(images), len(pictures)])
        images, labels = np.concatenate([images, pictures]), np.concatenate([labels, class_ids])
    settings = replace(CLASSIFIER, augmentation=augmentation(strength))
    rng = Stream(draw).child("classifier")
    fitted = fit_classifier(images, labels, n_classes=10, settings=settings, rng=rng, source=source)
    pictures, class_ids = arrays(test)
    right, values = fitted.logits(pictures).argmax(axis=1) == class_ids, np.array(test.attribute(attribute))
    return {
        value: float(np.mean([right[(class_ids == c) & (values == value)].mean() for c in range(10)]))
        for value in VALUES[attribute]
    }


def measured(attribute: str, draw: int, rare: int) -> dict[str, object]:
    """Accuracies of one draw, by strength of augmentation, arm and value."""
    began = time.monotonic()
    everything = valued(attribute)
    dataset = drawn(everything, attribute, draw, rare)
    training, test = part(dataset, "train"), part(dataset, "test")
    extra, remarks = synthetic(training, part(dataset, "validation"), attribute, draw)
    found: dict[str, dict[str, dict[str, float]]] = {strength: {} for strength in STRENGTHS}
    for strength in STRENGTHS:
        for arm in ARMS:
            real = evenly(training, attribute) if arm == "real, drawn evenly" else training
            found[strength][arm] = accuracies(
                real, extra.get(arm), test, attribute=attribute, strength=strength, draw=draw
            )
    known = everything.where(~np.isin(everything.ids, test.ids))
    return {
        "draw": draw,
        "rare": rare,
        "synthetic": {arm: len(images) for arm, images in extra.items()},
        "told": {"synthetic": told(known, extra["+ balanced"], attribute), "test": told(known, test, attribute)},
        "remarks": list(remarks),
        "accuracy": found,
        "seconds": round(time.monotonic() - began, 1),
    }


def told(known: Dataset, images: Dataset, attribute: str) -> dict[str, float]:
    """By value the share of images whose nearest real image of their class has their value."""
    (pictures, classes), (shown, class_ids) = arrays(known), arrays(images)
    of, values = np.array(known.attribute(attribute)), np.array(images.attribute(attribute))
    right = np.zeros(len(images), dtype=bool)
    for c in range(10):
        mine, others = np.flatnonzero(class_ids == c), np.flatnonzero(classes == c)
        references, queries = (each.reshape(len(each), -1) / 255.0 for each in (pictures[others], shown[mine]))
        right[mine] = of[others[nearest(queries, references, k=1)[1][:, 0]]] == values[mine]
    return {value: float(right[values == value].mean()) for value in VALUES[attribute]}


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def table(results: list[dict[str, object]], attribute: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    rare, frequent = VALUES[attribute]
    for strength in STRENGTHS:
        runs = [
            cast("dict[str, dict[str, dict[str, dict[str, float]]]]", each)["accuracy"][strength] for each in results
        ]
        of = {(arm, value): np.array([run[arm][value] for run in runs]) for arm in ARMS for value in VALUES[attribute]}
        for arm in ARMS:
            row: dict[str, object] = {"augmentation": strength, "arm": arm}
            for value in VALUES[attribute]:
                row[value] = float(of[arm, value].mean())
                row[f"{value} against real"] = interval(of[arm, value] - of["real", value])
            row["gap"] = interval(of[arm, frequent] - of[arm, rare])
            row[f"{rare} against proportional"] = interval(of[arm, rare] - of["+ proportional", rare])
            rows.append(row)
    return rows


def points(told: object) -> str:
    value, low, high = cast("tuple[float, float, float]", told)
    return f"{100 * value:+.1f} ({100 * low:+.1f} … {100 * high:+.1f})"


def write_table(folder: Path, attribute: str, draw: int, rare: int) -> None:
    dataset = drawn(valued(attribute), attribute, draw, rare)
    folder.mkdir(parents=True)
    lines = [f"path,label,split,{attribute}"]
    for sample, split in zip(dataset, dataset.splits, strict=True):
        name = f"{sample.id.rpartition('/')[2]}.png"
        (folder / name).write_bytes(sample.encoded())
        annotation = cast(Annotation, sample.annotation)
        lines.append(f"{name},{annotation.class_id},{split},{annotation.attributes[attribute]}")
    (folder / "digits.csv").write_text("\n".join(lines) + "\n")


def tell(attribute: str, results: list[dict[str, object]]) -> None:
    rows, rare = table(results, attribute), VALUES[attribute][0]
    for row in rows:
        print(attribute, row["augmentation"], row["arm"], sep=" | ", end=" | ")
        for value in VALUES[attribute]:
            print(f"{value} {100 * cast(float, row[value]):.1f}, {points(row[f'{value} against real'])}", end=" | ")
        print(f"gap {points(row['gap'])} | {rare} against proportional {points(row[f'{rare} against proportional'])}")
    shares = [cast("dict[str, dict[str, float]]", each["told"]) for each in results]
    shown = {
        side: {v: float(np.mean([each[side][v] for each in shares])) for v in VALUES[attribute]} for side in shares[0]
    }
    draws, seconds = [each["draw"] for each in results], [each["seconds"] for each in results]
    print(json.dumps({"attribute": attribute, "draws": draws, "told": shown, "seconds": seconds, **machine()}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--attribute", default="page")
    parser.add_argument("--draws", default="0,1,2,3,4")
    parser.add_argument("--rare", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/fairness"))
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    draws = [int(draw) for draw in asked.draws.split(",")]
    attributes = asked.attribute.split(",")
    if asked.table:
        write_table(asked.table, attributes[0], draws[0], asked.rare)
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    for attribute in attributes:
        results = []
        for draw in draws:
            kept = asked.out / f"{attribute}-{asked.rare}-{draw}.json"
            if not kept.exists():
                kept.write_text(json.dumps(measured(attribute, draw, asked.rare)))
            results.append(json.loads(kept.read_text()))
        if len(results) > 1:
            tell(attribute, results)


if __name__ == "__main__":
    main()
