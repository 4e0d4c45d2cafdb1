"""What makes a synthetic set give less away, and what only hides that it does?

    OMP_NUM_THREADS=1 uv run python benchmarks/mitigations.py [--out runs/mitigations] [--cells reject,thin] [--seed 0]

The digits of scikit-learn, 200 of them to train on: a diffusion model without augmentation, long enough to learn them
by heart. Every row changes one thing, at training (steps, stopping when copies are found, augmentation, repeated
images), at sampling (guidance, sampler steps), or afterwards (the filter `copies`, as it is and copy-aware; a
classifier in place of the images). 800 images are released by each, or as many as the filter lets through of 8,000.

- `gan_leaks`, `domias`, `hole`: AUC of telling the 200 training images from 600 held-out ones, with its interval.
- hits: distinct training and held-out images to which a released image is nearer than half its distance to any other.
- answer: of the joint test of all attacks (α = .01), without controls.
- accuracy: of a classifier trained on the release, three seeds, on the 600 held-out images.

`decoys`: what holes around other images than the training ones hide, and from whom. A cell is kept as JSON below
``--out`` and not run again. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from hardware import machine
from numpy.typing import NDArray

import twinset
from twinset.alignment.copies import NearCopies, NearCopyFilter
from twinset.alignment.thinning import Thinning
from twinset.annotations import Annotation
from twinset.copytest import Known
from twinset.dataset import Dataset, Origin, Sample
from twinset.images import ImageSpec, PixelBatch
from twinset.models.classifier import ClassifierSettings, fit_classifier
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.looking import Others
from twinset.models.networks import NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.privacy.audit.classifier_release import ClassifierRelease, audit_classifier
from twinset.privacy.audit.dataset_release import DatasetAudit, DatasetRelease, audit_dataset
from twinset.privacy.audit.model_release import Targets
from twinset.privacy.audit.witnesses import witnesses
from twinset.randomness import Stream
from twinset.threads import torch_threads

Labels = NDArray[np.int64]
Side = tuple[PixelBatch, Labels]

PARTS = {"training": 200, "holdout": 600, "reference": 400, "validation": 150, "others": 200, "decoys": 200}
MADE = 800
DRAWN = 8_000
STEPS, EARLY, LOOKS = 3000, 400, 10
REPEATED, TIMES = 20, 10
CLASSIFIER = ClassifierSettings(width=16, steps=300)
SEEDS = 3
ATTACKS = ("gan_leaks", "domias", "hole")
SPEC = ImageSpec(8, 8, 1)
CLASSES = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class Cell:
    """A row: which model, how it is sampled, and what is done with the candidates."""

    title: str
    model: str = "long"
    sampling: SamplingSettings = SamplingSettings()  # noqa: RUF009
    kept_by: Callable[[Real, str], NearCopyFilter] | None = None
    classifier: bool = False


@dataclass(frozen=True, eq=False)
class Real:
    """One split of the digits: sides by name; the folder that models are kept in."""

    sides: dict[str, Side]
    seed: int
    out: Path

    @property
    def stream(self) -> Stream:
        """Of everything random."""
        return Stream(self.seed).child("mitigations")


def split(seed: int, out: Path) -> Real:
    """Random parts of the digits."""
    digits = twinset.load("builtin:digits")
    order = Stream(seed).child("split").numpy().permutation(len(digits))
    sides, start = {}, 0
    for part, count in PARTS.items():
        some = digits.take(order[start : start + count].tolist())
        sides[part], start = (some.prepared(SPEC), some.class_ids.astype(np.int64)), start + count
    return Real(sides, seed, out)


def dataset_of(pictures: PixelBatch, class_ids: Labels, prefix: str, *, synthetic: bool = False) -> Dataset:
    """Pictures as filters see them."""
    origin = Origin("diffusion", 0, "benchmark") if synthetic else Origin()
    samples = [
        Sample(f"{prefix}/{row}", Annotation(class_id=int(class_id)), origin, image=pixels)
        for row, (pixels, class_id) in enumerate(zip(pictures, class_ids, strict=True))
    ]
    return Dataset.of(samples, classes=CLASSES)


@lru_cache(maxsize=1)
def model_of(name: str, found: Real) -> DiffusionModel:
    """A diffusion model, kept in the folder. ``others`` saw other images than the training ones."""
    pictures, class_ids = found.sides["others" if name == "others" else "training"]
    steps = EARLY if name in ("early", "repeated") else STEPS
    if name == "repeated":
        rows = np.concatenate([np.arange(len(pictures)), np.repeat(np.arange(REPEATED), TIMES)])
        pictures, class_ids = pictures[rows], class_ids[rows]
    settings = DiffusionSettings(
        NetworkSettings("unet", 32, 1, 1, 2),
        TrainingSettings(steps=steps, batch=64, augment=0.5 if name == "augmented" else 0.0),
        SamplingSettings(),
        looks=LOOKS if name == "looks" else 0,
    )
    others = Others(*found.sides["validation"]) if name == "looks" else None
    return fit_diffusion(
        pictures,
        class_ids,
        n_classes=len(CLASSES),
        settings=settings,
        rng=found.stream.child("diffusion"),
        folder=found.out / f"model-{name}-{found.seed}",
        others=others,
    )


@lru_cache(maxsize=1)
def candidates(name: str, sampling: SamplingSettings, count: int, found: Real) -> Side:
    """Pictures of a model as it is sampled, and their classes, which take turns; kept in the folder."""
    class_ids = np.arange(count, dtype=np.int64) % len(CLASSES)
    label = f"{name}-{sampling.guidance:g}-{sampling.steps}-{count}-{found.seed}"
    path = found.out / f"candidates-{label}.npy"
    if path.exists():
        return np.load(path), class_ids
    model = model_of(name, found)
    model = replace(model, settings=replace(model.settings, sampling=sampling))
    stream = found.stream.child("samples", name)
    made = model.sample(class_ids.tolist(), list(range(count)), [stream.child(row) for row in range(count)])
    np.save(path, made)
    return made, class_ids


def fitted(settings: NearCopies, found: Real, model: str, *, around: Sequence[str] = ("training",)) -> NearCopyFilter:
    """The filter of a run: thresholds by validation images, the pilot a few candidates of the model."""
    sides = [dataset_of(*found.sides[name], name) for name in around]
    training = sides[0] if len(sides) == 1 else sides[0].concat(sides[1])
    made, class_ids = candidates(model, SamplingSettings(), DRAWN, found)
    pilot = dataset_of(made[:1000], class_ids[:1000], "pilot", synthetic=True)
    validation = dataset_of(*found.sides["validation"], "validation")
    return settings.fit(pilot, training=training, holdout=validation, spec=SPEC, rng=found.stream.child("filter"))


def as_it_is(found: Real, model: str) -> NearCopyFilter:
    """Near copies alone go."""
    return fitted(NearCopies(), found, model)


def refusing(below: float, *, around: Sequence[str] = ("training",)) -> Callable[[Real, str], NearCopyFilter]:
    """Nothing nearer than this quantile of the distances of held-out images."""
    return lambda found, model: fitted(NearCopies(refuse_below=below), found, model, around=around)


def noisy(below: float, spread: float) -> Callable[[Real, str], NearCopyFilter]:
    """The same with a threshold drawn anew for every candidate, its log uniform over ± ``spread``."""

    def made(found: Real, model: str) -> NearCopyFilter:
        plain = fitted(NearCopies(refuse_below=below), found, model)
        steps = np.linspace(-spread, spread, 20)
        edges = plain.thinning.edges[0] * np.exp(steps)
        return replace(plain, thinning=Thinning(tuple(edges), tuple(np.linspace(0, 1, 20, endpoint=False))))

    return made


def thinned(below: float) -> Callable[[Real, str], NearCopyFilter]:
    """As many so near as among held-out images."""
    return lambda found, model: fitted(NearCopies(thin_below=below), found, model)


CELLS: dict[str, Cell] = {
    "as-is": Cell("as it is"),
    "others": Cell("a model of other images: what chance looks like", "others"),
    "early": Cell(f"{EARLY} steps in place of {STEPS}", "early"),
    "looks": Cell("stopped when copies are found (`looks`)", "looks"),
    "augmented": Cell("augmentation that the network is told of", "augmented"),
    "repeated": Cell(f"{EARLY} steps, {REPEATED} images in {TIMES + 1} files each", "repeated"),
    "guidance-0.5": Cell("guidance 0.5", sampling=SamplingSettings(guidance=0.5)),
    "guidance-3": Cell("guidance 3", sampling=SamplingSettings(guidance=3.0)),
    "steps-5": Cell("5 sampler steps", sampling=SamplingSettings(steps=5)),
    "steps-80": Cell("80 sampler steps", sampling=SamplingSettings(steps=80)),
    "copies": Cell("`copies`", kept_by=as_it_is),
    "refuse": Cell("`copies`, `refuse_below: .5`", kept_by=refusing(0.5)),
    "thin": Cell("`copies`, `thin_below: .5`", kept_by=thinned(0.5)),
    "early-copies": Cell(f"{EARLY} steps, `copies`", "early", kept_by=as_it_is),
    "early-refuse": Cell(f"{EARLY} steps, `refuse_below: .5`", "early", kept_by=refusing(0.5)),
    "early-thin": Cell(f"{EARLY} steps, `thin_below: .5`", "early", kept_by=thinned(0.5)),
    "others-refuse": Cell("other images, `refuse_below: .5`", "others", kept_by=refusing(0.5)),
    "others-noisy": Cell("other images, the same with a noisy threshold", "others", kept_by=noisy(0.5, 0.4)),
    "others-decoys": Cell(
        "other images, the same around 200 decoys too", "others", kept_by=refusing(0.5, around=("training", "decoys"))
    ),
    "others-thin": Cell("other images, `thin_below: .5`", "others", kept_by=thinned(0.5)),
    "classifier": Cell("only a classifier of the images", classifier=True),
}


def released(cell: Cell, found: Real) -> tuple[Side, float]:
    """What goes out, and the share of the candidates that a filter lets through."""
    if cell.kept_by is None:
        return candidates(cell.model, cell.sampling, MADE, found), 1.0
    judge = cell.kept_by(found, cell.model)
    made, class_ids = candidates(cell.model, cell.sampling, DRAWN, found)
    reasons = judge.judge(dataset_of(made, class_ids, "made", synthetic=True)).reasons
    kept = np.flatnonzero([reason is None for reason in reasons])
    return (made[kept[:MADE]], class_ids[kept[:MADE]]), len(kept) / len(made)


def audited(made: PixelBatch, members: str, others: str, found: Real) -> DatasetAudit:
    """The attacks on these images by who tells one side from the other."""
    inside, outside = found.sides[members], found.sides[others]
    release = DatasetRelease(
        made, inside[0], outside[0], found.sides["reference"][0], Known(inside[1]), Known(outside[1])
    )
    return audit_dataset(release, rng=found.stream.child("audit"), controls=False)


def accuracies(side: Side, found: Real) -> list[float]:
    """Of classifiers trained on these images, on held-out ones."""
    pictures, truth = found.sides["holdout"]
    right = []
    for seed in range(SEEDS):
        rng = found.stream.child("classifier", seed)
        model = fit_classifier(*side, n_classes=len(CLASSES), settings=CLASSIFIER, rng=rng)
        right.append(float((model.logits(pictures).argmax(axis=1) == truth).mean()))
    return right


def figures_of(audit: DatasetAudit) -> dict[str, object]:
    """The figures of the table."""
    shown = {each.name: each for each in audit.attacks}
    return {
        "answer": "leak found" if audit.answer == "leak_found" else "none found",
        "p_value": audit.p_value,
        "p_values": dict(audit.p_values),
        "hits": [audit.test.training_hits, audit.test.holdout_hits],
        "attacks": {name: [each.auc, each.interval.low, each.interval.high] for name, each in shown.items()},
    }


def classifier_figures(side: Side, found: Real) -> dict[str, object]:
    """The attacks on a classifier that is released in place of the images."""
    training, holdout, reference = (found.sides[name] for name in ("training", "holdout", "reference"))
    targets = Targets.of(witnesses(training[0], holdout[0], Known(training[1]), Known(holdout[1])), training, holdout)
    rng = found.stream.child("classifier", 0)
    model = fit_classifier(*side, n_classes=len(CLASSES), settings=CLASSIFIER, rng=rng)
    release = ClassifierRelease(model, targets, len(CLASSES), trained_on=side, population=reference)
    audit = audit_classifier(release, rng=found.stream.child("audit"), controls=False)
    return {
        "answer": "leak found" if audit.answer == "leak_found" else "none found",
        "p_value": audit.p_value,
        "p_values": dict(audit.p_values),
        "hits": None,
        "attacks": {each.name: [each.auc, each.interval.low, each.interval.high] for each in audit.attacks},
    }


def run_cell(name: str, found: Real) -> dict[str, object]:
    """A row of the table, from its file or made."""
    path = found.out / f"{name}-{found.seed}.json"
    if path.exists():
        kept: dict[str, object] = json.loads(path.read_text())
        return kept
    cell, began = CELLS[name], time.perf_counter()
    side, share = released(cell, found)
    row: dict[str, object] = {"cell": name, "title": cell.title, "released": len(side[0]), "let_through": share}
    if cell.classifier:
        row |= classifier_figures(side, found)
    else:
        row |= figures_of(audited(side[0], "training", "holdout", found))
    row["accuracies"] = accuracies(side, found)
    if name.endswith("decoys"):
        row["decoys"] = {
            f"{members} against {others}": figures_of(audited(side[0], members, others, found))
            for members, others in (("training", "decoys"), ("decoys", "holdout"))
        }
    row["seconds"] = round(time.perf_counter() - began, 1)
    path.write_text(json.dumps(row))
    return row


def line(row: dict[str, object]) -> str:
    """Of the table."""
    attacks, right, hits = row["attacks"], row["accuracies"], row["hits"]
    assert isinstance(attacks, dict)
    assert isinstance(right, list)
    shown = [_interval(attacks[name]) for name in ATTACKS if name in attacks]
    if not shown:
        best = max(attacks, key=lambda name: attacks[name][0])
        shown = [f"{best} {_interval(attacks[best])}", "", ""]
    told = "" if hits is None else "{} / {}".format(*hits)  # type: ignore[misc]
    let = "" if row["let_through"] == 1.0 else f"{row['let_through']:.1%}"
    return (
        f"| {row['title']} | {' | '.join(shown)} | {told} | {row['answer']} | {let} | "
        f"{np.mean(right):.1%} ({min(right):.1%}…{max(right):.1%}) |"
    )


def _interval(figures: Sequence[float]) -> str:
    return "{:.2f} ({:.2f}…{:.2f})".format(*figures)


def main() -> None:
    """Runs the cells and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", default=",".join(CELLS), help=f"between commas: {', '.join(CELLS)}")
    parser.add_argument("--out", type=Path, default=Path("runs/mitigations"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = split(args.seed, args.out)
    print("| | `gan_leaks` | `domias` | `hole` | hits | answer | let through | accuracy |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    with torch_threads(1):
        for name in args.cells.split(","):
            rows.append(run_cell(name, found))
            print(line(rows[-1]), flush=True)
    for row in rows:
        for who, figures in row.get("decoys", {}).items():  # type: ignore[attr-defined]
            aucs = ", ".join(f"{name} {_interval(figures['attacks'][name])}" for name in ATTACKS)
            print(f"{row['title']}, {who}: {figures['answer']}; {aucs}")
    print(json.dumps({"benchmark": "mitigations", "parts": PARTS, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
