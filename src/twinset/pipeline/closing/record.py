"""What the loop committed for a source: its steps, what each changed, and whether it was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from twinset.errors import RunFolderError
from twinset.recipe import Recipe, UsePart
from twinset.stages import FollowsLayouts
from twinset.store import read_json, write_json

GapStep = Literal["layout", "match", "curate", "filter", "evolve"]
ALL: frozenset[GapStep] = frozenset(get_args(GapStep))

LAID_OUT = "layout.json"

FILTERS = (UsePart(use="object-density"),)
"""What the step ``filter`` adds to ``align`` where it is kept."""


@dataclass(frozen=True)
class Change:
    """One figure before and after a step; ``low`` and ``high`` bound after − before. Lower is nearer to real."""

    before: float
    after: float
    low: float
    high: float

    @property
    def nearer(self) -> bool:
        """The whole interval lies below 0."""
        return self.high < 0

    @property
    def farther(self) -> bool:
        """The whole interval lies above 0."""
        return self.low > 0


@dataclass(frozen=True)
class StepRecord:
    """One step. ``skipped`` says why it was not tried; else there are figures: by measure before and after, and both
    means. ``kept``: what is made follows it. ``remarks`` are whole sentences of the step itself."""

    step: GapStep
    kept: bool
    seconds: float
    skipped: str = ""
    measures: Mapping[str, tuple[float, float]] | None = None
    metadata: Change | None = None
    features: Change | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """All steps so far of one source; ``real`` pictures of a part and ``images`` of a pilot weighed them."""

    part: Literal["validation", "exposed"]
    real: int
    images: int
    extractor: str
    steps: tuple[StepRecord, ...] = ()

    @property
    def kept(self) -> frozenset[GapStep]:
        """Steps that stay."""
        return frozenset(one.step for one in self.steps if one.kept)


def closing_path(folder: Path) -> Path:
    """Where a source keeps its record."""
    return folder / "closing.json"


def read_record(folder: Path) -> Record | None:
    """The record of a source; None before the loop began, or without it."""
    path = closing_path(folder)
    if not path.exists():
        return None
    stored = cast("dict[str, object]", read_json(path, hint="delete this file: the steps are measured again"))
    try:
        steps = tuple(_step(one) for one in cast("list[dict[str, object]]", stored.pop("steps")))
        return Record(**stored, steps=steps)  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path}: expected the steps of close_gap; got {error}", hint="delete this file"
        ) from error


def _step(stored: Mapping[str, object]) -> StepRecord:
    values = dict(stored)
    for name in ("metadata", "features"):
        change = cast("dict[str, float] | None", values[name])
        values[name] = None if change is None else Change(**change)
    measures = cast("dict[str, list[float]] | None", values["measures"])
    values["measures"] = None if measures is None else {name: (pair[0], pair[1]) for name, pair in measures.items()}
    values["remarks"] = tuple(cast("list[str]", values["remarks"]))
    return StepRecord(**values)  # type: ignore[arg-type]


def write_record(folder: Path, record: Record) -> None:
    """Commits the record."""
    write_json(closing_path(folder), asdict(record))


def undone(folder: Path) -> frozenset[GapStep]:
    """Steps that were tried for a source and not kept: what they committed no longer counts."""
    record = read_record(folder)
    return frozenset() if record is None else frozenset(one.step for one in record.steps if not one.kept)


def filter_kept(folder: Path) -> bool:
    """Whether the loop kept the step ``filter`` for this source: only its pictures are filtered so."""
    record = read_record(folder)
    return record is not None and "filter" in record.kept


def closing_filters(recipe: Recipe, folders: Sequence[Path]) -> tuple[UsePart, ...]:
    """What filters a run's images: those of its recipe, then those that the loop kept for any source of ``folders``."""
    return (*recipe.filters, *(FILTERS if any(map(filter_kept, folders)) else ()))


def laid_out(generator: object, folder: Path) -> object:
    """A generator that follows the boxes of the training images, where that was committed for it; else as it is."""
    if not (folder / LAID_OUT).exists():
        return generator
    assert isinstance(generator, FollowsLayouts)
    return generator.following_layouts()
