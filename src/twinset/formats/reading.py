"""What all readers share: candidates in, a :class:`Dataset` and a :class:`ReadReport` out.

A reader lists what its format *claims* to hold; :func:`collect` opens every picture once, in threads and in
order, and keeps what can be used. Pixels are dropped as soon as they are checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.dataset import SCHEMA, Dataset
from twinset.errors import DatasetFormatError, ImageError
from twinset.formats.counting import counted
from twinset.formats.folder import Folder, Unusable, first_line, is_text, natural_key, visible
from twinset.formats.listing import BadFile, Candidate, Geometry, ImageStats, Listing, OnBadInput, ReadReport
from twinset.formats.shelves import placed
from twinset.formats.threads import ordered_map
from twinset.images import FORMATS, FULL_RANGE, Pixels, Window, decode
from twinset.sample import camera_value

CHUNK = 4096
NO_GEOMETRY = Geometry()
TO_SKIP = "set on_bad_input: skip in the recipe, which --set on_bad_input=skip does, too"
"""How bad input is left out in a recipe; who reads for something else says how there."""

LEFT_OUT = "; left out"
"""What a problem of an object ends with; where all is refused nothing is left out."""

Look = Callable[[Pixels], NDArray[np.uint8]]
"""What else is wanted of every picture while its pixels are there: uint8 (D,) of the same length for all."""


@dataclass(frozen=True)
class _Checked:
    candidate: Candidate
    sha256: str
    height: int
    width: int
    mode: str
    encoding: str
    semantic: bytes | None = None
    geometry: Geometry = NO_GEOMETRY
    looked: NDArray[np.uint8] | None = None

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


def collect(listing: Listing, *, source: str, on_bad_input: OnBadInput, window: Window) -> tuple[Dataset, ReadReport]:
    """What can be used of a listing, with the report, as far as :func:`judge` lets it pass."""
    dataset, report = gather(listing, window=window)
    judge(report, source=source, on_bad_input=on_bad_input)
    return dataset, report


def gather(
    listing: Listing, *, window: Window, look: Look | None = None, workers: int = 4
) -> tuple[Dataset, ReadReport]:
    """Opens every candidate and returns what can be used, with the report; that may be nothing."""

    def check(entry: Candidate | BadFile) -> _Checked | BadFile:
        return entry if isinstance(entry, BadFile) else _check(entry, listing.folder, window, look)

    rows = _Rows()
    for result in ordered_map(check, listing.entries, workers=workers):
        rows.add(result)
    classes = rows.class_order(listing)
    rows.settle(classes)
    instances = rows.place_objects(listing, classes)
    report = rows.report(listing, window)
    dataset = Dataset(
        classes, rows.table(classes, instances), root=listing.folder.root, window=window, name=listing.name
    )
    return dataset, report


def _check(candidate: Candidate, folder: Folder, window: Window, look: Look | None) -> _Checked | BadFile:
    where = visible(candidate.path or candidate.id)
    try:
        _check_texts(candidate)
        data = candidate.data if candidate.data is not None else folder.read(candidate.path or "")
        pixels = decode(data, name=where, window=window)
        mode, encoding = _header(data, where)
        height, width = pixels.shape[:2]
        if candidate.objects is not None and candidate.stated_size not in (None, (height, width)):
            return candidate.bad(_wrong_size(candidate, height, width, mode), "size")
        semantic = candidate.semantic((height, width)).png if candidate.semantic is not None else None
        geometry = candidate.geometry((height, width)) if candidate.geometry is not None else NO_GEOMETRY
    except ImageError as error:
        return candidate.bad(error.message.removeprefix(f"{where}: "), "picture")
    except Unusable as error:
        return candidate.bad(str(error))
    digest, looked = hashlib.sha256(data).hexdigest(), None if look is None else look(pixels)
    return _Checked(candidate, digest, height, width, mode, encoding, semantic, geometry, looked)


def _wrong_size(candidate: Candidate, height: int, width: int, mode: str) -> str:
    """What is wrong with a picture of another size than stated."""
    assert candidate.stated_size is not None
    numbered = "" if candidate.number is None else f"image id {visible(str(candidate.number))}: "
    turned = candidate.stated_size == (width, height) and mode.endswith(" rotated")
    stated = f"{candidate.stated_size[1]} x {candidate.stated_size[0]}"
    got = f"{width} x {height}{', as its EXIF rotation turns it' if turned else ''}"
    return f"{numbered}expected a picture of {stated}, as its annotations state; got {got}; its objects would be off"


def _check_texts(candidate: Candidate) -> None:
    """:class:`Unusable` where any text cannot be stored: JSON can escape what UTF-8 cannot hold."""
    attributes, origin = candidate.attributes, candidate.origin
    texts = {
        "id": (candidate.id,),
        "path": (candidate.path,),
        "caption": (candidate.caption,),
        "attributes": (*attributes, *attributes.values()),
        "origin": (origin.method, origin.recipe_digest, origin.licence, *origin.parents),
    }
    for what, values in texts.items():
        for text in values:
            if isinstance(text, str) and not is_text(text):
                raise Unusable(f"expected {what} that UTF-8 can hold; got {visible(text)!r}")


def _header(data: bytes, name: str) -> tuple[str, str]:
    """Colour mode and encoding of a picture; :class:`ImageError` where what follows its first frame is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _mode_and_encoding(data)
    except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
        raise ImageError(f"{name}: expected a whole picture; got {first_line(error)}") from error


