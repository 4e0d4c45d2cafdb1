"""Far objects taken out of pictures as these are made: their labels alone, or painted over too.

What is far is decided on a pilot of every source before anything is made, and committed; from then on it is part of
how a source fills its slots, so that shards hold the pictures as they are kept, and can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TypeGuard, cast

import numpy as np

from twinset import methods
from twinset.alignment.object_density import ObjectDensity, ObjectDensityFilter
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.executors.local import LocalProcesses
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.randomness import Stream
from twinset.recipe import UsePart
from twinset.stages import FiniteGenerator, Generator, Reviser, Slot
from twinset.store import read_json, write_json

PILOT = 96
"""Pictures of all sources together that the elbow is looked for in."""

CHUNK = 24
SCORES = 400
"""Scores of objects that are kept for the report's histogram, evenly among the sorted ones."""


@dataclass(frozen=True, eq=False)
class Revised:
    """A generator whose pictures are revised one by one, in this order."""

    generator: Generator
    revisers: tuple[Reviser, ...]

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One revised sample per slot, in order."""
        for sample in self.generator.generate(slots):
            for reviser in self.revisers:
                sample = reviser.revise(sample)
            yield sample


@dataclass(frozen=True, eq=False)
class RevisedStock(Revised):
    """The same with a fixed stock."""

    def stock(self, class_id: int) -> int:
        """How many images of this class there are."""
        return cast(FiniteGenerator, self.generator).stock(class_id)


@dataclass(frozen=True, eq=False)
class MakePilot:
    """A task for a worker: the pictures of these slots."""

    generator: Generator
    slots: tuple[Slot, ...]


def make_pilot(task: MakePilot) -> list[Sample]:
    """The pictures."""
    return list(task.generator.generate(task.slots))


def revises(aligner: object) -> TypeGuard[ObjectDensity]:
    """Whether these settings take objects out of pictures, in place of judging what was made."""
    return isinstance(aligner, ObjectDensity) and aligner.revises


def revising(parts: Sequence[UsePart]) -> list[tuple[int, ObjectDensity]]:
    """The entries under ``align`` that take objects out of pictures, with their number."""
    built = [
        methods.build("aligners", part.use, part.settings, where=f"align.{number}") for number, part in enumerate(parts)
    ]
    return [(number, aligner) for number, aligner in enumerate(built) if revises(aligner)]


def _folder(folder: Path, number: int) -> Path:
    return folder / "models" / f"align-{number}"


def commit_revision(
    parts: Sequence[UsePart],
    folder: Path,
    generators: Sequence[Generator],
    real: RealData,
    *,
    rng: Stream,
    executor: LocalProcesses,
    listener: Listener,
) -> None:
    """Fits what takes objects out, unless an earlier sitting did; ``DataError`` for too few real objects."""
    wanted = [(number, one) for number, one in revising(parts) if not _told(folder, number).exists()]
    if not wanted:
        return
    listener.stage("fit what takes far objects out")
    # All judge the same pilot, whichever were committed by an earlier sitting.
    plain = [one.generator if isinstance(one, Revised) else one for one in generators]
    pilot = _pilot(plain, real.dataset.classes, rng, executor)
    holdout = real.part("validation")
    for number, aligner in wanted:
        draws = rng.child("align", number)
        try:
            judge = aligner.fit(pilot, training=real.training, holdout=holdout, spec=real.spec, rng=draws)
        except ValueError as error:
            raise DataError(f"align.{number}: {error}") from error
        made, held = judge.object_scores(pilot), judge.object_scores(holdout)
        judge.save(_folder(folder, number) / "judge.safetensors")
        write_json(
            _told(folder, number),
            {
                "use": parts[number].use,
                "settings": parts[number].settings,
                "threshold": judge.threshold,
                "pilot": _spread(made),
                "real": _spread(held),
                "far": {"pilot": _share(made, judge), "real": _share(held, judge)},
            },
        )


def revised(generator: Generator, folder: Path) -> Generator:
    """The generator with what was committed in this run folder; as it is where there is nothing."""
    revisers = tuple(_reviser(path, path.stat().st_mtime_ns) for path in told_in(folder))
    if not revisers:
        return generator
    return (RevisedStock if isinstance(generator, FiniteGenerator) else Revised)(generator, revisers)


def told_in(folder: Path) -> list[Path]:
    """The files of what takes objects out in this run, in the recipe's order."""
    found = (folder / "models").glob("align-*/revising.json")
    return sorted(found, key=lambda path: int(path.parent.name.partition("-")[2]))


@lru_cache(maxsize=4)
def _reviser(path: Path, stamp: int) -> Reviser:
    del stamp
    told = cast("dict[str, object]", read_json(path, hint="delete this file: the pilot is made again"))
    settings = cast("dict[str, object]", told["settings"])
    aligner = methods.build("aligners", str(told["use"]), settings, where="align")
    assert isinstance(aligner, ObjectDensity)
    return aligner.reviser(aligner.load(path.with_name("judge.safetensors")))


def _told(folder: Path, number: int) -> Path:
    return _folder(folder, number) / "revising.json"


def _pilot(generators: Sequence[Generator], classes: Sequence[str], rng: Stream, executor: LocalProcesses) -> Dataset:
    each = -(-PILOT // len(generators))
    tasks: list[MakePilot] = []
    for source, generator in enumerate(generators):
        count = min(each, generator.stock(0)) if isinstance(generator, FiniteGenerator) else each
        slots = [Slot(n, 0, rng.child("pilot", source, n).seed, 0, "align", n) for n in range(count)]
        tasks += [MakePilot(generator, tuple(slots[at : at + CHUNK])) for at in range(0, count, CHUNK)]
    made: list[list[Sample]] = [[] for _ in tasks]
    for number, samples in executor.map(make_pilot, tasks):
        made[number] = samples
    apart = (_apart(sample, at) for at, sample in enumerate(chain.from_iterable(made)))
    return Dataset.of(apart, classes=classes, name="pilot")


def _apart(sample: Sample, at: int) -> Sample:
    """With an id of its own: slots of several sources share theirs."""
    return replace(sample, id=f"pilot-{at}")


def revision_sentences(folder: Path) -> tuple[str, ...]:
    """What the report says of what took objects out."""
    found = []
    for path in told_in(folder):
        told = cast("dict[str, object]", read_json(path))
        settings = cast("dict[str, object]", told["settings"])
        far = cast("dict[str, float | None]", told["far"])
        what = "were painted over" if settings.get("far") == "black-box" else "lost their labels"
        real = far["real"]
        beside = "there are no held-out real ones" if real is None else f"{real:.1%} of held-out real ones are as far"
        found.append(
            f"Objects farther than {cast(float, told['threshold']):.2f} from the real ones of their class {what}: "
            f"{far['pilot'] or 0.0:.1%} of those in the pilot; {beside}."
        )
    return tuple(found)


def _share(scores: np.ndarray, judge: ObjectDensityFilter) -> float | None:
    return float((scores > judge.threshold).mean()) if len(scores) else None


def _spread(scores: np.ndarray) -> list[float]:
    """At most ``SCORES`` of the sorted scores, evenly among them."""
    rows = np.linspace(0, len(scores) - 1, min(len(scores), SCORES)).round().astype(int)
    return [round(float(score), 4) for score in np.sort(scores)[rows]] if len(scores) else []
