"""Shape curation in a run: what is committed, what stays in force, runs that are killed in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

import twinset
from twinset import pipeline
from twinset.alignment.curation import ShapeScore
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError, RecipeError
from twinset.executors.local import LocalProcesses
from twinset.formats import read, write
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.pipeline import curating
from twinset.pipeline.curation_facts import curation_facts
from twinset.pipeline.fitting import Source
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Quiet
from twinset.randomness import Stream
from twinset.recipe import CuratePart, recipe_from_values
from twinset.stages import Curatable, Parameter, Slot

SIDE = 64
GOOD = tuple(f"disc/{k}" for k in range(9))
BAD = ("stripes/0", "stripes/1")


def painted(draw: np.random.Generator, shapes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A picture with discs or stripes at two places, and their boxes."""
    pixels = draw.normal(120, 8, (SIDE, SIDE, 3))
    y, x = np.mgrid[:24, :24] - 11.5
    boxes = []
    for shape, left in zip(shapes, (4, 36), strict=False):
        top = int(draw.integers(4, 36))
        patch = pixels[top : top + 24, left : left + 24]
        if shape in BAD:
            patch[:, ::4] = 250
            patch[:, 2::4] = 5
        else:
            patch[x**2 + y**2 < 120] = np.array([200, 60, 60]) + draw.integers(-15, 15, 3)
        boxes.append([left, top, left + 24, top + 24])
    return np.clip(pixels, 0, 255).astype(np.uint8), np.array(boxes, dtype=np.float32)


@dataclass(frozen=True)
class Discs:
    """Discs, and two shapes that are no discs."""

    names: tuple[str, ...] = (*GOOD, *BAD)
    seen: list[int] = field(default_factory=list, compare=False)

    @property
    def shape_parameters(self) -> Mapping[str, Mapping[str, Mapping[str, Parameter]]]:
        return {"disc": {name: {"form": name.partition("/")[0]} for name in self.names}}

    def without(self, shapes: Mapping[str, Sequence[str]]) -> Discs:
        return Discs(tuple(name for name in self.names if name not in shapes.get("disc", ())))

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        for slot in slots:
            self.seen.append(slot.index)
            draw = slot.rng.numpy()
            chosen = [self.names[int(draw.integers(len(self.names)))] for _ in range(2)]
            pixels, boxes = painted(draw, chosen)
            objects = Instances((SIDE, SIDE), np.zeros(2, dtype=np.int64), boxes, columns={"shape_id": tuple(chosen)})
            yield slot.sample(pixels, method="discs", annotation=Annotation(instances=objects))


class HiddenDiscs(Discs):
    """The same, all but hidden."""

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        for sample in super().generate(slots):
            assert sample.annotation is not None
            assert sample.annotation.instances is not None
            objects = sample.annotation.instances
            hidden = replace(objects, columns={**objects.columns, "visible_fraction": (0.1, 0.1)})
            yield replace(sample, annotation=replace(sample.annotation, instances=hidden))


def real_part(count: int, seed: int, prefix: str) -> Dataset:
    draw = np.random.default_rng(seed)
    samples = []
    for row in range(count):
        pixels, boxes = painted(draw, GOOD[:2])
        objects = Instances((SIDE, SIDE), np.zeros(2, dtype=np.int64), boxes)
        samples.append(Sample(f"{prefix}/{row}", Annotation(instances=objects), image=pixels))
    return Dataset.of(samples, classes=["disc"])


@pytest.fixture(scope="module")
def real() -> RealData:
    training, holdout = real_part(20, 0, "train"), real_part(12, 1, "validation")
    plain = SimpleNamespace(
        training=training, dataset=training, spec=ImageSpec(SIDE, SIDE, 3), part=lambda name: holdout
    )
    return cast(RealData, plain)


def committed(folder: Path, real: RealData, generator: object, **settings: object) -> dict[str, object]:
    curating.commit_curation(
        cast(Curatable, generator),  # type: ignore[arg-type]
        folder,
        CuratePart.model_validate({"objects": 12, "images": 96, **settings}),
        real,
        name="discs",
        rng=Stream(3),
        executor=LocalProcesses(1),
        listener=Quiet(),
    )
    return cast("dict[str, object]", json.loads(curating.curated_path(folder).read_text()))


def test_shapes_unlike_the_real_objects_are_left_out_of_what_is_made(tmp_path: Path, real: RealData) -> None:
    stored = committed(tmp_path, real, Discs())
    assert {name: sorted(shapes) for name, shapes in stored["dropped"].items()} == {"disc": list(BAD)}  # type: ignore[attr-defined]
    left = curating.curated(Discs(), tmp_path)
    assert isinstance(left, Discs)
    assert left.names == GOOD
    told = curating.curation_sentences(tmp_path)
    assert "2 of 11 shapes of disc were dropped" in told[0]
    assert any("form = stripes of disc: 2 of 2 shapes dropped" in sentence for sentence in told)


def test_a_pilot_is_as_long_as_the_rarest_class_needs_and_no_longer_than_allowed(
    tmp_path: Path, real: RealData
) -> None:
    """Eleven shapes at 12 objects are 132 objects, or 66 pictures: three chunks of 24."""
    assert committed(tmp_path / "some", real, generator := Discs())["pictures"] == 72
    assert set(range(72)) <= set(generator.seen)
    assert committed(tmp_path / "few", real, Discs(), images=24)["pictures"] == 24


