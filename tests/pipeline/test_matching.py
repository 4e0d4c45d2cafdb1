"""The search for configurations of a generator: known answers, and runs that are killed in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import twinset
from twinset import pipeline
from twinset.alignment.metadata import Component, Matched, measure, target_from_numbers
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import RecipeError
from twinset.formats import read, write
from twinset.generators.copypaste import CopyPaste, CopyPasteGenerator
from twinset.instances import Instances
from twinset.pipeline import matching
from twinset.pipeline.reporting import Quiet
from twinset.randomness import Stream
from twinset.recipe import MatchPart
from twinset.stages import Configurable, Slot

MATCH = {"grid": 5, "trials": 4, "batch": 6, "components": 2}
QUICK = {
    "minutes": 1,
    "count": 16,
    "shard_size": 8,
    "seed": 5,
    "evaluate": {"fidelity": False, "metadata": False, "utility": "off"},
    "gate": {"copies": "off"},
}


@dataclass(frozen=True)
class Squares:
    """A made-up generator: one box an image, its side set by ``knob`` (2 px for each unit), or by no configuration."""

    weighted: tuple[tuple[float, Mapping[str, float]], ...] = ((1.0, {"knob": 1.0}),)

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        return {"knob": (1.0, 30.0)}

    def configured(self, weighted: Sequence[tuple[float, Mapping[str, float]]]) -> Squares:
        return Squares(tuple(weighted))

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        shares = np.array([weight for weight, _ in self.weighted])
        for slot in slots:
            draws = slot.rng.numpy()
            values = self.weighted[int(draws.choice(len(shares), p=shares / shares.sum()))][1]
            side = 2 * values["knob"] * float(np.exp(draws.normal(0, 0.05)))
            box = np.array([[0, 0, side, side]], dtype=np.float32)
            instances = Instances((100, 100), np.zeros(1, dtype=np.int64), box)
            yield slot.sample(
                np.zeros((100, 100, 1), dtype=np.uint8), method="squares", annotation=Annotation(instances=instances)
            )


def searched(folder: Path, generator: object = Squares(), **changes: int) -> Squares:
    numbers = {"box_area": {"means": [0.01, 0.16], "stds": [0.1, 0.1], "weights": [0.3, 0.7]}}
    part = MatchPart.model_validate({"grid": 6, "trials": 20, "batch": 12, **changes})
    matching.commit_match(
        generator,
        folder,
        part,
        target_from_numbers(numbers),
        classes=("square",),
        name="squares",
        rng=Stream(3),
        listener=Quiet(),
    )
    found = matching.following(generator, folder, name="squares")
    assert isinstance(found, Squares)
    return found


def test_the_knob_of_each_component_is_found_and_weighted(tmp_path: Path) -> None:
    """An area of 1 % of the picture is a side of 10 px, knob 5; 16 % is knob 20."""
    found = dict(sorted((round(values["knob"]), weight) for weight, values in searched(tmp_path).weighted))
    assert found == {5: pytest.approx(0.3), 20: pytest.approx(0.7)}


def test_what_a_search_left_is_what_the_images_measure(tmp_path: Path) -> None:
    generator = searched(tmp_path)
    slots = [Slot(n, 0, Stream(9).child(n).seed, 0, "x") for n in range(300)]
    areas = measure(Dataset.of(generator.generate(slots), classes=["square"]), pixels=False).values("box_area")
    assert float((areas > np.log(0.05)).mean()) == pytest.approx(0.7, abs=0.1)
    assert float(np.exp(np.median(areas[areas > np.log(0.05)]))) == pytest.approx(0.16, rel=0.1)


def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = searched(tmp_path / "whole")
    batches = 0
    batch = matching._batch

    def few(*arguments: object) -> Dataset:
        nonlocal batches
        batches += 1
        if batches > 4:
            raise KeyboardInterrupt
        return batch(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(matching, "_batch", few)
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / "killed")
    assert len(json.loads((tmp_path / "killed" / "trials.json").read_text())) == 4
    assert searched(tmp_path / "killed") == whole
    assert (tmp_path / "killed" / "trials.json").read_bytes() == (tmp_path / "whole" / "trials.json").read_bytes()


def test_what_cannot_be_reached_is_said(tmp_path: Path) -> None:
    class Small(Squares):
        @property
        def space(self) -> Mapping[str, tuple[float, float]]:
            return {"knob": (4.0, 6.0)}

        def configured(self, weighted: Sequence[tuple[float, Mapping[str, float]]]) -> Small:
            return Small(tuple(weighted))

    searched(tmp_path, Small(), trials=4)
    first, *rest = matching.match_sentences(tmp_path)
    assert "1 of 2 components (30% of the target) were reached" in first
    assert len(rest) == 1
    assert "not reached: box_area 0.16 (nearest 0.01" in rest[0]


def test_what_two_components_have_in_common_is_guessed_and_measured_once(tmp_path: Path) -> None:
    class Guessing(Squares):
        def steered_by(self, measures: Sequence[str]) -> Guessing:
            return self

        def guess(self, means: Mapping[str, float], stds: Mapping[str, float]) -> Mapping[str, float]:
            return {"knob": 8.0}

    searched(tmp_path, Guessing(), trials=0)
    knobs = [trial["configuration"]["knob"] for trial in json.loads((tmp_path / "trials.json").read_text())]
    assert len(knobs) == 6
    assert knobs.count(8.0) == 1


def test_a_generator_without_a_space_is_refused() -> None:
    with pytest.raises(RecipeError, match="expected generators with a configuration space; got folder"):
        matching.configurable(object(), ["box_area"], name="folder")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    parts = {"train": 16, "validation": 6, "test": 6}
    folder = tmp_path_factory.mktemp("matching") / "real"
    write(dataset.take(np.concatenate([np.flatnonzero(splits == k)[:n] for k, n in parts.items()])), folder, "coco")
    return folder


@pytest.fixture(scope="module")
def finished(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("matched") / "run"
    twinset.run({"data": str(real), **QUICK, "match": MATCH}, out=out, workers=1, quiet=True)
    return out


def test_copypaste_is_searched_over_the_settings_of_the_measures(real: Path) -> None:
    training = read(real)[0]
    generator = CopyPaste().fit(training.where([s == "train" for s in training.splits]), rng=Stream(0))
    placed = matching.configurable(generator, ["box_area", "centre_y"], name="copypaste")
    assert isinstance(placed, Configurable)
    assert set(placed.space) == {"log_area_mean", "log_area_std", "centre_y_mean", "centre_y_std"}
    with pytest.raises(RecipeError, match="expected measures that copypaste can move"):
        matching.configurable(generator, ["brightness"], name="copypaste")


@pytest.mark.slow
def test_a_run_keeps_its_search_and_tells_of_it(finished: Path) -> None:
    assert len(json.loads((finished / "models" / "0-copypaste" / "trials.json").read_text())) >= 1
    assert "Matching of copypaste with the exposed images" in (finished / "report.html").read_text()


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_searches_ends_in_the_same_dataset(
    real: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(matching.Trial, "of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            twinset.run({"data": str(real), **QUICK, "match": MATCH}, out=tmp_path / "run", workers=1, quiet=True)
    document = pipeline.resume(tmp_path / "run", workers=1, device="cpu", listener=Quiet())
    assert document.digest == json.loads((finished / "result.json").read_text())["digest"]


@pytest.mark.slow
def test_samples_of_a_matched_run_can_be_made_again(finished: Path) -> None:
    assert pipeline.verify(finished, samples=3, device="cpu", listener=Quiet()).ok


def test_weights_are_of_images_but_where_objects_follow_one_by_one() -> None:
    component = Component(0.3, {"box_area": 0.0}, {"box_area": 1.0})
    one = Matched(component, {}, 0.6, 0.0, reached=True)
    placed = matching.PlacedSpace(cast(CopyPasteGenerator, None), ())
    assert matching._weight(one, Squares(), ["box_area"]) == 0.6
    assert matching._weight(one, placed, ["box_area"]) == 0.3
    assert matching._weight(one, placed, ["box_area", "count"]) == 0.6


@pytest.mark.slow
def test_the_twin_of_a_matched_run_follows_what_was_found(real: Path, tmp_path: Path) -> None:
    numbers = {"box_area": {"means": [0.008], "stds": [0.1]}}
    changes = {"target": {"numbers": numbers}, "match": {**MATCH, "trials": 0}}
    document = twinset.run({"data": str(real), **QUICK, **changes}, out=tmp_path / "run", workers=1, quiet=True)
    twin = measure(read(Path(document.exports["coco"]))[0], pixels=False)
    assert float(np.exp(np.median(twin.values("box_area")))) == pytest.approx(0.008, rel=0.15)
