"""COCO files as a listing: pictures in the order of the files, objects as columns, everything odd told once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.dataset import Origin
from twinset.errors import DatasetFormatError
from twinset.formats.coco.columns import CATEGORY, IMAGE, Annotations, as_ids, plain_attributes, ranks
from twinset.formats.coco.parsing import Parsed, parse
from twinset.formats.coco.places import Named, Places
from twinset.formats.coco.point_names import names_in
from twinset.formats.coco.records import OURS, Category, Id, Image
from twinset.formats.coco.slices import named
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.formats.objects import Objects
from twinset.formats.shapes import picture_size
from twinset.formats.sidecars import Extras, extras

SHOWN = 8
_NO_EXTRAS = Extras()


def listing(folder: Folder, files: Sequence[str], name: str) -> Listing:
    """The pictures and objects of these COCO files; each is one split where its name or folder says so.

    All files are parsed now, the pictures are looked up as entries are drawn. Of several files about the same pictures
    those with instances are read, captions join them, and others are warned of.
    """
    findings, objects = Findings(), Objects(counted="annotation")
    chosen, captioned = _choose(files, findings)
    sources: list[_Source] = []
    classes: dict[str, None] = {}
    for one in chosen:
        told = sources[0].parsed.categories if sources else []
        source = _Source.of(one, _open(folder, one), findings, told=told)
        if one in captioned:
            beside = _open(folder, captioned[one])
            _warn(beside.annotations, visible(captioned[one].path), findings)
            source.add_captions(beside)
        source.place_objects(objects, findings)
        classes.update(dict.fromkeys(source.classes.values()))
        if sources and {*source.classes.values()} != {*sources[0].classes.values()}:
            findings.warnings.append(f"{visible(one.path)}: other categories than in {visible(chosen[0].path)}")
        sources.append(source)

    def entries() -> Iterator[Candidate | BadFile]:
        for source in sources:
            yield from source.entries(Places(folder, source.file))

    kind = "coco with splits" if any(one.split for one in chosen) else "coco"
    return Listing(kind, entries(), findings, folder, name, tuple(classes), objects)


def _open(folder: Folder, file: Named) -> Parsed:
    try:
        with folder.open(file.path) as handle:
            return parse(handle, file.path)
    except Unusable as error:
        raise DatasetFormatError(str(error), path=visible(file.path), hint="put the file itself there") from error


def _choose(files: Sequence[str], findings: Findings) -> tuple[list[Named], dict[Named, Named]]:
    """One file for each group about the same pictures, by their names, and the captions that join it."""
    groups: dict[tuple[str, str], list[Named]] = {}
    for path in files:
        file = Named.of(path)
        groups.setdefault((file.parent, file.rest), []).append(file)
    chosen: list[Named] = []
    captioned: dict[Named, Named] = {}
    left: list[str] = []
    for group in groups.values():
        best, *others = sorted(group, key=lambda file: file.rank)
        chosen.append(best)
        for other in others:
            if other.kind == "captions" and best.kind != "captions" and best not in captioned:
                captioned[best] = other
            else:
                left.append(other.path)
    if left:
        findings.warnings.append(
            f"{len(left)} files are about the same pictures as others and are not read, first {visible(left[0])}: "
            "give the file itself to read it"
        )
    return chosen, captioned


@dataclass
class _Source:
    """One file, its pictures with ids that are known once, and what is said of them. ``classes`` is by category id.

    ``images`` are used up as entries are drawn.
    """

    file: Named
    parsed: Parsed
    images: deque[Image]
    classes: dict[str, str]
    problems: list[BadFile]
    labels: dict[int, str | BadFile] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    first: int | None = None

    @staticmethod
    def of(file: Named, parsed: Parsed, findings: Findings, *, told: list[Category]) -> _Source:
        """What a file says; nothing is found of its categories where those of another, ``told``, are the same."""
        where = visible(file.path)
        problems = [BadFile(where, problem) for problem in parsed.problems]
        images, seen = deque[Image](), set[str]()
        for image in parsed.images:
            if image.id is None or str(image.id) in seen:
                got = "none" if image.id is None else f"{visible(str(image.id))} again"
                shown = visible(image.file_name or "a picture")
                problems.append(BadFile(where, f"{shown}: expected an image id of its own; got {got}"))
                continue
            seen.add(str(image.id))
            images.append(image)
        parsed.images.clear()
        problems += [BadFile(where, problem, None, "object") for problem in parsed.annotations.problems]
        classes = _classes(parsed.categories, where, findings, told=told)
        source = _Source(file, parsed, images, classes, problems)
        source.add_captions(parsed)
        return source

    def add_captions(self, parsed: Parsed) -> None:
        """The first caption of each picture, from this file or from one beside it."""
        if not parsed.annotations.captions:
            return
        known = {str(image.id) for image in self.images}
        for image_id, text in parsed.annotations.captions:
            if image_id in known:
                self.captions.setdefault(image_id, text)

    @property
    def unlabelled(self) -> bool:
        """Whether the file is a list of pictures without a word on what they show."""
        parsed = self.parsed
        if len(parsed.annotations) or parsed.annotations.problems:
            return False
        named_so = self.file.kind in ("image_info", "captions")
        return "annotations" not in parsed.stated or not parsed.categories or named_so or bool(self.captions)

    def place_objects(self, objects: Objects, findings: Findings) -> None:
        """Hands the claims over, joined with pictures and classes; those of unknown ones become problems."""
        annotations, where = self.parsed.annotations, visible(self.file.path)
        _warn(annotations, where, findings)
        if self.unlabelled:
            return
        known = _Known.of(self.images, self.parsed.categories, self.classes)
        bare = annotations.bare == len(annotations) > 0
        claims = (self._joined(part, known) for part in annotations.parts.taken())
        if bare:
            self._label_pictures(claims)
            return
        names, _ = names_in(self.parsed.categories)
        self.first = objects.extend(len(self.images), claims, keypoint_names=names)

    def _joined(self, part: pa.RecordBatch, known: _Known) -> pa.RecordBatch:
        """The claims of a part with picture and label; those of unknown ones are left out and become problems."""
        images, categories = part.column(IMAGE), part.column(CATEGORY)
        picture, category = ranks(images, known.images), ranks(categories, known.categories)
        unplaced, unnamed = picture.is_null(), pc.and_not(category.is_null(), picture.is_null())
        self._tell_unknown(part, unplaced, images, "an image")
        self._tell_unknown(part, unnamed, categories, "a category")
        columns = {name: part.column(name) for name in part.schema.names if name not in (IMAGE, CATEGORY)}
        columns |= {"picture": picture, "label": pa.DictionaryArray.from_arrays(category, known.names)}
        claims = pa.record_batch(columns)
        if picture.null_count or category.null_count:
            claims = claims.filter(pc.and_(picture.is_valid(), category.is_valid()))
        return claims

    def _tell_unknown(self, claims: pa.RecordBatch, unknown: pa.BooleanArray, wanted: pa.Array, what: str) -> None:
        """A problem for each annotation of an id that the file has not."""
        if not unknown.true_count:
            return
        for row in np.flatnonzero(unknown.to_numpy(zero_copy_only=False)).tolist():
            got, number = wanted[row].as_py(), claims.column("number")[row].as_py()
            shown = "none" if got is None else f"the id {visible(str(got))[:40]}"
            problem = f"{named(number)}expected {what} of this file; got {shown}; left out"
            self.problems.append(BadFile(visible(self.file.path), problem, None, "object"))

    def _label_pictures(self, claims: Iterable[pa.RecordBatch]) -> None:
        """Annotations without box and mask are labels of whole pictures; more than one of a picture is a problem."""
        for part in claims:
            pictures, labels = part.column("picture").to_pylist(), part.column("label").to_pylist()
            for picture, label in zip(pictures, labels, strict=True):
                if self.labels.setdefault(picture, label) != label:
                    shown = visible(self.images[picture].file_name or str(self.images[picture].id))
                    problem = f"{shown}: expected boxes, masks or one category; got several categories alone"
                    self.labels[picture] = BadFile(visible(self.file.path), problem)

    def entries(self, places: Places) -> Iterator[Candidate | BadFile]:
        yield from self.problems
        where = visible(self.file.path)
        split = self.file.split
        licences = {str(one.id): one.name or one.url or None for one in self.parsed.licences}
        for row in range(len(self.images)):
            image = self.images.popleft()
            label = self.labels.get(row)
            if isinstance(label, BadFile):
                yield label
                continue
            try:
                path = places.find(image.file_name)
                extra, own_label, silent = _extras(image)
            except RecursionError:
                yield BadFile(where, f"{visible(image.file_name or str(image.id))}: got nesting without end")
                continue
            except Unusable as error:
                yield BadFile(where, f"{visible(image.file_name or str(image.id))}: {error}")
                continue
            licence = licences.get(str(image.license)) if image.license is not None else None
            yield Candidate(
                id=extra.id or visible(path),
                label=own_label if own_label is not None else label,
                split=split,
                path=path,
                where=where,
                caption=extra.caption or self.captions.get(str(image.id)),
                attributes=extra.attributes,
                probabilities=extra.probabilities,
                origin=_licensed(extra.origin, licence),
                objects=None if self.first is None or silent else self.first + row,
                stated_size=_size(image.height, image.width),
                number=image.id,
            )


@dataclass(frozen=True)
class _Known:
    """The ids of a file's pictures and categories, and the ``names`` of the latter."""

    images: pa.Array
    categories: pa.Array
    names: pa.StringArray

    @staticmethod
    def of(images: Iterable[Image], categories: Sequence[Category], classes: Mapping[str, str]) -> _Known:
        ids = [_as_id(one) for one in categories]
        names = pa.array([classes[str(one)] for one in ids], pa.string())
        return _Known(as_ids([image.id for image in images]), as_ids(ids), names)


