"""Datasets on disk, read and written: one file per format.

:func:`read` finds out what a path holds; :func:`write` makes a folder that appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol, get_args

from twinset.dataset import Dataset
from twinset.errors import DatasetFormatError, UnknownNameError
from twinset.formats import (
    bop,
    builtin,
    cityscapes,
    coco,
    cvat,
    hdf5,
    imagefolder,
    kitti,
    labelme,
    parquet,
    semantic_masks,
    table,
    unread,
    via,
    voc,
    webdataset,
    yolo,
    yolo_layout,
)
from twinset.formats.fitting import check_writable, remarks
from twinset.formats.folder import Folder, visible
from twinset.formats.listing import (
    SPLIT_NAMES,
    BadFile,
    ImageStats,
    Listing,
    OnBadInput,
    ReadReport,
    dataset_name,
)
from twinset.formats.losses import said
from twinset.formats.pairs import PEEKED
from twinset.formats.reading import TO_SKIP, Look, gather, judge
from twinset.formats.recognising import recognised, refuse_part, remembered
from twinset.formats.sidecars import PROVENANCE_FILE
from twinset.formats.writing import Encode, Target, WritableFormat, WriteReport, whole_folder
from twinset.images import FULL_RANGE, SUFFIXES, Window
from twinset.paths import expanded

__all__ = [
    "FORMATS",
    "BadFile",
    "ImageStats",
    "OnBadInput",
    "ReadReport",
    "WriteReport",
    "check_writable",
    "read",
    "write",
]

FORMATS: tuple[WritableFormat, ...] = get_args(WritableFormat)

CONTAINERS = ("parquet", "webdataset", "csv", "tsv", "jsonl")

READABLE = (
    "expected a folder of class folders, a CSV, TSV or JSONL table of path and label, WebDataset .tar or Parquet "
    "files, or COCO, YOLO, Pascal VOC, semantic masks, LabelMe, CVAT, VIA, KITTI, BOP, HDF5 or Cityscapes"
)


def read(
    source: str | Path,
    *,
    on_bad_input: OnBadInput = "refuse",
    window: Window = FULL_RANGE,
    to_skip: str = TO_SKIP,
    look: Look | None = None,
) -> tuple[Dataset, ReadReport]:
    """The dataset at a path (or ``builtin:digits``), and what was met while reading it.

    Every picture is decoded once to check it; its sha256 is kept, so that a file that changes later is an error.
    ``window`` maps 16-bit grey to 8 bits. ``on_bad_input``: ``refuse`` raises one error that counts the problems
    and names the first; ``skip`` leaves them out; ``report`` does so even when nothing is left. Nothing outside
    the dataset's folder is opened. ``to_skip`` tells the user how to skip, in errors. ``look`` is taken of the pixels
    of every picture, in threads, for the report's ``looks``. Raises :class:`DatasetFormatError` or :class:`ImageError`.
    """
    if on_bad_input not in ("refuse", "skip", "report"):
        raise ValueError(f"expected on_bad_input refuse, skip or report; got {on_bad_input!r}")
    dataset, report = gather(_listing(source), window=window, look=look)
    if not report.images and report.format not in CONTAINERS:
        refuse_part(expanded(source))
    judge(report, source=str(source), on_bad_input=on_bad_input, to_skip=to_skip)
    return dataset, report


def _listing(source: str | Path) -> Listing:
    if str(source).startswith(builtin.PREFIX):
        return builtin.listing(str(source))
    path = expanded(source)
    if not path.exists():
        raise DatasetFormatError("expected a dataset; got no such file or folder", path=visible(str(source)))
    if path.is_dir():
        return _folder_listing(path)
    return _file_listing(path)


def _file_listing(path: Path) -> Listing:
    suffix = path.suffix.lower()
    around = Folder.around(path)
    if suffix in (".json", ".csv") and via.is_via(around, path.name):
        return via.listing(Folder.at(path.parent), [path.name], dataset_name(path.parent))
    if suffix == ".xml" and cvat.is_cvat(around, path.name):
        return cvat.listing(Folder.at(path.parent), [path.name], dataset_name(path.parent))
    if suffix in table.SUFFIXES:
        return table.listing(around, [path.name], dataset_name(path))
    if suffix == ".tar":
        return webdataset.listing(around, [path.name], dataset_name(path.parent))
    if suffix == ".json":
        top, file = coco.around(path)
        return coco.listing(top, [file], dataset_name(top.root))
    if suffix in (".yaml", ".yml"):
        _refuse_recipe(around, path)
        return yolo.listing(Folder.at(path.parent), dataset_name(path.parent), data_file=path.name)
    if suffix == ".parquet":
        return parquet.listing(around, [path.name], dataset_name(path.parent))
    hint = "unpack it and give the folder" if suffix in (".zip", ".gz", ".tgz", ".7z", ".rar") else ""
    raise DatasetFormatError(f"{READABLE}; got a {suffix or 'nameless'} file", path=visible(str(path)), hint=hint)


def _refuse_recipe(around: Folder, path: Path) -> None:
    """A :class:`DatasetFormatError` for a recipe, which is YAML as YOLO's description is."""
    values = yolo_layout.parse_yaml(around, path.name)
    if str(values.get("schema", "")).startswith("twinset/recipe") or ("data" in values and "names" not in values):
        data = values.get("data")
        place = data.get("path") if isinstance(data, dict) else data
        named = f"give the dataset that it names ({visible(str(place))[:200]}), or " if place else ""
        hint = f"{named}run the recipe: twinset run {visible(str(path))}"
        raise DatasetFormatError("expected a dataset; got a recipe of twinset", path=visible(str(path)), hint=hint)


