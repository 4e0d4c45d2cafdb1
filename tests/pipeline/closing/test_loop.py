"""The loop: steps that help are kept, others not; a loop that was killed goes on; what cannot be tried is said so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.executors.local import LocalProcesses
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.pipeline import fitting, presenting
from twinset.pipeline.closing import loop as looping
from twinset.pipeline.closing import weighing
from twinset.pipeline.closing.facts import gap_facts
from twinset.pipeline.closing.loop import close_gap
from twinset.pipeline.closing.record import (
    LAID_OUT,
    Record,
    StepRecord,
    closing_filters,
    closing_path,
    read_record,
    undone,
    write_record,
)
from twinset.pipeline.closing.seconds import pictures_made
from twinset.pipeline.closing.steps import LIGHT
from twinset.pipeline.curating import curated_path
from twinset.pipeline.evolving import evolved_path
from twinset.pipeline.fitting import Source, as_generator, remarks_of
from twinset.pipeline.opening import Run
from twinset.pipeline.presenting import Tried
from twinset.pipeline.reporting import Quiet
from twinset.randomness import Stream
from twinset.recipe import CloseGapPart, MatchPart, Recipe, recipe_from_values
from twinset.stages import Generator, Judgement, Slot
from twinset.store import PLAN_SCHEMA, ShardStore, write_json


@dataclass(frozen=True)
class Squares:
    """One to five squares a picture, about ``side`` pixels: wrong until it follows the layouts of the real images."""

    side: float = 40.0
    right: float = 12.0
    follows_layouts: bool = False
    knob: float | None = None

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        return {"knob": (5.0, 60.0)}

    def configured(self, weighted: Sequence[tuple[float, Mapping[str, float]]]) -> Squares:
        return replace(self, knob=weighted[0][1]["knob"])

    def following_layouts(self) -> Squares:
        return replace(self, side=self.right, follows_layouts=True)

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        for slot in slots:
            yield self.picture(slot)

    def picture(self, slot: Slot) -> Sample:
        draws = slot.rng.numpy()
        pixels = np.clip(draws.normal(120, 8, (64, 96, 3)), 0, 255).astype(np.uint8)
        middle = self.side if self.knob is None else self.knob
        found = []
        for _ in range(int(draws.integers(1, 6))):
            side = min(60.0, middle * float(np.exp(draws.normal(0, 0.1))))
            x, y = draws.uniform(0, 96 - side), draws.uniform(0, 64 - side)
            found.append([x, y, x + side, y + side])
            pixels[int(y) : int(y + side), int(x) : int(x + side)] = (200, 40, 40)
        objects = Instances((64, 96), np.zeros(len(found), dtype=np.int64), np.array(found, dtype=np.float32))
        return slot.sample(pixels, method="squares", annotation=Annotation(instances=objects))


SPEC = ImageSpec(64, 96, 3)


@dataclass(frozen=True)
class NoLayout(Squares):
    """Squares that cannot follow the layouts that they speak of."""

    def following_layouts(self) -> Squares:
        raise ValueError("expected training pictures with boxes; got none")


@dataclass(frozen=True)
class Broken(Squares):
    """Squares that fail once they follow layouts."""

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        if self.follows_layouts:
            raise ValueError("a fault")
        return super().generate(slots)


@dataclass(frozen=True)
class FewSquares(Squares):
    """A fixed stock of pictures."""

    def stock(self, class_id: int) -> int:
        return 30

    def picture(self, slot: Slot) -> Sample:
        assert slot.rank < 30
        return super().picture(slot)


@dataclass(frozen=True)
class Real:
    """As much of a run's real data as the loop looks at."""

    dataset: Dataset
    spec: ImageSpec = SPEC
    task: str = "detection"

    def part(self, name: str) -> Dataset:
        return self.dataset.where([split == name for split in self.dataset.splits])

    @property
    def training(self) -> Dataset:
        return self.part("train")

    def part_families(self, *names: str) -> np.ndarray:
        return np.arange(sum(len(self.part(name)) for name in names))


