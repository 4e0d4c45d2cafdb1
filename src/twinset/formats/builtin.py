"""Datasets that come with the packages we depend on, by name (``builtin:digits``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from twinset.dataset import Origin
from twinset.errors import UnknownNameError
from twinset.formats.folder import Folder
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.images import encode_png

PREFIX = "builtin:"
NAMES = ("digits",)
DIGITS_LICENCE = "UCI, see sklearn.datasets.load_digits"


def listing(source: str) -> Listing:
    """The dataset of this name; :class:`UnknownNameError` if there is none."""
    name = source.removeprefix(PREFIX)
    if name not in NAMES:
        raise UnknownNameError("builtin dataset", name, NAMES)
    classes = tuple(str(digit) for digit in range(10))
    return Listing(f"{PREFIX}{name}", _digits(), Findings(), Folder(Path()), name, classes)


def _digits() -> Iterator[Candidate | BadFile]:
    """1,797 real scanned digits, 8 x 8 grey, as scikit-learn ships them; grey 0…16 becomes 0…255, rounded."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    origin = Origin(licence=DIGITS_LICENCE)
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        pixels = np.rint(image * (255.0 / 16.0)).astype(np.uint8)[..., None]
        yield Candidate(f"digits/{number:04d}", str(int(label)), data=encode_png(pixels), origin=origin)