def _folder_listing(path: Path) -> Listing:
    """Parquet and tar files at the top, in ``data/`` or in split folders; then what marks places in pictures; then a
    table; then class folders."""
    folder, name = Folder.at(path), dataset_name(path)
    _refuse_run(folder, path)
    files = list(_containers(folder))
    parquets = [file for file in files if file.lower().endswith(".parquet")]
    if any(parquet.has_images(folder, file) for file in parquets):
        _refuse_class_folders(folder, parquets, path)
        return parquet.listing(folder, parquets, name)
    shards = [file for file in files if file.lower().endswith(".tar")]
    if shards:
        _refuse_class_folders(folder, shards, path)
        return webdataset.listing(folder, shards, name)
    seen = remembered(folder)
    placed = recognised(folder, seen)
    if placed is not None:
        return placed(name)
    unread.refuse_unread(seen)
    _refuse_collection(folder, path)
    tables = [file for file in folder.names() if _has_suffix_of_table(file) and table.is_table(folder, file)]
    if len(tables) == 1:
        return table.listing(folder, tables, dataset_name(path / tables[0]))
    if tables and all(PurePosixPath(one).stem.casefold() in SPLIT_NAMES for one in tables):
        return table.listing(folder, tables, name)
    if tables:
        raise DatasetFormatError(
            f"expected one table of path and label; got {visible(', '.join(tables))}",
            path=visible(str(path)),
            hint="give the file itself",
        )
    return imagefolder.listing(folder, name)


def _refuse_run(folder: Folder, path: Path) -> None:
    """A :class:`DatasetFormatError` for the folder of a run, whose dataset lies in one of its own."""
    if not {"run.json", "recipe.yaml"} <= set(folder.names()):
        return
    exports = sorted(below for below in (path / "export").glob("*") if below.is_dir() and below.name in FORMATS)
    hint = f"give its dataset: {visible(str(exports[0]))}" if exports else "it has exported nothing; look at its report"
    raise DatasetFormatError("expected a dataset; got the folder of a run", path=visible(str(path)), hint=hint)


def _refuse_collection(folder: Folder, path: Path) -> None:
    """A :class:`DatasetFormatError` for a folder whose own folders are datasets, which is not one of class folders."""
    for name in folder.names()[:PEEKED]:
        below = path / name
        if below.is_dir() and not below.is_symlink():
            inner = Folder.at(below)
            if coco.claims(inner) or cityscapes.claims(inner) or kitti.claims(inner) or cvat.claims(inner):
                raise DatasetFormatError(
                    f"expected one dataset; got another in its folder {visible(name)}",
                    path=visible(str(path)),
                    hint="give that folder",
                )


