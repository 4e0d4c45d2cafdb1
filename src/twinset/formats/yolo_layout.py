"""Where a YOLO dataset keeps its pictures, and what its classes are called.

What ``data.yaml`` and lists of pictures say was often written on another machine. A leading ``../`` is dropped, as the
trainers do; nothing outside the folder is opened, and a split whose place is not here is looked for where it is usual.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from twinset.dataset import SplitName
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, first_line, relative_path, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Findings
from twinset.formats.pairs import Walked, lines_of, read_text, split_of
from twinset.images import SUFFIXES

MAX_YAML_BYTES = 1_000_000
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
SPLIT_KEYS = ("train", "val", "valid", "validation", "test")
_NAMES = re.compile(r"^names\s*:", re.MULTILINE)
_SPLITS = re.compile(r"^(?:train|val|test)\s*:", re.MULTILINE)


@dataclass(frozen=True)
class Named:
    """One picture and the split it is in."""

    path: str
    split: SplitName | None


@dataclass
class Layout:
    """The pictures of a dataset in order, its class names by id (None: not said), and what could not be found.

    ``label_folders`` stand instead of the usual ones; ``read`` are files that hold no labels.
    """

    pictures: list[Named]
    names: Mapping[int, str] | None = None
    bad: list[BadFile] = field(default_factory=list)
    label_folders: tuple[str, ...] = ()
    read: set[str] = field(default_factory=set)


def data_files(folder: Folder) -> list[str]:
    """The files at the top that describe a YOLO dataset: YAML with ``names`` and splits, or darknet's ``obj.data``."""
    names = folder.names()
    found = [name for name in names if name.casefold().endswith((".yaml", ".yml")) and _describes(folder, name)]
    return found or [name for name in names if name.casefold() in ("obj.data", "obj.names")][:1]


def _describes(folder: Folder, name: str) -> bool:
    try:
        text = read_text(folder, name, limit=MAX_YAML_BYTES)
    except Unusable:
        return False
    return _NAMES.search(text) is not None and _SPLITS.search(text) is not None


def layout_of(folder: Folder, walked: Walked, findings: Findings, data_file: str | None) -> Layout:
    """What is where; :class:`DatasetFormatError` if a file that says so cannot be used."""
    files = [data_file] if data_file is not None else data_files(folder)
    usual = [file for file in files if PurePosixPath(file).stem.casefold() in ("data", "dataset")]
    files = usual or files
    if len(files) > 1:
        hint = "give the file itself"
        raise DatasetFormatError(
            f"expected one data.yaml; got {visible(', '.join(files))}", path=visible(files[0]), hint=hint
        )
    if files and files[0].casefold().endswith((".yaml", ".yml")):
        return _described(folder, walked, findings, files[0])
    if files and files[0].casefold() == "obj.data":
        return _darknet(folder, walked, files[0])
    pictures = [Named(path, split_of(path)) for path in walked.pictures]
    names, read = _name_file(folder, walked, findings)
    return Layout(pictures, names, read=read)


def _described(folder: Folder, walked: Walked, findings: Findings, file: str) -> Layout:
    values = parse_yaml(folder, file)
    if "kpt_shape" in values:
        hint = "leave kpt_shape out if the lines hold boxes or outlines alone"
        raise DatasetFormatError("expected boxes or outlines; got keypoints", path=visible(file), hint=hint)
    layout = Layout([], _names(values, file, findings))
    above = values.get("path", "")
    bases = list(dict.fromkeys([_inner(above) or "" if isinstance(above, str) else "", ""]))
    placed: dict[str, set[SplitName]] = {}
    for key in SPLIT_KEYS:
        value = values.get(key)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text.strip() not in ("", "null", "~"):
                for path in _place(folder, walked, findings, layout, bases, file, key, text):
                    placed.setdefault(path, set()).add(SPLIT_NAMES[key])
    layout.pictures = [Named(path, next(iter(splits)) if len(splits) == 1 else None) for path, splits in placed.items()]
    special = f"labels_{PurePosixPath(file).stem}".casefold()
    if any(PurePosixPath(name).name == special for name in walked.folders):
        layout.label_folders = (special,)
    return layout


