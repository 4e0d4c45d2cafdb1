"""Reading BOP: pictures of scenes with what their three JSON files and their masks say of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.formats.bop import layout
from twinset.formats.embedded import Found, known_names, read_ours
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.geometry import check_size, depth_of
from twinset.formats.listing import BadFile, Candidate, Findings, Geometry, Listing
from twinset.formats.maskfiles import read_mask
from twinset.formats.objects import Objects, Stated
from twinset.formats.pairs import Walked, read_text, walk
from twinset.formats.sidecars import ClassList, Extras, parse_json, read_classes, read_provenance
from twinset.images import SUFFIXES
from twinset.masks import Rle

UNSEEN = "objects of which nothing is seen"


def claims(folder: Folder) -> bool:
    """Whether a folder of a split has a scene with BOP's files."""
    for top in folder.names():
        if layout.split_of_folder(top) != "":
            for scene in folder.names(top)[:8]:
                names = folder.names(f"{top}/{scene}")
                if layout.CAMERAS in names and any(kind in names for kind in layout.PICTURES):
                    return True
    return False


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of all scenes; models are not read."""
    findings, objects = Findings(), Objects(counted="object")
    walked = walk(folder, findings)
    given = read_classes(folder)
    entries = _entries(folder, walked, objects, findings, given)
    return Listing("bop", entries, findings, folder, name, given.names if given is not None else None, objects)


@dataclass(frozen=True)
class _Scene:
    """A folder of pictures and its files; ``poses`` is None where objects are not told (BOP's hidden test sets)."""

    folder: Folder
    walked: Walked
    place: PurePosixPath
    cameras: Mapping[str, object]
    poses: Mapping[str, object] | None
    facts: Mapping[str, object]
    given: ClassList | None

    def file(self, kind: str, stem: str) -> str | None:
        """A picture of this kind, whatever its suffix."""
        for suffix in (".png", ".jpg", ".tif", *sorted(SUFFIXES)):
            if (path := f"{self.place}/{kind}/{stem}{suffix}") in self.walked.known:
                return path
        return None


def _entries(
    folder: Folder, walked: Walked, objects: Objects, findings: Findings, given: ClassList | None
) -> Iterator[Candidate | BadFile]:
    notes = read_provenance(folder)
    yield from walked.bad
    used = set[str]()
    for path in walked.others:
        place = PurePosixPath(path)
        if place.name != layout.CAMERAS or layout.split_of_folder(place.parts[0]) == "":
            continue
        try:
            scene = _scene(folder, walked, place.parent, given)
            numbers = sorted({*scene.cameras, *(scene.poses or {})}, key=_number)
        except Unusable as error:
            yield BadFile(visible(path), str(error), error.line)
            continue
        for number in numbers:
            yield from _picture(scene, number, notes, objects, findings, used)
    findings.ignored["other"] += sum(1 for path in walked.pictures if path not in used and _is_rgb(path))


def _is_rgb(path: str) -> bool:
    return PurePosixPath(path).parent.name not in (layout.DEPTH, layout.WHOLE, layout.VISIBLE)


def _scene(folder: Folder, walked: Walked, place: PurePosixPath, given: ClassList | None) -> _Scene:
    files = [_json(folder, walked, f"{place}/{name}") for name in (layout.CAMERAS, layout.POSES, layout.FACTS)]
    return _Scene(folder, walked, place, files[0] or {}, files[1], files[2] or {}, given)


def _json(folder: Folder, walked: Walked, path: str) -> Mapping[str, object] | None:
    if path not in walked.known:
        return None
    value = parse_json(read_text(folder, path), PurePosixPath(path).name)
    if not isinstance(value, dict):
        raise Unusable(f"expected {PurePosixPath(path).name} as an object; got {type(value).__name__}")
    return value


def _number(key: str) -> int:
    if not key.isdecimal() or len(key) > 9:
        raise Unusable(f"expected numbers of pictures as keys; got {visible(key[:20])!r}")
    return int(key)


def _picture(
    scene: _Scene, number: str, notes: Mapping[str, Extras], objects: Objects, findings: Findings, used: set[str]
) -> Iterator[Candidate | BadFile]:
    stem = f"{int(number):06d}"
    path = next((file for kind in layout.PICTURES if (file := scene.file(kind, stem)) is not None), None)
    if path is None:
        yield BadFile(visible(f"{scene.place}/{layout.CAMERAS}"), f"expected the picture {stem}; got none")
        return
    used.add(path)
    extra = notes.get(path, Extras())
    entry = scene.cameras.get(number)
    try:
        if not isinstance(entry, dict | None):
            raise Unusable(f"expected the camera of picture {number} as an object; got {type(entry).__name__}")
        camera: Mapping[str, object] = entry or {}
        ours = camera.get(layout.OURS)
        names = ours.get("keypoint_names") if isinstance(ours, dict) else None
        found = None
        if scene.poses is not None and scene.poses.get(number) is not None:
            found = _objects(scene, number, names, findings)
    except Unusable as error:
        yield BadFile(visible(path), str(error), error.line)
        return
    yield Candidate(
        id=extra.id or visible(str(PurePosixPath(path).with_suffix(""))),
        label=None,
        split=layout.split_of_folder(scene.place.parts[0]) or None,  # type: ignore[arg-type]
        path=path,
        caption=extra.caption,
        attributes=extra.attributes,
        probabilities=extra.probabilities,
        origin=extra.origin,
        objects=None if found is None else found.picture_in(objects),
        geometry=_GeometryOf(scene, stem, camera),
    )
    for problem in found.problems if found is not None else ():
        yield BadFile(visible(path), problem, kind="object")


@dataclass(frozen=True)
class _GeometryOf:
    """Gives depth and camera of one picture when it is opened."""

    scene: _Scene
    stem: str
    camera: Mapping[str, object]

    def __call__(self, size: tuple[int, int]) -> Geometry:
        """For a picture of this (height, width); :class:`Unusable` if they do not fit or are damaged."""
        camera = layout.camera_from_entry(self.camera, size)
        path = self.scene.file(layout.DEPTH, self.stem)
        if path is None:
            return Geometry(camera=camera)
        scale = self.camera.get("depth_scale", 1.0)
        if not isinstance(scale, int | float) or isinstance(scale, bool) or not 0 < scale < 1e6:
            raise Unusable(f"expected depth_scale above 0; got {str(scale)[:20]}")
        try:
            steps = read_mask(self.scene.folder.read(path))
            check_size("depth", (steps.shape[0], steps.shape[1]), size)
            return Geometry(depth_of(layout.depth_metres(steps, float(scale))), camera=camera)
        except Unusable as error:
            raise Unusable(f"{visible(path)}: {error}") from error


def _objects(scene: _Scene, number: str, names: object, findings: Findings) -> Found:
    """The objects of a picture that can be used and are seen, what is wrong with others, names of keypoints."""
    entries = (scene.poses or {})[number]
    facts = scene.facts.get(number)
    if not isinstance(entries, list):
        raise Unusable(f"expected the objects of picture {number} as a list; got {type(entries).__name__}")
    stated: list[Stated] = []
    problems: list[str] = []
    for k, entry in enumerate(entries):
        fact = facts[k] if isinstance(facts, list) and k < len(facts) else None
        try:
            one = _object(scene, f"{int(number):06d}_{k:06d}", k, entry, fact if isinstance(fact, dict) else {})
        except Unusable as error:
            problems.append(f"object {k}: {error}; left out")
            continue
        if one is None:
            findings.ignored[UNSEEN] += 1
        else:
            stated.append(one)
    points = len(stated[0].keypoints or ()) if stated else 0
    known = isinstance(names, list) and all(isinstance(name, str) for name in names) and 3 * len(names) == points
    return Found(stated, problems, tuple(names) if known and isinstance(names, list) and names else None)


def _object(scene: _Scene, stem: str, k: int, entry: object, facts: Mapping[str, object]) -> Stated | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("obj_id"), int):
        raise Unusable("expected an object with obj_id; got another")
    label, pose = _label(scene, entry["obj_id"]), None
    ours = entry.get(layout.OURS)
    if entry.get("cam_R_m2c") is not None:
        pose = layout.pose_from(entry["cam_R_m2c"], entry.get("cam_t_m2c"), "m2c")
    seen, whole = (_mask(scene, kind, stem) for kind in (layout.VISIBLE, layout.WHOLE))
    box = layout.box_from_entry(facts["bbox_visib"]) if facts.get("bbox_visib") is not None else None
    amodal = layout.box_from_entry(facts["bbox_obj"]) if facts.get("bbox_obj") is not None else None
    if isinstance(ours, dict):
        return _with_ours(ours, label, pose, seen, whole, k)
    if seen is not None:
        box = tuple(float(value) for value in seen.box()) if seen.area else None  # type: ignore[assignment]
    if box is None:
        return None
    return Stated(
        label,
        box,
        k,
        rle=seen,
        amodal_box=amodal or box,
        amodal_rle=whole,
        attributes=_share(facts.get("visib_fract")),
        pose=None if pose is None else tuple(pose[:3].ravel().tolist()),
    )


