"""Do the figures say what is known beforehand: half against half is no difference, and noise, blur or one class is one?

    uv run python benchmarks/known_cases.py --data DIR [--sets mnist,cifar10,pneumonia_mnist] [--images 1000]
        [--picture FILE]

Real images are halved at random; the first half is "real", and the other half is compared with it as it is, with noise
added, blurred, and with only the images of one class. Each row tells the Fréchet distance at the floor's N beside its
real-vs-real floor, detectability's interval, and coverage beside 1/C + .1. ``builtin:digits`` is always among the sets;
``--picture`` draws its cases (the set may be shown to everybody). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from hardware import machine

import twinset
from twinset.dataset import Dataset
from twinset.images import Pixels
from twinset.randomness import Stream
from twinset.scores import Score

Change = Callable[[Pixels, np.random.Generator], Pixels]
SHOWN = 8


def noisy(picture: Pixels, draws: np.random.Generator) -> Pixels:
    """Gaussian noise of 32 grey levels."""
    return np.clip(np.rint(picture + draws.normal(0, 32, picture.shape)), 0, 255).astype(np.uint8)


def blurred(picture: Pixels, draws: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Gaussian blur of a twelfth of the side, one pixel at least."""
    from scipy.ndimage import gaussian_filter

    sigma = max(1.0, picture.shape[0] / 12)
    return np.asarray(gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0)).round().astype(np.uint8))


def changed(dataset: Dataset, change: Change, seed: int) -> Dataset:
    """Every picture changed."""
    draws = Stream(seed).child("change").numpy()
    return Dataset.of(
        [replace(sample, image=change(sample.pixels(), draws), path=None, sha256=None) for sample in dataset],
        classes=dataset.classes,
    )


def cases(dataset: Dataset, seed: int) -> tuple[Dataset, dict[str, Dataset]]:
    """The real half, and what is compared with it."""
    order = Stream(seed).child("halves").numpy().permutation(len(dataset))
    real, other = dataset.take(order[: len(order) // 2]), dataset.take(order[len(order) // 2 :])
    commonest = int(np.bincount(other.class_ids).argmax())
    return real, {
        "half": other,
        "noise": changed(other, noisy, seed),
        "blur": changed(other, blurred, seed),
        "one class": other.where(other.class_ids == commonest),
    }


def figures(real: Dataset, synthetic: Dataset, seed: int) -> dict[str, Score]:
    """The scores by name."""
    found = twinset.evaluate(synthetic, real=real, rng=seed, metrics="frechet,prdc,detectability")
    return {score.name: score for score in found}


def row(name: str, case: str, scores: dict[str, Score], classes: int) -> dict[str, object]:
    """What is known of this case, and whether the figures say so."""
    frechet, auc, coverage = (scores[each] for each in ("frechet_distance", "detectability_auc", "coverage"))
    assert auc.interval is not None
    assert frechet.floor is not None
    assert coverage.value is not None
    at_floor = float(frechet.settings["value_at_floor"])
    error = float(frechet.settings["standard_error"])
    within = bool(
        at_floor <= frechet.floor + 2 * error * (frechet.counts["real"] / int(frechet.settings["floor_n_real"])) ** 0.5
    )
    chance = bool(auc.interval.low <= 0.5 <= auc.interval.high)
    return {
        "set": name,
        "case": case,
        "n": [frechet.counts["real"], frechet.counts["synthetic"]],
        "frechet_at_floor": at_floor,
        "floor": frechet.floor,
        "within_floor": within,
        "auc": [auc.value, auc.interval.low, auc.interval.high],
        "auc_holds_half": chance,
        "coverage": coverage.value,
        "one_class_limit": 1 / classes + 0.1,
        "as_known": (within and chance)
        if case == "half"
        else (not within and not chance and (case != "one class" or coverage.value <= 1 / classes + 0.1)),
    }


def drawn(found: dict[str, Dataset], file: Path) -> None:
    """A strip of pictures of every case."""
    from PIL import Image

    strips = [np.concatenate([dataset[at].pixels() for at in range(SHOWN)], axis=1) for dataset in found.values()]
    page = np.concatenate([np.pad(strip, ((0, 1), (0, 0), (0, 0)), constant_values=255) for strip in strips])
    Image.fromarray(page[..., 0]).resize((page.shape[1] * 8, page.shape[0] * 8), Image.Resampling.NEAREST).save(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="mnist,cifar10,pneumonia_mnist")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    rows = []
    for name in ("digits", *filter(None, options.sets.split(","))):
        whole = twinset.load("builtin:digits" if name == "digits" else options.data / name)
        order = Stream(options.seed).child("some", name).numpy().permutation(len(whole))
        dataset = whole.take(np.sort(order[: options.images]))
        real, found = cases(dataset, options.seed)
        if name == "digits" and options.picture is not None:
            drawn({"real": real, **found}, options.picture)
        for case, other in found.items():
            one = row(name, case, figures(real, other, options.seed), len(dataset.classes))
            rows.append(one)
            low, high = one["auc"][1:]  # type: ignore[index]
            print(
                f"{name:<16} {case:<10} Fréchet {one['frechet_at_floor']:<8.3g} floor {one['floor']:<8.3g} "
                f"AUC {one['auc'][0]:.3f} ({low:.3f}–{high:.3f})  coverage {one['coverage']:.3f}  "  # type: ignore[index]
                f"{'as known' if one['as_known'] else 'NOT as known'}",
                flush=True,
            )
    print(json.dumps({"benchmark": "known_cases", "seed": options.seed, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
