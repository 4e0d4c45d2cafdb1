"""What a reader hands over: candidates and what it met on the way; and the report that a reading ends in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import AttributeValue, Camera, DepthMap, NormalMap, SemanticMap
from twinset.dataset import REAL, Origin, SplitName
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.objects import Objects

OnBadInput = Literal["refuse", "skip", "report"]
BadKind = Literal["entry", "picture", "object", "size"]

SPLIT_NAMES: Mapping[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class BadFile:
    """One entry that was left out. ``line`` counts from 1 in a table; a picture's problem is not its entry's.

    Of kind ``object`` it is one object of a picture, which was left out or clipped; the picture stays. Of kind ``size``
    it is a picture of another size than its annotations state.
    """

    path: str
    problem: str
    line: int | None = None
    kind: BadKind = "entry"

    @property
    def where(self) -> str:
        """``path`` or ``path:line``."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class ImageStats:
    """How many pictures have each size (``width x height``), colour mode and file encoding."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    encodings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadReport:
    """What reading a dataset met. ``ignored`` counts files by reason (hidden, other, link, loose).

    ``looks`` (N, D) is what the ``look`` of :func:`~twinset.formats.read` gave for each picture, None without one.
    """

    format: str
    images: int
    bad_files: tuple[BadFile, ...] = ()
    warnings: tuple[str, ...] = ()
    stats: ImageStats = ImageStats()
    ignored: Mapping[str, int] = field(default_factory=dict)
    renamed_classes: Mapping[str, str] = field(default_factory=dict)
    objects: int = 0
    looks: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    @property
    def bad_objects(self) -> int:
        """Objects that were clipped or left out."""
        return sum(bad.kind == "object" for bad in self.bad_files)

    @property
    def stated_objects(self) -> int:
        """Objects that the files of annotations name, with those that were left out."""
        return self.objects + sum(bad.kind == "object" and bad.problem.endswith("left out") for bad in self.bad_files)

    def to_json(self) -> dict[str, object]:
        """The report as plain JSON types."""
        return {
            "format": self.format,
            "images": self.images,
            "bad_files": [{"path": bad.where, "problem": bad.problem} for bad in self.bad_files],
            "warnings": list(self.warnings),
            "sizes": dict(self.stats.sizes),
            "modes": dict(self.stats.modes),
            "encodings": dict(self.stats.encodings),
            "ignored": dict(self.ignored),
            "objects": self.objects,
        }


@dataclass(frozen=True)
class Geometry:
    """What the camera saw in a picture, as far as a source says it."""

    depth: DepthMap | None = None
    normals: NormalMap | None = None
    camera: Camera | None = None


@dataclass(frozen=True)
class Candidate:
    """One picture that a source claims to hold: bytes, or a path in its folder; not yet opened.

    ``where`` is the table or archive that says so, ``line`` the line in it. ``objects`` is the picture's number in
    :attr:`Listing.objects`, None where nothing is said of objects. ``semantic`` gives the class of every pixel of a
    picture of that (height, width), as ids into :attr:`Listing.classes`, or raises :class:`Unusable`; ``geometry``
    gives depth, normals and camera likewise. ``stated_size`` is the (height, width) that its objects were drawn in,
    ``number`` the id that its file gives the picture.
    """

    id: str
    label: str | None
    split: SplitName | None = None
    path: str | None = None
    data: bytes | None = None
    where: str = ""
    line: int | None = None
    caption: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    probabilities: tuple[float, ...] | None = None
    origin: Origin = REAL
    objects: int | None = None
    semantic: Callable[[tuple[int, int]], SemanticMap] | None = None
    geometry: Callable[[tuple[int, int]], Geometry] | None = None
    stated_size: tuple[int, int] | None = None
    number: int | str | None = None

    def bad(self, problem: str, kind: BadKind = "entry") -> BadFile:
        """This candidate as one that is left out."""
        if self.where and self.path:
            problem = f"{visible(self.path)}: {problem}"
        return BadFile(visible(self.where or self.path or self.id), problem, self.line, kind)


@dataclass
class Findings:
    """What a reader notes on its way; complete when its candidates are used up."""

    warnings: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    renamed: dict[str, str] = field(default_factory=dict)

    def class_name(self, text: str) -> str:
        """A class name with control characters written out; the change is noted."""
        name = visible(text)
        if name != text:
            self.renamed[name] = text
        return name


@dataclass(frozen=True)
class Listing:
    """What a reader hands to :func:`collect`. ``classes`` fixes names and order where the source states them.

    ``objects`` has all that candidates claim to show, once the entries are used up.
    """

    format: str
    entries: Iterable[Candidate | BadFile]
    findings: Findings
    folder: Folder
    name: str
    classes: tuple[str, ...] | None = None
    objects: Objects | None = None


def split_name(text: str) -> SplitName | None:
    """The split that a folder, column or file name means; None for an empty one; :class:`Unusable` for others."""
    key = text.strip().casefold()
    if key and key not in SPLIT_NAMES:
        raise Unusable(f"expected a split out of train, validation, test; got {visible(text)!r}")
    return SPLIT_NAMES[key] if key else None


def dataset_name(path: Path) -> str:
    """What to call the dataset at this path."""
    return visible(path.name if path.is_dir() else path.stem) or "dataset"