def _size(height: float | str | None, width: float | str | None) -> tuple[int, int] | None:
    """(height, width) as stated; None where it is not, or is no size."""
    if isinstance(height, float) and isinstance(width, float) and height >= 1 and width >= 1:
        return int(height), int(width)
    return picture_size(height, width)


def _licensed(origin: Origin, licence: str | None) -> Origin:
    if licence is None or origin.licence is not None:
        return origin
    return Origin(origin.method, origin.seed, origin.recipe_digest, origin.parents, visible(licence))


def _extras(image: Image) -> tuple[Extras, str | None, bool]:
    """What a picture's record says besides its file: extras, our label of the whole picture, no word on objects."""
    if image.twinset is msgspec.UNSET and image.attributes is msgspec.UNSET:
        return _NO_EXTRAS, None, False
    note = msgspec.json.decode(bytes(image.twinset)) if isinstance(image.twinset, msgspec.Raw) else {}
    if not isinstance(note, dict):
        raise Unusable(f"expected {OURS} as a JSON object; got {type(note).__name__}")
    text = plain_attributes(bytes(image.attributes)) if isinstance(image.attributes, msgspec.Raw) else None
    row = {key: value for key, value in note.items() if key not in ("label", "unlabelled")}
    if text is not None:
        row["attributes"] = text
    label = note.get("label")
    if label is not None and not isinstance(label, str):
        raise Unusable("expected label as text; got another")
    return extras(row), None if label is None else visible(label), bool(note.get("unlabelled"))


