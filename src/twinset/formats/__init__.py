"""Datasets on disk, read and written: one file per format.

:func:`read` finds out what a path holds; :func:`write` makes a folder that appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twinset.dataset import Dataset
from twinset.errors import DatasetFormatError, UnknownNameError
from twinset.formats import builtin, imagefolder, parquet, table, webdataset
from twinset.formats.folder import Folder, visible
from twinset.formats.reading import SPLIT_NAMES, BadFile, ImageStats, Listing, OnBadInput, ReadReport, collect
from twinset.formats.sidecars import PROVENANCE_FILE
from twinset.formats.writing import Encode, WritableFormat, WriteReport, whole_folder
from twinset.images import FULL_RANGE, Window

__all__ = ["FORMATS", "BadFile", "ImageStats", "OnBadInput", "ReadReport", "WriteReport", "read", "write"]

FORMATS: tuple[WritableFormat, ...] = ("imagefolder", "webdataset", "parquet", "csv")

READABLE = (
    "expected a folder of class folders, a CSV, TSV or JSONL table of path and label, WebDataset .tar or Parquet files"
)


def read(
    source: str | Path, *, on_bad_input: OnBadInput = "refuse", window: Window = FULL_RANGE
) -> tuple[Dataset, ReadReport]:
    """The dataset at a path (or ``builtin:digits``), and what was met while reading it.

    Every picture is decoded once to check it; its sha256 is kept, so that a file that changes later is an error.
    ``window`` maps 16-bit grey to 8 bits. ``on_bad_input``: ``refuse`` raises one error that counts the problems
    and names the first; ``skip`` leaves them out; ``report`` does so even when nothing is left. Nothing outside
    the dataset's folder is opened. Raises :class:`DatasetFormatError` or :class:`ImageError`.
    """
    if on_bad_input not in ("refuse", "skip", "report"):
        raise ValueError(f"expected on_bad_input refuse, skip or report; got {on_bad_input!r}")
    return collect(_listing(source), source=str(source), on_bad_input=on_bad_input, window=window)


def _listing(source: str | Path) -> Listing:
    if str(source).startswith(builtin.PREFIX):
        return builtin.listing(str(source))
    path = Path(source).expanduser()
    if not path.exists():
        raise DatasetFormatError("expected a dataset; got no such file or folder", path=visible(str(source)))
    if path.is_dir():
        return _folder_listing(path)
    suffix = path.suffix.lower()
    if suffix in table.SUFFIXES:
        return table.listing(path)
    if suffix == ".tar":
        return webdataset.listing(path.parent, [path.name])
    if suffix == ".parquet":
        return parquet.listing(path.parent, [path.name])
    hint = "unpack it and give the folder" if suffix in (".zip", ".gz", ".tgz", ".7z", ".rar") else ""
    raise DatasetFormatError(f"{READABLE}; got a {suffix or 'nameless'} file", path=visible(str(source)), hint=hint)


def _folder_listing(path: Path) -> Listing:
    """Parquet and tar files at the top, in ``data/`` or in split folders; then a table; then class folders."""
    files = list(_containers(Folder.at(path)))
    parquets = [file for file in files if file.endswith(".parquet")]
    if any(parquet.has_images(Folder.at(path), file) for file in parquets):
        return parquet.listing(path, parquets)
    shards = [file for file in files if file.endswith(".tar")]
    if shards:
        return webdataset.listing(path, shards)
    tables = _tables(path)
    if len(tables) == 1 or (tables and all(one.stem.casefold() in SPLIT_NAMES for one in tables)):
        return table.listing(*tables)
    if tables:
        names = visible(", ".join(one.name for one in tables))
        raise DatasetFormatError(
            f"expected one table of path and label; got {names}", path=visible(str(path)), hint="give the file itself"
        )
    return imagefolder.listing(path)


def _containers(folder: Folder) -> Iterator[str]:
    """Parquet and tar files at the top, in ``data/`` and in split folders; links to folders are not entered."""
    tops = [name for name in folder.names() if name.casefold() in ("data", *SPLIT_NAMES)]
    for below in ("", *tops):
        for name in folder.names(below):
            if name.endswith((".parquet", ".tar")):
                yield f"{below}/{name}" if below else name


def _tables(path: Path) -> list[Path]:
    names = [name for name in Folder.at(path).names() if name != PROVENANCE_FILE]
    files = [path / name for name in names if Path(name).suffix.lower() in table.SUFFIXES]
    return [file for file in files if table.is_table(file)]


def write(
    dataset: Dataset, destination: str | Path, format: WritableFormat, *, encode: Encode | None = None
) -> WriteReport:
    """Writes a dataset as a new folder, which appears whole or not at all.

    Class names, their order, splits, ids, attributes and origins survive a round trip through :func:`read`
    (in ``csv``, which has no types, attributes come back as text).
    ``encode`` gives each picture's file content; without it, pictures keep the bytes they came as. Raises
    :class:`UsageError` if the destination holds anything, ``ValueError`` if only some samples have a split.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    splits = set(dataset.splits)
    if None in splits and len(splits) > 1:
        raise ValueError("expected a split on every sample, or on none; got both")
    writer = {"imagefolder": imagefolder, "webdataset": webdataset, "parquet": parquet, "csv": table}[format]
    path = Path(destination).expanduser()
    with whole_folder(path) as target:
        images = writer.write(dataset, target, encode=encode)
    return WriteReport(format, path, images, target.files, target.size)
