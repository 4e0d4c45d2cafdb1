"""Shape curation in a run: a pilot of pictures is scored object by object, and shapes unlike real objects are left out.

It comes after matching, so that shapes are judged at the sizes and places that they will be seen at, and before
anything is generated. What was found is committed in one file; a run that was killed before it does the same again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np

from twinset.alignment.curation import Curated, ShapeScore
from twinset.alignment.object_density import ObjectDensityFilter
from twinset.alignment.shape_scores import ShapeScores, object_judge, shape_scores
from twinset.alignment.traits import Trait, traits
from twinset.crops import crop_frames, objects_of
from twinset.dataset import Dataset
from twinset.errors import DataError, RecipeError
from twinset.executors.local import LocalProcesses
from twinset.images import Pixels, convert_channels, encode_png, resize
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.randomness import Stream
from twinset.recipe import CuratePart
from twinset.stages import Curatable, Generator, Slot
from twinset.store import read_json, write_bytes, write_json

CHUNK = 24
"""Pictures that a worker makes and scores at a time."""

MARGIN = 0.25
CROP_SIDE = 96
MOST_SHOWN = 24
"""Dropped shapes, and half as many kept ones, whose crops are kept for the report."""


@dataclass(frozen=True, eq=False)
class ScoreShapes:
    """A task for a worker: make these slots' pictures and score their objects."""

    generator: Generator
    slots: tuple[Slot, ...]
    classes: tuple[str, ...]
    judge: ObjectDensityFilter


def score_shapes(task: ScoreShapes) -> ShapeScores:
    """The scores of all objects of the task's pictures."""
    made = Dataset.of(task.generator.generate(task.slots), classes=task.classes, name="pilot")
    return shape_scores(made, task.judge)


@dataclass(frozen=True)
class ShapeLook:
    """The crop of one shape's usual object, a PNG in the source's folder."""

    class_name: str
    shape_id: str
    dropped: bool
    score: float
    path: Path


def curated_path(folder: Path) -> Path:
    """Where a source keeps what was curated."""
    return folder / "curated.json"


def commit_curation(
    generator: Generator,
    folder: Path,
    part: CuratePart,
    real: RealData,
    *,
    name: str,
    rng: Stream,
    executor: LocalProcesses,
    listener: Listener,
) -> None:
    """Curates one source, unless an earlier sitting did; :class:`RecipeError` for one that is not made from shapes."""
    if curated_path(folder).exists():
        return
    if not isinstance(generator, Curatable):
        raise RecipeError(
            f"curate: expected generators whose objects are made from shapes; got {name}",
            hint="leave out curate, or use render",
        )
    try:
        judge = object_judge(real.training, real.part("validation"), spec=real.spec, rng=rng.child("judge"))
    except ValueError as error:
        raise DataError(f"curate: {error}") from error
    parameters = generator.shape_parameters
    scores, pictures = _pilot(generator, judge, part, real.dataset.classes, rng, executor, listener, name)
    found = scores.curate(part.settings, rng=rng)
    shared = traits(found, parameters, rng=rng)
    sentences = _sentences(found, shared, parameters, name)
    record = {
        "pictures": pictures,
        "dropped": found.dropped,
        "lines": {class_name: _finite(asdict(line)) for class_name, line in found.lines.items()},
        "shapes": [_finite(asdict(shape)) for shape in found.shapes],
        "traits": [asdict(trait) for trait in shared],
        "crops": _looks(generator, scores, found, folder, rng),
        "sentences": list(sentences),
    }
    for sentence in sentences:
        listener.note(sentence)
    write_json(curated_path(folder), record)


def curated(generator: object, folder: Path) -> object:
    """A generator without the shapes that were dropped for it; as it is where nothing was curated."""
    if not curated_path(folder).exists():
        return generator
    assert isinstance(generator, Curatable)
    stored = cast("dict[str, dict[str, list[str]]]", read_json(curated_path(folder)))
    return generator.without(stored["dropped"]) if stored["dropped"] else generator


def curation_sentences(folder: Path) -> tuple[str, ...]:
    """What the report says of a source's curation."""
    if not curated_path(folder).exists():
        return ()
    return tuple(cast("dict[str, list[str]]", read_json(curated_path(folder)))["sentences"])


def slots_of(count: int, rng: Stream) -> list[Slot]:
    """The slots of a pilot; those of a longer one begin with them."""
    return [Slot(number, 0, rng.child("pilot", number).seed, 0, "curate", number) for number in range(count)]


