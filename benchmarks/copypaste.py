"""How many pictures a second does copy–paste compose, beside plain OpenCV and a public library?

    uv run python benchmarks/copypaste.py [--quick] [--repeats 3] [--peer PYTHON] [--processes 1 2 4]

Pictures of 640 × 640 with 10 objects each, one thread a process. Ours draws the layout, composes, and makes boxes,
visible and amodal masks. The OpenCV route gets the very same layouts and does what one writes first: every object
warped onto a full picture, blended in float, masks as full pictures. The peer, if a Python with albumentations is
given, pastes 10 cut-outs with OverlayElements: no blending, no turning and no labels. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hardware import machine

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.generators.copypaste import CopyPaste, CopyPasteGenerator
from twinset.generators.copypaste.layout import Layout
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.stages import Slot

SIDE, OBJECTS = 640, 10

PEER = """
import json, sys, time
import albumentations as A, cv2, numpy as np
cv2.setNumThreads(1)
data = np.load(sys.argv[1])
repeats, count = int(sys.argv[2]), int(sys.argv[3])
draws = np.random.default_rng(0)
cuts = [data[f"cut{i}"] for i in range(int(data["count"]))]
step = A.Compose([A.OverlayElements(p=1)])
seconds = []
for _ in range(repeats):
    began = time.perf_counter()
    for _ in range(count):
        items = []
        for row in draws.integers(len(cuts), size=10):
            rgba = cuts[row]
            h, w = rgba.shape[:2]
            x, y = draws.integers(0, 640 - w), draws.integers(0, 640 - h)
            box = [x / 640, y / 640, (x + w) / 640, (y + h) / 640]
            items.append({"image": rgba[..., :3].copy(), "mask": rgba[..., 3].copy(), "bbox": box})
        step(image=data["background"].copy(), overlay_metadata=items)
    seconds.append((time.perf_counter() - began) / count)