def test_a_pilot_too_small_to_judge_anything_drops_nothing_and_says_so(tmp_path: Path, real: RealData) -> None:
    stored = committed(tmp_path, real, Discs(), images=24, fewest=40)
    assert stored["dropped"] == {}
    assert "11 shapes of disc were seen fewer than 40 times" in " ".join(curating.curation_sentences(tmp_path))
    (facts,) = curation_facts([Source(0, "discs", "generators", None, tmp_path)])
    assert all(shape.low is None for shape in facts.shapes)
    assert isinstance(left := curating.curated(Discs(), tmp_path), Discs)
    assert left.names == Discs().names


def test_a_pilot_in_which_no_object_can_be_judged_tells_its_pictures_all_the_same(
    tmp_path: Path, real: RealData
) -> None:
    stored = committed(tmp_path, real, HiddenDiscs(), images=48)
    assert (stored["pictures"], stored["dropped"]) == (48, {})
    assert curating.curation_sentences(tmp_path) == (
        "Curation of discs: 11 shapes of disc were not seen in the pilot, and stay.",
    )


@pytest.mark.slow
def test_what_was_committed_is_not_done_again_and_a_killed_pilot_ends_in_the_same(
    tmp_path: Path, real: RealData, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = committed(tmp_path / "whole", real, Discs())
    committed(tmp_path / "whole", real, again := Discs())
    assert not again.seen
    with monkeypatch.context() as patched:
        patched.setattr(curating, "traits", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            committed(tmp_path / "killed", real, Discs())
    assert not curating.curated_path(tmp_path / "killed").exists()
    assert committed(tmp_path / "killed", real, Discs()) == whole


def test_what_is_shown_of_it_are_usual_objects_of_dropped_and_kept_shapes(tmp_path: Path, real: RealData) -> None:
    committed(tmp_path, real, Discs())
    (facts,) = curation_facts([Source(0, "discs", "generators", None, tmp_path)])
    assert facts.in_force
    assert {look.picture.id for look in facts.looks if look.dropped} == set(BAD)
    assert {look.picture.id for look in facts.looks if not look.dropped} == set(GOOD)
    for look in facts.looks:
        # Stripes reach both ends of the scale; discs never do.
        assert (int(np.ptp(look.picture.pixels)) > 200) is look.dropped
    assert [(shape.shape_id in BAD) for shape in facts.shapes[:2]] == [True, True]


def test_the_shapes_that_are_shown_are_of_all_classes_the_worst_dropped_and_the_best_kept() -> None:
    def shape(name: str, rank: int) -> ShapeScore:
        return ShapeScore(name, f"{name}/{rank}", 9, 3.0 - rank / 100, 2.0, 4.0, apart=rank < 30, dropped=rank < 30)

    shown = curating.shown_of([shape(name, rank) for name in ("disc", "rod") for rank in range(60)])
    dropped, kept = [one.shape_id for one in shown[:24]], [one.shape_id for one in shown[24:]]
    assert dropped == [f"{name}/{rank}" for name in ("disc", "rod") for rank in range(12)]
    assert kept == [f"{name}/{rank}" for name in ("disc", "rod") for rank in range(59, 53, -1)]


def test_generators_without_shapes_and_real_images_without_objects_are_refused(tmp_path: Path, real: RealData) -> None:
    with pytest.raises(RecipeError, match="curate: expected generators whose objects are made from shapes; got discs"):
        committed(tmp_path, real, object())
    empty = SimpleNamespace(**{**vars(real), "training": real.training.take([0])})
    with pytest.raises(DataError, match="expected more than 6 real objects; got 2"):
        committed(tmp_path, cast(RealData, empty), Discs())


def test_a_recipe_asks_for_it_where_images_have_objects() -> None:
    written = recipe_from_values({"data": "x", "curate": {"rule": "elbow", "most_dropped": 0.5}})
    assert written.recipe.curate is not None
    assert written.recipe.curate.settings.rule == "elbow"
    assert written.recipe.curate.settings.most_dropped == 0.5
    plain = recipe_from_values({"data": "x"}).recipe
    assert "curate" not in plain.to_values()
    assert written.recipe.digest() != plain.digest()
    with pytest.raises(RecipeError, match="curate: expected task detection"):
        recipe_from_values({"data": "x", "task": "classification", "curate": {}}).recipe.for_task("classification")


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_curates_ends_in_the_same_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    real_dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(real_dataset.splits, dtype=object)
    parts = {"train": 16, "validation": 8, "test": 6}
    few = np.concatenate([np.flatnonzero(splits == name)[:count] for name, count in parts.items()])
    write(real_dataset.take(few), tmp_path / "real", "coco")
    shapes = dict.fromkeys(real_dataset.classes, "primitive")
    recipe = {
        "data": str(tmp_path / "real"),
        "minutes": 1,
        "count": 12,
        "shard_size": 6,
        "seed": 5,
        "generate": [{"use": "render", "backdrop": "road", "shapes": shapes, "shapes_per_class": 3}],
        "curate": {"objects": 4, "images": 48},
        "evaluate": {"fidelity": False, "metadata": False, "explain": False, "utility": "off"},
        "gate": {"copies": "off"},
    }
    whole = twinset.run(recipe, out=tmp_path / "whole", workers=1, quiet=True)
    score, calls = curating.score_shapes, []

    def killed(task: curating.ScoreShapes) -> object:
        calls.append(task)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(task)

    with monkeypatch.context() as patched:
        patched.setattr(curating, "score_shapes", killed)
        with pytest.raises(KeyboardInterrupt):
            twinset.run(recipe, out=tmp_path / "killed", workers=1, quiet=True)
    source = Path("models") / "0-render"
    assert not curating.curated_path(tmp_path / "killed" / source).exists()
    assert pipeline.resume(tmp_path / "killed", workers=1, device="cpu", listener=Quiet()).digest == whole.digest
    told = [curating.curated_path(tmp_path / name / source).read_bytes() for name in ("whole", "killed")]
    assert told[0] == told[1]
