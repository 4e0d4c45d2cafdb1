"""What a release says about itself; the card and the Croissant file are two ways of writing it down."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twinset.dataset import Task
from twinset.formats.writing import WritableFormat
from twinset.release.audited import AuditResult
from twinset.release.marked import Marked
from twinset.scores import Decision, Score

ExportFormat = WritableFormat

BLOCK = 1 << 20

LABELS: Mapping[Task, str] = {
    "classification": "one class each",
    "detection": "boxes",
    "instance-segmentation": "boxes and masks",
    "semantic-segmentation": "a class for every pixel",
}
"""What a task's images are labelled with."""


@dataclass(frozen=True)
class ReleasedFile:
    """One file of an export: its path below the release folder (with ``/``), size and digest."""

    path: str
    bytes: int
    sha256: str

    @property
    def media_type(self) -> str:
        """The MIME type that its name means."""
        known = {".parquet": "application/x-parquet", ".tar": "application/x-tar", ".jsonl": "application/jsonlines"}
        suffix = Path(self.path).suffix.lower()
        return known.get(suffix) or mimetypes.guess_type(self.path)[0] or "application/octet-stream"


@dataclass(frozen=True)
class Export:
    """One format that was written: its files, sorted by path."""

    format: ExportFormat
    files: tuple[ReleasedFile, ...]

    @staticmethod
    def scan(folder: Path, format: ExportFormat, *, below: Path | None = None) -> Export:
        """All plain files under ``folder``, hashed; paths are relative to ``below`` (default: the folder itself)."""
        root = below or folder
        found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return Export(format, tuple(_described(path, root) for path in found))


def _described(path: Path, root: Path) -> ReleasedFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
            size += len(block)
    return ReleasedFile(path.relative_to(root).as_posix(), size, digest.hexdigest())


@dataclass(frozen=True)
class Parent:
    """A real dataset that the release descends from: its name, digest, images used, and, if known, its licence and what
    those who are shown or own it agreed to."""

    name: str
    digest: str
    images: int
    licence: str | None = None
    consent: str | None = None


@dataclass(frozen=True)
class ArmResult:
    """One arm of the utility test on real test images: mean and 95 % interval, 0…1."""

    name: str
    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class RedactionNote:
    """A redaction: when (ISO), how many images went and why, and the sha256 of the dataset before."""

    when: str
    images: int
    reason: str
    before: str


@dataclass(frozen=True)
class Release:
    """Everything a release tells. ``counts`` maps class name to released images, or to what ``unit`` names;
    ``images`` is how many there are, ``methods`` maps a method to images.

    ``task`` is what the labels are for, ``marked`` what is in the images where that is not one class each, and
    ``sizes`` the distinct (height, width) where there are several; ``height`` and ``width`` are then the first image's.
    ``groups`` are the real training and the released images of every value, by attribute that the images carry.

    ``decision`` is None where nothing was trained; ``difference`` is (value, low, high) in metric units;
    ``created`` an ISO date. ``marks`` tells of watermark and signature, ``access`` who may have the release, which has
    no licence of its own: only its parents have. ``generator_audit`` is of the model that made it, where that was
    audited too; ``generator`` the folder that it goes out in, "" where it stays.
    """

    name: str
    version: str
    counts: Mapping[str, int]
    images: int
    height: int
    width: int
    channels: int
    digest: str
    recipe: str
    recipe_digest: str
    seed: int
    command: str
    methods: Mapping[str, int]
    parents: tuple[Parent, ...]
    created: str
    decision: Decision | None = None
    sentence: str = ""
    difference: tuple[float, float, float] | None = None
    metric: str = "balanced accuracy"
    scores: tuple[Score, ...] = ()
    arms: tuple[ArmResult, ...] = ()
    gate_passed: bool | None = None
    gate_sentence: str = ""
    limits: tuple[str, ...] = ()
    exports: tuple[Export, ...] = field(default_factory=tuple)
    unit: str = "images"
    task: Task = "classification"
    marked: Marked | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    groups: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    audit: AuditResult | None = None
    generator_audit: AuditResult | None = None
    redactions: tuple[RedactionNote, ...] = ()
    marks: tuple[str, ...] = ()
    access: str | None = None
    generator: str = ""

    def __post_init__(self) -> None:
        if not self.counts or min(self.height, self.width) < 1:
            raise ValueError(f"expected classes and a positive image size; got {self.counts} at {self.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.height, self.width, self.channels)

    @property
    def size_text(self) -> str:
        """``96 × 128``, or ``48 × 64 … 96 × 128`` from the smallest to the largest area; height comes first."""
        if len(self.sizes) < 2:
            return f"{self.height} × {self.width}"
        by_area = sorted(self.sizes, key=lambda size: (size[0] * size[1], size))
        return " … ".join(f"{height} × {width}" for height, width in (by_area[0], by_area[-1]))