def _share(value: object) -> str | None:
    """The visible part as an attribute of ours; None where it is no share."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return json.dumps({"visible_fraction": float(value)})
    return None


def _with_ours(
    ours: Mapping[str, object],
    label: str,
    pose: NDArray[np.float64] | None,
    seen: Rle | None,
    whole: Rle | None,
    k: int,
) -> Stated:
    """An object that we wrote: what stands under our key, with masks and pose from where BOP has them."""
    scale = ours.get("scale", 1.0)
    if not isinstance(scale, int | float) or isinstance(scale, bool) or not 0 < scale < 1e9:
        raise Unusable(f"expected a scale above 0; got {str(scale)[:20]}")
    size = (1, 1) if seen is None else (seen.height, seen.width)
    item = {**{key: value for key, value in ours.items() if key != "scale"}, "label": label}
    found = read_ours({"height": size[0], "width": size[1], "objects": [item]}, known_names((label,)))
    if found.problems:
        raise Unusable(found.problems[0].removeprefix("object 1: ").removesuffix("; left out"))
    if pose is not None:
        pose[:3, :3] *= scale
    numbers = None if pose is None else tuple(pose[:3].ravel().tolist())
    return replace(found.stated[0], number=k, rle=seen, amodal_rle=whole, pose=numbers)


def _label(scene: _Scene, number: int) -> str:
    if scene.given is None:
        return f"obj_{number:06d}"
    name = scene.given.folders.get(str(number))
    if name is None:
        raise Unusable(f"expected an obj_id of classes.json; got {number}")
    return name


def _mask(scene: _Scene, kind: str, stem: str) -> Rle | None:
    path = f"{scene.place}/{kind}/{stem}.png"
    if path not in scene.walked.known:
        return None
    try:
        return Rle.of(read_mask(scene.folder.read(path)) > 0)
    except Unusable as error:
        raise Unusable(f"{visible(path)}: {error}") from error
