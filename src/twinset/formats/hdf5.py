"""HDF5, one file a picture, with the names that BlenderProc gives its arrays (extra ``hdf5``: h5py).

``colors`` uint8 (H, W, 3); ``depth`` float32 (H, W) metres, inf where there is none; ``normals`` float32 (H, W, 3),
½ + ½ times the unit vector in Blender's camera axes (x right, y up, z to the viewer); ``instance_segmaps`` int32
(H, W), 0 where there is no object, with ``instance_attribute_maps`` (JSON: what each number is);
``category_id_segmaps`` int32 (H, W), −1 = ignore. ``twinset`` (JSON) has what these cannot say: all that is needed to
read our own files back whole. Nothing outside of a file is followed: no links, no external or virtual arrays.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.errors import MissingExtraError
from twinset.formats.embedded import Found, known_names, read_ours, to_json
from twinset.formats.folder import Folder, Unusable, first_line, visible
from twinset.formats.geometry import camera_of, check_size, depth_of, normals_of
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Geometry, Listing
from twinset.formats.objects import Objects, Stated
from twinset.formats.pairs import SPLIT_FOLDERS
from twinset.formats.sidecars import CLASSES_FILE, ClassList, Extras, extras, parse_json, provenance, read_classes
from twinset.formats.writing import Encode, FileNames, Target
from twinset.images import MAX_PIXELS, Pixels, check_pixels, decode, encode_png
from twinset.masks import Rle
from twinset.sample import camera_value

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".hdf5", ".h5")
COLOURS, DEPTH, NORMALS, IDS, FACTS = "colors", "depth", "normals", "instance_segmaps", "instance_attribute_maps"
CLASS_IDS, OURS = "category_id_segmaps", "twinset"
TO_BLENDER = np.array([1.0, -1.0, -1.0])
NO_SURFACE = 1e-3
MAX_TEXT = 16 << 20
MOST_OBJECTS = 10_000


def claims(folder: Folder) -> bool:
    """Whether HDF5 files lie at the top or in a split folder."""
    tops = [name for name in folder.names() if name.casefold() in SPLIT_NAMES]
    return any(name.lower().endswith(SUFFIXES) for top in ("", *tops) for name in folder.names(top))


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of these files; :class:`MissingExtraError` without h5py."""
    _library()
    findings, objects = Findings(), Objects()
    given = read_classes(folder)
    entries = _entries(folder, objects, findings, given)
    return Listing("hdf5", entries, findings, folder, name, given.names if given is not None else None, objects)


def _library() -> ModuleType:
    if importlib.util.find_spec("h5py") is None:
        raise MissingExtraError("expected the h5py package for HDF5; got none", hint="install twinset[hdf5]")
    return importlib.import_module("h5py")


def _entries(
    folder: Folder, objects: Objects, findings: Findings, given: ClassList | None
) -> Iterator[Candidate | BadFile]:
    for entry in folder.walk():
        if entry.problem in ("hidden", "link"):
            findings.ignored[entry.problem] += 1
        elif entry.problem is not None:
            yield BadFile(visible(entry.path), entry.problem)
        elif entry.path.lower().endswith(SUFFIXES):
            yield from _entry(folder, entry.path, objects, findings, given)
        elif not entry.is_folder and entry.path != CLASSES_FILE:
            findings.ignored["other"] += 1


def _entry(
    folder: Folder, path: str, objects: Objects, findings: Findings, given: ClassList | None
) -> Iterator[Candidate | BadFile]:
    try:
        content = _content(folder.read(path))
        ours = content.ours
        extra = extras(ours) if ours is not None else Extras()
        found = _objects(content, given, findings)
        label = ours.get("label") if ours is not None else None
        if label is not None and (given is None or label not in given.names):
            raise Unusable(f"expected a known class; got {visible(str(label)[:40])!r}")
    except Unusable as error:
        yield BadFile(visible(path), str(error))
        return
    place = PurePosixPath(path)
    yield Candidate(
        id=extra.id or visible(str(place.with_suffix(""))),
        label=None if label is None else str(label),
        split=SPLIT_NAMES.get(place.parts[0].casefold()) if len(place.parts) > 1 else None,
        data=content.picture,
        where=visible(path),
        caption=extra.caption,
        attributes=extra.attributes,
        probabilities=extra.probabilities,
        origin=extra.origin,
        objects=None if found is None else found.picture_in(objects),
        semantic=content.semantic(given),
        geometry=content.geometry,
    )
    for problem in found.problems if found is not None else ():
        yield BadFile(visible(path), problem, kind="object")


