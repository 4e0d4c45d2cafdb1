"""Is our SSIM that of scikit-image and piq on the same pairs, and how much faster?

    uv pip install --target /tmp/peers-pictures --no-deps piq scikit-image lazy-loader
    uv run python benchmarks/pictures.py --peer /tmp/peers-pictures [--quick] [--repeats 15] [--data $TWINSET_DATA]

Every row measures one set of pairs with the three in turn, repeat by repeat, so that all meet the same machine. Ours
gets uint8 pictures and computes in float64; piq gets its float32 tensors, made beforehand, in batches, with
``downsample`` off (on, it measures something else above 384 pixels); scikit-image gets one pair at a time, as it takes
no batch. The Gaussian window is that of all three, the uniform one scikit-image's default; MS-SSIM stands beside piq's.
Differences to the peers are printed beside the ratios. One thread; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hardware import machine
from threadpoolctl import threadpool_limits

from twinset.evaluation.pairs.ms_ssim import ms_ssim_values
from twinset.evaluation.pairs.ssim import ssim_values
from twinset.images import decode, resize

Pairs = tuple[np.ndarray, np.ndarray]
Method = Callable[[], np.ndarray]


def smooth_noise(count: int, side: int, channels: int) -> Pairs:
    draw = np.random.Generator(np.random.PCG64(side))
    rough = draw.integers(0, 256, (count, side, side, channels))
    first = ((rough + np.roll(rough, 1, 1) + np.roll(rough, 1, 2)) // 3).astype(np.uint8)
    return first, noisy(first)


def noisy(pictures: np.ndarray) -> np.ndarray:
    draw = np.random.Generator(np.random.PCG64(1))
    return np.clip(pictures + draw.normal(0, 20, pictures.shape), 0, 255).astype(np.uint8)


def photos(root: Path, count: int, side: int) -> Pairs:
    paths = sorted((root / "coco_mini").rglob("*.jpg"))[:count]
    found = [decode(path.read_bytes()) for path in paths]
    first = np.stack([resize(pixels, side, side) for pixels in found if pixels.shape[2] == 3])
    return first, noisy(first)


def in_turn(methods: dict[str, Method], repeats: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(repeats + 1):
        for name, method in methods.items():
            began = time.perf_counter()
            method()
            if repeat:  # the first time warms up
                taken[name].append(time.perf_counter() - began)
    return taken


def compared(case: str, pairs: Pairs, repeats: int) -> list[dict[str, object]]:
    import piq
    from skimage.metrics import structural_similarity

    first, second = pairs
    left, right = (torch.from_numpy(each).permute(0, 3, 1, 2).float() for each in pairs)

    def scikit(**settings: Any) -> np.ndarray:
        both = zip(first, second, strict=True)
        return np.array([structural_similarity(x, y, data_range=255, channel_axis=2, **settings) for x, y in both])

    rows = [
        measured(
            case,
            "ssim gaussian",
            pairs,
            {
                "ours": lambda: ssim_values(first, second, data_range=255),
                "piq": lambda: piq.ssim(left, right, data_range=255, downsample=False, reduction="none").numpy(),
                "scikit-image": lambda: scikit(gaussian_weights=True, use_sample_covariance=False),
            },
            repeats,
        ),
        measured(
            case,
            "ssim uniform",
            pairs,
            {
                "ours": lambda: ssim_values(first, second, data_range=255, window="uniform"),
                "scikit-image": scikit,
            },
            repeats,
        ),
    ]
    if first.shape[1] >= 161:
        methods = {
            "ours": lambda: ms_ssim_values(first, second, data_range=255),
            "piq": lambda: piq.multi_scale_ssim(left, right, data_range=255, reduction="none").numpy(),
        }
        rows.append(measured(case, "ms-ssim", pairs, methods, repeats))
    return rows


def measured(case: str, what: str, pairs: Pairs, methods: dict[str, Method], repeats: int) -> dict[str, object]:
    values = {name: np.asarray(method()) for name, method in methods.items()}
    taken = in_turn(methods, repeats)
    own = np.array(taken["ours"])
    row: dict[str, object] = {
        "case": case,
        "metric": what,
        "pairs": len(pairs[0]),
        "shape": list(pairs[0].shape[1:]),
        "seconds": taken,
        "nanoseconds_a_value": 1e9 * float(np.median(own)) / pairs[0].size,
    }
    text = f"{case:22s} {what:14s} ours {row['nanoseconds_a_value']:6.1f} ns a value"
    for name in list(methods)[1:]:
        ratios = np.array(taken[name]) / own
        difference = float(np.abs(values[name] - values["ours"]).max())
        row[name] = {
            "ratio": float(np.median(ratios)),
            "quartiles": np.quantile(ratios, [0.25, 0.75]).tolist(),
            "ratio_of_fastest": min(taken[name]) / float(own.min()),
            "largest_difference": difference,
        }
        text += f"   {name} ×{np.median(ratios):.1f} (fastest ×{min(taken[name]) / own.min():.1f}) ±{difference:.0e}"
    print(text, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="folder that piq and scikit-image are installed in")
    parser.add_argument("--data", type=Path, help="folder of real datasets; without it only noise is measured")
    parser.add_argument("--quick", action="store_true", help="few pairs")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    if options.peer:
        sys.path.append(str(options.peer))
    torch.set_num_threads(1)
    more = 1 if options.quick else 4
    cases = {
        "32 x 32, colour": smooth_noise(64 * more, 32, 3),
        "64 x 64, colour": smooth_noise(16 * more, 64, 3),
        "128 x 128, colour": smooth_noise(4 * more, 128, 3),
        "256 x 256, colour": smooth_noise(2 * more, 256, 3),
        "256 x 256, grey": smooth_noise(2 * more, 256, 1),
        "512 x 512, colour": smooth_noise(more, 512, 3),
    }
    if options.data:
        cases["photos, 256 x 256"] = photos(options.data, 2 * more, 256)
    rows: list[dict[str, object]] = []
    with threadpool_limits(1):
        for case, pairs in cases.items():
            rows += compared(case, pairs, options.repeats)
    print(json.dumps({"benchmark": "pictures", "rows": rows, "machine": machine("piq", "scikit-image")}))


if __name__ == "__main__":
    main()
