"""Marks in pictures of unknown origin: an invisible watermark, by its key; what the files themselves say."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from twinset import documents
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError, ImageError, UsageError
from twinset.formats import read
from twinset.images import MAX_FILE_BYTES
from twinset.paths import expanded
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import check_way, source_of
from twinset.provenance import read_provenance, stated_source_type
from twinset.release.credentials import media_type, read_certificates, read_credentials
from twinset.release.watermark import PAYLOAD_BITS, Look, Reading, SecretKey, SpreadSpectrum, Watermark

RATE = 0.001
"""False-positive rate where none is asked for."""

WATERMARK_LIMITS = (
    "The false-positive rate holds for any pictures that were made without knowledge of the key, if one key was tried. "
    "That nothing is found proves nothing: pictures that were turned, enlarged, cropped and resized, or drawn anew "
    "lose the mark, and who has the key can take it out."
)
PROVENANCE_LIMITS = (
    "Metadata goes where a picture is written anew, and anybody can write XMP: absent means absent, not real, and "
    "present means that somebody wrote so. A valid signature says who signed, which counts as far as you trust them."
)


def detect_watermark(
    source: str,
    *,
    key_file: Path,
    payload: int | None = None,
    rate: float | None = None,
    on_bad_input: str = "refuse",
    listener: Listener,
) -> documents.WatermarkDocument:
    """Looks for the mark of a key in every picture of a dataset or one file, and in all together.

    ``payload``: only look for this number, or a mark without one, which finds weaker marks. ``rate`` is the
    false-positive rate (default .001) of each picture, and of the folder.
    """
    began = time.monotonic()
    asked = RATE if rate is None else rate
    _check(asked, payload)
    mark: Watermark = SpreadSpectrum(SecretKey.read(expanded(key_file)))
    samples, warnings = _samples(source, on_bad_input, listener)
    progress = listener.stage("look for the mark")
    looks: list[tuple[Look, ...]] = []
    readings: list[Reading] = []
    for number, sample in enumerate(samples):
        look = mark.look(sample.pixels())
        looks.append(look)
        readings.append(mark.judge(look, payload))
        progress(number + 1, len(samples), "images")
    together, chance = _together(mark, looks, readings, payload)
    found = chance <= asked
    images = [
        _watermarked(sample, _file_of(sample, source), reading, asked)
        for sample, reading in zip(samples, readings, strict=True)
    ]
    marked = sum(image.marked for image in images)
    return documents.WatermarkDocument(
        source=source,
        n_images=len(samples),
        n_unfit=sum(not look for look in looks),
        rate=asked,
        marked=marked,
        expected_if_none=asked * len(samples),
        p_value=chance,
        folder_marked=found,
        payload=together.payload if found else None,
        sentence=_sentence(marked, len(samples), asked, chance, together.payload),
        limits=WATERMARK_LIMITS,
        images=images,
        warnings=warnings,
        seconds=round(time.monotonic() - began, 3),
    )


def detect_provenance(
    source: str, *, trust: Path | None = None, on_bad_input: str = "refuse", listener: Listener
) -> documents.ProvenanceDocument:
    """What every file says of its origin: XMP, and Content Credentials with their check.

    ``trust`` is a PEM file with the certificates of those whose signatures you believe.
    """
    began = time.monotonic()
    anchors = None if trust is None else read_certificates(expanded(trust))
    samples, warnings = _samples(source, on_bad_input, listener)
    progress = listener.stage("read what the files say")
    images = []
    for number, sample in enumerate(samples):
        images.append(_provenance(sample, _file_of(sample, source), anchors))
        progress(number + 1, len(samples), "images")
    xmp: Counter[str] = Counter(image.xmp for image in images)
    c2pa: Counter[str] = Counter(image.c2pa for image in images)
    if c2pa["unchecked"]:
        warnings.append(f"Content Credentials were not checked in {c2pa['unchecked']} of {len(images)}: each says why")
    return documents.ProvenanceDocument(
        source=source,
        n_images=len(images),
        xmp=dict(xmp),
        c2pa=dict(c2pa),
        sentence=f"XMP with a source type: {_counted(xmp)}. Content Credentials: {_counted(c2pa)}",
        limits=PROVENANCE_LIMITS,
        images=images,
        warnings=warnings,
        seconds=round(time.monotonic() - began, 3),
    )


def _check(rate: float, payload: int | None) -> None:
    if not 0.0 < rate < 0.5:
        raise UsageError(f"expected --rate above 0 and below .5; got {rate:g}", hint="0.001 is the default")
    if payload is not None and not 0 <= payload < 2**PAYLOAD_BITS:
        raise UsageError(
            f"expected --payload 0 to {2**PAYLOAD_BITS - 1}; got {payload}", hint=f"it has {PAYLOAD_BITS} bits"
        )


def _samples(source: str, on_bad_input: str, listener: Listener) -> tuple[Sequence[Sample] | Dataset, list[str]]:
    """The pictures of a dataset, or one picture file; warnings of the reader."""
    check_way(on_bad_input)
    listener.stage("read the images")
    place = source_of(source)
    if isinstance(place, Path) and place.is_file() and (data := _picture_file(place)) is not None:
        return [Sample(place.name, image=data)], []
    dataset, report = read(place, on_bad_input=on_bad_input, to_skip="give --on-bad-input skip")  # type: ignore[arg-type]
    if not len(dataset):
        raise DataError(f"{source}: expected at least one image; got none", hint="see `twinset inspect`")
    left = [f"{len(report.bad_files)} bad files left out, first {report.bad_files[0]}"] if report.bad_files else []
    return dataset, [*report.warnings, *left]


def _picture_file(path: Path) -> bytes | None:
    """The content of a PNG or JPEG; None for other files, which a reader of datasets may know."""
    with path.open("rb") as file:
        if media_type(file.read(16)) is None:
            return None
        file.seek(0)
        return file.read(MAX_FILE_BYTES + 1)


def _together(
    mark: Watermark, looks: Sequence[tuple[Look, ...]], readings: Sequence[Reading], payload: int | None
) -> tuple[Reading, float]:
    """The reading of all pictures pooled, or of the clearest one if that says more; with the p-value of the folder."""
    pooled = mark.judge([one for look in looks for one in look], payload)
    clearest = min(readings, key=lambda reading: reading.p_value)
    least = len(readings) * clearest.p_value
    if len(readings) == 1:
        return clearest, clearest.p_value
    return (pooled if pooled.p_value <= least else clearest), min(1.0, 2.0 * min(pooled.p_value, least))


def _file_of(sample: Sample, source: str) -> str | None:
    """The picture's file, below the folder asked about: what we exported has ids that are no names of files."""
    place = source_of(source)
    if sample.path is None or not isinstance(place, Path):
        return None
    path, folder = sample.path.resolve(), place.resolve()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _watermarked(sample: Sample, file: str | None, reading: Reading, rate: float) -> documents.WatermarkedImage:
    found = reading.p_value <= rate
    return documents.WatermarkedImage(
        id=sample.id,
        file=file,
        p_value=reading.p_value,
        marked=found,
        payload=reading.payload if found else None,
        shift=reading.shift if found else None,
    )