def _place(
    folder: Folder,
    walked: Walked,
    findings: Findings,
    layout: Layout,
    bases: list[str],
    file: str,
    key: str,
    text: str,
) -> Iterator[str]:
    """The pictures that one value of ``train``, ``val`` or ``test`` means: of a folder, or of a list."""
    inner = _inner(text)
    wanted = [] if inner is None else [str(PurePosixPath(base, inner)) for base in bases]
    found = next((one for one in wanted if one.casefold() in walked.folders or one in walked.known), None)
    if found is None:
        found = _usual_place(walked, SPLIT_NAMES[key])
        if found is None:
            problem = f"expected {key} as a folder or list inside the dataset; got {visible(text)!r}, which is not"
            if SPLIT_NAMES[key] == "test":  # exporters write the line for a dataset without such a split, too
                findings.warnings.append(f"{visible(file)}: {problem}: no test split is read")
                return
            layout.bad.append(BadFile(visible(file), problem))
            return
        findings.warnings.append(f"{visible(file)} says {key}: {visible(text)}, which is not here: {found} is read")
    if found in walked.known and found.casefold().endswith(".txt"):
        layout.read.add(found)
        yield from _listed(folder, walked, layout, found)
    elif found in walked.known:
        yield found
    else:
        below = walked.folders[found.casefold()]
        inside = [path for path in walked.pictures if below == "." or path.startswith(f"{below}/")]
        if not inside:
            layout.bad.append(BadFile(visible(below), f"expected pictures of {key} in this folder; got none"))
        yield from inside


def _usual_place(walked: Walked, split: SplitName) -> str | None:
    """The folder of pictures that a split usually has, if it is here."""
    names = [name for name, meant in SPLIT_NAMES.items() if meant == split]
    usual = [place for name in names for place in (f"images/{name}", f"{name}/images")]
    return next((walked.folders[place] for place in usual if place in walked.folders), None)


def _inner(text: str) -> str | None:
    """A path that somebody wrote, without leading ``./`` and ``../``; None if it lies outside or on another machine."""
    parts = [part for part in text.strip().replace("\\", "/").split("/") if part != "."]
    while parts and parts[0] == "..":
        parts = parts[1:]
    if not any(parts):
        return None if text.strip().startswith(("/", "\\")) else "."
    try:
        return str(relative_path("/".join(parts)))
    except Unusable:
        return None


def _listed(folder: Folder, walked: Walked, layout: Layout, file: str) -> Iterator[str]:
    """The pictures that a list names: from where it lies, from the top, or below darknet's ``data/``."""
    try:
        text = read_text(folder, file)
    except Unusable as error:
        layout.bad.append(BadFile(visible(file), str(error), error.line))
        return
    for number, line in lines_of(text):
        try:
            path = relative_path(line)
            wanted = [PurePosixPath(file).parent / path, path, PurePosixPath(*path.parts[1:])]
            found = next((spelled for one in wanted if (spelled := walked.actual(one)) is not None), None)
            if found is None or PurePosixPath(found).suffix.lower() not in SUFFIXES:
                raise Unusable(f"expected a picture of the dataset; got {visible(line)!r}, which is not there")
            yield found
        except Unusable as error:
            layout.bad.append(BadFile(visible(file), str(error), number))


def _darknet(folder: Folder, walked: Walked, file: str) -> Layout:
    """``obj.data`` names a list of pictures for each split, and the file of class names."""
    try:
        pairs = [line.partition("=")[::2] for _, line in lines_of(read_text(folder, file, limit=MAX_YAML_BYTES))]
    except Unusable as error:
        raise DatasetFormatError(str(error), path=visible(file), line=error.line, hint="repair or delete it") from error
    values = {key.strip().casefold(): value.strip() for key, value in pairs}
    layout = Layout([], read={file})
    placed: dict[str, SplitName] = {}
    for key in SPLIT_KEYS:
        if key in values:
            place = _darknet_file(walked, values[key])
            if place is None:
                problem = f"expected {key} as a list inside the dataset; got {visible(values[key])!r}, which is not"
                layout.bad.append(BadFile(visible(file), problem))
                continue
            layout.read.add(place)
            for path in _listed(folder, walked, layout, place):
                placed.setdefault(path, SPLIT_NAMES[key])
    layout.pictures = [Named(path, split) for path, split in placed.items()]
    names = _darknet_file(walked, values.get("names", "obj.names"))
    if names is not None:
        layout.names = _names_in(folder, names, Findings())
        layout.read.add(names)
    return layout


