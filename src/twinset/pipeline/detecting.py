"""The detector of generated images: fitted and kept, and applied to images of unknown origin."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError, ImageError, RunFolderError, UsageError
from twinset.evaluation.detectability.confounders import Equalise
from twinset.evaluation.detectability.false_alarms import FalseAlarms, false_alarms
from twinset.evaluation.detectability.generated_detector import (
    FEWEST,
    RATES,
    DetectorSettings,
    GeneratedDetector,
    Judgement,
    fit_detector,
)
from twinset.families import DIGEST_BYTES, families, fingerprint
from twinset.formats import ReadReport, read
from twinset.formats.reading import Look
from twinset.pipeline.folders import refuse_inside
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import check_way, source_of
from twinset.randomness import Stream
from twinset.recipe import expanded
from twinset.threads import blas_threads

BLOCK = 256
"""Images that are judged between two signs of progress."""

SUFFIX = ".safetensors"
SMALLEST = 8
FAR_OUTSIDE = 0.1
"""An image with a larger share of features far beyond the fitted ones is unlike both sets."""

SURE = 0.001
CHANCE = 0.5


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
    dataset, warnings, _ = _read(source, skip=on_bad_input == "skip", equalise=kept.record.settings.equalise)
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
        warnings=[*_worthless(kept), *warnings, *_unlike(judged)],
        seconds=round(time.monotonic() - began, 3),
    )


def fit_and_keep(
    real: str,
    synthetic: str,
    *,
    out: Path,
    seed: int = 0,
    size: int | None = None,
    jpeg_quality: int | None = None,
    keep_anyway: bool = False,
    listener: Listener,
) -> documents.FitDetectorDocument:
    """Fits a detector on two datasets and keeps it in a new file; never over one that is there.

    One that does no better than chance on the images held out is :class:`DataError`, and nothing is written, unless
    ``keep_anyway``; then it says so wherever it is used.

    ``size`` (pixels a side) and ``jpeg_quality`` take all pictures, those judged later too, through one resize and one
    JPEG coder, so that the files themselves do not give the sets away.
    """
    began = time.monotonic()
    place = _new_file(out)
    for source in (real, synthetic):
        refuse_inside(place, source_of(source))
    equalise = Equalise(None if size is None else (size, size), jpeg_quality)
    listener.stage("read the images")
    (held, looks, warnings), (made, others, more) = (_looked_at(source, equalise) for source in (real, synthetic))
    shared = _shared(looks, others)
    belonging = families(held, fingerprints=looks)
    if min(len(np.unique(belonging)), len(made)) < FEWEST:
        raise DataError(
            f"expected at least {FEWEST} images on each side that are not near copies of each other; got "
            f"{len(np.unique(belonging))} real and {len(made)} synthetic ones",
            hint="add some; 250 real images and more allow a false-alarm rate of 1 %",
        )
    listener.stage("fit the detector")
    with blas_threads(1):
        fitted = fit_detector(
            held, made, rng=Stream(seed), settings=DetectorSettings(equalise=equalise), real_families=belonging
        )
    if (worthless := _worthless(fitted)) and not keep_anyway:
        raise DataError(
            f"expected sets that a detector can tell apart; got these: {worthless[0]}",
            hint="nothing was written: give more images, or keep it all the same with --keep-anyway",
        )
    fitted.save(place)
    return documents.FitDetectorDocument(
        detector_file=str(place),
        detector=detector_part(fitted),
        limits=limits_of(fitted),
        warnings=[*worthless, *shared, *warnings, *more, *_remedy(fitted)],
        seconds=round(time.monotonic() - began, 3),
    )


def _new_file(out: Path) -> Path:
    """Where the detector goes; a place that cannot be written to is refused now, not after the fit."""
    place = expanded(out)
    if place.is_dir():
        raise RunFolderError(
            f"{place}: expected the name of a new file; got a folder", hint=f"--out {out / 'detector.safetensors'}"
        )
    if place.exists():
        raise RunFolderError(f"{place}: expected no file there; got one", hint="choose another --out")
    if place.suffix not in ("", SUFFIX):
        raise UsageError(
            f"expected --out NAME{SUFFIX}, which is what a detector is kept as; got {place.name}",
            hint=f"--out {out.with_suffix(SUFFIX)}",
        )
    return place


def _looked_at(source: str, equalise: Equalise) -> tuple[Dataset, NDArray[np.uint8], list[str]]:
    """The images, their fingerprints (N, B), and warnings."""
    dataset, warnings, looks = _read(source, skip=False, equalise=equalise, look=fingerprint)
    assert looks is not None
    return dataset, looks, warnings


def _shared(real: NDArray[np.uint8], synthetic: NDArray[np.uint8]) -> list[str]:
    """A warning where synthetic images are real ones, pixel by pixel; :class:`DataError` where all are."""
    known = {row.tobytes() for row in real[:, :DIGEST_BYTES]}
    equal = sum(row.tobytes() in known for row in synthetic[:, :DIGEST_BYTES])
    if equal == len(synthetic):
        raise DataError(
            f"expected synthetic images that are not the real ones; got {equal}, all equal to real ones pixel by pixel",
            hint="was the same folder given twice?",
        )
    return [f"{equal} synthetic images are real ones, pixel by pixel: no detector can tell those"] if equal else []


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


def detector_part(detector: GeneratedDetector) -> documents.DetectorPart:
    """The facts of a detector for a document."""
    facts = detector.facts
    return documents.DetectorPart(
        sha256=detector.sha256,
        real_name=facts.real_name,
        synthetic_name=facts.synthetic_name,
        generators=list(facts.generators),
        n_real=facts.real,
        n_synthetic=facts.synthetic,
        held_out_real=facts.held_out_real,
        held_out_synthetic=facts.held_out_synthetic,
        auc=facts.auc,
        auc_low=facts.auc_interval[0],
        auc_high=facts.auc_interval[1],
        thresholds=dict(facts.thresholds),
        seed=facts.seed,
        warnings=list(facts.warnings),
    )


def limits_of(detector: GeneratedDetector) -> str:
    """What nobody may conclude, in plain words."""
    facts = detector.facts
    known = ", ".join(facts.generators) or "whatever made these, which they do not say"
    return (
        f"It knows only the generators that it was fitted on ({known}; images of {facts.synthetic_name}): other "
        f"generators' images may pass unseen. Its false-alarm rates hold for real images of the same source as "
        f"{facts.real_name} (camera, size, coding), not for others, and not for the images it was fitted on. A score "
        "proves nothing about a single picture."
    )


def _worthless(detector: GeneratedDetector) -> list[str]:
    """A warning where the AUC of the images held out may be chance."""
    facts = detector.facts
    low, high = facts.auc_interval
    if low > CHANCE:
        return []
    return [
        f"this detector may do no better than chance: AUC {facts.auc:.3f} ({low:.3f} … {high:.3f}) on "
        f"{facts.held_out_real} real and {facts.held_out_synthetic} synthetic images held out; what it says of others "
        "means nothing"
    ]


def _remedy(detector: GeneratedDetector) -> list[str]:
    """What to do where the files themselves give the sets away."""
    if not any("equalise both" in text for text in detector.facts.warnings):
        return []
    return ["such traits go where both sets are taken through one resize and one coder: --size, --jpeg-quality"]


def _read(
    source: str, *, skip: bool, equalise: Equalise, look: Look | None = None
) -> tuple[Dataset, list[str], NDArray[np.uint8] | None]:
    """The images, warnings, and what ``look`` gave for each."""
    dataset, report = read(
        source_of(source), on_bad_input="skip" if skip else "refuse", to_skip="give --on-bad-input skip", look=look
    )
    if not len(dataset):
        raise DataError(f"{source}: expected at least one image; got none", hint="see `twinset inspect`")
    if equalise.size is None:
        _refuse_small(dataset, report)
    left = [f"{len(report.bad_files)} bad files left out, first {report.bad_files[0]}"] if report.bad_files else []
    return dataset, [*report.warnings, *left], report.looks


def _refuse_small(dataset: Dataset, report: ReadReport) -> None:
    """The detector looks at blocks of 8 × 8 pixels; pictures are looked through only if the reader met small ones."""
    if all(min(map(int, size.split("x"))) >= SMALLEST for size in report.stats.sizes):
        return
    for sample in dataset:
        height, width = sample.shape()[:2]
        if min(height, width) < SMALLEST:
            raise ImageError(
                f"{sample.id}: expected pictures of at least {SMALLEST} × {SMALLEST} pixels; got {width} × {height}",
                hint="leave it out, or enlarge it",
            )


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
