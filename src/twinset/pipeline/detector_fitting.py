"""Fits a detector of generated images and keeps it in a new file."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError, RunFolderError, UsageError
from twinset.evaluation.detectability.confounders import Equalise
from twinset.evaluation.detectability.generated_detector import FEWEST, DetectorSettings, fit_detector
from twinset.families import DIGEST_BYTES, families, fingerprint
from twinset.paths import expanded
from twinset.pipeline.detector_facts import detector_part, limits_of, remedy_warning, worthless_warning
from twinset.pipeline.detector_images import read_images
from twinset.pipeline.folders import refuse_inside, refuse_missing_parent
from twinset.pipeline.model_cards import card_place, detector_card, write_card
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import source_of
from twinset.randomness import Stream
from twinset.threads import blas_threads

SUFFIX = ".safetensors"


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
    card = card_place(place)
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
    if (worthless := worthless_warning(fitted)) and not keep_anyway:
        raise DataError(
            f"expected sets that a detector can tell apart; got these: {worthless[0]}",
            hint="nothing was written: give more images, or keep it all the same with --keep-anyway",
        )
    fitted.save(place)
    warned = [*worthless, *shared, *warnings, *more, *remedy_warning(fitted)]
    write_card(card, detector_card(fitted, place, held, made, tuple(warned)))
    return documents.FitDetectorDocument(
        detector_file=str(place),
        card=str(card),
        detector=detector_part(fitted),
        limits=limits_of(fitted),
        warnings=warned,
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
    refuse_missing_parent(place)
    return place


def _looked_at(source: str, equalise: Equalise) -> tuple[Dataset, NDArray[np.uint8], list[str]]:
    """The images, their fingerprints (N, B), and warnings."""
    dataset, warnings, looks = read_images(source, skip=False, equalise=equalise, look=fingerprint)
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
