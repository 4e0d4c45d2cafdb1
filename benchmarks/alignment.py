"""Does fitted placement close the gap between pasted and held-out real images, and what if these were taken elsewhere?

    uv run python benchmarks/alignment.py --data DIR [--sets bccd,flights,DJI-00760,shift] [--images 1000] [--write OUT]

The baseline is frozen: `CopyPaste(placement="uniform")`, real backgrounds with their objects filled in, uniform places,
1 to 20 objects, uniform side; aligned is the same with `placement="fitted"`. Both see the exposed images alone. Told
is, on held-out real images, the excess of the Bhattacharyya distance over its floor at equal numbers of images, bins
fixed on all sets pooled, and by how much it falls. There are two floors: random halves of the held-out images, and the
exposed images, which is where what was fitted to them cannot be expected to get below. `bccd`: train and test;
`flights` (and a single flight by name): blocks of consecutive frames of a flight are exposed and held out in turn.

`shift` is aerial_cars as it was split, by flight: the shift is detected and named, and three sets are made from the
exposed images, aligned to these (`exposed`), to a target in plain numbers as a user would give them (`numbers`), and
to one that a detector infers from the unlabelled images of the deployment flight (`inferred`). Their distances from
that flight's real images are told; `--write OUT` writes them as COCO. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from hardware import machine

from twinset.alignment.metadata import Measures, MeasureTable, compare_measures, detect_shift, measure, measure_boxes
from twinset.dataset import Dataset, Sample
from twinset.formats import read, write
from twinset.generators.copypaste import CopyPaste
from twinset.instances import Instances
from twinset.pipeline.deployment import resolved_target
from twinset.pipeline.real import prepare_real, read_real
from twinset.pipeline.reporting import Console
from twinset.pipeline.resolving import pinned
from twinset.pipeline.targets import aimed, commit_target, committed_target, target_sentences
from twinset.randomness import Stream
from twinset.recipe import recipe_from_values
from twinset.stages import Slot

MEASURES = ("box_area", "aspect_ratio", "centre_y", "count")
BLOCK = 3
"""Frames in a row that are exposed, or held out, together."""

USERS_NUMBERS = {
    "box_area": {"means": [13 * 13 / (960 * 540)], "stds": [0.5]},
    "count": {"means": [40], "stds": [15]},
}
"""What someone who flew there would say: cars of about 13 px in pictures of 960 × 540, some dozens in each."""


def flight_of(name: str) -> str:
    """The sequence of an aerial_cars image; frames of KIT AIS are one sequence for each hundred."""
    stem = Path(name).stem
    if stem.startswith("MOS"):
        return "MOS155-179" if int(stem[3:]) >= 155 else "MOS74-93"
    return re.sub(r"-\d+$", "", stem)


def blocks(dataset: Dataset) -> np.ndarray:
    """(N,) blocks of consecutive frames, numbered over all flights; even ones are exposed, odd ones held out."""
    flights = [flight_of(id_) for id_ in dataset.ids]
    found = np.empty(len(dataset), dtype=np.int64)
    first = 0
    for flight in sorted(set(flights)):
        rows = sorted((id_, row) for row, id_ in enumerate(dataset.ids) if flights[row] == flight)
        for rank, (_, row) in enumerate(rows):
            found[row] = first + rank // BLOCK
        first += 2 * (len(rows) // (2 * BLOCK) + 1)
    return found


def pairs(data: Path, name: str) -> tuple[Dataset, Dataset, np.ndarray]:
    """Exposed images, held-out images of the same distribution, and the families of these."""
    if name == "bccd":
        dataset, _ = read(data / "bccd", on_bad_input="skip")
        splits = np.asarray(dataset.splits, dtype=object)
        held = dataset.where(splits == "test")
        return dataset.where(splits == "train"), held, np.arange(len(held))
    dataset, _ = read(data / "aerial_cars", on_bad_input="skip")
    if name != "flights":
        dataset = dataset.where([flight_of(id_) == name for id_ in dataset.ids])
    block = blocks(dataset)
    return dataset.where(block % 2 == 0), dataset.where(block % 2 == 1), block[block % 2 == 1]


def falls(data: Path, name: str, images: int, seed: int) -> dict[str, object]:
    """Excess over both floors, before and after, by measure."""
    exposed, held, families = pairs(data, name)
    sets = {}
    for key, settings in (("before", CopyPaste(placement="uniform")), ("after", CopyPaste(placement="fitted"))):
        generator = settings.fit(exposed, rng=Stream(seed).child("fit"))
        slots = [Slot(n, 0, Stream(seed).child("sample", key, n).seed, 0, "benchmark") for n in range(images)]
        sets[key] = measure_boxes([_objects(sample) for sample in generator.generate(slots)], classes=exposed.classes)
    real, seen = measure(held, pixels=False), measure(exposed, pixels=False)
    print(f"\n{name}: {len(exposed)} images exposed, {len(held)} held out, {images} made of each kind")
    found: dict[str, object] = {"set": name, "exposed": len(exposed), "held_out": len(held), "images": images}
    for floor, source in (("halves of the held-out images", None), ("the exposed images", seen)):
        table = compare_measures(
            real, sets, floor_from=source, rng=Stream(seed).child("compare"), names=MEASURES, families=families
        )
        print(f"floor: {floor}")
        found[floor] = told(table)
    return found


def _objects(sample: Sample) -> Instances:
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    return sample.annotation.instances


def told(table: MeasureTable) -> list[dict[str, object]]:
    """Prints a line a measure and gives them back for JSON."""
    rows: list[dict[str, object]] = []
    for gap in table.gaps:
        fall = gap.fall()
        text = "already at the floor" if gap.at_floor["before"] else "shared no bin before"
        text = text if fall is None else f"falls by {fall:.0%}"
        text += ", to the floor" if fall is not None and gap.at_floor["after"] else ""
        print(
            f"  {gap.measure:<13} N {gap.images:>3}  floor {gap.floor:.4f} ({gap.floor_range[0]:.4f} … "
            f"{gap.floor_range[1]:.4f})  excess {gap.excess['before']:.4f} → {gap.excess['after']:.4f}  {text}"
        )
        rows.append(
            {
                "measure": gap.measure,
                "images": gap.images,
                "floor": gap.floor,
                "floor_range": gap.floor_range,
                "excess": dict(gap.excess),
                "interval": dict(gap.interval),
                "at_floor": dict(gap.at_floor),
                "fall": fall,
            }
        )
    for name, why in table.left_out.items():
        print(f"  {name:<13} left out: {why}")
    return rows


def shifted_sets(
    data: Path, *, flight: str, images: int, seed: int, steps: int | None = None
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """Three sets made of the exposed images of aerial_cars, and what was said of the inferred target.

    The labels of the deployment flight are used for none of them.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder, deployment = Path(temporary) / "run", Path(temporary) / "deployment"
        deployment.mkdir()
        for file in sorted((data / "aerial_cars/images/test").glob("*.jpg")):
            if flight_of(file.name) == flight:
                shutil.copy(file, deployment / file.name)
        target: dict[str, object] = {"path": str(deployment), **({} if steps is None else {"steps": steps})}
        sets: dict[str, Dataset] = {}
        sentences: tuple[str, ...] = ()
        for name, part in (("exposed", None), ("numbers", {"numbers": USERS_NUMBERS}), ("inferred", target)):
            values = {"data": str(data / "aerial_cars"), "on_bad_input": "skip", "seed": seed, "threads": 1}
            written = recipe_from_values(values if part is None else {**values, "target": part})
            recipe = pinned(written.recipe)
            real = prepare_real(recipe, *read_real(written), folder / name)
            method: object = CopyPaste()
            if recipe.target is not None:
                recipe = recipe.model_copy(update={"target": resolved_target(recipe.target, real, seconds=60)})
                rng = Stream(seed).child("target")
                commit_target(recipe, real, folder / name, run=rng, device="cpu", listener=Console())
                committed = committed_target(folder / name)
                assert committed is not None
                method = aimed(method, committed)
                sentences = target_sentences(folder / name)
            generator = cast(CopyPaste, method).fit(real.training, rng=Stream(seed).child("fit"))
            sets[name] = generator.sample(images, rng=Stream(seed).child("sample", name))
    return sets, sentences