def _as_id(category: Category) -> Id:
    assert category.id is not None
    return category.id


def _classes(categories: list[Category], where: str, findings: Findings, *, told: Sequence[Category]) -> dict[str, str]:
    """Class names by category id, sorted in place by id where ids are numbers; what is odd is said once of a list."""
    if any(one.id is None for one in categories):
        raise DatasetFormatError("expected an id on every category; got one without", path=where)
    counts = Counter(str(one.id) for one in categories)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise DatasetFormatError(f"expected each category id once; got {visible(twice[0])} again", path=where)
    numbers = [one.id for one in categories if isinstance(one.id, int)]
    if len(numbers) == len(categories):
        categories.sort(key=lambda one: int(_as_id(one)))
    names = {
        str(one.id): findings.class_name(str(one.id if one.name in (None, "") else one.name)) for one in categories
    }
    if categories != list(told):
        findings.warnings += [f"{where}: {text}" for text in _oddities(categories, names)]
    return names


def _oddities(categories: Sequence[Category], names: Mapping[str, str]) -> Iterator[str]:
    """What is odd about sorted categories with these names by id, and what of them is not kept."""
    numbers = [one.id for one in categories if isinstance(one.id, int)]
    if len(numbers) == len(categories) and numbers and numbers[-1] - numbers[0] + 1 != len(numbers):
        shown = ", ".join(map(str, numbers[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")
        yield f"category ids have gaps: {shown}; they become 0 to {len(numbers) - 1} in this order"
    yield from (
        f"category {one.id} has no name and is called {str(one.id)!r}" for one in categories if one.name in (None, "")
    )
    yield from (
        f"several categories are called {name!r}; they become one class"
        for name, count in Counter(names.values()).items()
        if count > 1
    )
    if above := sum(_says(one.supercategory) not in ("", "none", one.name) for one in categories):
        yield f"{above} categories have a supercategory, which is not kept"
    if names_in(categories)[1]:
        yield "names of keypoints differ from category to category, or are none, and are not kept"
    if any(_says(one.skeleton) for one in categories):
        yield "skeletons of keypoints are not kept"


def _says(value: msgspec.Raw | msgspec.UnsetType) -> str:
    """What a field holds, "" where that is nothing."""
    text = bytes(value).strip().decode(errors="replace") if isinstance(value, msgspec.Raw) else ""
    return "" if text in ("null", "[]") else text.strip('"')


def _warn(annotations: Annotations, where: str, findings: Findings) -> None:
    texts = Counter(image for image, _ in annotations.captions)
    if more := len(annotations.captions) - len(texts):
        findings.warnings.append(f"{where}: {more} further captions of pictures that have one already are not kept")
    if annotations.odd_areas:
        findings.warnings.append(f"{where}: {annotations.odd_areas} areas are negative and are not kept")
    if annotations.odd_scores:
        findings.warnings.append(f"{where}: {annotations.odd_scores} scores lie outside 0 to 1 and are not kept")
