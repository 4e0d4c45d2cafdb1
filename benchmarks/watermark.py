"""What does the invisible watermark survive, what does it cost, and how often does it find what is not there?

    uv pip install --target /tmp/peers-watermark --no-deps invisible-watermark pywavelets
    uv run python benchmarks/watermark.py --data DIR [--peer /tmp/peers-watermark] [--part survival,false,keys,utility]
        [--images 30] [--keys 20] [--sets coco_mini,coco_mini@128,mnist]

`survival`: a payload of 16 bits in real images at 40 dB: bit accuracy, and share found at a false-positive rate .001,
untouched and after JPEG 75 and 50, half size and back, a crop of 10 % of height and width, noise of σ = 5, and
brightness × 1.1 + 10; for small images also of all pooled, as one folder. Photos are cut to 512 × 512 at most, so that
the peer's time does not depend on the camera. `false`: real images that were never marked, judged with many keys: how
often is p below .05, .01, .001? `keys`: the same of a pooled folder and of one picture, with 1,500 keys. `utility`: a
classifier trained on marked digits (and not), tested on unmarked ones. The peer, invisible-watermark (dwtDct,
dwtDctSvd), takes images of 256 × 256 pixels and more. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from hardware import machine
from numpy.typing import NDArray
from PIL import Image

from twinset.evaluation.pairs.ssim import ssim_values
from twinset.formats import read
from twinset.images import Pixels, convert_channels, decode, resize
from twinset.release.watermark import SecretKey, SpreadSpectrum

SETS = ("coco_mini", "kudzu", "aerial_cars", "camvid", "em_membrane", "bccd", "cifar10", "mnist", "pneumonia_mnist")
MOST = 512
PEER_SIDE = 200
RATE = 0.001
BITS = 16
FOLDER = 50
Take = Callable[[Pixels], Pixels]


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="JPEG", quality=quality)
    return decode(buffer.getvalue())


def halved(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return resize(resize(pixels, height // 2, width // 2), height, width)


def cropped(pixels: Pixels) -> Pixels:
    """A tenth of height and width less, unevenly: nothing stays where a block or tile began."""
    height, width = pixels.shape[:2]
    top, left = round(0.037 * height), round(0.061 * width)
    return np.ascontiguousarray(pixels[top : top + round(0.9 * height), left : left + round(0.9 * width)])


def noisy(pixels: Pixels) -> Pixels:
    grain = np.random.default_rng(3).normal(0, 5, pixels.shape)
    return np.asarray(np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8))


def brighter(pixels: Pixels) -> Pixels:
    return np.asarray(np.clip(np.rint(pixels * 1.1 + 10.0), 0, 255).astype(np.uint8))


CHANGES: Mapping[str, Take] = {
    "untouched": lambda pixels: pixels,
    "JPEG 75": partial(jpeg, quality=75),
    "JPEG 50": partial(jpeg, quality=50),
    "half size": halved,
    "crop 10 %": cropped,
    "noise σ 5": noisy,
    "brightness": brighter,
}


@dataclass(frozen=True)
class Ours:
    """The built-in watermark; 0.5 of the bits are right where no payload is read."""

    mark: SpreadSpectrum
    name: str = "twinset"

    def put(self, pixels: Pixels, payload: int) -> Pixels:
        return self.mark.mark(pixels, payload)

    def get(self, pixels: Pixels) -> tuple[int | None, bool]:
        reading = self.mark.read(pixels)
        return reading.payload, reading.p_value <= RATE


@dataclass(frozen=True)
class Peer:
    """invisible-watermark; it has no test of presence."""

    name: str

    def put(self, pixels: Pixels, payload: int) -> Pixels:
        from imwatermark import WatermarkEncoder  # type: ignore[import-not-found]

        encoder = WatermarkEncoder()
        encoder.set_watermark("bytes", payload.to_bytes(2, "big"))
        return np.ascontiguousarray(encoder.encode(np.ascontiguousarray(pixels[..., ::-1]), self.name)[..., ::-1])

    def get(self, pixels: Pixels) -> tuple[int | None, bool]:
        from imwatermark import WatermarkDecoder

        found = WatermarkDecoder("bytes", BITS).decode(np.ascontiguousarray(pixels[..., ::-1]), self.name)
        return int.from_bytes(found, "big"), False


def pictures(data: Path, name: str, count: int) -> list[Pixels]:
    """Real images of a set, drawn at random, cut to the middle 512 × 512 at most, or to ``SET@SIDE``; large in RGB."""
    folder, _, side = name.partition("@")
    dataset, _ = read(data / folder, on_bad_input="skip")
    chosen = np.random.default_rng(1).permutation(len(dataset))[:count]
    return [middle(dataset[int(index)].pixels(), int(side or MOST)) for index in chosen]


def middle(pixels: Pixels, most: int) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    cut = np.ascontiguousarray(pixels[top : top + most, left : left + most])
    return convert_channels(cut, 3) if min(cut.shape[:2]) >= PEER_SIDE else cut


def right_bits(found: int | None, payload: int) -> float:
    return 0.5 if found is None else 1 - (found ^ payload).bit_count() / BITS


def survival(name: str, images: list[Pixels], methods: list[Ours | Peer]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    payloads = np.random.default_rng(2).integers(2**BITS, size=len(images)).tolist()
    for method in methods:
        if isinstance(method, Peer) and min(images[0].shape[:2]) < PEER_SIDE:
            continue
        began = time.perf_counter()
        marked = [method.put(pixels, payload) for pixels, payload in zip(images, payloads, strict=True)]
        seconds = (time.perf_counter() - began) / len(images)
        row: dict[str, object] = {
            "set": name,
            "method": method.name,
            "size": "×".join(map(str, images[0].shape[:2])),
            "images": len(images),
            "psnr": float(np.mean([psnr_of(a, b) for a, b in zip(images, marked, strict=True)])),
            "ssim": float(np.mean([ssim_of(a, b) for a, b in zip(images, marked, strict=True)])),
            "milliseconds": 1000 * seconds,
        }
        for change, take in CHANGES.items():
            got = [method.get(take(pixels)) for pixels in marked]
            bits = [right_bits(found, payload) for (found, _), payload in zip(got, payloads, strict=True)]
            row[change] = {"bits": float(np.mean(bits)), "found": float(np.mean([sure for _, sure in got]))}
        rows.append(row)
        print(line(row), flush=True)
    return rows


def pooled(name: str, images: list[Pixels], mark: SpreadSpectrum) -> dict[str, object]:
    """One folder of these, all with one payload: its p-value and whether the payload is right, change by change."""
    payload = 40_321
    marked = [mark.mark(pixels, payload) for pixels in images]
    row: dict[str, object] = {"set": name, "pooled": len(images)}
    for change, take in {**CHANGES, "unmarked": None}.items():
        source = images if take is None else [take(pixels) for pixels in marked]
        looks = [look for pixels in source for look in mark.look(pixels)]
        reading = mark.judge(looks)
        row[change] = {"p": reading.p_value, "payload": reading.payload == payload}
    cells = [(change, cell) for change, cell in row.items() if isinstance(cell, dict)]
    told = "  ".join(f"{change} {cell['p']:.1g}{'' if cell['payload'] else '!'}" for change, cell in cells)
    print(f"{name:<16} {len(images)} pooled: {told}", flush=True)
    return row


def line(row: dict[str, object]) -> str:
    cells = "  ".join(f"{c['bits']:.3f}/{c['found']:.2f}" for c in row.values() if isinstance(c, dict))
    return (
        f"{row['set']:<16} {row['method']:<10} {row['size']:>8} {row['psnr']:.1f} dB  {row['ssim']:.3f}  "
        f"{row['milliseconds']:6.1f} ms  {cells}"
    )


def psnr_of(one: Pixels, other: Pixels) -> float:
    error = ((one.astype(np.float64) - other) ** 2).mean()
    return float(10 * np.log10(255.0**2 / max(error, 1e-9)))


def ssim_of(one: Pixels, other: Pixels) -> float:
    return float(ssim_values(one[None], other[None], data_range=255, window="gaussian")[0])


def false_positives(name: str, images: list[Pixels], keys: int) -> dict[str, object]:
    """Unmarked real images against many keys: share of pictures, and of folders, with p at most each rate."""
    chances, folders = [], []
    looks = None
    for number in range(keys):
        mark = SpreadSpectrum(SecretKey(f"benchmark key {number:06d}".encode()))
        if looks is None:
            looks = [mark.look(pixels) for pixels in images]
        chances += [mark.judge(look).p_value for look in looks]
        folders.append(mark.judge([one for look in looks for one in look]).p_value)
    found = np.array(chances)
    row: dict[str, object] = {"set": name, "judged": len(found), "keys": keys, "folders": folders}
    for rate in (0.05, 0.01, 0.001):
        row[f"p<={rate:g}"] = float((found <= rate).mean())
        row[f"folders p<={rate:g}"] = float((np.array(folders) <= rate).mean())
    print({key: value for key, value in row.items() if key != "folders"}, flush=True)
    return row


def many_keys(name: str, images: list[Pixels], keys: int) -> dict[str, object]:
    """The pooled folder, and its first picture, against many keys: share of keys with p at most each rate."""
    looks = [look for pixels in images for look in SpreadSpectrum(SecretKey(b"x" * 16)).look(pixels)]
    marks = [SpreadSpectrum(SecretKey(b"fpr key %010d" % number)) for number in range(keys)]
    chances = np.array([[mark.judge(looks).p_value, mark.judge(looks[:1]).p_value] for mark in marks])
    row: dict[str, object] = {"set": name, "pooled": len(looks), "keys": keys}
    for rate in (0.2, 0.1, 0.05, 0.01, 0.001):
        row[f"p<={rate:g}"] = [float(share) for share in (chances <= rate).mean(axis=0)]
    print(row, flush=True)
    return row


def utility(data: Path) -> dict[str, object]:
    """Balanced accuracy on unmarked MNIST test images after training on 1,000 marked ones, and on unmarked ones."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.svm import SVC

    training, test = read(data / "mnist" / "train")[0], read(data / "mnist" / "test")[0]
    x, y = np.stack([s.pixels() for s in training]), training.class_ids
    held, truth = flat(np.stack([s.pixels() for s in test])), test.class_ids
    row: dict[str, object] = {"training": len(x), "test": len(held)}
    for psnr_db in (None, 40.0, 36.0):
        mark = None if psnr_db is None else SpreadSpectrum(SecretKey(b"key of the benchmark, utility"), psnr_db)
        seen = x if mark is None else np.stack([mark.mark(pixels, 4711) for pixels in x])
        for model in (LogisticRegression(C=0.05, max_iter=2000), SVC(C=10.0, gamma="scale")):
            model.fit(flat(seen), y)
            score = balanced_accuracy_score(truth, model.predict(held))
            row[f"{type(model).__name__} {psnr_db or 'unmarked'}"] = float(score)
    print(row, flush=True)
    return row


