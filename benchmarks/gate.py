"""How often does the copy gate block our own diffusion model on digits, and how near do its images lie to training?

One run of ``builtin:digits`` per seed, each with another split, another model and other images; the generator has the
settings that calibration chooses on two cores of a 2.1 GHz Xeon, so that the answer does not hang on this machine's
speed. Finished seeds are kept below ``--out`` and not run again. The last line is JSON.

    uv run python benchmarks/gate.py [--seeds 1-8] [--steps 462] [--augment 0.5] [--workers 4] [--out runs/gate]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from hardware import machine

import twinset
from twinset.documents import RunDocument
from twinset.executors.local import LocalProcesses


def recipe(seed: int, steps: int, augment: float) -> dict[str, object]:
    """The default recipe of digits with its generator spelled out, and nothing measured but the gate."""
    network = {"family": "unet", "width": 96, "depth": 1, "levels": 2, "patch": 2}
    return {
        "data": "builtin:digits",
        "generate": [{"use": "diffusion", **network, "steps": steps, "batch": 128, "augment": augment}],
        "evaluate": {"fidelity": False, "utility": "off"},
        "export": [],
        "seed": seed,
        "threads": 1,
    }


def one(task: tuple[int, int, float, Path]) -> RunDocument:
    """The run of one seed."""
    seed, steps, augment, out = task
    folder = out / f"{steps}-{augment:g}-{seed}"
    return twinset.run(recipe(seed, steps, augment), out=folder, workers=1, device="cpu", quiet=True)


def row(seed: int, run: RunDocument) -> dict[str, object]:
    """What the table shows of a run."""
    assert run.gate is not None
    figures = {name: run.scores[name].value for name in ("membership_auc", "copy_test_p_value", "training_images_hit")}
    return {"seed": seed, "passed": run.gate.passed, **figures, "accepted": run.counts.accepted, "digest": run.digest}


def main() -> None:
    """Runs the seeds and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="1-8", help="first-last")
    parser.add_argument("--steps", type=int, default=462)
    parser.add_argument("--augment", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/gate"))
    args = parser.parse_args()
    first, last = (int(end) for end in args.seeds.split("-"))
    seeds = list(range(first, last + 1))
    tasks = [(seed, args.steps, args.augment, args.out.resolve()) for seed in seeds]
    print("| seed | gate | membership AUC | p | training images hit |\n|---|---|---|---|---|", flush=True)
    rows = []
    for number, run in LocalProcesses(args.workers).map(one, tasks):
        found = row(seeds[number], run)
        rows.append(found)
        answer = "passed" if found["passed"] else "blocked"
        auc, p_value, hits = (found[n] for n in ("membership_auc", "copy_test_p_value", "training_images_hit"))
        print(f"| {found['seed']} | {answer} | {auc:.3f} | {p_value:.2g} | {hits:.0f} |", flush=True)
    aucs = np.array([found["membership_auc"] for found in rows], dtype=float)
    blocked = sum(not found["passed"] for found in rows)
    print(f"\n{blocked} of {len(rows)} blocked; membership AUC {aucs.mean():.3f} (± {aucs.std():.3f})")
    settings = {"steps": args.steps, "augment": args.augment}
    rows.sort(key=lambda found: int(str(found["seed"])))
    print(json.dumps({"benchmark": "gate", **settings, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
