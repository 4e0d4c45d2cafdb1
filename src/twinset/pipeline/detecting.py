"""Applies a kept detector of generated images to images of unknown origin."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError, UsageError
from twinset.evaluation.detectability.false_alarms import FalseAlarms, false_alarms
from twinset.evaluation.detectability.generated_detector import RATES, GeneratedDetector, Judgement
from twinset.paths import expanded
from twinset.pipeline.detector_facts import detector_part, limits_of, worthless_warning
from twinset.pipeline.detector_images import read_images
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import check_way
from twinset.threads import blas_threads

BLOCK = 256
"""Images that are judged between two signs of progress."""

FAR_OUTSIDE = 0.1
"""An image with a larger share of features far beyond the fitted ones is unlike both sets."""

SURE = 0.001


def detect(
    source: str, *, detector: Path, rate: float | None = None, on_bad_input: str = "refuse", listener: Listener
) -> documents.DetectDocument:
    """Judges every image of a dataset by a kept detector.

    ``rate`` is .01 or .05; None takes the smallest that the detector was calibrated for. Where it was calibrated on too
    few images for the rate, images have scores and false-alarm rates, and the number of flagged ones is undefined.
    """
    began = time.monotonic()
    if rate is not None and rate not in RATES:
        raise UsageError(
            f"expected --rate {' or '.join(map(str, RATES))}; got {rate:g}",
            hint="detectors are calibrated for these shares of real images called generated; without --rate the "
            "smallest that this one has",
        )
    check_way(on_bad_input)
    kept = load_detector(detector)
    listener.stage("read the images")
    dataset, warnings, _ = read_images(source, skip=on_bad_input == "skip", equalise=kept.record.settings.equalise)
    judged = _judge(kept, dataset, listener)
    asked = _calibrated_rate(kept) if rate is None else rate
    counted = int(judged.flagged(asked).sum())
    found = false_alarms(counted, images=len(dataset), calibration=len(kept.calibration), rate=asked)
    reason = "" if found is not None else _too_few(kept, asked)
    return documents.DetectDocument(
        source=source,
        detector_file=str(detector),
        detector=detector_part(kept),
        n_images=len(dataset),
        rate=asked,
        flagged=None if found is None else counted,
        undefined_because=reason or None,
        expected_if_all_real=None if found is None else _expected(found),
        p_value_if_all_real=None if found is None else found.p_value,
        sentence=reason if found is None else _sentence(counted, len(dataset), asked, found),
        limits=limits_of(kept),
        images=_images(judged, None if found is None else asked),
        warnings=[*worthless_warning(kept), *warnings, *_unlike(judged)],
        seconds=round(time.monotonic() - began, 3),
    )


def load_detector(path: Path) -> GeneratedDetector:
    """A kept detector; nothing in its file is executed, and a pickled one is not even opened as such."""
    place = expanded(path)
    if not place.is_file():
        raise DataError(
            f"{path}: expected a detector; got {'a folder' if place.is_dir() else 'no such file'}",
            hint="`twinset fit-detector REAL SYNTHETIC --out FILE` makes one",
        )
    with place.open("rb") as file:
        start = file.read(9)
    zipped, pickled = start.startswith(b"PK"), start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5" and start[8:] != b"{"
    if zipped or pickled:
        raise DataError(
            f"{path}: expected a detector of twinset (safetensors); got a pickled or zipped file, which can run code",
            hint="`twinset fit-detector REAL SYNTHETIC --out FILE` makes one",
        )
    return GeneratedDetector.load(place)


def _judge(detector: GeneratedDetector, dataset: Dataset, listener: Listener) -> Judgement:
    """All images, a block at a time: what is held does not grow with the pictures."""
    progress = listener.stage("judge")
    blocks = []
    with blas_threads(1):
        for start in range(0, len(dataset), BLOCK):
            blocks.append(detector.judge(dataset.take(range(start, min(start + BLOCK, len(dataset))))))
            progress(min(start + BLOCK, len(dataset)), len(dataset), "images")
    return Judgement(
        tuple(id_ for block in blocks for id_ in block.ids),
        np.concatenate([block.scores for block in blocks]),
        np.concatenate([block.p_values for block in blocks]),
        np.concatenate([block.outside for block in blocks]),
    )


def _images(judged: Judgement, rate: float | None) -> list[documents.DetectedImage]:
    flagged = [None] * len(judged.ids) if rate is None else judged.flagged(rate).tolist()
    rows = zip(judged.ids, judged.scores, judged.p_values, judged.outside, flagged, strict=True)
    return [
        documents.DetectedImage(
            id=id_, score=float(score), false_alarm_rate=float(chance), outside=float(outside), flagged=mark
        )
        for id_, score, chance, outside, mark in rows
    ]


def _calibrated_rate(detector: GeneratedDetector) -> float:
    """The smallest rate that there were enough held-out real images for; the largest if there were for none."""
    fitting = [rate for rate in RATES if detector.facts.thresholds.get(f"{rate:g}") is not None]
    return fitting[0] if fitting else RATES[-1]


def _too_few(detector: GeneratedDetector, rate: float) -> str:
    held = len(detector.calibration)
    needed = round(1 / rate) - 1
    return f"a false-alarm rate of {rate:.0%} needs a detector with {needed} held-out real images; this one has {held}"


def _expected(found: FalseAlarms) -> documents.ExpectedFlags:
    return documents.ExpectedFlags(value=found.expected, low=found.interval.low, high=found.interval.high)


def _sentence(flagged: int, images: int, rate: float, found: FalseAlarms) -> str:
    low, high = found.interval.low, found.interval.high
    chance = f"p < {SURE:g}" if found.p_value < SURE else f"p = {found.p_value:.3f}"
    comes_to = (
        f"more than so many real images would give ({chance})"
        if flagged > high
        else "no more than so many real images may give"
    )
    number = f"{flagged} of {images} image{'' if images == 1 else 's'}"
    return (
        f"{number} called generated at a false-alarm rate of {rate:.0%}; "
        f"{found.expected:.1f} ({low:.0f} … {high:.0f}) would be if all were real: {comes_to}"
    )


def _unlike(judged: Judgement) -> list[str]:
    """A warning about images whose features the detector has never met."""
    strange = int((judged.outside > FAR_OUTSIDE).sum())
    if not strange:
        return []
    first = judged.ids[int(np.argmax(judged.outside > FAR_OUTSIDE))]
    return [
        f"{strange} of {len(judged.ids)} images are unlike both sets that the detector was fitted on (another size, "
        f"source or coding), first {first}: neither their scores nor their false-alarm rates mean much"
    ]