def shift(data: Path, *, flight: str, images: int, seed: int, steps: int | None, out: Path | None) -> dict[str, object]:
    """The shift between the flights, named, and the distances of the three sets from the deployment flight."""
    dataset, _ = read(data / "aerial_cars", on_bad_input="skip")
    splits = np.asarray(dataset.splits, dtype=object)
    exposed, test = dataset.where(splits == "train"), dataset.where(splits == "test")
    seen, unseen = measure(exposed, pixels=False), measure(test, pixels=False)
    sentences: dict[str, list[str]] = {}
    for unit, families in (("frames", None), ("flights", (_numbers(exposed, 0), _numbers(test, 100)))):
        shifts = detect_shift(seen, unseen, rng=Stream(seed).child("shift"), families=families)
        sentences[unit] = [found.sentence for found in shifts]
        print(f"\naerial_cars, train vs test, {unit} as units:", *sentences[unit], sep="\n  ")
    there = test.where([flight_of(id_) == flight for id_ in test.ids])
    sets, said = shifted_sets(data, flight=flight, images=images, seed=seed, steps=steps)
    print(f"\n{flight}: {len(there)} images, {int(there.object_counts().sum())} objects", *said, sep="\n  ")
    measured = {name: measure(made, pixels=False) for name, made in sets.items()}
    rows = {name: distances(measure(place, pixels=False), measured) for name, place in ((flight, there), ("all", test))}
    if out is not None:
        for name, made in sets.items():
            write(made, out / name, "coco")
            print(f"written: {out / name}")
    return {"set": "shift", "flight": flight, "shift": sentences, "target": list(said), "distances": rows}


