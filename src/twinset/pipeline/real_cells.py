"""Cells of a utility study that no synthetic image has a part in: where only synthetic images changed, they hold still.

Another study of the same run takes them over if all that decided them is equal: the plan, the real images, and what
computed them. A training on equal terms would come out the same, to the bit; only a trainer of the user's own may not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

from twinset.downstream.arms import CellResult, StudySettings, UtilityPlan
from twinset.errors import RunFolderError
from twinset.pipeline.folders import DECISIVE
from twinset.pipeline.reporting import Listener
from twinset.store import read_json, write_json

Bring = Callable[[CellResult, Path], bool]
"""Brings what a result vouches for out of a folder of cells into another; False where it is not there as it was."""


def real_study(plan: UtilityPlan[StudySettings], real_digest: str) -> str:
    """What the result of a cell without synthetic images depends on besides the cell."""
    text = json.dumps([plan.to_dict(), real_digest, computed_by()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def computed_by() -> dict[str, str]:
    """What decides how sums are rounded: versions, and the instructions of the processor that PyTorch uses."""
    import torch

    return {**{name: metadata.version(name) for name in DECISIVE}, "cpu": torch.backends.cpu.get_cpu_capability()}


def of_real(result: CellResult, study: str) -> CellResult:
    """The result with what decided it, if that was real images alone."""
    return replace(result, real_study=study) if result.cell.recipe.share == 0 else result


def take_over(
    cells: Path, study: str, known: Sequence[CellResult], *, listener: Listener, bring: Bring = lambda *_: True
) -> list[CellResult]:
    """Commits to the folder ``cells`` what its siblings hold of the same ``study`` of real images and it has not yet.

    What cannot be read or brought stays where it is: its training is done again.
    """
    have, found = {result.cell for result in known}, []
    for place, result in _siblings(cells):
        if result.real_study != study or result.cell in have or not bring(result, place):
            continue
        taken = replace(result, study=cells.name, taken_from=result.taken_from or place.name)
        write_json(cells / f"{taken.cell.key}.json", taken.to_json())
        have.add(taken.cell)
        found.append(taken)
    if found:
        listener.note(
            f"{len(found)} trainings without synthetic images are taken over from an earlier study of this run: their "
            "plan, images and versions are equal"
        )
    return found


def taken_over(folder: Path) -> dict[str, str]:
    """Of a run: every result of a training that was taken over, and the one that it was; paths below the folder."""
    studies = Path("evaluation") / "utility"
    found = {}
    for place, result in _results(sorted((folder / studies).glob("*/*.json"))):
        if result.taken_from:
            name = f"{result.cell.key}.json"
            found[(studies / place.name / name).as_posix()] = (studies / result.taken_from / name).as_posix()
    return found


def _siblings(cells: Path) -> Iterator[tuple[Path, CellResult]]:
    yield from _results(path for path in sorted(cells.parent.glob("*/*.json")) if path.parent != cells)


def _results(paths: Iterator[Path] | Sequence[Path]) -> Iterator[tuple[Path, CellResult]]:
    """Results with the folders that they lie in; of these files those that hold one."""
    for path in paths:
        try:
            result = CellResult.from_json(cast("dict[str, object]", read_json(path)))
        except (RunFolderError, ValueError):
            continue
        yield path.parent, result
