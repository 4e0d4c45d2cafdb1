"""Pictures that a run is given beside its dataset, and that are held-out images of it at the same time.

Copies are found as they are when a dataset is split (:func:`twinset.families.duplicates`): equal pixels, recompressed,
resized or brightened ones; not flips, turns, crops, or objects cut out of a held-out image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import REAL, Dataset, Sample
from twinset.errors import DataError
from twinset.families import DIGEST_BYTES, FINGERPRINT_BYTES, duplicates, fingerprint
from twinset.generators.copypaste import CopyPaste
from twinset.generators.folder import Folder
from twinset.paths import pictures_under
from twinset.pipeline.real import RealData


@dataclass(frozen=True)
class HeldOut:
    """A file that shows what a held-out image shows: its path, the image's id, and ``validation`` or ``test``."""

    file: Path
    id: str
    split: str


def copies_in(others: Dataset, known: Dataset, *, fingerprints: NDArray[np.uint8] | None = None) -> dict[int, int]:
    """Rows of ``others`` that are copies of pictures in ``known``, with the row there; both of one window.

    ``fingerprints`` are those of ``known``, then of ``others``, where somebody has them.
    """
    samples = (
        replace(sample, id=str(row), annotation=None, origin=REAL) for row, sample in enumerate((*known, *others))
    )
    found: dict[int, int] = {}
    for group in duplicates(Dataset.of(samples, classes=()), fingerprints=fingerprints):
        theirs = [row for row in group.rows if row < len(known)]
        if theirs:
            found |= {row - len(known): theirs[0] for row in group.rows if row >= len(known)}
    return found


def held_out_among(files: Sequence[Path], real: RealData) -> list[HeldOut]:
    """The files that are copies of validation or test images, in their order."""
    held, window = real.holdout, real.dataset.window
    if not files:
        return []
    pictures = Dataset.of((Sample(str(file), path=file, window=window) for file in files), classes=())
    return [
        HeldOut(files[row], held.ids[at], str(held.splits[at])) for row, at in sorted(copies_in(pictures, held).items())
    ]


def refuse_held_out(method: object, real: RealData) -> tuple[str, ...]:
    """:class:`DataError` if what the twin is judged by is pasted, pasted on, or handed out as synthetic.

    Else what a report should say of images that only come close to that.
    """
    if isinstance(method, CopyPaste):
        _refuse_pasted(method, real)
    return _refuse_handed_out(method, real) if isinstance(method, Folder) else ()


def _refuse_pasted(method: CopyPaste, real: RealData) -> None:
    folders = [folder for folder in method.folders if folder is not None]
    files = [path for folder in folders for path in pictures_under(folder)]
    shared = held_out_among(list(dict.fromkeys(files)), real)
    if shared:
        first = shared[0]
        raise DataError(
            f"{first.file}: expected pictures for copypaste that are no held-out images; got {counted(shared)}, this "
            f"one a copy of {first.id}",
            hint="take them out of the folder, or put those images into the training part: what a twin is made of "
            "must not be what it is judged by",
        )


def _refuse_handed_out(method: Folder, real: RealData) -> tuple[str, ...]:
    """Equal pixels are refused, near copies told: among many synthetic images some are like real ones by chance.

    Compared are images as the run uses them: at its size where they have a class each, else as they came.
    """
    given, held = method.read(), real.holdout
    names = [Path(path or id_) for path, id_ in zip(given.table.column("path").to_pylist(), given.ids, strict=True)]
    if real.task == "classification":
        made = (replace(one, image=real.spec.prepare(one.pixels()), path=None, sha256=None) for one in given)
        given = Dataset.of(made, classes=given.classes)
    prints = np.empty((len(held) + len(given), FINGERPRINT_BYTES), dtype=np.uint8)
    for row, sample in enumerate((*held, *given)):
        prints[row] = fingerprint(sample.pixels())
    digests = [one.tobytes() for one in prints[:, :DIGEST_BYTES]]
    known = dict(zip(digests[: len(held)], range(len(held)), strict=True))
    found = copies_in(given, held, fingerprints=prints)
    equal = {row: known[digest] for row, digest in enumerate(digests[len(held) :]) if digest in known}

    def listed(rows: dict[int, int]) -> list[HeldOut]:
        return [HeldOut(names[row], held.ids[at], str(held.splits[at])) for row, at in sorted(rows.items())]

    if equal:
        shared = listed(equal)
        raise DataError(
            f"{method.path}: expected synthetic images that are no held-out images; got {counted(shared)}, first "
            f"{shared[0].file}, equal to {shared[0].id}",
            hint="take them out of the folder: figures measured on images that are handed out say nothing",
        )
    near = listed(found)
    if not near:
        return ()
    return (
        f"Folder {Path(method.path).name}: of {len(given)} images, {counted(near)}, or near copies of such (first "
        f"{near[0].file.name}, like {near[0].id}). What is measured on those may flatter the twin; take them out of "
        "the folder unless such likeness is natural here.",
    )


def transductive(files: Sequence[Path], real: RealData) -> tuple[str, ...]:
    """What a report says of unlabelled deployment images that are held-out images too; nothing if none is."""
    shared = held_out_among(files, real)
    if not shared:
        return ()
    return (
        f"Deployment images: of {len(files)}, {counted(shared)} (equal or near copies). The target is transductive: "
        "the twin follows the very pictures that it is judged on, though not their labels, and may be worth less on "
        "others.",
    )


def counted(shared: Sequence[HeldOut]) -> str:
    """How many files are copies of images of which part.

    >>> counted([HeldOut(Path("a"), "1", "test"), HeldOut(Path("b"), "2", "test")])
    '2 that are also test images'
    """
    parts = Counter(one.split for one in shared)
    return " and ".join(f"{count} that are also {part} images" for part, count in sorted(parts.items()))