@dataclass(frozen=True, eq=False)
class _Content:
    """One file, read: the picture encoded, arrays as they stand, texts parsed."""

    picture: bytes
    size: tuple[int, int]
    depth: NDArray[np.generic] | None
    normals: NDArray[np.generic] | None
    ids: NDArray[np.generic] | None
    class_ids: NDArray[np.generic] | None
    facts: object
    ours: Mapping[str, object] | None

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """For a picture of this (height, width); :class:`Unusable` where arrays are no depth or normals."""
        check_size("arrays", self.size, size)
        depth, normals = None, None
        with np.errstate(invalid="ignore", over="ignore"):  # whatever kind of float a file holds
            if self.depth is not None:
                metres = self.depth.astype(np.float32)
                depth = depth_of(np.where(metres > 0, metres, np.float32(np.inf)))
            if self.normals is not None:
                vectors = (2.0 * self.normals.astype(np.float64) - 1.0) * TO_BLENDER
                vectors[np.linalg.norm(vectors, axis=2) < NO_SURFACE] = 0.0
                normals = normals_of(vectors)
        return Geometry(depth, normals, camera_of((self.ours or {}).get("camera"), size))

    def semantic(self, given: ClassList | None) -> _Semantic | None:
        """Gives the semantic map when the picture is opened; None where there is none of ours."""
        if self.class_ids is None or self.ours is None or given is None:
            return None
        return _Semantic(self.class_ids, len(given.names))


@dataclass(frozen=True, eq=False)
class _Semantic:
    ids: NDArray[np.generic]
    classes: int

    def __call__(self, size: tuple[int, int]) -> SemanticMap:
        """For a picture of this (height, width); :class:`Unusable` if it does not fit or names no class."""
        check_size("a semantic map", (self.ids.shape[0], self.ids.shape[1]), size)
        try:
            if int(self.ids.max()) >= self.classes:
                raise ValueError(f"expected class ids below {self.classes}; got {self.ids.max()}")
            return SemanticMap.of(self.ids.astype(np.int64))
        except ValueError as error:
            raise Unusable(str(error)) from error


def _content(data: bytes) -> _Content:
    library = _library()
    try:
        with library.File(io.BytesIO(data), "r") as file:
            colours = _array(file, COLOURS, "u1", None)
            if colours is None:
                raise Unusable(f"expected an array {COLOURS}; got none")
            size = (colours.shape[0], colours.shape[1])
            ours = _text(file, OURS)
            if ours is not None and not isinstance(ours, dict):
                raise Unusable(f"expected {OURS} as a JSON object; got {type(ours).__name__}")
            return _Content(
                encode_png(_pixels(colours, grey=bool(ours and ours.get("grey") is True))),
                size,
                _array(file, DEPTH, "f", size),
                _array(file, NORMALS, "f", (*size, 3)),
                _array(file, IDS, "iu", size),
                _array(file, CLASS_IDS, "iu", size),
                _text(file, FACTS),
                ours,
            )
    except Unusable:
        raise
    except Exception as error:  # h5py raises anything at all on hostile bytes
        raise Unusable(f"expected an HDF5 file; got {first_line(error)}") from error


def _pixels(colours: NDArray[np.generic], *, grey: bool) -> Pixels:
    pixels = colours.astype(np.uint8)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise Unusable(f"expected {COLOURS} (H, W, 3); got {pixels.shape}")
    pixels = np.ascontiguousarray(pixels[..., : 1 if grey else 3])
    check_pixels(pixels)
    return pixels


def _array(file: h5py.File, name: str, kinds: str, shape: tuple[int, ...] | None) -> NDArray[np.generic] | None:
    """An array that lies in this very file, of this shape; None where there is none of that name."""
    found = _own(file, name)
    if found is None:
        return None
    wanted = found.dtype.kind in kinds if kinds != "u1" else found.dtype == np.uint8
    if not wanted or (shape is not None and found.shape != shape):
        raise Unusable(f"expected {name} of kind {kinds} {shape or '(H, W, 3)'}; got {found.dtype} {found.shape}")
    if len(found.shape) not in (2, 3) or int(np.prod(found.shape[:2])) > MAX_PIXELS or 0 in found.shape:
        raise Unusable(f"expected {name} of at most {MAX_PIXELS} pixels; got {found.shape}")
    if len(found.shape) == 3 and found.shape[2] > 4:
        raise Unusable(f"expected {name} of at most 4 channels; got {found.shape}")
    return np.asarray(found[()])