def _pilot(
    generator: Generator,
    judge: ObjectDensityFilter,
    part: CuratePart,
    classes: Sequence[str],
    rng: Stream,
    executor: LocalProcesses,
    listener: Listener,
    name: str,
) -> tuple[ShapeScores, int]:
    """Scores of a pilot that shows the shapes of every class often enough, or of as many pictures as may be made; and
    how many these are."""
    assert isinstance(generator, Curatable)
    progress = listener.stage(f"curate {name}")
    stock = {known: len(shapes) for known, shapes in generator.shape_parameters.items()}
    pieces: dict[int, ShapeScores] = {}
    wanted = min(2 * CHUNK, part.images)
    while len(pieces) * CHUNK < wanted:
        first = len(pieces) * CHUNK
        slots = slots_of(wanted, rng)
        starts = range(first, wanted, CHUNK)
        tasks = [ScoreShapes(generator, tuple(slots[at : at + CHUNK]), tuple(classes), judge) for at in starts]
        for done, (number, scores) in enumerate(executor.map(score_shapes, tasks), start=1):
            pieces[starts[number]] = scores
            progress(min(first + done * CHUNK, wanted), wanted, "images")
        seen = Counter(shape for scores in pieces.values() for shape in scores.classes)
        wanted = max(wanted, min(part.images, _pictures(wanted, seen, stock, part.objects)))
    starts_in_order = sorted(pieces)
    return ShapeScores.joined([pieces[at] for at in starts_in_order], starts_in_order), wanted


def _pictures(made: int, seen: Mapping[str, int], stock: Mapping[str, int], objects: int) -> int:
    """Pictures for so many objects of every shape, in whole chunks; a class that was never seen does not count."""
    rates = [seen[name] / made / shapes for name, shapes in stock.items() if seen.get(name)]
    return CHUNK * -(-int(np.ceil(objects / min(rates))) // CHUNK) if rates else made


def _looks(
    generator: Generator, scores: ShapeScores, curated: Curated, folder: Path, rng: Stream
) -> list[dict[str, object]]:
    """Writes a crop of each shape that is shown: of its object with the median score."""
    slots = slots_of(int(scores.pictures.max()) + 1, rng) if len(scores.scores) else []
    shapes, classes = np.array(scores.shapes, dtype=object), np.array(scores.classes, dtype=object)
    found: list[dict[str, object]] = []
    for shape in shown_of(curated.shapes):
        mine = np.flatnonzero((shapes == shape.shape_id) & (classes == shape.class_name))
        median = mine[np.argsort(scores.scores[mine], kind="stable")[len(mine) // 2]]
        crop = _crop(generator, slots[int(scores.pictures[median])], int(scores.places[median]))
        path = folder / "shapes" / f"{len(found):02d}.png"
        write_bytes(path, encode_png(crop))
        found.append(
            {
                "class_name": shape.class_name,
                "shape_id": shape.shape_id,
                "dropped": shape.dropped,
                "score": shape.mean,
                "file": path.name,
            }
        )
    return found


def shown_of(shapes: Sequence[ShapeScore]) -> list[ShapeScore]:
    """Which shapes are shown: the worst of those dropped and half as many of the best, evenly over the classes."""
    names = list(dict.fromkeys(shape.class_name for shape in shapes))
    each = MOST_SHOWN // max(len(names), 1)
    gone = [shape for shape in shapes if shape.dropped]
    best = [shape for shape in reversed(shapes) if not shape.dropped]
    return [
        shape
        for some, most in ((gone, max(each, 1)), (best, max(each // 2, 1)))
        for name in names
        for shape in [one for one in some if one.class_name == name][:most]
    ]


def _crop(generator: Generator, slot: Slot, place: int) -> Pixels:
    """uint8 (96, 96, 3): one object of a slot's picture with its surroundings, its aspect kept as far as these go."""
    sample = next(iter(generator.generate([slot])))
    instances, pixels = objects_of(sample), convert_channels(sample.pixels(), 3)
    (x1, y1, x2, y2), *_ = crop_frames(instances.take([place]), margin=MARGIN)
    half = max(x2 - x1, y2 - y1) / 2
    height, width = pixels.shape[:2]
    left, top = int(max((x1 + x2) / 2 - half, 0)), int(max((y1 + y2) / 2 - half, 0))
    cut = pixels[top : int(min(top + 2 * half, height)), left : int(min(left + 2 * half, width))]
    return resize(np.ascontiguousarray(cut), CROP_SIDE, CROP_SIDE)


def _sentences(
    curated: Curated,
    found: Sequence[Trait],
    parameters: Mapping[str, Mapping[str, Mapping[str, object]]],
    name: str,
) -> tuple[str, ...]:
    seen = Counter(shape.class_name for shape in curated.shapes)
    unseen = [
        f"{len(shapes) - seen[each]} shapes of {each} were not seen in the pilot, and stay."
        for each, shapes in parameters.items()
        if len(shapes) > seen[each]
    ]
    over = [trait.sentence for trait in found if trait.over_represented]
    return tuple(f"Curation of {name}: {sentence}" for sentence in (*curated.remarks, *unseen, *over))


def _finite(row: Mapping[str, object]) -> dict[str, object]:
    """With None for intervals that are infinite: JSON has no such numbers."""
    return {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}
