"""Run folders: where they are, whether they are ours, what they say about themselves."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pydantic

from twinset import __version__, documents
from twinset.errors import RunFolderError, TwinsetError
from twinset.paths import expanded
from twinset.pipeline.metering import Meter
from twinset.recipe import WrittenRecipe, load_recipe
from twinset.store import PUT_BACK, TEMPORARY, disk_refusals, read_json, write_bytes, write_json

DECISIVE = ("twinset", "torch", "torchvision", "numpy")
"""Packages whose versions decide pixels: a run that is half made goes on with those that it began with."""

WRITTEN_FIRST = (
    *("split.json", "resolved.yaml", "log.jsonl", "timings.json", "energy.json"),
    *("run.json", "recipe.yaml"),
)
"""What a run writes before anything is made, beside the folder ``real``."""

PACKAGES = ("numpy", "scipy", "pillow", "pyarrow", "torch", "torchvision", "diffusers", "scikit-learn")


def run_folder(written: WrittenRecipe, out: Path | None) -> Path:
    """The folder of a recipe: ``out``, or ``runs/NAME-KEY`` with the first eight digits of the recipe's digest."""
    if out is not None:
        return expanded(out).resolve()
    name = written.recipe.name or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(written.recipe.data.path).name).strip("-.")
    name = name.removeprefix("builtin-") or "run"
    return Path.cwd() / "runs" / f"{name[:40]}-{written.digest()[:8]}"


def refuse_inside(folder: Path, source: str | Path) -> None:
    """Nothing is written into the user's dataset: it would be read as part of it the next time."""
    if isinstance(source, Path) and source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise RunFolderError(f"{folder}: expected a place outside {source}; got one inside", hint="choose another")


def refuse_missing_parent(file: Path) -> None:
    """A folder that is not there is more often a slip of the pen than a wish: told before a training, not made."""
    if not file.parent.is_dir():
        what = "a file" if file.parent.exists() else "none"
        raise RunFolderError(
            f"{file}: expected the folder {file.parent}; got {what}", hint="make it, or choose another"
        )


def begin(folder: Path, written: WrittenRecipe) -> bool:
    """Makes the folder the run of this recipe; whether it was not before. A folder with anything else is refused."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder}: expected a folder; got a file", hint="choose another --out")
    present = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if "run.json" in present:
        recorded = identity(folder)["written"]
        if recorded != written.digest():
            raise RunFolderError(
                f"{folder}: expected the run of this recipe; got the run of another one",
                hint="choose another --out; nothing was changed",
            )
        return False
    recipe, text = folder / "recipe.yaml", written.recipe.to_yaml().encode()
    # A kill between the two writes below leaves our recipe alone; any other recipe.yaml is somebody's own.
    ours = {"run.lock"} | ({recipe.name} if _holds(recipe, text) else set())
    foreign = [name for name in present if name not in ours and not name.startswith(TEMPORARY)]
    if foreign:
        raise RunFolderError(
            f"{folder}: expected an empty folder; got {len(foreign)} other entries ({foreign[0]}, …)",
            hint="choose another --out; nothing was changed",
        )
    write_bytes(recipe, text)
    write_json(
        folder / "run.json",
        {
            "written": written.digest(),
            "name": folder.name,
            "version": __version__,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        },
    )
    return True


@contextmanager
def no_empty_folders(folder: Path) -> Iterator[None]:
    """Folders that the block makes for a run go again if it refuses the run and leaves them empty."""
    missing: list[Path] = []
    with suppress(OSError):  # names that no disk takes
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        yield
    except TwinsetError:
        with suppress(OSError):
            for place in missing:
                place.rmdir()
        raise


@contextmanager
def taken_back(folder: Path) -> Iterator[None]:
    """If the block refuses a run that :func:`begin` has just begun, before anything is made, the folder is empty again.

    Not if the process is stopped, so that the same command continues.
    """
    try:
        yield
    except TwinsetError:
        if not (folder / "environment.json").exists():
            with suppress(OSError):
                shutil.rmtree(folder / "real", ignore_errors=True)
                # The run's identity goes last but for the recipe: a kill in between leaves what begin() knows.
                for name in WRITTEN_FIRST:
                    (folder / name).unlink(missing_ok=True)
        raise


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def identity(folder: Path) -> dict[str, str]:
    """What ``run.json`` says; :class:`RunFolderError` if this is no run folder."""
    if not (folder / "run.json").exists():
        raise RunFolderError(
            f"{folder}: expected a run folder; got {'one without run.json' if folder.exists() else 'nothing there'}",
            hint="`twinset run` prints the folder of its run",
        )
    values = read_json(folder / "run.json")
    if not isinstance(values, dict) or "written" not in values:
        raise RunFolderError(f"{folder / 'run.json'}: expected a run's identity; got something else", hint=PUT_BACK)
    return {str(key): str(value) for key, value in values.items()}


def recipe_of(folder: Path) -> WrittenRecipe:
    """The recipe that a run folder was begun with."""
    identity(folder)
    return load_recipe(folder / "recipe.yaml")


def finished(folder: Path) -> bool:
    """Whether a run has ended with a result, which is written last."""
    return (folder / "result.json").exists()


def refuse_unfinished(folder: Path) -> None:
    """An error for a run that has no result yet."""
    if not finished(folder):
        raise RunFolderError(
            f"{folder}: expected a finished run; got an unfinished one", hint="`twinset resume` it first"
        )


def result_of(folder: Path) -> documents.RunDocument:
    """The result of a finished run; a damaged one is a :class:`RunFolderError`."""
    path = folder / "result.json"
    hint = f"delete {path}: `twinset resume` writes it anew"
    try:
        return documents.RunDocument.model_validate(read_json(path, hint=hint))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RunFolderError(f"{path}: expected the result of a run; got {place}: {first['msg']}", hint=hint) from error


def environment(device: str, workers: int) -> dict[str, str]:
    """Versions and hardware that stand behind a run's figures."""
    found = {"twinset": __version__, "python": platform.python_version(), "platform": platform.platform()}
    found |= {name: metadata.version(name) for name in PACKAGES}
    return {**found, "cpu": hardware(), "cores": str(os.cpu_count()), "device": device, "workers": str(workers)}