def _own(file: h5py.File, name: str) -> h5py.Dataset | None:
    library = _library()
    link = file.get(name, getlink=True)
    if link is None:
        return None
    found = file.get(name) if isinstance(link, library.HardLink) else None
    if not isinstance(found, library.Dataset) or found.is_virtual or found.external:
        raise Unusable(f"expected {name} as an array of this file; got a link, a group or an array elsewhere")
    return found


def _text(file: h5py.File, name: str) -> object:
    """The JSON value of a text, None where there is none of that name."""
    found = _own(file, name)
    if found is None:
        return None
    if found.shape != () or found.dtype.kind != "S" or found.dtype.itemsize > MAX_TEXT:
        raise Unusable(f"expected {name} as one text; got {found.dtype} {found.shape}")
    return parse_json(bytes(found[()]), name)


def _objects(content: _Content, given: ClassList | None, findings: Findings) -> Found | None:
    """Ours as they stand; those of others from their ids, where category 0 is the background."""
    if content.ours is not None:
        value = content.ours.get("instances")
        if value is None:
            return None
        if given is None:
            raise Unusable(f"expected {CLASSES_FILE} beside objects; got none")
        return read_ours(value, known_names(given.names))
    if content.ids is None:
        return None
    if not isinstance(content.facts, list):
        raise Unusable(f"expected {FACTS} beside {IDS}; got none")
    facts = {item["idx"]: item for item in content.facts if isinstance(item, dict) and isinstance(item.get("idx"), int)}
    stated = []
    present = np.unique(content.ids).tolist()
    if len(present) > MOST_OBJECTS:
        raise Unusable(f"expected at most {MOST_OBJECTS} objects; got {len(present)}")
    for number in present:
        category = facts.get(number, {}).get("category_id", 0)
        if category != 0:
            label = findings.class_name(str(category))
            stated.append(Stated(label, None, number, rle=Rle.of(np.asarray(content.ids == number))))
    return Found(stated)


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``[train|val|test/]name.hdf5`` for every sample, and ``classes.json``; the number of pictures.

    Equal datasets give equal arrays; h5py does not promise equal bytes. Pictures are arrays here: of what ``encode``
    gives the pixels are kept, and where a picture comes from stands in the JSON.
    """
    _library()
    names = FileNames()
    for sample, split in zip(dataset, dataset.splits, strict=True):
        target.add(names.free(SPLIT_FOLDERS[split], sample.id, ".hdf5"), _file(sample, dataset.classes, encode))
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())
    return len(dataset)


def _file(sample: Sample, classes: Sequence[str], encode: Encode | None) -> bytes:
    library = _library()
    pixels = sample.pixels() if encode is None else decode(encode(sample), name=sample.id)
    ours = provenance(sample)
    arrays: dict[str, NDArray[np.generic]] = {COLOURS: np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels}
    if pixels.shape[2] == 1:
        ours["grey"] = True
    texts: dict[str, object] = {OURS: ours}
    if sample.annotation is not None:
        _add(sample.annotation, classes, arrays, texts, ours)
    sink = io.BytesIO()
    with library.File(sink, "w", track_order=True) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip", shuffle=True, track_times=False)
        for name, value in texts.items():
            file.create_dataset(name, data=np.bytes_(json.dumps(value).encode()), track_times=False)
    return sink.getvalue()


def _add(
    annotation: Annotation,
    classes: Sequence[str],
    arrays: dict[str, NDArray[np.generic]],
    texts: dict[str, object],
    ours: dict[str, object],
) -> None:
    """What an annotation says, as arrays under BlenderProc's names and under ours."""
    if annotation.class_id is not None:
        ours["label"] = classes[annotation.class_id]
    if annotation.camera is not None:
        ours["camera"] = camera_value(annotation.camera)
    if annotation.depth_metres is not None:
        arrays[DEPTH] = annotation.depth_metres.dense()
    if annotation.normals is not None:
        arrays[NORMALS] = ((annotation.normals.dense() * TO_BLENDER + 1.0) / 2.0).astype(np.float32)
    if annotation.semantic is not None:
        arrays[CLASS_IDS] = annotation.semantic.dense()
    if annotation.instances is not None:
        ours["instances"] = to_json(annotation.instances, classes)
        ids = np.zeros(annotation.instances.size, dtype=np.int32)
        for k, mask in enumerate(annotation.instances.masks or (), 1):
            if mask is not None:
                ids[mask.dense()] = k
        arrays[IDS] = ids
        texts[FACTS] = [
            {"idx": k, "category_id": class_id + 1, "name": classes[class_id]}
            for k, class_id in enumerate(annotation.instances.class_ids.tolist(), 1)
        ]