def flat(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(pixels.reshape(len(pixels), -1) / 255.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the real sets")
    parser.add_argument("--peer", type=Path, help="folder that invisible-watermark is installed in")
    parser.add_argument("--part", default="survival,false,keys,utility")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--keys", type=int, default=20)
    options = parser.parse_args()
    if options.peer:
        sys.path.append(str(options.peer))
    mark = SpreadSpectrum(SecretKey(b"the key of the benchmark"))
    methods: list[Ours | Peer] = [Ours(mark), *([Peer("dwtDct"), Peer("dwtDctSvd")] if options.peer else [])]
    found: dict[str, list[object]] = {"survival": [], "pooled": [], "false": [], "keys": [], "utility": []}
    print("cells: bit accuracy / share found;", ", ".join(CHANGES))
    for name in options.sets.split(","):
        if "survival" in options.part:
            images = pictures(options.data, name, options.images)
            found["survival"] += survival(name, images, methods)
            if min(images[0].shape[:2]) < 128:
                found["pooled"].append(pooled(name, pictures(options.data, name, 4 * FOLDER), mark))
        if "false" in options.part:
            found["false"].append(false_positives(name, pictures(options.data, name, 100), options.keys))
        if "keys" in options.part:
            found["keys"].append(many_keys(name, pictures(options.data, name, 40), 1500))
    if "utility" in options.part:
        found["utility"].append(utility(options.data))
    print(json.dumps({"benchmark": "watermark", **found, "machine": machine()}))


if __name__ == "__main__":
    main()
