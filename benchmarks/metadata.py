"""Are our metadata measures those of scikit-image, and how much faster?

    uv pip install --target /tmp/peers-metadata --no-deps scikit-image lazy-loader
    uv run python benchmarks/metadata.py --peer /tmp/peers-metadata [--quick] [--repeats 5] [--data $TWINSET_DATA]

Each row measures the same pictures and boxes twice in one run: sharpness, blur, entropy, brightness and contrast of the
picture and of every crop. The reference is straightforward: one call of scikit-image or NumPy for each measure and
crop, on the same luma, which both sides compute. Boxes of pictures are synthetic at 20 a picture, or bccd's own. Box
measures of a large dataset are compared with a loop over its boxes in NumPy. One thread; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hardware import machine

from twinset.alignment.metadata import measure
from twinset.alignment.metadata.image_measures import TEXTURE, texture
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.images import Pixels, convert_channels, decode
from twinset.instances import Instances

Boxes = np.ndarray


def reference(pixels: Pixels, boxes: Boxes) -> np.ndarray:
    """(1 + K, 5), as :func:`texture`, a call a measure."""
    from skimage.filters import laplace
    from skimage.measure import blur_effect, shannon_entropy

    grey = convert_channels(pixels, 1)[..., 0]
    rows = []
    for x1, y1, x2, y2 in [(0, 0, grey.shape[1], grey.shape[0]), *boxes.tolist()]:
        crop = grey[int(np.floor(y1)) : int(np.ceil(y2)), int(np.floor(x1)) : int(np.ceil(x2))]
        rows.append(
            [
                laplace(crop.astype(np.float64)).var(),
                blur_effect(crop),
                shannon_entropy(crop),
                crop.mean(),
                crop.std(),
            ]
        )
    return np.array(rows)


def seconds(function: Callable[[], object], repeats: int) -> list[float]:
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return taken


def compared(name: str, pictures: list[tuple[Pixels, Boxes]], repeats: int) -> dict[str, Any]:
    for pixels, boxes in pictures[:2]:
        texture(pixels, boxes), reference(pixels, boxes)
    found = np.concatenate([texture(*picture) for picture in pictures])
    expected = np.concatenate([reference(*picture) for picture in pictures])
    error = np.nanmax(np.abs(found - expected) / np.maximum(np.abs(expected), 1e-12), axis=0)
    ours = seconds(lambda: [texture(*picture) for picture in pictures], repeats)
    theirs = seconds(lambda: [reference(*picture) for picture in pictures], max(2, repeats // 2))
    return {
        "case": name,
        "images": len(pictures),
        "crops": len(found) - len(pictures),
        "ours_s": ours,
        "reference_s": theirs,
        "ratio": float(np.median(theirs) / np.median(ours)),
        "largest_relative_error": dict(zip(TEXTURE, error.tolist(), strict=True)),
        "undefined": [int(np.isnan(found).sum()), int(np.isnan(expected).sum())],
    }


def bccd(root: Path, count: int) -> list[tuple[Pixels, Boxes]]:
    pictures = []
    for path in sorted((root / "bccd/VOC2007/Annotations").glob("*.xml"))[:count]:
        sides = [[float(box.findtext(side, "")) for side in ("xmin", "ymin", "xmax", "ymax")] for box in
                 ElementTree.parse(path).getroot().iter("bndbox")]  # fmt: skip
        boxes = np.array([side for side in sides if side[2] - side[0] >= 4 and side[3] - side[1] >= 4])
        data = (root / "bccd/VOC2007/JPEGImages" / f"{path.stem}.jpg").read_bytes()
        pictures.append((decode(data), boxes.reshape(-1, 4)))
    return pictures


def noise(count: int, sides: tuple[int, int], per_image: int) -> list[tuple[Pixels, Boxes]]:
    """Smooth noise at 640 × 480 with boxes of a side between ``sides``."""
    draw = np.random.Generator(np.random.PCG64(0))
    pictures = []
    for _ in range(count):
        rough = draw.integers(0, 256, (480, 640, 3)).astype(np.float64)
        smooth = (rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1)) / 3
        size = draw.integers(*sides, (per_image, 2))
        low = draw.integers(0, [640, 480] - size + 1) if per_image else size
        pictures.append((smooth.astype(np.uint8), np.concatenate([low, low + size], axis=1).astype(np.float64)))
    return pictures


def geometry(images: int, per_image: int, repeats: int) -> dict[str, Any]:
    draw = np.random.Generator(np.random.PCG64(1))
    samples = []
    for row in range(images):
        low = draw.uniform(0, 400, (per_image, 2))
        boxes = np.concatenate([low, low + draw.uniform(2, 80, (per_image, 2))], axis=1).astype(np.float32)
        objects = Instances((480, 640), np.zeros(per_image, dtype=np.int64), boxes)
        samples.append(Sample(str(row), Annotation(instances=objects), image=b"never opened"))
    dataset = Dataset.of(samples, classes=["a"])
    names = ["count", "box_area", "aspect_ratio", "centre_x", "centre_y"]

    labels = [sample.annotation.instances for sample in samples if sample.annotation and sample.annotation.instances]

    def loop() -> np.ndarray:
        rows = []
        for instances in labels:
            for x1, y1, x2, y2 in instances.boxes.astype(np.float64):
                width, height = x2 - x1, y2 - y1
                rows.append([width * height / (640 * 480), width / height, (x1 + x2) / 2 / 640, (y1 + y2) / 2 / 480])
        return np.array(rows)

    found = measure(dataset, pixels=False, measures=names)
    columns = [np.asarray(found.columns[name], dtype=np.float64) for name in names[1:]]
    error = np.abs(np.stack(columns, axis=1) - loop()).max()
    ours = seconds(lambda: measure(dataset, pixels=False, measures=names), repeats)
    theirs = seconds(loop, 2)
    return {
        "case": f"boxes alone, {images} x {per_image}",
        "ours_s": ours,
        "reference_s": theirs,
        "ratio": float(np.median(theirs) / np.median(ours)),
        "largest_error": float(error),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="folder that scikit-image is installed in")
    parser.add_argument("--data", type=Path, help="folder of real datasets; without it only noise is measured")
    parser.add_argument("--quick", action="store_true", help="few pictures")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.peer:
        sys.path.append(str(options.peer))
    import cv2

    cv2.setNumThreads(1)
    count = 4 if options.quick else 20
    cases = {
        "640 x 480, no boxes": noise(count, (8, 9), 0),
        "640 x 480, 20 boxes of 16-32 px": noise(count, (16, 33), 20),
        "640 x 480, 20 boxes of 32-128 px": noise(count, (32, 129), 20),
    }
    if options.data:
        cases["bccd, its own boxes"] = bccd(options.data, 2 * count)
    rows = []
    for name, pictures in cases.items():
        row = compared(name, pictures, options.repeats)
        rows.append(row)
        each = 1e3 / len(pictures)
        print(
            f"{name:34s} ours {each * np.median(row['ours_s']):7.2f} ms an image, scikit-image "
            f"{each * np.median(row['reference_s']):7.2f} ms  ×{row['ratio']:.1f}  largest relative error "
            f"{max(row['largest_relative_error'].values()):.1e}",
            flush=True,
        )
    rows.append(geometry(500 if options.quick else 5000, 20, options.repeats))
    last = rows[-1]
    print(
        f"{last['case']:34s} ours {np.median(last['ours_s']):.3f} s, loop {np.median(last['reference_s']):.3f} s"
        f"  ×{last['ratio']:.1f}  largest error {last['largest_error']:.1e}"
    )
    print(
        json.dumps(
            {"benchmark": "metadata", "rows": rows, "machine": machine("scikit-image", "opencv-python-headless")}
        )
    )


if __name__ == "__main__":
    main()
