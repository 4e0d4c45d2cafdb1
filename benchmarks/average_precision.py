"""Is COCO's average precision from arrays faster than in pycocotools and faster-coco-eval, and the same?

    uv run python benchmarks/average_precision.py [--quick] [--peer-python PYTHON] [--repeats 3] [--classes 80,1]

Every measurement is a process of its own on one thread; sides take turns. Each gets its own kind of input ready made
(ours: lists of Instances; theirs: indexed annotations), and the clock runs from there to the twelve figures.
faster-coco-eval is measured where ``--peer-python`` (an interpreter that has it) or our own can import it. The last
rows are ours alone: the figures of 1,000 resamplings of 250 pictures. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from twinset.instances import Instances

SEED = 0
OBJECTS = 20
HEIGHT, WIDTH = 480, 640
SIDES = ("ours", "pycocotools", "faster-coco-eval")
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def scenes(images: int, objects: int, extra: int, classes: int) -> dict[str, np.ndarray]:
    """Boxes of every picture and what a fair detector finds: most of them shifted a little, and ``extra`` others."""
    draw = np.random.Generator(np.random.PCG64(SEED))
    edge = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=np.float64)

    def boxes(k: int) -> np.ndarray:
        low = draw.random((k, 2)) * [WIDTH - 60, HEIGHT - 60]
        return np.concatenate([low, np.minimum(low + draw.lognormal(4, 0.8, (k, 2)) + 2, edge[:2])], axis=1)

    n, m = images * objects, images * extra
    truth, classes_of = boxes(n), draw.integers(0, classes, n)
    shifted = np.clip(truth + draw.normal(0, 3, truth.shape), 0, edge)
    sound = np.all(shifted[:, 2:] - shifted[:, :2] > 1, axis=1)
    mistaken = draw.random(n) < 0.1
    return {
        "truth": truth.astype(np.float32),
        "truth_class": classes_of,
        "truth_image": np.repeat(np.arange(images), objects),
        "crowd": draw.random(n) < 0.02,
        "found": np.concatenate([np.where(sound[:, None], shifted, truth), boxes(m)]).astype(np.float32),
        "found_class": np.concatenate(
            [np.where(mistaken, draw.integers(0, classes, n), classes_of), draw.integers(0, classes, m)]
        ),
        "found_image": np.concatenate([np.repeat(np.arange(images), objects), np.repeat(np.arange(images), extra)]),
        "confidence": draw.random(n + m).astype(np.float32),
        "images": np.array(images),
        "classes": np.array(classes),
    }


def as_instances(data: dict[str, np.ndarray]) -> tuple[list[Instances], list[Instances]]:
    from twinset.instances import Instances

    sides = []
    columns: dict[str, str]
    for side, columns in (("truth", {"crowd": "crowd"}), ("found", {"confidences": "confidence"})):
        rows = [np.flatnonzero(data[f"{side}_image"] == i) for i in range(int(data["images"]))]
        more: dict[str, Any] = {name: data[column] for name, column in columns.items()}
        sides.append(
            [
                Instances(
                    (HEIGHT, WIDTH),
                    data[f"{side}_class"][index],
                    data[side][index],
                    **{name: values[index] for name, values in more.items()},
                )
                for index in rows
            ]
        )
    return sides[0], sides[1]


def as_annotations(data: dict[str, np.ndarray], side: str) -> list[dict[str, Any]]:
    boxes = data[side].astype(np.float64)
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    notes = []
    for i, box in enumerate(xywh.tolist()):
        note: dict[str, Any] = {
            "id": i + 1,
            "image_id": int(data[f"{side}_image"][i]),
            "category_id": int(data[f"{side}_class"][i]),
        }
        note |= {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        if side == "truth":
            note["iscrowd"] = int(data["crowd"][i])
        else:
            note["score"] = float(data["confidence"][i])
        notes.append(note)
    return notes


def ours(data: dict[str, np.ndarray]) -> tuple[float, list[float]]:
    from twinset.average_precision import match_detections

    truth, found = as_instances(data)
    began = time.perf_counter()
    matches = match_detections(truth, found, n_classes=int(data["classes"]))
    figures = matches.average_precision().figures()
    return time.perf_counter() - began, list(figures.values())


def theirs(data: dict[str, np.ndarray], side: str) -> tuple[float, list[float]]:
    judge = judged(data, side)
    began = time.perf_counter()
    figures = summary(judge)
    return time.perf_counter() - began, figures


def judged(data: dict[str, np.ndarray], side: str) -> Any:
    """A ``COCOeval`` of pycocotools or faster-coco-eval, with indexed annotations, before it has looked at any."""
    if side == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    common = {
        "images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(int(data["images"]))],
        "categories": [{"id": c, "name": str(c)} for c in range(int(data["classes"]))],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        for coco, name in ((truth, "truth"), (found, "found")):
            coco.dataset = {**common, "annotations": as_annotations(data, name)}
            coco.createIndex()
        return COCOeval(truth, found, "bbox")


def summary(judge: Any) -> list[float]:
    """COCO's twelve figures."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(value) for value in judge.stats[:12]]