def _darknet_file(walked: Walked, text: str) -> str | None:
    """A file that ``obj.data`` names, which counts from the folder above ``data/``."""
    inner = _inner(text)
    wanted = [] if inner is None else [PurePosixPath(inner), PurePosixPath(*PurePosixPath(inner).parts[1:])]
    return next((spelled for one in wanted if (spelled := walked.actual(one)) is not None), None)


def _name_file(folder: Folder, walked: Walked, findings: Findings) -> tuple[Mapping[int, str] | None, set[str]]:
    """Class names from a text file at the top or nearest to it, one a line; and which file it is."""
    named = [path for path in walked.others if PurePosixPath(path).name.casefold() in NAME_FILES]
    if not named:
        return None, set()
    file = min(named, key=lambda path: (path.count("/"), path))
    return _names_in(folder, file, findings), set(named)


def _names_in(folder: Folder, file: str, findings: Findings) -> Mapping[int, str]:
    try:
        text = read_text(folder, file, limit=MAX_YAML_BYTES)
    except Unusable as error:
        raise DatasetFormatError(str(error), path=visible(file), line=error.line, hint="repair or delete it") from error
    lines = text.replace("\r\n", "\n").rstrip().split("\n")
    return _checked_names(enumerate(line.strip() for line in lines), file, findings)


def _names(values: Mapping[str, object], file: str, findings: Findings) -> Mapping[int, str]:
    names, count = values.get("names"), values.get("nc")
    if isinstance(names, list):
        found = _checked_names(enumerate(names), file, findings)
    elif isinstance(names, dict) and all(isinstance(key, str) and re.fullmatch(r"\d{1,9}", key) for key in names):
        found = _checked_names(sorted((int(key), name) for key, name in names.items()), file, findings)
    else:
        hint = "write names: [first, second]"
        raise DatasetFormatError("expected names as a list or by number; got others", path=visible(file), hint=hint)
    if isinstance(count, str) and count.isdecimal() and len(count) < 10 and int(count) != len(found):
        findings.warnings.append(f"{visible(file)} says nc: {count}, and has {len(found)} names")
    return found


def _checked_names(pairs: Iterable[tuple[int, object]], file: str, findings: Findings) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for number, name in pairs:
        if not isinstance(name, str) or not name:
            problem = f"expected a name for class {number}; got none"
            raise DatasetFormatError(problem, path=visible(file), hint="give each class a name")
        found[number] = findings.class_name(name)
    twice = next((name for name, count in Counter(found.values()).items() if count > 1), None)
    if twice is not None:
        problem = f"expected distinct class names; got {twice!r} twice"
        raise DatasetFormatError(problem, path=visible(file), hint="rename one of them")
    if not found:
        raise DatasetFormatError("expected class names; got none", path=visible(file), hint="name the classes")
    return found


def parse_yaml(folder: Folder, file: str) -> dict[str, object]:
    """The values of a YAML mapping, all scalars as text (a class may be called ``no`` or ``1.0``).

    Tags, anchors and files above 1 MB are a :class:`DatasetFormatError`, with the line.
    """
    import yaml

    hint = "check it; expected are names, train, val and test"
    try:
        text = read_text(folder, file, limit=MAX_YAML_BYTES)
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or _tagged(event):
                line = event.start_mark.line + 1 if event.start_mark is not None else None
                raise DatasetFormatError(
                    "expected plain values; got a tag, anchor or alias", path=visible(file), line=line
                )
        values = yaml.load(text, Loader=yaml.BaseLoader)
    except Unusable as error:
        raise DatasetFormatError(str(error), path=visible(file), line=error.line, hint=hint) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = f"expected YAML; got {visible(str(getattr(error, 'problem', None) or first_line(error)))}"
        line = mark.line + 1 if mark is not None else None
        raise DatasetFormatError(problem, path=visible(file), line=line, hint=hint) from error
    except RecursionError as error:
        problem = "expected a few levels of nesting; got too many"
        raise DatasetFormatError(problem, path=visible(file), hint=hint) from error
    if not isinstance(values, dict):
        raise DatasetFormatError("expected `key: value` lines; got others", path=visible(file), hint=hint)
    return {str(key): value for key, value in values.items()}


def _tagged(event: object) -> bool:
    return getattr(event, "tag", None) is not None
