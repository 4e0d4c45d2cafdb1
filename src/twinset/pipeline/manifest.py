"""What a finished run consists of: the sha256 of every file, so that it can be told later what has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from twinset.documents import MismatchPart
from twinset.errors import RunFolderError
from twinset.pipeline.real_cells import taken_over
from twinset.store import TEMPORARY, read_json, write_json

MANIFEST = "manifest.json"
UNLISTED = (MANIFEST, "log.jsonl", "run.lock", "timings.json", "energy.json", "result.json")
"""What goes on changing, and the result, which is written last and checked by its digest."""

BLOCK = 1 << 20


def write_manifest(folder: Path) -> None:
    """Lists every file below a run folder with its sha256, and which results were taken over from which."""
    files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in _files(folder)}
    taken = {"taken_over": found} if (found := taken_over(folder)) else {}
    write_json(folder / MANIFEST, {"schema": "twinset/manifest/1", "files": files, **taken})


def changed_since(folder: Path) -> Iterator[MismatchPart]:
    """Files of a finished run that are gone or are not what they were; paths relative to the folder."""
    for name, recorded in sorted(_recorded(folder).items()):
        path = folder / name
        if not path.is_file():
            yield MismatchPart(path=name, problem="expected a file; got none")
        elif (found := sha256_of(path)) != recorded:
            yield MismatchPart(path=name, problem=f"expected sha256 {recorded[:12]}…; got {found[:12]}…")


def added_since(folder: Path) -> Iterator[MismatchPart]:
    """Files that a finished run did not leave; paths relative to the folder."""
    recorded = _recorded(folder)
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if name not in recorded:
            yield MismatchPart(path=name, problem="expected no such file; got one that the run did not write")


def _recorded(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    hint = "`twinset evaluate` the run: it writes the list anew"
    values = read_json(path, hint=hint)
    if not isinstance(values, dict) or not isinstance(values.get("files"), dict):
        raise RunFolderError(f"{path}: expected the list of a run's files; got something else", hint=hint)
    return {str(name): str(digest) for name, digest in values["files"].items()}


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    names = {path.relative_to(folder): path for path in found}
    return [
        path
        for name, path in sorted(names.items())
        if name.as_posix() not in UNLISTED and not any(part.startswith(TEMPORARY) for part in name.parts)
    ]


def sha256_of(path: Path) -> str:
    """Of a file, read in blocks."""
    total = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            total.update(block)
    return total.hexdigest()
