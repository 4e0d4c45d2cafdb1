"""Fits what makes the images: generators as they are, editors wrapped so that they too fill slots."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import pydantic
from numpy.typing import NDArray

from twinset import methods
from twinset.dataset import Dataset, Sample, Task
from twinset.errors import DataError, RecipeError, RunFolderError
from twinset.pipeline.closing.record import GapStep, laid_out, undone
from twinset.pipeline.curating import curated, curation_sentences
from twinset.pipeline.evolving import evolution_sentences, evolved
from twinset.pipeline.guarantees import together_sentences
from twinset.pipeline.held_out import refuse_held_out
from twinset.pipeline.matching import following, match_sentences
from twinset.pipeline.planning import sources
from twinset.pipeline.real import RealData, load_real
from twinset.pipeline.reporting import Listener
from twinset.pipeline.revising import revised, revision_sentences
from twinset.pipeline.targets import aimed, committed_target, target_sentences
from twinset.randomness import Stream
from twinset.recipe import Recipe, UsePart, load_recipe
from twinset.stages import (
    Editor,
    EditorMethod,
    Generator,
    Method,
    ParticularMethod,
    Remarking,
    ResumableEditorMethod,
    ResumableMethod,
    Slot,
    Workspace,
)
from twinset.store import read_json, write_json
from twinset.threads import torch_threads
from twinset.yamlfile import load_yaml


@dataclass(frozen=True)
class Source:
    """One entry under ``generate`` or ``edit``: its method and the folder of what it fitted."""

    number: int
    use: str
    kind: methods.Kind
    method: object
    folder: Path

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.kind.removesuffix('s')} {self.use}"


def sources_of(recipe: Recipe, folder: Path) -> list[Source]:
    """The sources of a resolved recipe, each with a folder for what it fits; aimed at the target that lies there."""
    found = []
    target = None if recipe.match is not None else committed_target(folder)
    for number, part in enumerate(sources(recipe)):
        kind: methods.Kind = "generators" if number < len(recipe.generators) else "editors"
        method = methods.build(kind, part.use, part.settings, where=f"{kind}.{number}")
        method = method if target is None else aimed(method, target)
        found.append(Source(number, part.use, kind, method, folder / "models" / f"{number}-{_slug(part)}"))
    return found


def _slug(part: UsePart) -> str:
    return "".join(c if c.isalnum() else "-" for c in part.use.lower())[:32]


def check_training(sources: Sequence[Source], classes: Sequence[str], task: Task) -> None:
    """:class:`DataError` at once, not after an hour, where a method has nothing for these classes or this task."""
    for source in sources:
        if isinstance(source.method, ParticularMethod):
            try:
                source.method.check_training(classes, task)
            except DataError as error:
                raise DataError(f"{source.name}: {error.message}", hint=error.hint) from error


def fit(source: Source, real: RealData, *, run: Stream, device: str, threads: int, listener: Listener) -> object:
    """A fitted generator or editor; a long fit goes on from its checkpoint.

    :class:`DataError` if its folders hold held-out images; looked for once, since what is in them is pinned.
    """
    marker = source.folder / "fitted.json"
    told = () if marker.exists() else refuse_held_out(source.method, real)
    rng = run.child("fit", source.number)
    workspace = Workspace(
        folder=source.folder,
        holdout=real.part("validation"),
        device=device,
        threads=threads,
        progress=listener.stage(f"fit {source.name}"),
    )
    began = time.monotonic()
    with torch_threads(threads):
        if isinstance(source.method, ResumableMethod | ResumableEditorMethod) and takes_workspace(source.method):
            fitted: object = source.method.fit(real.training, rng=rng, workspace=workspace)
        elif source.kind == "editors" and not isinstance(source.method, EditorMethod):
            fitted = source.method
        else:
            fitted = cast("Method | EditorMethod", source.method).fit(real.training, rng=rng)
    if not marker.exists():
        remarks = [*told, *(fitted.remarks if isinstance(fitted, Remarking) else ())]
        for remark in remarks:
            listener.note(remark)
        write_json(marker, {"use": source.use, "seconds": round(time.monotonic() - began, 3), "remarks": remarks})
    return fitted


def remarks_of(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """What the target, the fitted sources and the searches of a finished run had to tell."""
    found = list(target_sentences(folder))
    sources = sources_of(recipe, folder)
    for source in sources:
        marker = read_json(source.folder / "fitted.json")
        found += marker.get("remarks", ()) if isinstance(marker, dict) else ()
        off = undone(source.folder)
        found += () if "match" in off else match_sentences(source.folder)
        found += () if "curate" in off else curation_sentences(source.folder)
        found += () if "evolve" in off else evolution_sentences(source.folder)
    found += together_sentences([source.folder for source in sources])
    found += revision_sentences(folder)
    return tuple(found)


def takes_workspace(method: object) -> bool:
    """Whether a method keeps checkpoints and can load what it fitted."""
    return hasattr(method, "load")


@dataclass(frozen=True)
class EditedReal:
    """Fills slots with edited training images, of the slot's class where images have one, and of the value of an
    attribute that it asks for; parents are recorded."""

    editor: Editor
    training: Dataset
    use: str

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """An edit of a training image per slot; parent and edit are drawn from the slot's own stream."""
        class_ids = self.training.class_ids
        classified = bool((class_ids >= 0).any())
        rows_of = {asked: self._having(asked) for asked in {slot.attribute for slot in slots}}
        for slot in slots:
            fitting = rows_of[slot.attribute]
            candidates = fitting[class_ids[fitting] == slot.class_id] if classified else fitting
            row = int(candidates[slot.rng.child("parent").numpy().integers(len(candidates))])
            edited = self.editor.edit(self.training[row], rng=slot.rng.child("edit"))
            sample = slot.sample(
                edited.pixels(), method=self.use, annotation=edited.annotation, parents=edited.origin.parents
            )
            yield replace(sample, origin=replace(sample.origin, licence=self.training[row].origin.licence))

    def _having(self, attribute: tuple[str, str] | None) -> NDArray[np.int64]:
        """The rows of the training images that have this value of an attribute; None: all."""
        if attribute is None:
            return np.arange(len(self.training))
        name, value = attribute
        return np.array([row for row, told in enumerate(self.training.attribute(name)) if str(told) == value], np.int64)