def _has_suffix_of_table(name: str) -> bool:
    return name != PROVENANCE_FILE and PurePosixPath(name).suffix.lower() in table.SUFFIXES


def _containers(folder: Folder) -> Iterator[str]:
    """Parquet and tar files at the top, in ``data/`` and in split folders; links to folders are not entered."""
    tops = [name for name in folder.names() if name.casefold() in ("data", *SPLIT_NAMES)]
    for below in ("", *tops):
        for name in folder.names(below):
            if name.lower().endswith((".parquet", ".tar")):
                yield f"{below}/{name}" if below else name


def _refuse_class_folders(folder: Folder, files: Sequence[str], path: Path) -> None:
    """A :class:`DatasetFormatError` where a forgotten archive would take the place of folders of pictures."""
    beside = {PurePosixPath(), *(PurePosixPath(file).parent for file in files)}
    for entry in folder.walk():
        place = PurePosixPath(entry.path)
        if entry.problem is None and place.suffix.lower() in SUFFIXES and place.parent not in beside:
            raise DatasetFormatError(
                f"expected one dataset; got {visible(files[0])} beside pictures in {visible(str(place.parent))}",
                path=visible(str(path)),
                hint="give the file itself, or move one of them away",
            )


def write(
    dataset: Dataset,
    destination: str | Path,
    format: WritableFormat,
    *,
    encode: Encode | None = None,
    category_base: int = 1,
) -> WriteReport:
    """Writes a dataset as a new folder, which appears whole or not at all.

    Class names, their order, splits, ids, attributes and origins survive a round trip through :func:`read`
    (in ``csv``, where attributes that have columns of their own come back as text).
    ``encode`` gives each picture's file content; without it, pictures keep the bytes they came as. ``category_base``
    is the first id of a class in COCO. What the format cannot hold is counted in the report's ``losses``. Raises
    :class:`UsageError` if the destination holds anything or the format can hold nothing of what the dataset is about
    (:func:`check_writable`), ``ValueError`` if only some samples have a split.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    splits = set(dataset.splits)
    if None in splits and len(splits) > 1:
        raise ValueError("expected a split on every sample, or on none; got both")
    check_writable(dataset, format)
    path = expanded(destination)
    with whole_folder(path) as target:
        if format == "coco":
            images = coco.write(dataset, target, encode=encode, category_base=category_base)
        else:
            images = WRITERS[format].write(dataset, target, encode=encode)
    return WriteReport(
        format, path, images, target.files, target.size, losses(dataset, format), remarks(dataset, format)
    )


class _Writer(Protocol):
    """A module that writes one format."""

    def write(self, dataset: Dataset, target: Target, *, encode: Encode | None) -> int: ...


WRITERS: dict[WritableFormat, _Writer] = {
    "imagefolder": imagefolder,
    "webdataset": webdataset,
    "parquet": parquet,
    "csv": table,
    "yolo": yolo,
    "voc": voc,
    "masks": semantic_masks,
    "labelme": labelme,
    "cvat": cvat,
    "kitti": kitti,
    "via": via,
    "bop": bop,
    "hdf5": hdf5,
}


LOSSES: dict[WritableFormat, Callable[[Dataset], dict[str, int]]] = {
    "coco": coco.losses,
    "yolo": yolo.losses,
    "voc": voc.losses,
    "masks": semantic_masks.losses,
    "labelme": labelme.losses,
    "cvat": cvat.losses,
    "kitti": kitti.losses,
    "via": via.losses,
    "bop": bop.losses,
}
"""Of the others, our containers hold everything, and folders and tables the class of a whole picture."""


def losses(dataset: Dataset, format: WritableFormat) -> dict[str, int]:
    """What a format cannot hold of what a dataset says, and how often it says it."""
    if format in ("webdataset", "parquet", "hdf5"):
        return {}
    if format in LOSSES:
        return LOSSES[format](dataset)
    return said(dataset, held=("image classes",))