def _sentence(marked: int, images: int, rate: float, chance: float, payload: int | None) -> str:
    number = f"{marked} of {images} image{'' if images == 1 else 's'} marked with this key"
    if images == 1:
        told = f", payload {payload}" if marked and payload is not None else ""
        return f"{number} at a false-positive rate of {rate:g} (p = {chance:.2g}){told}"
    holds = "holds marks of this key" if chance <= rate else "holds no mark of this key that can be told from chance"
    told = f", payload {payload}" if chance <= rate and payload is not None else ""
    return (
        f"the folder {holds} (p = {chance:.2g}{told}); {number} at a false-positive rate of {rate:g}, at most "
        f"{rate * images:.2g} to be expected if none is"
    )


def _provenance(sample: Sample, file: str | None, anchors: bytes | None) -> documents.ImageProvenance:
    data: bytes = sample.encoded()
    problems: list[str] = []
    stated, ours = None, None
    xmp: Literal["present", "absent", "unreadable"]
    try:
        stated, ours = stated_source_type(data), read_provenance(data)
        xmp = "absent" if stated is None else "present"
    except ImageError as error:
        xmp, problems = "unreadable", [f"XMP: {error.message}"]
    credentials = read_credentials(data, trusted=anchors)
    return documents.ImageProvenance(
        id=sample.id,
        file=file,
        xmp=xmp,
        source_type=stated,
        method=ours.method if ours is not None else None,
        parents=list(ours.parents) if ours is not None else [],
        c2pa=credentials.state,
        c2pa_trusted=credentials.trusted,
        c2pa_signer=credentials.signer,
        c2pa_source_type=credentials.source_type,
        problems=[*problems, *(f"C2PA: {text}" for text in credentials.problems)],
    )


def _counted(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