def _numbers(dataset: Dataset, first: int) -> np.ndarray:
    return first + np.unique([flight_of(id_) for id_ in dataset.ids], return_inverse=True)[1]


def distances(real: Measures, sets: Mapping[str, Measures]) -> dict[str, dict[str, float]]:
    """Excess of every set over the floor of halves, by measure, and medians."""
    table = compare_measures(real, sets, rng=Stream(0).child("shift-distances"), names=_long_enough(real))
    found = {}
    for gap in table.gaps:
        found[gap.measure] = {"floor": gap.floor, **gap.excess}
        text = "  ".join(f"{name} {value:.3f}" for name, value in gap.excess.items())
        print(f"  {gap.measure:<13} N {gap.images:>3}  floor {gap.floor:.3f}  excess: {text}")
    for name in ("box_area_px", "count"):
        text = "  ".join(
            f"{key} {float(np.median(each.columns[name])):.4g}" for key, each in {"real": real, **sets}.items()
        )
        print(f"  median {name}: {text}")
    return found


def _long_enough(real: Measures) -> Sequence[str]:
    """Measures with enough values; areas in pixels, as pictures of the flights have other formats."""
    return [name for name in ("box_area_px", *MEASURES[1:]) if len(real.values(name)) >= 20]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="bccd,flights,DJI-00760,shift")
    parser.add_argument("--images", type=int, default=1000, help="Of each kind, from which as many are drawn as real.")
    parser.add_argument("--shifted", type=int, default=200, help="In each set of `shift`.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flight", default="MOS155-179", help="The deployment flight of `shift`.")
    parser.add_argument("--steps", type=int, default=None, help="Of the detector that infers the target.")
    parser.add_argument("--write", type=Path, default=None, help="Where the three sets of `shift` are written.")
    options = parser.parse_args()
    rows = []
    for name in options.sets.split(","):
        if name == "shift":
            rows.append(
                shift(
                    options.data,
                    flight=options.flight,
                    images=options.shifted,
                    seed=options.seed,
                    steps=options.steps,
                    out=options.write,
                )
            )
        else:
            rows.append(falls(options.data, name, options.images, options.seed))
    print(json.dumps({"benchmark": "alignment", "seed": options.seed, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