def environment_of(folder: Path) -> dict[str, str]:
    """The :func:`environment` that a run began in."""
    path = folder / "environment.json"
    values = read_json(path)
    if not isinstance(values, dict):
        raise RunFolderError(f"{path}: expected versions by package; got something else", hint=PUT_BACK)
    return {str(key): str(value) for key, value in values.items()}


def began_on(folder: Path, device: str) -> str:
    """The device asked for; for ``auto`` the processor if the run in this folder began on that."""
    with disk_refusals(folder, "a folder for a run"):
        begun = (folder / "run.json").exists() and (folder / "environment.json").exists()
    if device != "auto" or not begun:
        return device
    return "cpu" if environment_of(folder).get("device") == "cpu" else device


def refuse_another_environment(folder: Path, device: str) -> None:
    """Images of one run are made by the same versions on the same kind of device."""
    recorded, here = environment_of(folder), environment(device, 1)
    before = {
        **{name: recorded.get(name, "unknown") for name in DECISIVE},
        "device": kind_of(recorded.get("device", "unknown")),
    }
    now = {**{name: here[name] for name in DECISIVE}, "device": kind_of(device)}
    changed = [name for name in before if before[name] != now[name]]
    if changed:
        raise RunFolderError(
            f"{folder}: expected {', '.join(f'{name} {before[name]}' for name in changed)}, with which this run began; "
            f"got {', '.join(f'{name} {now[name]}' for name in changed)}",
            hint="resume it with the same versions and --device, or start a new run with another --out",
        )


def kind_of(device: str) -> str:
    """``cuda`` for ``cuda:1``: what decides the rounding of numbers."""
    return device.partition(":")[0]


def hardware() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@dataclass
class Timings:
    """Seconds per stage of a run, added up over all its sittings, in ``timings.json``; with a ``meter`` the energy too,
    in kWh, in ``energy.json``."""

    folder: Path
    meter: Meter | None = None

    def read(self) -> dict[str, float]:
        """Seconds by stage."""
        return self._of("timings.json", "seconds")

    def energy(self) -> dict[str, float]:
        """kWh by stage, of the stages whose energy was measured whenever they ran."""
        return self._of("energy.json", "kWh")

    def _of(self, name: str, what: str) -> dict[str, float]:
        path = self.folder / name
        hint = f"delete this file: only the {what} per stage are lost"
        values = read_json(path, hint=hint) if path.exists() else {}
        assert isinstance(values, dict)
        return {str(key): float(value) for key, value in values.items() if value is not None}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the seconds of the block, also when it is interrupted; not when the process is killed outright."""
        reading = self.meter.begin() if self.meter is not None else None
        began = time.monotonic()
        try:
            yield
        finally:
            self._add("timings.json", name, time.monotonic() - began, digits=3)
            if reading is not None:
                self._add("energy.json", name, reading(), digits=12)

    def _add(self, file: str, name: str, value: float | None, *, digits: int) -> None:
        """One that could not be measured stays null for good: a part would pass for the whole."""
        path = self.folder / file
        spent = read_json(path) if path.exists() else {}
        assert isinstance(spent, dict)
        before = spent.get(name, 0.0)
        spent[name] = None if before is None or value is None else round(before + value, digits)
        write_json(path, spent)


def peak_memory_bytes() -> int | None:
    """The largest resident size of this process so far, or of a worker that has ended; None where nobody knows."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) * unit
