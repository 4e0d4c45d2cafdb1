"""The sides of a comparison: datasets, or arrays of features, read and made fit to be compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError, UsageError
from twinset.families import DIGEST_BYTES, families
from twinset.formats import read
from twinset.paths import expanded
from twinset.pipeline.comparing.looking import Seen
from twinset.pipeline.comparing.sources import Sources
from twinset.pipeline.held_out import copies_in
from twinset.pipeline.tools import source_of

BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Sides:
    """Real pictures that nothing was trained on, with their families (N,); synthetic ones; exposed ones if given."""

    held: Seen
    made: Seen
    shown: Seen | None
    families: NDArray[np.int64]
    warnings: tuple[str, ...]


def datasets(
    sources: Sources, *, utility: bool, on_bad_input: str = "refuse"
) -> tuple[Dataset, Dataset, Dataset | None]:
    """The pictures of all sides; none may be empty, and a utility study needs labels everywhere."""
    held, made = (_load(source, on_bad_input) for source in (sources.real, sources.synthetic))
    shown = _load(sources.train, on_bad_input) if sources.train is not None else None
    if utility and any(dataset.task != "classification" for dataset in (shown, held, made) if dataset is not None):
        raise UsageError(
            "expected images with one class each with --utility, which compares classifiers; got objects or maps",
            hint="`twinset run` with generate: [{use: folder, path: SYNTHETIC}] measures detectors and segmenters",
        )
    if utility and (shown is None or any((dataset.class_ids < 0).any() for dataset in (shown, held, made))):
        raise UsageError(
            "expected --train and labelled images on all sides with --utility; got less",
            hint="give the real training images as --train, in class folders",
        )
    check_not_empty(held, made)
    return held, made, shown


def check_not_empty(real: Dataset, synthetic: Dataset) -> None:
    """:class:`DataError` where there is nothing to compare."""
    for name, dataset in (("real", real), ("synthetic", synthetic)):
        if not len(dataset):
            raise DataError(f"expected at least one {name} image to compare; got none", hint="what rejected them all?")


def sides_of(held: Seen, made: Seen, shown: Seen | None) -> Sides:
    """The sides with real images that are training images too left out."""
    warnings = []
    if shown is None:
        warnings.append("without --train neither copies nor utility can be measured")
    else:
        held, shared = _without(held, shown)
        if shared:
            warnings.append(f"{shared} real images are training images too (up to near duplicates) and were left out")
    if held.fingerprints is not None and made.fingerprints is not None:
        known = {row.tobytes() for row in held.fingerprints[:, :DIGEST_BYTES]}
        equal = sum(row.tobytes() in known for row in made.fingerprints[:, :DIGEST_BYTES])
        if equal:
            warnings.append(
                f"{equal} synthetic images are real images of this comparison, pixel by pixel: they look better than "
                "anything new could, and detectability falls below ½"
            )
    real, synthetic = held.dataset.classes, made.dataset.classes
    if real and synthetic and set(real) != set(synthetic):
        warnings.append("the two sets have different classes")
    return Sides(held, made, shown, families(held.dataset, fingerprints=held.fingerprints), tuple(warnings))


def read_features(source: str) -> NDArray[np.floating]:
    """Features (N, D) in NumPy's format, memory-mapped; pickled arrays and other shapes are refused."""
    path = expanded(source)
    try:
        array: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{source}: expected features (N, D) in NumPy's .npy format; got {text}", hint="np.save(path, features)"
        ) from error
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise DataError(
            f"{source}: expected numbers (N, D); got {array.dtype} {array.shape}",
            hint="one row an image: np.save(path, features.reshape(len(features), -1))",
        )
    return array


def digest_of(features: NDArray[np.floating]) -> str:
    """sha256 of shape, type and numbers, read in blocks."""
    total = hashlib.sha256(f"{features.dtype.str}{features.shape}".encode())
    for start in range(0, len(features), BLOCK):
        total.update(np.ascontiguousarray(features[start : start + BLOCK]).tobytes())
    return total.hexdigest()


def check_finite(source: str, features: NDArray[np.floating]) -> None:
    """:class:`DataError` where a row holds NaN or infinity; read in blocks."""
    for start in range(0, len(features), BLOCK):
        wrong = np.flatnonzero(~np.isfinite(features[start : start + BLOCK]).all(axis=1))
        if len(wrong):
            raise DataError(
                f"{source}: expected finite features; got NaN or infinity in row {start + int(wrong[0])}",
                hint="leave such images out, or see why the extractor fails on them",
            )


def _load(source: str, on_bad_input: str) -> Dataset:
    dataset, _ = read(
        source_of(source),
        on_bad_input=on_bad_input,  # type: ignore[arg-type]
        to_skip="give --on-bad-input skip",
    )
    return dataset


def _without(held: Seen, shown: Seen) -> tuple[Seen, int]:
    """The held-out pictures that are no near duplicates of training pictures, and how many were."""
    assert shown.fingerprints is not None
    assert held.fingerprints is not None
    together = np.concatenate([shown.fingerprints, held.fingerprints])
    shared = np.isin(np.arange(len(held.dataset)), list(copies_in(held.dataset, shown.dataset, fingerprints=together)))
    if shared.all():
        raise DataError(
            f"{held.dataset.name}: expected real images beside the training images; got the training images again",
            hint="give real images that nothing was trained on",
        )
    return held.where(~shared), int(shared.sum())