def resampling(classes: int, repeats: int) -> dict[str, Any]:
    from twinset.average_precision import match_detections

    data = scenes(250, 12, 48, classes)
    truth, found = as_instances(data)
    matches = match_detections(truth, found, n_classes=classes)
    weights = np.random.Generator(np.random.PCG64(SEED)).multinomial(250, np.full(250, 1 / 250), size=1000)
    seconds: dict[Literal["ap", "ap50"], list[float]] = {"ap50": [], "ap": []}
    for _ in range(repeats):
        for figure, times in seconds.items():
            began = time.perf_counter()
            matches.resampled(weights, figure=figure)
            times.append(time.perf_counter() - began)
    return {"classes": classes, "detections": len(matches.images), "draws": 1000, "images": 250, "seconds": seconds}


def child(side: str, path: Path) -> None:
    with np.load(path) as arrays:
        data = dict(arrays)
    seconds, figures = ours(data) if side == "ours" else theirs(data, side)
    print(json.dumps({"seconds": seconds, "figures": figures}))


def measured(side: str, path: Path, python: str) -> dict[str, Any]:
    environment = os.environ | dict.fromkeys(POOLS, "1")
    command = [python, __file__, "--child", side, "--data", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found


def row(images: int, classes: int, pythons: dict[str, str], repeats: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in pythons}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenes.npz"
        drawn: dict[str, Any] = scenes(images, OBJECTS, 10, classes)
        np.savez(path, **drawn)
        for _ in range(repeats):
            for side, python in pythons.items():
                found[side].append(measured(side, path, python))
    seconds = {side: [one["seconds"] for one in runs] for side, runs in found.items()}
    figures = {side: np.array(runs[0]["figures"]) for side, runs in found.items()}
    others = [side for side in pythons if side != "ours"]
    return {
        "images": images,
        "objects": OBJECTS,
        "classes": classes,
        "seconds": seconds,
        "ratio": {side: float(np.median(seconds[side]) / np.median(seconds["ours"])) for side in others},
        "largest_difference": {side: float(np.abs(figures[side] - figures["ours"]).max()) for side in others},
        "figures": figures["ours"].tolist(),
    }


def has_faster(python: str) -> bool:
    return subprocess.run([python, "-c", "import faster_coco_eval"], capture_output=True).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="500 images, once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--classes", default="80,1", help="numbers of classes, separated by commas")
    parser.add_argument("--peer-python", default=sys.executable, help="an interpreter that has faster-coco-eval")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.data)
        return
    from hardware import machine

    images, repeats = (500, 1) if options.quick else (5000, options.repeats)
    pythons = {"ours": sys.executable, "pycocotools": sys.executable}
    if has_faster(options.peer_python):
        pythons["faster-coco-eval"] = options.peer_python
    rows = []
    for classes in map(int, options.classes.split(",")):
        found = row(images, classes, pythons, repeats)
        rows.append(found)
        print(f"{images} images × {OBJECTS} boxes, {classes} classes")
        for side, times in found["seconds"].items():
            ratio, apart = (found[key].get(side) for key in ("ratio", "largest_difference"))
            beside = "" if ratio is None else f"  ×{ratio:.1f}  largest difference {apart:.1e}"
            print(f"  {side:17s} {np.median(times):7.2f} s ({min(times):.2f}…{max(times):.2f}){beside}", flush=True)
    draws = [resampling(classes, repeats) for classes in (1, 20)]
    for found in draws:
        for figure, times in found["seconds"].items():
            where = f"1,000 draws, {found['detections']} detections, {found['classes']} classes"
            print(f"  {figure:4s} {where}: {np.median(times):.2f} s ({min(times):.2f}…{max(times):.2f})", flush=True)
    line = {"benchmark": "average_precision", "seed": SEED, "repeats": repeats, "rows": rows, "resampling": draws}
    print(json.dumps({**line, "machine": machine("pycocotools")}))


if __name__ == "__main__":
    main()