@lru_cache(maxsize=4)
def _loaded(folder: Path, number: int, device: str, stamp: float) -> object:
    del stamp
    recipe = load_resolved(folder)
    source = sources_of(recipe, folder)[number]
    return as_generator(source, source.method.load(source.folder, device=device), folder)  # type: ignore[attr-defined]


def load_source(folder: Path, number: int, *, device: str) -> Generator:
    """The generator of a source, from what its fit left in the run folder; kept for the next call."""
    recipe = load_resolved(folder)
    source = sources_of(recipe, folder)[number]
    stamp = (source.folder / "fitted.json").stat().st_mtime
    return cast(Generator, _loaded(folder, number, device, stamp))


def as_generator(
    source: Source, fitted: object, folder: Path, *, without: Collection[GapStep] | None = None
) -> Generator:
    """What fills slots: a generator as it was matched, curated and evolved, an editor around the training images;
    in both far objects are taken out where the recipe says so.

    ``without`` names steps that do not count though something was committed; None: those that ``close_gap`` undid.
    """
    if source.kind == "generators":
        off = undone(source.folder) if without is None else without
        kept = fitted if "layout" in off else laid_out(fitted, source.folder)
        kept = kept if "match" in off else following(kept, source.folder, name=source.use)
        kept = kept if "curate" in off else curated(kept, source.folder)
        kept = kept if "evolve" in off else evolved(kept, source.folder, name=source.use)
        return revised(cast(Generator, kept), folder)
    return revised(EditedReal(cast(Editor, fitted), load_real(folder).training, source.use), folder)


def load_resolved(folder: Path) -> Recipe:
    """The resolved recipe of a run; one that cannot be understood is a :class:`RunFolderError` with its line."""
    path = folder / "resolved.yaml"
    try:
        with suppress(pydantic.ValidationError):
            return Recipe.model_validate(load_yaml(path).values)
        return load_recipe(path).recipe  # fails too, and says where and why
    except RecipeError as error:
        undo = "undo the change to this file, or start a new run with another --out"
        raise RunFolderError(error.message, hint=f"{error.hint}; {undo}" if error.hint else undo) from error
