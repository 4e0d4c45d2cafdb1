"""How fast are a million COCO annotations read and written back, beside pycocotools, supervision and datumaro?

    uv run python benchmarks/coco.py [--quick] [--polygons] [--repeats 3] [--peers PYTHON]

Every tool reads the same synthetic file into what it works on and writes COCO again, each time in a process of its
own, in turn; no picture is there to be opened. Seconds are those of the processor, all threads together, so that
neighbours on the machine do not count. ``--peers`` is a Python that has supervision and datumaro. Boxes and
classes of what each wrote are compared with the source. pycocotools has no writer: its parsed file goes through
``json.dumps``. Ours counts from the file to settled columns and back; memory is measured with a quarter of the
images, with a quarter of the objects in each, and with all; then with the annotations in random order, and with the
pictures in two splits by turns. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OBJECTS = 20
CORNERS = 20
WIDTH, HEIGHT = 640, 480
CLASSES = 80
SEED = 0
FAR_BEHIND = 4
"""Times our seconds beyond which a tool is measured once: minutes would go by and decide nothing."""


def make(path: Path, images: int, *, polygons: bool, each: int = OBJECTS, shuffled: bool = False) -> None:
    """A COCO file of ``images`` pictures with ``each`` objects, coordinates with two decimals as COCO has them."""
    draw = np.random.Generator(np.random.PCG64(SEED))
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    circle = np.stack([1 + np.cos(turn), 1 + np.sin(turn)], axis=1) / 2
    categories = [{"id": n + 1, "name": f"class {n}", "supercategory": ""} for n in range(CLASSES)]
    pictures = [{"id": n + 1, "file_name": f"{n:012d}.jpg", "width": WIDTH, "height": HEIGHT} for n in range(images)]
    corner = np.round(draw.uniform(0, 400, (images * each, 2)), 2)
    sides = np.round(draw.uniform(4, 80, (images * each, 2)), 2)
    classes = draw.integers(1, CLASSES + 1, images * each)
    order = draw.permutation(images * each) if shuffled else np.arange(images * each)
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent.parent / "images" / "all").mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.write(json.dumps({"info": {}, "licenses": [], "categories": categories, "images": pictures})[:-1])
        file.write(', "annotations": [')
        for start in range(0, len(order), 1000):
            rows = order[start : start + 1000]
            rings = np.round(corner[rows, None] + circle * sides[rows, None], 2).reshape(len(rows), 1, -1).tolist()
            written = [
                {
                    "id": row + 1,
                    "image_id": row // each + 1,
                    "category_id": int(classes[row]),
                    "segmentation": ring if polygons else [],
                    "area": round(float(sides[row].prod()), 2),
                    "bbox": [*corner[row].tolist(), *sides[row].tolist()],
                    "iscrowd": 0,
                }
                for row, ring in zip(rows.tolist(), rings, strict=True)
            ]
            file.write((", " if start else "") + json.dumps(written)[1:-1])
        file.write("]}")


def ours(source: Path, target: Path, splits: int = 1) -> tuple[float, float, int]:
    from twinset.formats import coco
    from twinset.formats.coco.records import Image
    from twinset.formats.coco.writing import write_file
    from twinset.formats.listing import Candidate
    from twinset.formats.shelves import Rows

    began = time.process_time()
    folder, file = coco.around(source)
    listing = coco.listing(folder, [file], "benchmark")
    names: list[str] = []
    sizes: dict[int, tuple[int, int]] = {}
    for entry in listing.entries:
        assert isinstance(entry, Candidate)
        assert entry.objects is not None
        names.append((entry.path or "").rpartition("/")[2])
        sizes[entry.objects] = (HEIGHT, WIDTH)
    assert listing.objects is not None
    assert listing.classes is not None
    _, instances, mishaps = listing.objects.settle(sizes, listing.classes)
    assert not mishaps
    read = time.process_time() - began
    began = time.process_time()
    images = [Image(n, name, WIDTH, HEIGHT) for n, name in enumerate(names, 1)]
    for split in range(splits):
        with target.with_suffix(f".{split}" if split else ".json").open("wb") as handle:
            chosen = Rows(instances, np.arange(split, len(images), splits))
            write_file(handle, chosen, images[split::splits], listing.classes)
    return read, time.process_time() - began, int(instances.get_total_buffer_size())


def ours_in_two(source: Path, target: Path) -> tuple[float, float, int]:
    return ours(source, target, splits=2)


def pycocotools(source: Path, target: Path) -> tuple[float, float, int]:
    from pycocotools.coco import COCO

    began = time.process_time()
    data = COCO(str(source))
    read = time.process_time() - began
    began = time.process_time()
    target.write_text(json.dumps(data.dataset))
    return read, time.process_time() - began, 0


def supervision(source: Path, target: Path) -> tuple[float, float, int]:
    import supervision as sv
    from supervision.dataset.formats.coco import load_coco_annotations, save_coco_annotations

    began = time.process_time()
    classes, paths, annotations = load_coco_annotations(str(source.parent.parent / "images"), str(source))
    read = time.process_time() - began
    blank = np.broadcast_to(np.zeros((1, 1, 3), dtype=np.uint8), (HEIGHT, WIDTH, 3))
    dataset = sv.DetectionDataset(classes, dict.fromkeys(paths, blank), annotations)
    began = time.process_time()
    save_coco_annotations(dataset, str(target))
    return read, time.process_time() - began, 0


def datumaro(source: Path, target: Path) -> tuple[float, float, int]:
    import datumaro as dm

    began = time.process_time()
    dataset = dm.Dataset.import_from(str(source.parent.parent), "coco")
    assert sum(len(item.annotations) for item in dataset)
    read = time.process_time() - began
    folder = target.with_suffix(".folder")
    began = time.process_time()
    dataset.export(str(folder), "coco_instances", save_media=False)
    wrote = time.process_time() - began
    next((folder / "annotations").glob("*.json")).rename(target)
    return read, wrote, 0


TOOLS: dict[str, Callable[[Path, Path], tuple[float, float, int]]] = {
    "twinset": ours,
    "twinset-splits": ours_in_two,
    "pycocotools": pycocotools,
    "supervision": supervision,
    "datumaro": datumaro,
}


def peak_mib() -> float:
    """The most memory that this process had; from /proc, since getrusage counts what its parent had too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def work(tool: str, source: Path, target: Path, warm: Path) -> None:
    """One measurement, printed as JSON. A tiny file goes first, so that nobody's imports are timed."""
    TOOLS[tool](warm, target.with_suffix(".warm"))
    before = peak_mib()
    read, wrote, columns = TOOLS[tool](source, target)
    row = {"read_s": read, "write_s": wrote, "idle_mib": before, "peak_mib": peak_mib()}
    print(json.dumps({**row, "columns_mib": columns / 2**20}), flush=True)


