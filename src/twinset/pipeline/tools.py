"""The small verbs: inspect, init, convert, plugins, doctor."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import cast, get_args

from twinset import documents, methods
from twinset.dataset import Dataset
from twinset.errors import RunFolderError, UsageError
from twinset.formats import ReadReport, WriteReport, coco, losses, read, write
from twinset.formats.counting import counted
from twinset.formats.writing import WritableFormat
from twinset.images import FULL_RANGE, Window
from twinset.inspection import inspect as inspect_dataset
from twinset.paths import expanded
from twinset.pipeline.folders import environment, refuse_inside
from twinset.pipeline.recipe_texts import recipe_text
from twinset.provenance import encode_with_provenance
from twinset.recipe import EXPORTS, recipe_from_values
from twinset.store import write_bytes
from twinset.threads import available_cores

EXTRAS = {
    "pretrained": ("transformers",),
    "captions": ("sacrebleu",),
    "energy": ("codecarbon",),
    "c2pa": ("c2pa",),
    "browser": ("selenium",),
}


IN_OWN_FIELDS = {"coco": coco.OWN_FIELDS}
"""What formats have no place for and twinset writes all the same, to read it back."""


def check_way(on_bad_input: str) -> None:
    """:class:`UsageError` unless this is a value of ``--on-bad-input``."""
    if on_bad_input not in ("refuse", "skip"):
        raise UsageError(
            f"expected --on-bad-input refuse or skip; got {on_bad_input!r}",
            hint="refuse stops where something is bad; skip leaves that out and counts it",
        )


def source_of(text: str) -> str | Path:
    """A dataset as the user named it: ``builtin:NAME`` or a path."""
    return text if text.startswith("builtin:") else expanded(text)


def load(source: str | Path, *, on_bad_input: str = "refuse", window: Window = FULL_RANGE) -> Dataset:
    """A dataset; bad files are refused unless ``on_bad_input`` is ``skip``."""
    if on_bad_input not in ("refuse", "skip"):
        raise ValueError(f"expected on_bad_input 'refuse' or 'skip'; got {on_bad_input!r}")
    dataset, _ = read(
        source_of(str(source)),
        on_bad_input=on_bad_input,  # type: ignore[arg-type]
        window=window,
        to_skip='pass on_bad_input="skip"',
    )
    return dataset


def inspect(source: str) -> tuple[documents.InspectDocument, list[str]]:
    """What is in a dataset, as a document and as lines of text."""
    inspection = inspect_dataset(source_of(source))
    return documents.InspectDocument.model_validate(inspection.to_json()), inspection.lines()


def convert(
    source: str, destination: Path, to: str, *, category_base: int | None = None, on_bad_input: str = "refuse"
) -> documents.ConvertDocument:
    """Writes a dataset in another format into a new folder; synthetic images carry their provenance.

    ``category_base`` is the first category id in COCO, 1 if it is not given; ``on_bad_input`` is refuse, or skip, which
    leaves out bad files and objects. The notes say what was left out, and what the format cannot hold.
    """
    if to not in get_args(WritableFormat):
        near = difflib.get_close_matches(to, EXPORTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "docs/objects.md says what each can hold"
        raise UsageError(f"expected --to one of {', '.join(EXPORTS)}; got {to!r}", hint=hint)
    if category_base is not None and to != "coco":
        raise UsageError(f"expected --category-base with --to coco; got --to {to}", hint="leave it out")
    check_way(on_bad_input)
    place = expanded(destination)
    refuse_inside(place, source_of(source))
    dataset, report = read(
        source_of(source),
        on_bad_input=on_bad_input,  # type: ignore[arg-type]
        to_skip="give --on-bad-input skip",
    )
    base = 1 if category_base is None else category_base
    format_ = cast(WritableFormat, to)
    _refuse_classes(dataset, format_)
    written = write(dataset, place, format_, encode=encode_with_provenance, category_base=base)
    return documents.ConvertDocument(
        source=source,
        destination=str(written.destination),
        format=to,
        images=written.images,
        notes=list(dict.fromkeys([*report.warnings, *_skipped(report), *written.notes, *_lost(written)])),
        losses=dict(written.losses),
    )


def _refuse_classes(dataset: Dataset, format: WritableFormat) -> None:
    """:class:`UsageError` where all that is said is the class of every picture, and the format has no place for it."""
    labelled = int((dataset.class_ids >= 0).sum())
    if dataset.task == "classification" and labelled and losses(dataset, format).get("image classes") == labelled:
        raise UsageError(
            f"expected objects or masks to write {format}; got the class of {counted(labelled, 'pictures')}, for which "
            "it has no place",
            hint="write imagefolder, csv, parquet, webdataset or cvat, which hold the class of an image",
        )


def _skipped(report: ReadReport) -> Iterator[str]:
    """What of the source was left out, with the first problem of each kind."""
    objects = [bad for bad in report.bad_files if bad.kind == "object"]
    others = [bad for bad in report.bad_files if bad.kind != "object"]
    if others:
        yield f"{counted(len(others), 'bad files')} left out, first {others[0]}"
    if objects:
        yield f"{counted(len(objects), 'bad objects')} clipped or left out, first {objects[0]}"


def _lost(written: WriteReport) -> Iterator[str]:
    for what, count in written.losses.items():
        kept = what in IN_OWN_FIELDS.get(written.format, ())
        own = " but in a field of twinset's own: other programs see none" if kept else ""
        yield f"{counted(count, what)} {'has' if count == 1 else 'have'} no place in {written.format}{own}"


def plugins() -> documents.PluginsDocument:
    """Every name of the tables, each loaded to see whether it does."""
    parts = []
    for kind in methods.KINDS:
        for entry in map(methods.check, methods.entries(kind).values()):
            parts.append(documents.PluginPart(**entry.__dict__))
    return documents.PluginsDocument(plugins=parts)


def doctor() -> documents.DoctorDocument:
    """Versions, hardware, extras, and what is wrong."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    extras = {
        name: "installed" if all(importlib.util.find_spec(module) for module in modules) else "not installed"
        for name, modules in EXTRAS.items()
    }
    broken = [part for part in plugins().plugins if part.problem]
    problems = [f"plug-in {part.name} of {part.distribution} does not load" for part in broken]
    return documents.DoctorDocument(
        ok=not problems, environment=environment(device, available_cores()), extras=extras, problems=problems
    )


def init(source: str, *, out: Path | None) -> documents.InitDocument:
    """A commented recipe from what the inspection found; never over a file that is there."""
    where = source_of(source)
    inspection = inspect_dataset(where)
    name = source.removeprefix("builtin:") if isinstance(where, str) else where.resolve().stem
    path = expanded(out or f"{name}.yaml")
    if path.is_dir():
        raise RunFolderError(
            f"{path}: expected the name of a new file; got a folder", hint=f"--out {path / f'{name}.yaml'}"
        )
    if path.exists():
        raise RunFolderError(f"{path}: expected no file there; got one", hint="choose another --out")
    place = where if isinstance(where, str) else _from(path.resolve().parent, where.resolve())
    text = recipe_text(place, inspection)
    recipe_from_values({"data": place})
    write_bytes(path.resolve(), text.encode())
    return documents.InitDocument(recipe=str(path), text=text)


def _from(folder: Path, data: Path) -> str:
    """The data as a recipe in this folder names it: relative if it lies below, so that both can be moved."""
    return str(data.relative_to(folder)) if data.is_relative_to(folder) else str(data)
