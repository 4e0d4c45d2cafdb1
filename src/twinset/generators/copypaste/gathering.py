"""One pass over the training pictures: cut-outs, backgrounds and what else placement is learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.copypaste.backgrounds import Backgrounds
from twinset.generators.copypaste.context import features
from twinset.generators.copypaste.foregrounds import Cut, cut_out, from_file, outline
from twinset.generators.copypaste.placement import Ints
from twinset.generators.copypaste.removal import holes_of, without_objects
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.stores import Packer
from twinset.generators.copypaste.unlabelled import unlabelled_alike
from twinset.images import Pixels, convert_channels, decode
from twinset.instances import Instances
from twinset.paths import expanded, pictures_under
from twinset.randomness import Stream

MOST_CUTOUTS = 8000
"""Cut-outs of all classes together are at most about this many."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which rows are kept as backgrounds, and which objects (numbered over the dataset) are cut out."""

    backgrounds: frozenset[int]
    objects: frozenset[int]
    first: Ints
    candidates: int

    @staticmethod
    def of(settings: CopyPaste, training: Dataset, rng: Stream) -> Plan:
        """At most ``most_cutouts`` objects of a class and ``most_backgrounds`` pictures, drawn by ``rng``."""
        counts = training.object_counts()
        class_ids = training.object_column("class_id").astype(np.int64)
        usable = ~(training.object_column("crowd").astype(bool) | training.object_column("difficult").astype(bool))
        if settings.foregrounds == "masks":
            usable &= ~(_is_null(training, "rle") & _is_null(training, "polygons"))
        most = min(settings.most_cutouts, max(20, MOST_CUTOUTS // max(1, len(training.classes))))
        kept: list[int] = []
        draws = rng.child("cut-outs").numpy()
        for c in range(len(training.classes)):
            rows = np.flatnonzero(usable & (class_ids == c))
            kept += (rows if len(rows) <= most else np.sort(draws.choice(rows, most, replace=False))).tolist()
        pictures = np.arange(len(training))
        if len(training) > settings.most_backgrounds:
            pictures = rng.child("backgrounds").numpy().choice(pictures, settings.most_backgrounds, replace=False)
        if settings.foreground_path is not None:
            kept = []
        return Plan(frozenset(pictures.tolist()), frozenset(kept), np.cumsum([0, *counts]), int(usable.sum()))


def _is_null(training: Dataset, name: str) -> NDArray[np.bool_]:
    return np.array([value is None for value in training.object_column(name)], dtype=np.bool_)


@dataclass(eq=False)
class Gathered:
    """What the pass over the training pictures has found so far."""

    packer: Packer
    cuts: list[Cut] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    licences: list[str | None] = field(default_factory=list)
    scenes: list[int] = field(default_factory=list)
    kept: list[Instances | None] = field(default_factory=list)
    shown: list[NDArray[np.float32]] = field(default_factory=list)
    cleaned: list[NDArray[np.float32]] = field(default_factory=list)
    small: list[Pixels] = field(default_factory=list)
    plain: list[tuple[Pixels, str, str | None]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    grey: bool = True
    failed: int = 0
    tried: int = 0


def visit(settings: CopyPaste, plan: Plan, gathered: Gathered, row: int, sample: Sample) -> None:
    """Takes cut-outs, background and features of one training picture."""
    pixels = sample.pixels()
    gathered.grey &= pixels.shape[2] == 1
    pixels = convert_channels(pixels, 3)
    size = (pixels.shape[0], pixels.shape[1])
    gathered.sizes.append(size)
    annotation = sample.annotation
    objects = Instances.none(size)
    if annotation is not None and annotation.instances is not None:
        objects = annotation.instances
    numbers = [k for k in range(len(objects)) if int(plan.first[row]) + k in plan.objects]
    background = row in plan.backgrounds and settings.background_path is None
    if not (numbers or background or settings.placement == "context"):
        return
    masks = [None if mask is None else mask.dense() for mask in objects.masks or (None,) * len(objects)]
    outlined = settings.foregrounds == "boxes" or any(masks[k] is None for k in numbers)
    clean = filled = pixels
    if outlined or settings.backgrounds == "inpainted" or settings.placement == "context" or settings.distractors[1]:
        holes = holes_of(size, objects.boxes, masks)
        clean = filled = without_objects(pixels, holes)
        if settings.fill == "alike":
            filled = without_objects(pixels, holes | unlabelled_alike(pixels, holes, objects))
    for k in numbers:
        _cut(settings, gathered, sample, pixels, clean, objects, k, masks[k])
    if settings.placement == "context":
        gathered.cleaned.append(features(filled))
    if background:
        _keep_background(settings, gathered, row, sample, pixels if settings.backgrounds == "real" else filled, objects)
    if settings.distractors[1] and len(gathered.plain) < 40:
        gathered.plain.append((filled, sample.id, sample.origin.licence))


def _cut(
    settings: CopyPaste,
    gathered: Gathered,
    sample: Sample,
    pixels: Pixels,
    clean: Pixels,
    objects: Instances,
    k: int,
    mask: NDArray[np.bool_] | None,
) -> None:
    class_id, licence = int(objects.class_ids[k]), sample.origin.licence
    if mask is not None and settings.foregrounds != "boxes":
        if mask.any():
            gathered.cuts.append(cut_out(pixels, mask, (0, 0), class_id, sample.id, licence))
        return
    found, origin, by_grabcut = outline(pixels, clean, objects.boxes[k])
    gathered.tried += 1
    gathered.failed += not by_grabcut
    gathered.cuts.append(cut_out(pixels, found, origin, class_id, sample.id, licence))


def _keep_background(
    settings: CopyPaste, gathered: Gathered, row: int, sample: Sample, pixels: Pixels, objects: Instances
) -> None:
    if settings.backgrounds == "procedural":
        gathered.small.append(pixels)
        return
    gathered.packer.add(pixels)
    gathered.ids.append(sample.id)
    gathered.licences.append(sample.origin.licence)
    gathered.scenes.append(row)
    gathered.kept.append(objects if settings.backgrounds == "real" else None)
    if settings.placement == "context":
        gathered.shown.append(gathered.cleaned[-1])


def backgrounds_of(settings: CopyPaste, gathered: Gathered) -> Backgrounds | None:
    """Those of the folder, or those of the pass; None where they are drawn anew for every picture."""
    if settings.background_path is not None:
        for pixels in _pictures_in(expanded(settings.background_path), settings.most_backgrounds):
            gathered.packer.add(pixels)
            gathered.ids.append("")
            gathered.licences.append(None)
            gathered.scenes.append(-1)
            gathered.kept.append(None)
            if settings.placement == "context":
                gathered.shown.append(features(pixels))
    elif settings.backgrounds == "procedural":
        return None
    return Backgrounds(
        gathered.packer.done(),
        tuple(gathered.ids),
        tuple(gathered.licences),
        np.array(gathered.scenes, dtype=np.int64),
        tuple(gathered.kept),
    )


def some_pictures(folder: Path) -> list[Path]:
    """The pictures under a folder, by name; :class:`DataError` if there is none."""
    files = pictures_under(folder)
    if not files:
        raise DataError(f"{folder}: expected pictures; got none", hint="correct the path, or leave the setting out")
    return files


def _pictures_in(folder: Path, most: int) -> Iterator[Pixels]:
    """RGB pixels of at most this many pictures under a folder."""
    files = some_pictures(folder)
    for path in files[:: max(1, -(-len(files) // most))]:
        yield convert_channels(decode(path.read_bytes(), name=str(path)), 3)


def cutouts_under(folder: Path, classes: Sequence[str]) -> dict[str, list[Path]]:
    """The pictures of every ``folder/CLASS`` by class; :class:`DataError` for an unknown one, or if there is none."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else ()
    found = {path.name: pictures_under(path) for path in inside if path.is_dir() and not path.name.startswith(".")}
    unknown = sorted(set(found) - set(classes))
    if unknown or not any(found.values()):
        raise DataError(
            f"{folder}: expected a folder of cut-outs for some of the classes {', '.join(classes)}; got "
            f"{', '.join(unknown) if unknown else 'none'}",
            hint="name the folders as the classes",
        )
    return found


def from_class_folders(folder: Path, classes: Sequence[str]) -> list[Cut]:
    """A cut-out per picture of ``folder/CLASS``."""
    found = cutouts_under(folder, classes)
    return [cut for name, files in found.items() for path in files for cut in _cut_of_file(path, classes.index(name))]


def _cut_of_file(path: Path, class_id: int) -> list[Cut]:
    data = path.read_bytes()
    colours, mask = from_file(data, convert_channels(decode(data, name=str(path)), 3))
    if not mask.any():
        raise DataError(f"{path}: expected an object; got a picture that is transparent throughout", hint="remove it")
    cut = cut_out(colours, mask, (0, 0), class_id, "", None)
    return [Cut(cut.rgba, class_id, "", None, 0, cut.surround)]  # its own border is not a scene's


def distractors_of(settings: CopyPaste, gathered: Gathered, rng: Stream) -> list[Cut]:
    """Unlabelled things: the pictures of the folder, or round pieces of training pictures where no object was."""
    if not settings.distractors[1]:
        return []
    if settings.distractor_path is not None:
        files = some_pictures(expanded(settings.distractor_path))
        return [cut for path in files[: settings.most_cutouts] for cut in _cut_of_file(path, -1)]
    draws = rng.child("distractors").numpy()
    found = []
    for pixels, source, licence in gathered.plain:
        for _ in range(3):
            mask = _blob(min(pixels.shape[:2]), draws)
            y, x = (int(draws.integers(0, n - m + 1)) for n, m in zip(pixels.shape[:2], mask.shape, strict=True))
            cut = cut_out(pixels, mask, (x, y), -1, source, licence)
            found.append(Cut(cut.rgba, -1, source, licence, 0, cut.surround))
    return found


def _blob(side: int, draws: np.random.Generator) -> NDArray[np.bool_]:
    """A smooth random shape, bool (n, n), an eighth to a third of ``side`` across."""
    n = max(6, int(side * draws.uniform(0.125, 0.33)))
    y, x = np.mgrid[:n, :n] / (n - 1) * 2 - 1
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    waves = sum(draws.uniform(0, 0.25 / k) * np.sin(k * angle + draws.uniform(0, 6.3)) for k in (2, 3, 4))
    return np.asarray(radius < 0.7 * (1 + waves))
