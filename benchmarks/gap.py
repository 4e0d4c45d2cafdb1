"""Closing the gap between rendered and real images step by step: what does each step do to distances and detectors?

    uv run python benchmarks/gap.py --data DIR [--sets bccd,aerial_cars] [--steps baseline,surface,…] [--seeds 3]
        [--workers 2] [--minutes 180] [--detectors dense,…] [--no-training] [--sheets FOLDER] [--cells FOLDER]

Training images are rendered throughout; exposed real images serve backdrops, distributions and validation; judged is on
held-out real images of the same slides, or of other blocks of the same flights. The baseline is frozen in
`gap_sets.NAIVE`. Steps are cumulative (each on top of the one before): objects on surfaces, where the exposed ones
are; lit and blurred as the pictures behind them; with the exposed areas; with their aspect ratios and numbers; without
shapes unlike the real ones; without pictures far from the real ones; with the light that exposed images vote for.
Beside the chain stand, one change each, a fifth of close-ups, real backdrops in which what looks like a labelled object
is filled in too, and two backdrops in place of the real ones, procedural and white.

Told is, for every step, the excess of the Bhattacharyya distance over the real-vs-real floor at equal numbers of images
(bins fixed on all sets pooled), by how much it fell from the baseline, a score without training, and mAP@50 of two
detectors with 95 % intervals over test images and seeds, beside the same detectors trained on the exposed real images
and on both. Pictures and trainings are cells under FOLDER; a later sitting continues. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gap_distances import Told, distances, print_distances
from gap_images import images_of
from gap_sets import SETS, STEPS, GapSet, Halves, halves_of
from gap_sheets import write_findings, write_sheet
from gap_training import (
    REFERENCES,
    Scores,
    Sitting,
    correlation_told,
    estimated,
    found_by,
    last_of_chain,
    print_scores,
    quality,
    trained,
)
from hardware import machine

from twinset.dataset import Dataset
from twinset.pipeline.resolving import cache_folder


def one_set(name: str, options: argparse.Namespace, cells: Path, deadline: float) -> dict[str, object]:
    """Everything of one dataset, as far as time goes."""
    chosen, real = SETS[name], halves_of(options.data, name)
    print(f"\n{name}: {len(real.exposed)} images exposed, {len(real.held)} held out, {chosen.images} made of each step")
    steps = _steps(options.steps)
    made, remarks = _made(name, steps, chosen, real, cells / name, options.workers, deadline)
    if options.sheets is not None:
        write_sheet(options.sheets / f"gap-{name}.png", {"real": real.held, **made})
    told = distances(made, real)
    print_distances(told)
    found: dict[str, object] = {
        "set": name,
        "exposed": len(real.exposed),
        "held_out": len(real.held),
        "images": chosen.images,
        "remarks": remarks,
        "steps": {step: one.to_json() for step, one in told.items()},
    }
    if not options.no_training:
        found["training"] = _training(name, options, made, told, chosen, real, cells / name, deadline)
    return found


def _steps(given: str) -> list[str]:
    names = list(STEPS) if given == "all" else given.split(",")
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise SystemExit(f"expected steps out of {', '.join(STEPS)}; got {', '.join(unknown)}")
    return [name for name in STEPS if name in names]


def _made(
    name: str, steps: Sequence[str], chosen: GapSet, real: Halves, cells: Path, workers: int, deadline: float
) -> tuple[dict[str, Dataset], dict[str, str]]:
    made, remarks = {}, {}
    for step in steps:
        if time.monotonic() > deadline:
            break
        began = time.monotonic()
        made[step], remarks[step] = images_of(name, step, chosen, real, cells, workers=workers)
        print(f"  {step}: {len(made[step])} images, {time.monotonic() - began:.0f} s. {remarks[step]}", flush=True)
    return made, remarks


def _training(
    name: str,
    options: argparse.Namespace,
    made: dict[str, Dataset],
    told: dict[str, Told],
    chosen: GapSet,
    real: Halves,
    cells: Path,
    deadline: float,
) -> dict[str, object]:
    """Detectors of every step and of the references, with what a score without training would have said."""
    wanted = list(chosen.detectors)[:2] if options.detectors == "both" else options.detectors.split(",")
    sitting = Sitting(name, replace(chosen, detectors={key: chosen.detectors[key] for key in wanted}), real, cells)
    print(f"  {estimated(sitting, [*REFERENCES, *made], options.seeds, options.workers)}", flush=True)
    scores = trained(sitting, made, seeds=options.seeds, workers=options.workers, deadline=deadline)
    if options.sheets is not None:
        _write_findings(options.sheets, name, real, scores, last_of_chain(made))
    return {
        "scores": print_scores(sitting, scores, options.seeds),
        "correlation": correlation_told(sitting, made, told, scores, options.seeds),
    }


def _write_findings(folder: Path, name: str, real: Halves, scores: Scores, last: str) -> None:
    """What a detector finds in held-out images after training on real ones, and on those of the last step."""
    for detector in {detector for _, detector in scores}:
        if ("real", detector) not in scores or (last, detector) not in scores:
            continue
        by_real, by_rendered = scores["real", detector], scores[last, detector]
        found = {
            "trained on real images": found_by(by_real),
            f"trained on rendered ones ({last})": found_by(by_rendered),
        }
        lost = quality(by_real) - quality(by_rendered)
        write_findings(folder / f"gap-{name}-{detector}.png", real.held, found, lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--steps", default="all", help=f"Out of {', '.join(STEPS)}.")
    parser.add_argument("--detectors", default="both")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=180.0, help="No cell begins after this time.")
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument(
        "--sheets",
        type=Path,
        default=None,
        help="A folder for sheets: steps beside real images, and what detectors find.",
    )
    parser.add_argument("--cells", type=Path, default=None, help="Where results are kept; default: the cache folder.")
    options = parser.parse_args()
    cells = options.cells or cache_folder() / "benchmarks" / "gap"
    deadline = time.monotonic() + 60 * options.minutes
    rows = [one_set(name, options, cells, deadline) for name in options.sets.split(",")]
    print(json.dumps({"benchmark": "gap", "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
