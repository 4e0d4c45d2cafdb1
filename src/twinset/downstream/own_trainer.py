"""One training by a user's own command: a folder in, ``response.json`` out.

The command runs as a process of its own, so that what it is made of (another framework, another licence) stays
outside. It gets the path of ``request.json`` as its last word and the folder as its working directory.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.downstream.arms import Cell
from twinset.downstream.own_command import OwnTrainer
from twinset.downstream.own_request import REQUEST, RESPONSE, Request
from twinset.downstream.own_response import read_maps, read_objects
from twinset.downstream.placed_data import PlacedData
from twinset.downstream.placed_settings import PlacedPlan
from twinset.errors import UsageError, printable
from twinset.instances import Instances
from twinset.randomness import Stream

LOG = "log.txt"
TOLD_LINES, TOLD_BYTES = 12, 16_384
SEEDS = 1 << 31
"""Seeds that every framework takes."""

DIE_WITH_PARENT = 1
"""Linux: PR_SET_PDEATHSIG."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found in the validation and test images, in their order: objects, or maps int32 (H, W)."""

    validation: list[Instances] | list[NDArray[np.int32]]
    test: list[Instances] | list[NDArray[np.int32]]


def train_outside(
    cell: Cell,
    data: PlacedData,
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    plan: PlacedPlan,
    pictures: Path,
    folder: Path,
    rng: Stream,
) -> Answer:
    """Runs the command for a cell that learns from these real and synthetic ``rows``.

    ``folder`` is made anew; of a training that went well only the request and the log stay. :class:`UsageError`, which
    ends with the last lines of the log, if the command fails, takes too long, or answers what cannot be used;
    :class:`ChangedFileError` if its files are not, before or after the training, those that the study began with.
    """
    trainer = plan.settings.trainer
    assert trainer is not None
    trainer.check()
    _empty(folder)
    request = Request(data.kind, data.classes, pictures, *rows, _values(cell, data, plan, rng))
    sizes = request.write(folder)
    run_command(trainer, folder, name=cell.key)
    trainer.check()
    every = {**sizes["validation"], **sizes["test"]}
    found: dict[int, Instances] | dict[int, NDArray[np.int32]]
    try:
        if data.kind == "objects":
            masks = plan.settings.masks
            found = read_objects(folder / RESPONSE, every, n_classes=data.n_classes, masks=masks)
        else:
            found = read_maps(folder / RESPONSE, every, n_classes=data.n_classes)
    except UsageError as error:
        raise _failed(error.message, folder, cell.key) from error
    _tidy(folder)
    return Answer(*([found[number] for number in sizes[part]] for part in ("validation", "test")))  # type: ignore[arg-type]


def _values(cell: Cell, data: PlacedData, plan: PlacedPlan, rng: Stream) -> dict[str, object]:
    """What a request says beside its pictures."""
    settings, recipe = plan.settings, cell.recipe
    assert settings.trainer is not None
    moves = recipe.strength != "none"
    objects: Literal["instance-segmentation", "detection"] = "instance-segmentation" if settings.masks else "detection"
    return {
        "cell": cell.key,
        "task": "semantic-segmentation" if data.kind == "pixels" else objects,
        "seed": rng.seed % SEEDS,
        "synthetic_share": recipe.share,
        "balanced": recipe.balanced,
        "augmentation": {
            "strength": recipe.strength,
            "flip": plan.flip and moves,
            "turn": settings.turn and moves,
        },
        "batch": settings.batch,
        "threads": 1,
        "seconds_at_most": settings.trainer.minutes * 60,
    }


def run_command(trainer: OwnTrainer, folder: Path, *, name: str) -> None:
    """Runs the command in ``folder`` until it ends well; nothing that it started there outlives it.

    No shell; the environment is passed on; what it prints goes to ``log.txt``. :class:`UsageError` otherwise.
    """
    words = [*trainer.command, str(folder / REQUEST)]
    with (folder / LOG).open("wb") as log:
        try:
            process = subprocess.Popen(
                words,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dies_with_parent(),
            )
        except OSError as error:
            raise _failed(f"expected a command that can be run; got {error.strerror}", folder, name) from error
        try:
            code = process.wait(trainer.minutes * 60)
        except subprocess.TimeoutExpired as error:
            limit = f"expected an answer within {trainer.minutes:g} min; got none"
            raise _failed(limit, folder, name) from error
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise _failed(f"expected exit status 0; got {code}", folder, name)


def _dies_with_parent() -> Callable[[], object] | None:
    """What a new process does first, so that it ends when this one is killed; None where no system call does that."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(DIE_WITH_PARENT, int(signal.SIGKILL))


def _failed(problem: str, folder: Path, name: str) -> UsageError:
    """The problem with the end of the log."""
    log = folder / LOG
    told = " | ".join(_last_lines(log)) or "nothing"
    return UsageError(
        f"evaluate.utility.command, training {name}: {problem}; its last words: {told}",
        hint=f"all that it printed is in {log}; what is done is kept, and the run goes on from there",
    )


def _last_lines(log: Path) -> list[str]:
    """The last lines that say something, at most a dozen."""
    if log.is_symlink() or not log.is_file():
        return []
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TOLD_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [printable(line.strip())[:300] for line in text.splitlines() if line.strip()]
    return lines[-TOLD_LINES:]


def _empty(folder: Path) -> None:
    """An empty folder in place of whatever is there; links are not followed."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _tidy(folder: Path) -> None:
    """Leaves the request and the log of a training that went well."""
    for path in folder.iterdir():
        if path.name in (REQUEST, LOG) and path.is_file() and not path.is_symlink():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
