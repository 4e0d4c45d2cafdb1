"""Gathers cut-outs and backgrounds from the training pictures, and learns where objects stand, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.copypaste.backgrounds import Backgrounds, Noise
from twinset.generators.copypaste.context import features, learn
from twinset.generators.copypaste.foregrounds import Cut, cut_out, from_file, gather, outline
from twinset.generators.copypaste.generator import CopyPasteGenerator
from twinset.generators.copypaste.layout import Placement
from twinset.generators.copypaste.marginals import MEASURES, BoxTarget, PlacementTarget, Reference
from twinset.generators.copypaste.placement import Counts, Fitted, Ints, Uniform, fit_boxes, overlaps
from twinset.generators.copypaste.regions import Regions, cut_regions, small_classes
from twinset.generators.copypaste.removal import holes_of, without_objects
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.steering import Steering, values_of
from twinset.generators.copypaste.stores import Cutouts, Packer
from twinset.images import SUFFIXES, Pixels, convert_channels, decode
from twinset.instances import Instances
from twinset.randomness import Stream

UNIFORM_COUNT = (1, 20)
MOST_CUTOUTS = 8000
"""Cut-outs of all classes together are at most about this many."""
SIMULATED = 400
"""Layouts that are drawn to know what marginals placement has by itself."""


def fit(settings: CopyPaste, training: Dataset, *, rng: Stream) -> CopyPasteGenerator:
    """A generator for the training set's task."""
    if not len(training):
        raise DataError("expected training pictures to cut from; got none")
    if settings.content is not None and settings.folders_digest() != settings.content:
        raise DataError("expected the folders that this recipe was resolved with; got others", hint="start a new run")
    if training.task == "semantic-segmentation":
        return _fit_regions(settings, training, rng)
    boxes = training.object_counts().sum()
    if not boxes and (settings.foreground_path is None or settings.placement != "uniform"):
        raise DataError(
            "expected objects with boxes or masks in the training pictures; got none",
            hint="label some, or give foreground_path with placement uniform",
        )
    plan = _Plan.of(settings, training, rng)
    gathered = _Gathered(Packer(limit_bytes=settings.memory_mb << 19))
    for row, sample in enumerate(training):
        _visit(settings, plan, gathered, row, sample)
    if settings.foreground_path is not None:
        gathered.cuts = _from_class_folders(Path(settings.foreground_path).expanduser(), training.classes)
    gathered.cuts += _distractors(settings, gathered, rng)
    if not any(cut.class_id >= 0 for cut in gathered.cuts):
        raise DataError("expected at least one object to cut out; got none", hint="use foregrounds: auto")
    cutouts = gather(gathered.cuts, limit_bytes=settings.memory_mb << 19)
    backgrounds = _backgrounds(settings, gathered)
    placement = _placement(settings, training, cutouts, gathered, rng)
    return CopyPasteGenerator(
        settings=settings,
        classes=training.classes,
        cutouts=cutouts,
        backgrounds=backgrounds,
        noise=Noise.of(gathered.small) if backgrounds is None else None,
        placement=placement,
        regions=None,
        grey=gathered.grey,
        with_masks=training.task == "instance-segmentation",
        remarks=_remarks(settings, training, plan, gathered, cutouts),
    )


@dataclass(frozen=True, eq=False)
class _Plan:
    """Which rows are kept as backgrounds, and which objects (numbered over the dataset) are cut out."""

    backgrounds: frozenset[int]
    objects: frozenset[int]
    first: Ints
    candidates: int

    @staticmethod
    def of(settings: CopyPaste, training: Dataset, rng: Stream) -> _Plan:
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
        return _Plan(frozenset(pictures.tolist()), frozenset(kept), np.cumsum([0, *counts]), int(usable.sum()))


def _is_null(training: Dataset, name: str) -> NDArray[np.bool_]:
    return np.array([value is None for value in training.object_column(name)], dtype=np.bool_)


@dataclass(eq=False)
class _Gathered:
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


def _visit(settings: CopyPaste, plan: _Plan, gathered: _Gathered, row: int, sample: Sample) -> None:
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
    clean = pixels
    if outlined or settings.backgrounds == "inpainted" or settings.placement == "context" or settings.distractors[1]:
        clean = without_objects(pixels, holes_of(size, objects.boxes, masks))
    for k in numbers:
        _cut(settings, gathered, sample, pixels, clean, objects, k, masks[k])
    if settings.placement == "context":
        gathered.cleaned.append(features(clean))
    if background:
        _keep_background(settings, gathered, row, sample, pixels if settings.backgrounds == "real" else clean, objects)
    if settings.distractors[1] and len(gathered.plain) < 40:
        gathered.plain.append((clean, sample.id, sample.origin.licence))


