"""Run folders: where they are, whether they are ours, what they say about themselves."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from twinset import __version__
from twinset.errors import RunFolderError
from twinset.recipe import WrittenRecipe, load_recipe
from twinset.store import read_json, write_bytes, write_json

PACKAGES = ("numpy", "scipy", "pillow", "pyarrow", "torch", "torchvision", "diffusers", "scikit-learn")


def run_folder(written: WrittenRecipe, out: Path | None) -> Path:
    """The folder of a recipe: ``out``, or ``runs/NAME-KEY`` with the first eight digits of the recipe's digest."""
    if out is not None:
        return out.expanduser().resolve()
    name = written.recipe.name or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(written.recipe.data.path).name).strip("-.")
    name = name.removeprefix("builtin-") or "run"
    return Path.cwd() / "runs" / f"{name[:40]}-{written.digest()[:8]}"


def refuse_inside(folder: Path, source: str | Path) -> None:
    """Nothing is written into the user's dataset: it would be read as part of it the next time."""
    if isinstance(source, Path) and source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise RunFolderError(f"{folder}: expected a place outside {source}; got one inside", hint="choose another")


def begin(folder: Path, written: WrittenRecipe) -> None:
    """Makes the folder the run of this recipe. A folder with anything else in it is refused."""
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
        return
    foreign = [name for name in present if name not in ("run.lock", "recipe.yaml") and not name.startswith(".tmp-")]
    if foreign:
        raise RunFolderError(
            f"{folder}: expected an empty folder; got {len(foreign)} other entries ({foreign[0]}, …)",
            hint="choose another --out; nothing was changed",
        )
    write_bytes(folder / "recipe.yaml", written.recipe.to_yaml().encode())
    write_json(
        folder / "run.json",
        {
            "written": written.digest(),
            "name": folder.name,
            "version": __version__,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        },
    )


def identity(folder: Path) -> dict[str, str]:
    """What ``run.json`` says; :class:`RunFolderError` if this is no run folder."""
    if not (folder / "run.json").exists():
        raise RunFolderError(
            f"{folder}: expected a run folder; got {'one without run.json' if folder.exists() else 'nothing there'}",
            hint="`twinset run` prints the folder of its run",
        )
    values = read_json(folder / "run.json")
    if not isinstance(values, dict) or "written" not in values:
        raise RunFolderError(f"{folder / 'run.json'}: expected a run's identity; got something else")
    return {str(key): str(value) for key, value in values.items()}


def recipe_of(folder: Path) -> WrittenRecipe:
    """The recipe that a run folder was begun with."""
    identity(folder)
    return load_recipe(folder / "recipe.yaml")


def environment(device: str, workers: int) -> dict[str, str]:
    """Versions and hardware that stand behind a run's figures."""
    found = {"twinset": __version__, "python": platform.python_version(), "platform": platform.platform()}
    found |= {name: metadata.version(name) for name in PACKAGES}
    return {**found, "cpu": hardware(), "cores": str(os.cpu_count()), "device": device, "workers": str(workers)}


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
    """Seconds per stage of a run, added up over all its sittings, in ``timings.json``."""

    folder: Path

    def read(self) -> dict[str, float]:
        """Seconds by stage."""
        path = self.folder / "timings.json"
        values = read_json(path) if path.exists() else {}
        assert isinstance(values, dict)
        return {str(key): float(value) for key, value in values.items()}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the seconds of the block, also when it is interrupted."""
        began = time.monotonic()
        try:
            yield
        finally:
            spent = self.read()
            spent[name] = round(spent.get(name, 0.0) + time.monotonic() - began, 3)
            write_json(self.folder / "timings.json", spent)


def peak_memory_bytes() -> int | None:
    """The largest resident size of this process so far, or of a worker that has ended; None where nobody knows."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) * unit