def _mode_and_encoding(data: bytes) -> tuple[str, str]:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        mode, encoding = picture.mode, str(picture.format)
        if mode == "P" and "transparency" in picture.info:
            mode = "P+transparency"
        if encoding in ("JPEG", "TIFF", "WEBP") and picture.getexif().get(0x0112, 1) != 1:
            mode += " rotated"
        frames = getattr(picture, "is_animated", False)
    return mode, f"{encoding} animated" if frames else encoding


@dataclass(frozen=True)
class _Pictured:
    """A picture with objects: its size, its place among all entries, and who claims what it shows."""

    size: tuple[int, int]
    place: int
    where: str
    path: str | None


@dataclass
class _Rows:
    """Columns that grow, chunk by chunk; labels become class ids at the end, when all classes are known.

    ``bad`` and ``soft`` keep the place of an entry among all; soft labels are checked against the classes last.
    """

    met: int = 0
    bad: list[tuple[int, BadFile]] = field(default_factory=list)
    soft: list[tuple[int, int, _Checked]] = field(default_factory=list)
    soft_classes: dict[int, int] = field(default_factory=dict)
    dropped: list[int] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    pending: list[dict[str, object]] = field(default_factory=list)
    chunks: list[pa.Table] = field(default_factory=list)
    pictures: dict[int, _Pictured] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    objects: int = 0
    looks: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, result: _Checked | BadFile) -> None:
        self.met += 1
        if isinstance(result, BadFile):
            self.bad.append((self.met, result))
            return
        candidate = result.candidate
        if candidate.id in self.seen:
            first = self.seen[candidate.id]
            problem = f"expected unique ids; got {visible(candidate.id)!r} again (first at {first})"
            self.bad.append((self.met, candidate.bad(problem)))
            return
        if candidate.probabilities is not None:
            self.soft.append((self.met, len(self.seen), replace(result, candidate=replace(candidate, data=None))))
        self.seen[candidate.id] = candidate.bad("").where
        self.sizes[result.size] += 1
        self.modes[result.mode] += 1
        self.encodings[result.encoding] += 1
        if result.looked is not None:
            self.looks.append(result.looked)
        self.numbers.append(-1 if candidate.objects is None else candidate.objects)
        if candidate.objects is not None:
            size = (result.height, result.width)
            self.pictures[candidate.objects] = _Pictured(size, self.met, candidate.where, candidate.path)
        self.pending.append(self._row(result))
        if len(self.pending) >= CHUNK:
            self._flush()

    def _row(self, result: _Checked) -> dict[str, object]:
        candidate, origin, geometry = result.candidate, result.candidate.origin, result.geometry
        label = candidate.label
        return {
            "id": candidate.id,
            "image": candidate.data,
            "path": candidate.path if candidate.data is None else None,
            "sha256": result.sha256,
            "class_id": None if label is None else self.labels.setdefault(label, len(self.labels)),
            "class_probabilities": None if candidate.probabilities is None else list(candidate.probabilities),
            "caption": candidate.caption,
            "attributes": json.dumps(dict(candidate.attributes), sort_keys=True) if candidate.attributes else None,
            "split": candidate.split,
            "method": origin.method,
            "seed": origin.seed,
            "recipe_digest": origin.recipe_digest,
            "parents": list(origin.parents),
            "licence": origin.licence,
            "semantic": result.semantic,
            "depth": None if geometry.depth is None else geometry.depth.packed,
            "normals": None if geometry.normals is None else geometry.normals.packed,
            "camera": None if geometry.camera is None else camera_value(geometry.camera),
        }

    def _flush(self) -> None:
        if self.pending:
            self.chunks.append(pa.Table.from_pylist(self.pending, schema=SCHEMA))
            self.pending.clear()

    def class_order(self, listing: Listing) -> tuple[str, ...]:
        known = listing.classes or ()
        met = {*self.labels, *(listing.objects.labels() if listing.objects is not None else ())}
        return (*known, *sorted(met - set(known), key=natural_key))

    def place_objects(self, listing: Listing, classes: tuple[str, ...]) -> pa.ChunkedArray | None:
        """INSTANCES of every row; objects that had to be clipped or left out become bad entries."""
        if listing.objects is None:
            return None
        sizes = {number: picture.size for number, picture in self.pictures.items()}
        rows, array, mishaps = listing.objects.settle(sizes, classes)
        for mishap in mishaps:
            picture = self.pictures[mishap.picture]
            line = mishap.number if listing.objects.counted == "line" else None
            named = "" if mishap.number is None or line is not None else f"{listing.objects.counted} {mishap.number}: "
            if picture.where and picture.path:
                named = f"{visible(picture.path)}: {named}"
            where = visible(picture.where or picture.path or "")
            self.bad.append((picture.place, BadFile(where, named + mishap.problem, line, "object")))
        self.bad.sort(key=lambda placed: placed[0])
        self.objects = int(pc.sum(pc.list_value_length(pc.struct_field(array, "objects"))).as_py() or 0)
        places = [rows[number] if number >= 0 else -1 for number in self.numbers]
        return placed(array, np.array(places, dtype=np.int64))

    def settle(self, classes: tuple[str, ...]) -> None:
        """Gives soft labels their class, and takes out those that do not fit the classes or their own label."""
        for place, row, result in self.soft:
            candidate = result.candidate
            try:
                self.soft_classes[row] = _soft_class(candidate, classes)
            except ValueError as error:
                self.bad.append((place, candidate.bad(str(error))))
                self.dropped.append(row)
                del self.seen[candidate.id]
                self.sizes[result.size] -= 1
                self.modes[result.mode] -= 1
                self.encodings[result.encoding] -= 1
        self.bad.sort(key=lambda placed: placed[0])

    def table(self, classes: tuple[str, ...], instances: pa.ChunkedArray | None) -> pa.Table:
        self._flush()
        rank = {name: index for index, name in enumerate(classes)}
        final = pa.array([rank[label] for label in self.labels], pa.int32())
        at = SCHEMA.get_field_index("class_id")
        tables = [
            chunk.set_column(at, SCHEMA.field(at), final.take(chunk.column(at).combine_chunks()))
            for chunk in self.chunks
        ]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
        if self.soft_classes:
            class_ids = table.column(at).to_pylist()
            for row, class_id in self.soft_classes.items():
                class_ids[row] = class_id
            table = table.set_column(at, SCHEMA.field(at), pa.array(class_ids, pa.int32()))
        if instances is not None:
            place = SCHEMA.get_field_index("instances")
            table = table.set_column(place, SCHEMA.field(place), instances)
        if self.dropped:
            keep = np.ones(table.num_rows, dtype=bool)
            keep[self.dropped] = False
            table = table.filter(pa.array(keep))
        return table

    def report(self, listing: Listing, window: Window) -> ReadReport:
        findings = listing.findings
        warnings = [*findings.warnings, *_look_alikes(self.labels)]
        if window == FULL_RANGE and any(count and mode.startswith(("I", "F")) for mode, count in self.modes.items()):
            warnings.append("16-bit or float pictures: set data.window to the range of grey values that matters")
        for name, text in findings.renamed.items():
            warnings.append(f"class {text!r} is written as {name!r}: it holds control characters")
        return ReadReport(
            format=listing.format,
            images=len(self.seen),
            bad_files=tuple(bad for _, bad in self.bad),
            warnings=tuple(warnings),
            stats=ImageStats(_sorted(self.sizes), _sorted(self.modes), _sorted(self.encodings)),
            ignored=dict(sorted(findings.ignored.items())),
            renamed_classes=dict(findings.renamed),
            objects=self.objects,
            looks=self._kept_looks(),
        )

    def _kept_looks(self) -> NDArray[np.uint8] | None:
        gone = set(self.dropped)
        kept = [one for row, one in enumerate(self.looks) if row not in gone]
        return np.stack(kept) if kept else None