def _cut(
    settings: CopyPaste,
    gathered: _Gathered,
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
    settings: CopyPaste, gathered: _Gathered, row: int, sample: Sample, pixels: Pixels, objects: Instances
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


def _backgrounds(settings: CopyPaste, gathered: _Gathered) -> Backgrounds | None:
    """Those of the folder, or those of the pass; None where they are drawn anew for every picture."""
    if settings.background_path is not None:
        for pixels in _pictures_in(Path(settings.background_path).expanduser(), settings.most_backgrounds):
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


def _pictures_in(folder: Path, most: int) -> Iterator[Pixels]:
    """RGB pixels of at most this many pictures under a folder, by name; :class:`DataError` if there is none."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder}: expected pictures; got none", hint="correct the path, or leave the setting out")
    for path in files[:: max(1, -(-len(files) // most))]:
        yield convert_channels(decode(path.read_bytes(), name=str(path)), 3)


def _from_class_folders(folder: Path, classes: tuple[str, ...]) -> list[Cut]:
    """A cut-out per picture of ``folder/CLASS``; classes by name, all of them known."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    unknown = sorted(set(names) - set(classes))
    if not names or unknown:
        raise DataError(
            f"{folder}: expected a folder of cut-outs for some of the classes {', '.join(classes)}; got "
            f"{', '.join(unknown) if unknown else 'none'}",
            hint="name the folders as the classes",
        )
    cuts = []
    for name in names:
        for path in sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in SUFFIXES):
            cuts += _cut_of_file(path, classes.index(name))
    return cuts


def _cut_of_file(path: Path, class_id: int) -> list[Cut]:
    data = path.read_bytes()
    colours, mask = from_file(data, convert_channels(decode(data, name=str(path)), 3))
    if not mask.any():
        raise DataError(f"{path}: expected an object; got a picture that is transparent throughout", hint="remove it")
    cut = cut_out(colours, mask, (0, 0), class_id, "", None)
    return [Cut(cut.rgba, class_id, "", None, 0, cut.surround)]  # its own border is not a scene's


def _distractors(settings: CopyPaste, gathered: _Gathered, rng: Stream) -> list[Cut]:
    """Unlabelled things: the pictures of the folder, or round pieces of training pictures where no object was."""
    if not settings.distractors[1]:
        return []
    if settings.distractor_path is not None:
        folder = Path(settings.distractor_path).expanduser()
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{folder}: expected pictures of distractors; got none", hint="correct the path")
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


def _placement(
    settings: CopyPaste,
    training: Dataset,
    cutouts: Cutouts,
    gathered: _Gathered,
    rng: Stream,
) -> Placement:
    sizes = np.array(gathered.sizes, dtype=np.int64)
    fitted = settings.placement != "uniform"
    model: Uniform | Fitted = fit_boxes(training, sizes) if fitted else Uniform(settings.size)
    counts = _counts(settings, training, cutouts)
    starts = np.cumsum([0, *training.object_counts()])
    boxes = training.object_boxes().astype(np.float64)
    crowding = np.sort(overlaps(boxes, starts)) if fitted else np.zeros(0)
    context = None
    if settings.placement == "context":
        frames = np.repeat(sizes[:, ::-1], np.diff(starts), axis=0)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / frames
        ids = training.object_column("class_id").astype(np.int64)
        split = starts[1:-1]
        context = learn(
            np.stack(gathered.shown),
            np.stack(gathered.cleaned),
            np.split(centres, split),
            np.split(ids, split),
            len(training.classes),
        )
    steering = _steering(settings, training, model, counts, sizes, rng)
    return Placement(model, counts, steering, crowding, context)


def _counts(settings: CopyPaste, training: Dataset, cutouts: Cutouts) -> Counts:
    table = np.zeros((len(training), len(training.classes)), dtype=np.int64)
    rows = np.repeat(np.arange(len(training)), training.object_counts())
    np.add.at(table, (rows, training.object_column("class_id").astype(np.int64)), 1)
    shares = None
    target = settings.target
    if target is not None and target.class_shares:
        _known(target.class_shares, training.classes)
        shares = np.array([target.class_shares.get(name, 0.0) for name in training.classes])
    available = np.unique(cutouts.class_ids[cutouts.class_ids >= 0])
    span = settings.count or (UNIFORM_COUNT if settings.placement == "uniform" else None)
    return Counts(table, span, shares, settings.balance, available)


def _known(names: object, classes: tuple[str, ...]) -> None:
    unknown = sorted(set(names) - set(classes))  # type: ignore[call-overload]
    if unknown:
        raise DataError(f"expected target classes out of {', '.join(classes)}; got {', '.join(unknown)}")