def measured(python: str, tool: str, source: Path, target: Path, warm: Path) -> dict[str, float]:
    command = [python, __file__, "--work", tool, str(source), str(target), str(warm)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def content(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (M, 4) and class names of a COCO file, by picture name and in order, read by the json module."""
    data = json.loads(path.read_bytes())
    names = {one["id"]: str(Path(one["file_name"]).stem) for one in data["images"]}
    classes = {one["id"]: one["name"] for one in data["categories"]}
    boxes = np.array([one["bbox"] for one in data["annotations"]], dtype=np.float64)
    pictures = np.array([names[one["image_id"]] for one in data["annotations"]])
    labels = np.array([classes[one["category_id"]] for one in data["annotations"]])
    order = np.lexsort((boxes[:, 1], boxes[:, 0], pictures))
    return boxes[order], labels[order]


def _total(run: dict[str, float]) -> float:
    return run["read_s"] + run["write_s"]


def compared(options: argparse.Namespace, images: int, scratch: Path) -> dict[str, Any]:
    source, warm = (scratch / name / "annotations" / "instances_all.json" for name in ("source", "warm"))
    make(source, images, polygons=options.polygons)
    make(warm, 5, polygons=options.polygons)
    tools = ["twinset", "pycocotools", *(["supervision", "datumaro"] if options.peers else [])]
    tools = [tool for tool in tools if not (options.polygons and tool == "supervision")]
    runs: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for turn in range(options.repeats):
        for tool in tools:
            if turn and _total(runs[tool][0]) > FAR_BEHIND * _total(runs["twinset"][0]):
                continue
            python = options.peers if tool in ("supervision", "datumaro") else sys.executable
            runs[tool].append(measured(python, tool, source, scratch / f"{tool}.json", warm))
    boxes, labels = content(source)
    rows: dict[str, dict[str, Any]] = {}
    for tool in tools:
        found, names = content(scratch / f"{tool}.json")
        total = [_total(run) for run in runs[tool]]
        rows[tool] = {
            "total_s": total,
            "read_s": [run["read_s"] for run in runs[tool]],
            "write_s": [run["write_s"] for run in runs[tool]],
            "peak_mib": max(run["peak_mib"] for run in runs[tool]),
            "largest_box_difference": float(np.abs(found - boxes).max()),
            "same_classes": bool((names == labels).all()),
        }
        print(
            f"{tool:12s} read {np.median([r['read_s'] for r in runs[tool]]):7.2f} s"
            f"  write {np.median([r['write_s'] for r in runs[tool]]):7.2f} s"
            f"  total {np.median(total):7.2f} s ({min(total):.2f}–{max(total):.2f})"
            f"  peak {rows[tool]['peak_mib']:.0f} MiB  boxes differ by {rows[tool]['largest_box_difference']:.1e}",
            flush=True,
        )
    medians = {tool: float(np.median(runs_of["total_s"])) for tool, runs_of in rows.items()}
    fastest = min((tool for tool in tools if tool != "twinset"), key=medians.__getitem__)
    ratio = medians[fastest] / medians["twinset"]
    print(f"{fastest} is the fastest other; ours ×{ratio:.2f}", flush=True)
    megabytes = source.stat().st_size / 2**20
    return {"images": images, "file_mib": megabytes, "rows": rows, "fastest": fastest, "ratio": ratio}


def memory(options: argparse.Namespace, images: int, scratch: Path) -> list[dict[str, Any]]:
    """Our peak with a quarter of the images, with a quarter of the objects in each, with all, and in less order."""
    found = []
    warm = scratch / "warm" / "annotations" / "instances_all.json"
    cases = (
        (images // 4, OBJECTS, ""),
        (images, OBJECTS // 4, ""),
        (images, OBJECTS, ""),
        (images, OBJECTS, "in random order"),
        (images, OBJECTS, "in two splits"),
    )
    for count, each, how in cases:
        shuffled = how == "in random order"
        source = scratch / f"memory{count}x{each}{how}" / "annotations" / "instances_all.json"
        make(source, count, polygons=options.polygons, each=each, shuffled=shuffled)
        tool = "twinset-splits" if how == "in two splits" else "twinset"
        run = measured(sys.executable, tool, source, scratch / "memory.json", warm)
        row: dict[str, Any] = {"images": count, "each": each, "how": how, "file_mib": source.stat().st_size / 2**20}
        row |= run
        row["over_idle_mib"] = run["peak_mib"] - run["idle_mib"]
        print(
            f"{count} images with {each} objects {how}, {row['file_mib']:.0f} MiB: peak {run['peak_mib']:.0f} MiB,"
            f" {row['over_idle_mib']:.0f} over idle, {_total(run):.2f} s; columns {run['columns_mib']:.0f}",
            flush=True,
        )
        found.append(row)
        source.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 images instead of 50,000 (10,000 with polygons)")
    parser.add_argument("--polygons", action="store_true", help="an outline of 20 points on every object")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", help="a Python that has supervision and datumaro", default="")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        tool, *paths = options.work
        work(tool, *(Path(path) for path in paths))
        return
    from hardware import machine

    images = 2_000 if options.quick else 10_000 if options.polygons else 50_000
    with tempfile.TemporaryDirectory() as scratch:
        found = compared(options, images, Path(scratch))
        grown = memory(options, images, Path(scratch))
    line = {"benchmark": "coco", "seed": SEED, "polygons": options.polygons, **found, "memory": grown}
    print(json.dumps({**line, "machine": machine("pycocotools", "msgspec", "pyarrow")}))


if __name__ == "__main__":
    main()
