"""Fits that another run has made already: taken over where all that decides them is equal.

A fit follows from its settings, the real images, its stream and what computes it. The stream of a run with ``fit_seed``
does not depend on what happens to the images afterwards, so that runs which differ in their filters alone share it. A
private fit that is taken over spends nothing again: it is the same release of noise.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

from twinset.pipeline.fitting import Source, load_resolved, sources_of, takes_workspace
from twinset.pipeline.folders import DECISIVE, environment_of, kind_of
from twinset.pipeline.opening import Run
from twinset.pipeline.real import load_real
from twinset.recipe import Recipe
from twinset.store import disk_refusals, read_json, sync_folder, temporary_beside, write_json

MARKER = "fitted.json"
TAKEN = "taken_from"


def take_fits(run: Run, other: Path) -> None:
    """Copies what the finished run in ``other`` fitted, unless anything that decides a fit differs; says which."""
    named = {source.number: source for source in sources_of(load_resolved(other), other)}
    due = [source for source in sources_of(run.recipe, run.folder) if takes_workspace(source.method)]
    due = [source for source in due if not source.folder.exists()]
    if not due:
        return
    if differing := _differing(run, other):
        run.listener.note(f"the fits of {other.name} are not taken over: {', '.join(differing)} differ")
        return
    for source in due:
        _take(source, named[source.number], other)
        run.listener.note(f"the fit of {source.name} is taken over from {other.name}")


def taken_from(folder: Path) -> str:
    """The run that all fits of a finished run were taken over from; "" where it made one itself."""
    sources = sources_of(load_resolved(folder), folder)
    names = {_marker(source).get(TAKEN, "") for source in sources if takes_workspace(source.method)}
    return str(names.pop()) if len(names) == 1 else ""


def _take(source: Source, other: Source, run: Path) -> None:
    with disk_refusals(source.folder, "to take over a fit"):
        source.folder.parent.mkdir(parents=True, exist_ok=True)
        copied = temporary_beside(source.folder)
        shutil.copytree(other.folder, copied)
        write_json(copied / MARKER, {**_marker(other), TAKEN: run.name})
        copied.rename(source.folder)
        sync_folder(source.folder.parent)


def _marker(source: Source) -> dict[str, object]:
    return cast("dict[str, object]", read_json(source.folder / MARKER))


def _differing(run: Run, other: Path) -> list[str]:
    """What decides a fit and is not equal in both runs."""
    theirs, real = load_resolved(other), load_real(other)
    same_images = real.facts.digest == run.real.facts.digest and real.dataset.splits == run.real.dataset.splits
    ours, before = _computed_by(run.folder), _computed_by(other)
    found = [name for name, value in _decided(run.recipe).items() if _decided(theirs)[name] != value]
    found += [] if run.recipe.fit_seed is not None else ["the streams"]
    found += [] if same_images else ["the real images"]
    return found + [name for name in ours if ours[name] != before[name]]


def _decided(recipe: Recipe) -> dict[str, object]:
    """What of a resolved recipe decides its fits."""
    values = recipe.to_values()
    return {name: values.get(name) for name in ("task", "image", "generate", "edit", "threads", "fit_seed", "target")}


def _computed_by(folder: Path) -> dict[str, str]:
    recorded = environment_of(folder)
    versions = {name: recorded.get(name, "") for name in (*DECISIVE, "cpu")}
    return {**versions, "device": kind_of(recorded.get("device", ""))}