print(json.dumps({"albumentations": A.__version__, "seconds": seconds}))
"""


def scenes(count: int = 24) -> Dataset:
    """Textured pictures with ten ellipses of 40 to 130 pixels each, with masks."""
    samples = []
    for index in range(count):
        draws = np.random.Generator(np.random.PCG64(index))
        rough = draws.integers(0, 256, (20, 20, 3)).astype(np.uint8)
        pixels = np.asarray(cv2.resize(rough, (SIDE, SIDE), interpolation=3), dtype=np.uint8)
        boxes, masks = [], []
        for _ in range(OBJECTS):
            axes = tuple(int(v) for v in draws.integers(20, 66, size=2))
            x, y = (int(v) for v in draws.integers(70, SIDE - 70, size=2))
            mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
            cv2.ellipse(mask, (x, y), axes, float(draws.uniform(0, 180)), 0, 360, 1, -1)
            pixels[mask > 0] = draws.integers(0, 256, 3)
            masks.append(Rle.of(mask > 0))
            boxes.append(masks[-1].box())
        instances = Instances((SIDE, SIDE), np.zeros(OBJECTS, dtype=int), np.array(boxes), tuple(masks))
        samples.append(Sample(f"s{index}", Annotation(instances=instances), image=pixels))
    return Dataset.of(samples, classes=["thing"])


@lru_cache(maxsize=2)
def fitted(poisson: bool) -> CopyPasteGenerator:
    return CopyPaste(
        blending=("poisson" if poisson else "gaussian",), count=(OBJECTS, OBJECTS), rotation_degrees=30
    ).fit(scenes(), rng=0)


def slots(first: int, count: int) -> list[Slot]:
    return [Slot(index, 0, index, 0, "benchmark") for index in range(first, first + count)]


def ours(poisson: bool, first: int, count: int) -> int:
    return sum(len(s.annotation.instances or ()) for s in fitted(poisson).generate(slots(first, count)) if s.annotation)


def straightforward(generator: CopyPasteGenerator, layout: Layout, poisson: bool) -> Instances:
    """Full pictures throughout: warp, blur the mask, blend in float (or clone seamlessly), cover what is behind."""
    cutouts = generator.cutouts
    assert generator.backgrounds is not None
    canvas = generator.backgrounds.pictures[layout.background].copy()
    masks: list[np.ndarray] = []
    whole: list[np.ndarray] = []
    for placed in layout.objects:
        rgba = cutouts.pictures[int(cutouts.first[placed.cutout])]
        warped = cv2.warpAffine(rgba, placed.matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        mask = warped[..., 3] > 127
        if not mask.any():
            continue
        if poisson:
            x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
            centre = (x + width // 2, y + height // 2)
            whole_mask = mask.astype(np.uint8) * 255
            cloned = cv2.seamlessClone(warped[..., :3], canvas, whole_mask, centre, cv2.NORMAL_CLONE)
            canvas = np.asarray(cloned, dtype=np.uint8)
        else:
            alpha = cv2.GaussianBlur(mask.astype(np.float32), (5, 5), 2)[..., None]
            canvas = (alpha * warped[..., :3] + (1 - alpha) * canvas).astype(np.uint8)
        masks = [other & ~mask for other in masks]
        masks.append(mask)
        whole.append(mask)
    kept = [i for i, mask in enumerate(masks) if mask.sum() >= 0.1 * whole[i].sum() > 0]
    boxes = []
    for i in kept:
        rows, columns = np.where(masks[i])
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return Instances(
        layout.size,
        np.array([layout.objects[i].class_id for i in kept]),
        np.array(boxes),
        tuple(Rle.of(masks[i]) for i in kept),
        amodal_masks=tuple(Rle.of(whole[i]) for i in kept),
    )


def timed(function: Callable[[], object], count: int, repeats: int) -> list[float]:
    function()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        seconds.append((time.perf_counter() - began) / count)
    return seconds


def by_opencv(poisson: bool, count: int, repeats: int) -> list[float]:
    generator = fitted(poisson)
    layouts = [generator.layout(slot) for slot in slots(0, count)]

    def run() -> None:
        for layout in layouts:
            straightforward(generator, layout, poisson)

    return timed(run, count, repeats)


def by_peer(python: str, count: int, repeats: int) -> dict[str, Any] | None:
    generator = fitted(False)
    cutouts = generator.cutouts
    assert generator.backgrounds is not None
    cuts: dict[str, Any] = {f"cut{i}": cutouts.pictures[int(cutouts.first[i])] for i in range(len(cutouts))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cuts.npz"
        np.savez(path, count=len(cuts), background=generator.backgrounds.pictures[0], **cuts)
        command = [python, "-W", "ignore", "-c", PEER, str(path), str(repeats), str(count)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}
        )
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1])
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def scaling(processes: int, count: int, poisson: bool) -> float:
    """Pictures a second of this many processes that each have fitted already."""
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(ours, [poisson] * processes, [0] * processes, [20] * processes))
        began = time.perf_counter()
        starts = [count * part for part in range(processes)]
        list(pool.map(ours, [poisson] * processes, starts, [count] * processes))
        return processes * count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the pictures")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", help="a Python that has albumentations")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    count = 50 if options.quick else 200
    rows: list[dict[str, Any]] = []
    for poisson in (False, True):
        mine = timed(lambda poisson=poisson: ours(poisson, 0, count), count, options.repeats)  # type: ignore[misc]
        plain = by_opencv(poisson, max(10, count // 5), options.repeats)
        row = {
            "poisson": poisson,
            "ours_s": mine,
            "opencv_s": plain,
            "ratio": float(np.median(plain) / np.median(mine)),
        }
        rows.append(row)
        print(
            f"Poisson {'on ' if poisson else 'off'}  ours {1 / np.median(mine):7.1f} images/s"
            f"  OpenCV {1 / np.median(plain):6.1f}  ×{row['ratio']:.1f}",
            flush=True,
        )
    peer = by_peer(options.peer, max(10, count // 5), options.repeats) if options.peer else None
    if peer:
        print(f"albumentations {peer['albumentations']}  {1 / np.median(peer['seconds']):.1f} images/s, without labels")
    speeds = {n: scaling(n, 2 * count, False) for n in options.processes}
    for n, speed in speeds.items():
        print(f"{n} processes  {speed:7.1f} images/s  ×{speed / speeds[options.processes[0]]:.2f}", flush=True)
    packages = machine("opencv-python-headless", "scipy")
    print(json.dumps({"benchmark": "copypaste", "rows": rows, "peer": peer, "scaling": speeds, "machine": packages}))


if __name__ == "__main__":
    main()
