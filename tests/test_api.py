"""The Python face takes what the command line takes, and does no work that nobody sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twinset
from twinset import cli, pipeline
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DataError, UsageError
from twinset.formats import read, write
from twinset.formats.writing import WritableFormat
from twinset.images import ImageSpec, Window
from twinset.pipeline.comparing import whole
from twinset.provenance import Provenance, read_provenance
from twinset.randomness import Stream
from twinset.recipe import WrittenRecipe
from twinset.stages import Filter, Judgement


class StoppedError(Exception):
    """The run was about to begin."""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[WrittenRecipe]:
    """The recipes that runs were about to begin with."""
    found: list[WrittenRecipe] = []

    def run(written: WrittenRecipe, **_: object) -> None:
        found.append(written)
        raise StoppedError

    monkeypatch.setattr(pipeline, "run", run)
    return found


@pytest.mark.parametrize("source", ["builtin:digits", "photos", "photos/", "table.csv", "recipe.yaml", "recipe.YML"])
def test_run_takes_what_the_command_line_takes(
    source: str, begun: list[WrittenRecipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, text in (("table.csv", "path,label\n"), ("recipe.yaml", "data: photos\n"), ("recipe.YML", "data: x\n")):
        (tmp_path / name).write_text(text)
    with pytest.raises(StoppedError):
        twinset.run(source, quiet=True)
    monkeypatch.setattr(sys, "argv", ["twinset", "run", source, "--quiet"])
    with pytest.raises(SystemExit):
        cli.main()
    by_python, by_command = begun
    assert by_python == by_command


def test_run_tells_what_it_takes(begun: list[WrittenRecipe]) -> None:
    with pytest.raises(UsageError, match=r"expected a recipe \(\.yaml\), a dataset folder or builtin:NAME"):
        twinset.run(Path("nowhere"), quiet=True)
    with pytest.raises(UsageError, match="no such home folder"):
        twinset.run("~nosuchuser/photos", quiet=True)
    assert not begun


@pytest.mark.parametrize(
    "asked",
    [twinset.load, twinset.resume, twinset.verify, lambda out: twinset.run("builtin:digits", out=out, quiet=True)],
    ids=["load", "resume", "verify", "out"],
)
def test_a_home_folder_that_is_not_there_is_said_in_a_line(asked: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match="'~nosuchuser/x', but there is no such home folder"):
        asked("~nosuchuser/x")


def noise(count: int, seed: int, *shapes: tuple[int, int, int]) -> Dataset:
    draws = Stream(seed).numpy()
    return Dataset.of(
        (
            Sample(
                f"{seed}-{number}",
                Annotation(class_id=number % 2),
                image=draws.integers(256, size=shapes[min(number, len(shapes) - 1)]).astype(np.uint8),
            )
            for number in range(count)
        ),
        classes=("a", "b"),
    )


class Spy:
    """An aligner that keeps everything and the size it was asked to judge at."""

    def __init__(self) -> None:
        self.specs: list[ImageSpec] = []

    def fit(self, pilot: Dataset, *, training: Dataset, holdout: Dataset, spec: ImageSpec, rng: Stream) -> Filter:
        self.specs.append(spec)
        return self

    def judge(self, synthetic: Dataset) -> Judgement:
        return Judgement({}, (None,) * len(synthetic))


def test_alignment_works_at_the_size_that_most_training_images_have_not_the_first() -> None:
    training = noise(9, 1, (6, 6, 1), (12, 10, 3))
    spy, aligners = Spy(), list[Spy]()
    aligners.append(spy)
    found = twinset.align(noise(4, 2, (12, 10, 3)), training=training, holdout=training, rng=0, aligners=aligners)
    assert len(found.kept) == 4
    (spec,) = spy.specs
    assert spec.channels == 3
    assert spec.height > spec.width


def test_evaluate_gives_scores_and_runs_no_copy_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("nobody sees what this test finds")

    monkeypatch.setattr(whole, "copy_gate", refuse)
    sets: Sequence[Dataset] = [noise(20, seed, (8, 8, 1)) for seed in range(3)]
    scores = twinset.evaluate(sets[0], real=sets[1], training=sets[2], rng=0)
    assert {"frechet_distance", "detectability_auc"} <= {score.name for score in scores}
    assert any(score.name.startswith("nearest_record") for score in scores)


@pytest.mark.parametrize("format_", ["imagefolder", "webdataset", "parquet", "csv"])
def test_synthetic_images_carry_their_provenance_into_every_export(format_: WritableFormat, tmp_path: Path) -> None:
    real = noise(3, 1, (8, 8, 1))
    made = Sample("made", Annotation(class_id=1), Origin("diffusion", 7, "ab" * 32, ("1-0",)), real[0].pixels())
    both = Dataset.of([*real, made], classes=real.classes)
    both.export(tmp_path / "there", format=format_)
    pipeline.convert(str(tmp_path / "there"), tmp_path / "again", "parquet")
    for place in ("there", "again"):
        found = twinset.load(tmp_path / place)
        notes = {sample.id: read_provenance(sample.encoded()) for sample in found}
        assert notes == {"1-0": None, "1-1": None, "1-2": None, "made": Provenance.of(made)}
        assert all(np.array_equal(sample.pixels(), both[both.row_of(sample.id)].pixels()) for sample in found)


def test_convert_adds_the_provenance_that_only_the_table_knew(tmp_path: Path) -> None:
    made = (replace(sample, origin=Origin("diffusion", 7, "ab" * 32)) for sample in noise(2, 1, (8, 8, 1)))
    write(Dataset.of(made, classes=("a", "b")), tmp_path / "bare", "parquet")
    assert all(read_provenance(sample.encoded()) is None for sample in twinset.load(tmp_path / "bare"))
    pipeline.convert(str(tmp_path / "bare"), tmp_path / "marked", "imagefolder")
    marked = twinset.load(tmp_path / "marked")
    assert [read_provenance(sample.encoded()) for sample in marked] == [Provenance.of(sample) for sample in marked]


def test_a_run_is_looked_at_checked_and_continued_by_its_folder(tmp_path: Path) -> None:
    digits = twinset.load("builtin:digits")
    digits.take(range(150)).export(tmp_path / "real", format="imagefolder")
    recipe: dict[str, object] = {
        "data": str(tmp_path / "real"),
        "count": 10,
        "generate": [],
        "edit": [{"use": "mixup"}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off"},
        "gate": {"copies": "off"},
    }
    done = twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)
    assert twinset.status(tmp_path / "run").finished
    assert twinset.resume(tmp_path / "run", workers=1, quiet=True).digest == done.digest
    found = twinset.verify(tmp_path / "run", samples=3, quiet=True)
    assert (found.ok, found.regenerated) == (True, 3)
    with pytest.raises(ValueError, match="expected samples"):
        twinset.verify(tmp_path / "run", samples=-1, quiet=True)


def test_sixteen_bit_pictures_are_told_and_take_a_window(tmp_path: Path) -> None:
    for name, low in (("a", 0), ("b", 2000)):
        (tmp_path / "x" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((8, 8), low + 600 * number, dtype=np.uint16)).save(
                tmp_path / "x" / name / f"{number}.png"
            )
    _, report = read(tmp_path / "x")
    assert any("set data.window" in warning for warning in report.warnings)
    assert max(int(sample.pixels().max()) for sample in twinset.load(tmp_path / "x")) < 20
    bright = twinset.load(tmp_path / "x", window=(0, 3200))
    assert max(int(sample.pixels().max()) for sample in bright) == 255
    _, report = read(tmp_path / "x", window=Window(0, 3200))
    assert not any("data.window" in warning for warning in report.warnings)


def test_a_comparison_with_nothing_is_refused() -> None:
    digits = twinset.load("builtin:digits")
    with pytest.raises(DataError, match="expected at least one synthetic image"):
        twinset.evaluate(digits.take([]), real=digits.take(range(40)), rng=0)
