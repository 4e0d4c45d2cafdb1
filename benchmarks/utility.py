"""Does a model get better with our synthetic images? The main job with its five arms, on several small datasets.

    uv run python benchmarks/utility.py --data DIR [--datasets mnist,cifar10] [--minutes 20] [--out runs/utility]

DIR holds one folder per dataset, as any that `twinset run` reads; `builtin:NAME` needs no DIR. Every dataset is an
ordinary run in a folder of its own: a run that was stopped continues, a finished one is read. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from hardware import machine

import twinset
from twinset.documents import ArmPart, RunDocument
from twinset.store import read_json

ARMS = ("real", "real+classical", "synthetic", "real+synthetic", "real+classical+synthetic")


def recipe(name: str, data: Path | None, minutes: float) -> dict[str, object]:
    """The recipe a user would start from: only the data and the time are said."""
    if name.startswith("builtin:"):
        return {"data": {"path": name}, "minutes": minutes}
    if data is None:
        raise SystemExit(f"{name}: say with --data which folder it is in")
    return {"data": {"path": str((data / name).resolve())}, "minutes": minutes}


def cell(arm: ArmPart | None) -> str:
    """Mean and interval; bold if validation picked this arm."""
    if arm is None:
        return "–"
    text = f"{arm.mean:.3f} ({arm.low:.3f} … {arm.high:.3f})"
    return f"**{text}**" if arm.picked else text


def row(name: str, document: RunDocument) -> dict[str, object]:
    """What one run has to say, with the digests that say of what."""
    folder = Path(document.run)
    split: Any = read_json(folder / "split.json")
    timings: Any = read_json(folder / "timings.json")
    return {
        "dataset": name,
        "data_digest": split["facts"]["digest"],
        "digest": document.digest,
        "decision": document.verdict.decision,
        "sentence": document.verdict.sentence,
        "difference": document.verdict.difference and document.verdict.difference.model_dump(),
        "counts": document.counts.model_dump(),
        "arms": {arm: part.model_dump() for arm, part in document.utility.items()},
        "minutes": round(sum(timings.values()) / 60, 1),
        "stages": timings,
    }


def table(documents: dict[str, RunDocument], minutes: dict[str, float]) -> str:
    """The five arms of every dataset, in Markdown."""
    lines = [
        "| dataset | " + " | ".join(ARMS) + " | difference | decision | minutes |",
        "|---" * (len(ARMS) + 4) + "|",
    ]
    for name, document in documents.items():
        paired = document.verdict.difference
        cells = [
            name,
            *(cell(document.utility.get(arm)) for arm in ARMS),
            f"{paired.value:+.3f} ({paired.low:+.3f} … {paired.high:+.3f})" if paired else "–",
            document.verdict.decision.replace("_", " "),
            f"{minutes[name]:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--datasets", default="mnist,cifar10,pneumonia_mnist")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/utility"))
    options = parser.parse_args()
    documents, rows = {}, []
    for name in options.datasets.split(","):
        folder = options.out / f"{name.removeprefix('builtin:')}-{options.minutes:g}min"
        documents[name] = twinset.run(recipe(name, options.data, options.minutes), out=folder)
        rows.append(row(name, documents[name]))
        print(f"{name}: {documents[name].verdict.sentence} ({rows[-1]['minutes']} min, {documents[name].report})")
    print(table(documents, {str(found["dataset"]): float(str(found["minutes"])) for found in rows}))
    print(json.dumps({"benchmark": "utility", "minutes": options.minutes, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
