"""Datasets that come with the packages we depend on, by name (``builtin:digits``)."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Origin, SplitName
from twinset.errors import UnknownNameError
from twinset.formats.folder import Folder
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.formats.objects import Objects, Stated
from twinset.images import Pixels, encode_png, resize
from twinset.masks import Rle
from twinset.randomness import Stream

PREFIX = "builtin:"
NAMES = ("digits", "digit-scenes")
DIGITS_LICENCE = "UCI, see sklearn.datasets.load_digits"

SCENE_DIGITS = (0, 1, 2)
SCENES: dict[SplitName, int] = {"train": 80, "validation": 40, "test": 120}
SCENE_SIDE = 96
MOST_DIGITS = 5
INK = 96
"""Grey value from which a pixel belongs to a digit."""


def listing(source: str) -> Listing:
    """The dataset of this name; :class:`UnknownNameError` if there is none."""
    name = source.removeprefix(PREFIX)
    if name not in NAMES:
        hint = "these come with twinset; give the path of a folder or file for one of yours"
        raise UnknownNameError("builtin dataset", name, NAMES, hint=hint)
    kind = f"{PREFIX}{name}"
    if name == "digit-scenes":
        objects = Objects()
        names = tuple(str(digit) for digit in SCENE_DIGITS)
        return Listing(kind, _scenes(objects), Findings(), Folder(Path()), name, names, objects)
    classes = tuple(str(digit) for digit in range(10))
    return Listing(kind, _digits(), Findings(), Folder(Path()), name, classes)


def _load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """1,797 real scanned digits, uint8 (N, 8, 8), as scikit-learn ships them; grey 0…16 becomes 0…255, rounded."""
    rows = _table()
    grey = rows[:, :-1].reshape(-1, 8, 8) * (255.0 / 16.0)
    return np.rint(grey).astype(np.uint8), rows[:, -1].astype(np.int64)


def _table() -> NDArray[np.float64]:
    """Pixels of 0…16 and the class of every digit (N, 65); scikit-learn, which takes seconds to load, is not loaded."""
    found = importlib.util.find_spec("sklearn")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        path = Path(place) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            with gzip.open(path) as file:
                return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])


def _digits() -> Iterator[Candidate | BadFile]:
    origin = Origin(licence=DIGITS_LICENCE)
    for number, (data, label) in enumerate(_encoded()):
        yield Candidate(f"digits/{number:04d}", label, data=data, origin=origin)


@lru_cache(maxsize=1)
def _encoded() -> tuple[tuple[bytes, str], ...]:
    """PNG and class of every digit: 220 kB that take longer to make than to read."""
    images, labels = _load()
    return tuple((encode_png(pixels[..., None]), str(int(label))) for pixels, label in zip(images, labels, strict=True))


def _scenes(objects: Objects) -> Iterator[Candidate | BadFile]:
    """Scanned digits of three classes laid out on uneven paper, with boxes and masks; the same at every call.

    Scenes of one split share no digit with those of another. A stand-in for photographs in demonstrations and tests.
    """
    origin = Origin(licence=DIGITS_LICENCE)
    for split, number, data, stated in _drawn():
        name = f"{split}/{number:03d}"
        yield Candidate(name, None, split, data=data, origin=origin, objects=objects.picture(stated))


@lru_cache(maxsize=1)
def _drawn() -> tuple[tuple[SplitName, int, bytes, tuple[Stated, ...]], ...]:
    """Split, number, PNG and objects of every scene: 2 MB."""
    images, labels = _load()
    wanted = np.flatnonzero(np.isin(labels, SCENE_DIGITS))
    pools = np.array_split(wanted, len(SCENES))
    drawn = []
    for (split, count), pool in zip(SCENES.items(), pools, strict=True):
        for number in range(count):
            rng = Stream(0).child("digit-scenes", split, number).numpy()
            pixels, stated = _scene(images[pool], labels[pool], rng)
            drawn.append((split, number, encode_png(pixels), tuple(stated)))
    return tuple(drawn)


def _scene(
    images: NDArray[np.uint8], labels: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Pixels, list[Stated]]:
    """One picture uint8 (96, 96, 1) of dark digits on light paper, and what stands in it; digits do not touch."""
    paper = resize(rng.integers(150, 230, (5, 5, 1), dtype=np.uint8), SCENE_SIDE, SCENE_SIDE)[..., 0].astype(np.float64)
    taken = np.zeros((SCENE_SIDE, SCENE_SIDE), dtype=bool)
    stated = []
    for _ in range(int(rng.integers(1, MOST_DIGITS + 1))):
        row, side = int(rng.integers(len(images))), int(np.rint(np.exp(rng.normal(np.log(20), 0.25))))
        side = int(np.clip(side, 10, 36))
        # Digits stand on lines in the lower two thirds more often than above, as objects stand on ground.
        left = int(rng.integers(0, SCENE_SIDE - side + 1))
        top = int(np.clip(rng.normal(0.6, 0.2) * SCENE_SIDE - side / 2, 0, SCENE_SIDE - side))
        place = (slice(top, top + side), slice(left, left + side))
        if taken[place].any():
            continue
        taken[place] = True
        ink = resize(images[row][..., None], side, side)[..., 0]
        paper[place] *= 1 - ink / 255.0 * 0.8
        mask = np.zeros((SCENE_SIDE, SCENE_SIDE), dtype=np.bool_)
        mask[place] = ink >= INK
        rle = Rle.of(mask)
        stated.append(Stated(str(int(labels[row])), rle.box(), rle=rle))
    noisy = paper + rng.normal(0, 4, paper.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)[..., None], stated