def _soft_class(candidate: Candidate, classes: tuple[str, ...]) -> int:
    """The class of a candidate with soft labels; ``ValueError`` if they are not one per class, or deny its label."""
    soft = tuple(np.asarray(candidate.probabilities, dtype=np.float32).tolist())
    if len(soft) != len(classes):
        raise ValueError(f"expected {len(classes)} class_probabilities, one per class; got {len(soft)}")
    given = None if candidate.label is None else classes.index(candidate.label)
    class_id = Annotation(class_id=given, class_probabilities=soft).class_id
    assert class_id is not None
    return class_id


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted((+counts).items(), key=lambda item: (-item[1], item[0])))


def _look_alikes(labels: Iterable[str]) -> Iterator[str]:
    first: dict[str, str] = {}
    for label in labels:
        key = unicodedata.normalize("NFKC", label).casefold().strip()
        if key in first:
            yield f"classes {first[key]!r} and {label!r} differ only in case, spaces or Unicode form: kept apart"
        first.setdefault(key, label)


def judge(report: ReadReport, *, source: str, on_bad_input: OnBadInput, to_skip: str = TO_SKIP) -> None:
    """An error where a dataset with this report is not to be used.

    ``refuse`` raises one that counts the problems and names the first; ``skip`` only where nothing is left; ``report``
    not even then. :class:`DatasetFormatError` when the source holds no pictures at all.
    """
    first = report.bad_files[0] if report.bad_files else None
    if first is None and report.images == 0:
        others = f" among {counted(ignored, 'other files')}" if (ignored := sum(report.ignored.values())) else ""
        hint = "give a folder with one folder of pictures per class, or pictures with a file of annotations"
        raise DatasetFormatError(f"expected pictures; got none{others}", path=visible(source), hint=hint)
    if first is None or on_bad_input == "report" or (on_bad_input == "skip" and report.images):
        return
    hint = f"list all with `twinset inspect`, then repair them or {to_skip}"
    if report.images == 0:
        hint = "list all with `twinset inspect`"
    pictures = [bad for bad in report.bad_files if bad.kind != "object"]
    objects, total = report.bad_objects, len(pictures) + report.images
    expected, got = (f"{total} usable images", f"{len(pictures)} that are not") if pictures else ("", "")
    if objects:
        expected = " and ".join(filter(None, [expected, "objects that lie in their images"]))
        got = " and ".join(filter(None, [got, f"{objects} of {report.stated_objects} objects that do not"]))
    kind = ImageError if first.kind == "picture" else DatasetFormatError
    raise kind(
        f"{visible(source)}: expected {expected}; got {got}, first {str(first).removesuffix(LEFT_OUT)}", hint=hint
    )
