"""Trainings of a comparison that was stopped are there when it is asked again, and gone when it is done."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import utility_study
from twinset.pipeline.comparing import kept_trainings, utility
from twinset.pipeline.comparing.kept_trainings import ABANDONED_SECONDS, key_of, settings_once, study_folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "studies"


def stopped_study() -> Path:
    """What a study that was interrupted has left."""
    with suppress(KeyboardInterrupt), study_folder("one") as folder:
        (folder / "cell.json").write_text("{}")
        raise KeyboardInterrupt
    return folder


def test_a_folder_is_kept_after_an_error_and_gone_after_none(cache: Path) -> None:
    folder = stopped_study()
    with study_folder("one") as again:
        assert again == folder == cache / "one"
        assert (again / "cell.json").exists()
    assert not folder.exists()


def test_two_at_the_same_study_have_a_folder_each(cache: Path) -> None:
    with study_folder("one") as first, study_folder("one") as second:
        assert first != second
        assert second.is_dir()
    assert not second.exists()
    assert not (cache / "one").exists()


def test_without_a_cache_that_can_be_written_to_it_is_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "file"))
    with study_folder("one") as folder:
        assert folder.is_dir()
        assert tmp_path not in folder.parents
    assert not folder.exists()


def test_what_nobody_came_back_to_goes(cache: Path) -> None:
    for name, age in (("old", 1.1), ("new", 0.5)):
        (cache / name).mkdir(parents=True)
        (cache / name / "cell.json").write_text("{}")
        then = time.time() - age * ABANDONED_SECONDS
        for path in (cache / name / "cell.json", cache / name):
            os.utime(path, (then, then))
    with study_folder("one"):
        assert sorted(path.name for path in cache.iterdir()) == ["new", "one"]


def test_settings_are_chosen_once(tmp_path: Path) -> None:
    first = settings_once(tmp_path, lambda: ClassifierSettings(steps=350, width=24))
    again = settings_once(tmp_path, lambda: ClassifierSettings(steps=900, width=32))
    assert (again.steps, again.width) == (first.steps, first.width) == (350, 24)
    (tmp_path / "settings.json").write_text("{")
    assert settings_once(tmp_path, lambda: ClassifierSettings(steps=900)).steps == 900


def test_another_time_or_seed_is_another_study() -> None:
    keys = {key_of("a", seed=0, seconds=60), key_of("a", seed=1, seconds=60), key_of("a", seed=0, seconds=61)}
    assert len({*keys, key_of("b", seed=0, seconds=60)}) == 4


def lights(count: int, seed: int) -> Dataset:
    """Bright above (class 0) or below (class 1), in noise."""
    draws = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        pixels = draws.integers(128, size=(8, 8, 1)).astype(np.uint8)
        pixels[slice(0, 4) if number % 2 == 0 else slice(4, 8)] += 127
        samples.append(Sample(f"{seed}-{number}", Annotation(class_id=number % 2), image=pixels))
    return Dataset.of(samples, classes=("above", "below"))


@pytest.mark.slow
def test_an_interrupted_comparison_goes_on_where_it_was(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {name: tmp_path / name for name in ("held", "made", "train")}
    for seed, path in enumerate(paths.values()):
        lights(40, seed).export(path, format="imagefolder")
    steps = iter((4, 6))
    monkeypatch.setattr(utility, "choose_settings", lambda *_, **__: ClassifierSettings(steps=next(steps), width=16))
    monkeypatch.setattr(utility, "FEWEST_STEPS", 0)
    trained: list[str] = []
    run_cell = utility_study.run_cell

    def counting(cell: object, *arguments: object, **named: object) -> object:
        if len(trained) == 3:
            trained.append("stop")
            raise KeyboardInterrupt
        trained.append(str(cell))
        return run_cell(cell, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(utility_study, "run_cell", counting)

    def compared() -> twinset.documents.CompareDocument:
        return twinset.compare(
            paths["held"], paths["made"], train=paths["train"], utility=True, metrics="kid", workers=1, minutes=1
        )

    with pytest.raises(KeyboardInterrupt):
        compared()
    (left,) = cache.iterdir()
    assert len(list(left.rglob("*_k0_s*.json"))) == 3
    found = compared()
    assert len(trained) == len(set(trained))  # none of the three was done again, and the steps stayed those of before
    assert found.verdict is not None
    assert not list(cache.iterdir())
    assert kept_trainings.cache_folder() == cache.parent