def real_squares(*, validation: int = 40) -> Real:
    slots = [Slot(k, 0, 900 + k, 0, "real") for k in range(40 + validation)]
    samples = list(Squares(side=12.0).generate(slots))
    named = [replace(sample, id=f"real-{k}") for k, sample in enumerate(samples)]
    splits = ["train"] * 40 + ["validation"] * validation
    return Real(Dataset.of(named, classes=("square",), splits=splits))


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes here are large or nil: fewer draws tell them as well."""
    monkeypatch.setattr(weighing, "DRAWS", 80)


def run_of(folder: Path, *, steps: Sequence[str] = ("layout",), keep: str = "helpful", **values: object) -> Run:
    recipe = recipe_from_values(
        {
            "data": "builtin:digits",
            "task": "detection",
            "generate": [{"use": "copypaste"}],
            "close_gap": {"steps": list(steps), "images": 36, "keep": keep},
            **values,
        }
    ).recipe
    made = SimpleNamespace(
        folder=folder,
        recipe=recipe,
        real=real_squares(),
        stream=Stream(4),
        executor=LocalProcesses(1),
        listener=Quiet(),
        timings=SimpleNamespace(stage=lambda _: nullcontext()),
    )
    return cast(Run, made)


def source_of(folder: Path) -> Source:
    (folder / "models").mkdir(exist_ok=True)
    return Source(0, "squares", "generators", object(), folder / "models")


def test_a_step_that_helps_is_kept_and_followed(tmp_path: Path) -> None:
    run, source = run_of(tmp_path), source_of(tmp_path)
    close_gap(run, [source], [Squares()])
    record = read_record(source.folder)
    assert record is not None
    (step,) = record.steps
    assert step.kept
    assert step.metadata is not None
    assert step.metadata.nearer
    assert record.part == "validation"
    made = as_generator(source, Squares(), tmp_path)
    assert isinstance(made, Squares)
    assert made.follows_layouts


def test_a_step_that_harms_is_not_kept_and_not_followed(tmp_path: Path) -> None:
    run, source = run_of(tmp_path), source_of(tmp_path)
    worse = Squares(side=12.0, right=40.0)
    close_gap(run, [source], [worse])
    record = read_record(source.folder)
    assert record is not None
    assert record.steps[0].metadata is not None
    assert record.steps[0].metadata.farther
    assert undone(source.folder) == {"layout"}
    made = as_generator(source, worse, tmp_path)
    assert isinstance(made, Squares)
    assert not made.follows_layouts


@pytest.mark.slow
def test_a_step_without_effect_is_not_kept_unless_all_are(tmp_path: Path) -> None:
    same = Squares(side=12.0, right=12.0)
    for keep, wanted in (("helpful", frozenset()), ("all", frozenset({"layout"}))):
        folder = tmp_path / keep
        folder.mkdir()
        source = source_of(folder)
        close_gap(run_of(folder, keep=keep), [source], [same])
        record = read_record(source.folder)
        assert record is not None
        assert record.kept == wanted
        assert record.steps[0].metadata is not None
        assert record.steps[0].metadata.before == record.steps[0].metadata.after


@pytest.mark.slow
def test_what_cannot_be_tried_is_said_and_the_next_step_is_taken(tmp_path: Path) -> None:
    run, source = run_of(tmp_path, steps=("curate", "match", "layout")), source_of(tmp_path)
    close_gap(run, [source], [Squares()])
    record = read_record(source.folder)
    assert record is not None
    curate, match, layout = record.steps
    assert curate.skipped == "objects of squares are not made from shapes"
    assert not match.kept or match.metadata is not None
    assert not layout.skipped
    (facts,) = gap_facts([source])
    assert facts.steps[0].verdict == "not tried"


@pytest.mark.slow
def test_matching_finds_what_the_layout_would_and_is_kept(tmp_path: Path) -> None:
    part = MatchPart(measures=("box_area",), grid=4, trials=6, batch=8, components=1)
    run = run_of(tmp_path, steps=("match", "layout"), match=part.model_dump(exclude_none=True))
    source = source_of(tmp_path)
    close_gap(run, [source], [Squares()])
    record = read_record(source.folder)
    assert record is not None
    assert record.steps[0].kept
    made = as_generator(source, Squares(), tmp_path)
    assert isinstance(made, Squares)
    assert made.knob == pytest.approx(12, rel=0.3)


@pytest.mark.slow
def test_a_loop_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = MatchPart(measures=("box_area",), grid=3, trials=2, batch=6, components=1).model_dump(exclude_none=True)
    records = []
    for name, killed in (("whole", False), ("killed", True)):
        folder = tmp_path / name
        folder.mkdir()
        run, source = run_of(folder, steps=("layout", "match"), match=part), source_of(folder)
        if killed:
            with monkeypatch.context() as patch:
                patch.setattr(looping, "write_record", _killed_at(2))
                with pytest.raises(KeyboardInterrupt):
                    close_gap(run, [source], [Squares()])
            assert len(json.loads(closing_path(source.folder).read_text())["steps"]) == 1
        close_gap(run, [source], [Squares()])
        record = read_record(source.folder)
        assert record is not None
        records.append([replace(step, seconds=0.0) for step in record.steps])
    assert records[0] == records[1]


def _killed_at(number: int) -> object:
    write, calls = looping.write_record, []

    def write_or_die(folder: Path, record: object) -> None:
        calls.append(record)
        if len(calls) == number:
            raise KeyboardInterrupt
        write(folder, record)  # type: ignore[arg-type]

    return write_or_die


def test_few_validation_images_are_joined_by_the_training_images(tmp_path: Path) -> None:
    run, source = run_of(tmp_path), source_of(tmp_path)
    few = cast(Run, SimpleNamespace(**{**vars(run), "real": real_squares(validation=8)}))
    close_gap(few, [source], [Squares()])
    record = read_record(source.folder)
    assert record is not None
    assert (record.part, record.real) == ("exposed", 48)


@pytest.mark.slow
def test_a_kept_filter_joins_those_of_the_recipe(tmp_path: Path) -> None:
    run, source = run_of(tmp_path, steps=("filter",), keep="all"), source_of(tmp_path)
    right = Squares(side=12.0)
    close_gap(run, [source], [right])
    record = read_record(source.folder)
    assert record is not None
    named = [part.use for part in closing_filters(run.recipe, [source.folder])]
    assert named == (["object-density"] if record.kept else [])
    assert record.kept or "far from all real ones" in record.steps[0].skipped


def test_a_kept_filter_has_its_part_in_the_report(tmp_path: Path) -> None:
    run, source = run_of(tmp_path, steps=("filter",)), source_of(tmp_path)
    store, made = ShardStore(tmp_path), real_squares(validation=0).dataset.take(np.arange(3))
    row = {field.name: None if field.nullable else 0 for field in PLAN_SCHEMA}
    store.append_plan([{**row, "slot": slot} for slot in range(3)])
    store.save_judgement(0, range(3), [0] * 3, Judgement({"farthest_object": np.arange(3.0)}, (None, None, "far")))
    measured, tried = SimpleNamespace(before=(), scores=()), Tried(made, {made.ids[2]: "far"})
    for kept in (False, True):
        step = StepRecord("filter", kept, 1.0)
        write_record(source.folder, Record("validation", 40, 60, "random", (step,)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(presenting, "sources_of", lambda *_: [source])
            found = presenting._alignment(run, cast(Any, measured), tried)
        assert (found is not None) is kept
    assert found is not None
    assert (found.judged, found.kept, [score.name for score in found.scores]) == (3, 2, ["farthest_object"])


@pytest.mark.slow
def test_a_filter_is_weighed_by_the_pilot_that_it_was_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, source = run_of(tmp_path, steps=("filter",), keep="all"), source_of(tmp_path)
    made, calls = looping.pilot, []

    def counted(generator: Generator, images: int, **options: Any) -> Dataset:
        calls.append(images)
        return made(generator, images, **options)

    monkeypatch.setattr(looping, "pilot", counted)
    close_gap(run, [source], [Squares(side=12.0)])
    record = read_record(source.folder)
    assert record is not None
    assert record.steps[0].metadata is not None
    assert calls == [36]


def test_a_layout_that_cannot_be_followed_is_not_tried_and_leaves_nothing(tmp_path: Path) -> None:
    run, source = run_of(tmp_path), source_of(tmp_path)
    close_gap(run, [source], [NoLayout()])
    record = read_record(source.folder)
    assert record is not None
    assert record.steps[0].skipped == "expected training pictures with boxes; got none"
    assert not (source.folder / LAID_OUT).exists()


def test_a_generator_that_fails_is_not_taken_for_a_step_that_cannot_be_tried(tmp_path: Path) -> None:
    run, source = run_of(tmp_path), source_of(tmp_path)
    with pytest.raises(ValueError, match="a fault"):
        close_gap(run, [source], [Broken()])
    assert not closing_path(source.folder).exists()


def test_a_pilot_is_no_larger_than_a_fixed_stock(tmp_path: Path) -> None:
    run, source = run_of(tmp_path), source_of(tmp_path)
    close_gap(run, [source], [FewSquares()])
    record = read_record(source.folder)
    assert record is not None
    assert record.images == 30
    assert record.steps[0].metadata is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "searched"), [(("layout", "match", "evolve"), None), (("layout", "evolve"), "light")]
)
def test_evolution_searches_what_was_matched_and_light_alone_where_the_layout_was_kept_without(
    tmp_path: Path, steps: tuple[str, ...], searched: str | None
) -> None:
    match = (
        {"measures": ["box_area"], "grid": 2, "trials": 0, "batch": 4, "components": 1} if "match" in steps else None
    )
    evolve = {"rounds": 1, "population": 4, "pictures": 1}
    values = {"evolve": evolve} | ({} if match is None else {"match": match})
    run, source = run_of(tmp_path, steps=steps, keep="all", **values), source_of(tmp_path)
    close_gap(run, [source], [Squares()])
    record = read_record(source.folder)
    assert record is not None
    assert record.kept == set(steps)
    outcome = json.loads(evolved_path(source.folder).read_text())
    assert outcome["measures"] == (list(LIGHT) if searched else None)


def test_what_was_not_kept_is_not_told_as_if_it_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(tmp_path)
    write_json(source.folder / "fitted.json", {"remarks": ["Fitted."]})
    write_json(curated_path(source.folder), {"sentences": ["2 of 11 shapes were dropped."]})
    monkeypatch.setattr(fitting, "sources_of", lambda *_: [source])
    recipe = run_of(tmp_path).recipe
    assert remarks_of(recipe, tmp_path) == ("Fitted.", "2 of 11 shapes were dropped.")
    steps = (StepRecord("curate", kept=False, seconds=0.0),)
    write_record(source.folder, Record("validation", 40, 36, "random", steps))
    assert remarks_of(recipe, tmp_path) == ("Fitted.",)


def test_a_plan_counts_the_pictures_of_every_step(tmp_path: Path) -> None:
    evolve = {"rounds": 3, "population": 10, "pictures": 2}
    steps = ("layout", "match", "filter", "evolve")
    run = run_of(tmp_path, steps=steps, match={"grid": 5, "trials": 6, "batch": 8}, evolve=evolve)
    assert run.recipe.close_gap is not None
    assert pictures_made(run.recipe, run.recipe.close_gap) == {
        "baseline": 36,
        "layout": 36,
        "match": 36 + 8 * 11,
        "filter": 0,
        "evolve": 36 + 60,
    }


def test_the_recipe_part_says_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="expected each step once; got match, match"):
        CloseGapPart.model_validate({"steps": ["match", "match"]})
    with pytest.raises(ValidationError, match="expected match before evolve, which has the last word"):
        CloseGapPart.model_validate({"steps": ["evolve", "curate", "match"]})
    target = {"numbers": {"count": {"means": [3], "stds": [1]}}}
    with pytest.raises(ValidationError, match="close_gap, which follows the exposed images, or a target; got both"):
        Recipe.model_validate({"data": "builtin:digits", "close_gap": {}, "match": {}, "target": target})
    with pytest.raises(ValidationError, match="without noise; got 2; leave one of them out"):
        Recipe.model_validate({"data": "builtin:digits", "close_gap": {}, "evolve": {"epsilon": 2}})
    values = {"data": "builtin:digits", "close_gap": {"steps": ["layout"]}, "match": {}}
    with pytest.raises(ValidationError, match="expected match among the steps of close_gap"):
        Recipe.model_validate(values)