def _steering(
    settings: CopyPaste, training: Dataset, model: Uniform | Fitted, counts: Counts, sizes: Ints, rng: Stream
) -> Steering:
    """The marginals of placement left to itself, by simulation, for targets and configurations to start from."""
    target = settings.target or PlacementTarget()
    _known(target.per_class, training.classes)
    per_class: dict[int, BoxTarget] = {training.classes.index(name): own for name, own in target.per_class.items()}
    draws = rng.child("marginals").numpy()
    size = (int(np.median(sizes[:, 0])), int(np.median(sizes[:, 1])))
    drawn = []
    for _ in range(SIMULATED):
        ids = counts.classes(max(1, min(counts.total(draws), 50)), draws)
        boxes = model.draw(ids, int(draws.integers(len(sizes))), draws)
        drawn.append((ids, values_of(boxes, size)))
    ids = np.concatenate([c for c, _ in drawn])
    values = {name: np.concatenate([v[name] for _, v in drawn]) for name in MEASURES}
    pooled = Reference.of(values)
    own = {}
    for c in per_class:
        rows = ids == c
        own[c] = Reference.of({name: v[rows] for name, v in values.items()}) if rows.any() else pooled
    first = {name: v[:, 0] if v.ndim == 2 else v for name, v in values.items()}
    return Steering(pooled, own, settings.target, per_class, simulated=first)


def _remarks(
    settings: CopyPaste, training: Dataset, plan: _Plan, gathered: _Gathered, cutouts: Cutouts
) -> tuple[str, ...]:
    found = []
    if gathered.tried:
        found.append(
            f"{gathered.tried - gathered.failed} of {gathered.tried} objects known by their boxes were cut out by "
            f"GrabCut; for {gathered.failed} an ellipse or a rounded box was taken."
        )
    if settings.foreground_path is None and len(plan.objects) < plan.candidates:
        found.append(f"{len(plan.objects)} of {plan.candidates} objects were kept as cut-outs (most_cutouts).")
    if settings.background_path is None and len(plan.backgrounds) < len(training):
        found.append(f"{len(plan.backgrounds)} of {len(training)} pictures were kept as backgrounds.")
    counts = np.bincount(cutouts.class_ids[cutouts.class_ids >= 0], minlength=len(training.classes))
    missing = [name for name, n in zip(training.classes, counts, strict=True) if n == 0]
    if missing:
        found.append(f"There is nothing to cut out of class {', '.join(missing)}; it is not pasted.")
    if any(objects is not None and objects.keypoints is not None for objects in gathered.kept):
        found.append("Keypoints of the objects in real backgrounds are left out.")
    return tuple(found)


def _fit_regions(settings: CopyPaste, training: Dataset, rng: Stream) -> CopyPasteGenerator:
    """A generator that recomposes semantic maps."""
    if settings.backgrounds == "procedural" or settings.background_path or settings.foreground_path:
        raise DataError(
            "expected the training pictures as foregrounds and backgrounds of semantic maps; got others",
            hint="leave out backgrounds, background_path and foreground_path",
        )
    rows = np.arange(len(training))
    if len(rows) > settings.most_backgrounds:
        rows = np.sort(rng.child("backgrounds").numpy().choice(rows, settings.most_backgrounds, replace=False))
    kept = [sample for sample in training.take(rows) if sample.annotation and sample.annotation.semantic]
    maps = [sample.annotation.semantic.dense() for sample in kept if sample.annotation and sample.annotation.semantic]
    _known(settings.recompose, training.classes)
    moved = [training.classes.index(name) for name in settings.recompose]
    moved = moved or small_classes(maps, len(training.classes))
    packer = Packer(limit_bytes=settings.memory_mb << 19)
    found: list[tuple[Cut, NDArray[np.float64]]] = []
    grey = True
    for sample, ids in zip(kept, maps, strict=True):
        pixels = sample.pixels()
        grey &= pixels.shape[2] == 1
        pixels = convert_channels(pixels, 3)
        packer.add(pixels)
        found += cut_regions(pixels, ids, moved, sample.id, sample.origin.licence)
    if not found:
        raise DataError(
            "expected regions of a class to move about in the semantic maps; got none",
            hint="name classes under recompose",
        )
    found = _thinned(found, settings, rng)
    names = ", ".join(training.classes[c] for c in sorted({cut.class_id for cut, _ in found}))
    return CopyPasteGenerator(
        settings=settings,
        classes=training.classes,
        cutouts=gather([cut for cut, _ in found], limit_bytes=settings.memory_mb << 19),
        backgrounds=Backgrounds(
            packer.done(),
            tuple(sample.id for sample in kept),
            tuple(sample.origin.licence for sample in kept),
            np.arange(len(kept)),
            tuple(sample.annotation.semantic if sample.annotation else None for sample in kept),
        ),
        noise=None,
        placement=None,
        regions=Regions(np.array([home for _, home in found])),
        grey=grey,
        with_masks=False,
        remarks=(f"{len(found)} regions of {names} are moved about.",),
    )


def _thinned(
    found: list[tuple[Cut, NDArray[np.float64]]], settings: CopyPaste, rng: Stream
) -> list[tuple[Cut, NDArray[np.float64]]]:
    """At most ``most_cutouts`` regions of every class, in order of class as the store has them."""
    draws = rng.child("regions").numpy()
    kept = []
    for c in sorted({cut.class_id for cut, _ in found}):
        own = [pair for pair in found if pair[0].class_id == c]
        rows = np.arange(len(own))
        if len(own) > settings.most_cutouts:
            rows = np.sort(draws.choice(rows, settings.most_cutouts, replace=False))
        kept += [own[int(row)] for row in rows]
    return kept
