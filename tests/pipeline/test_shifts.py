"""In what the held-out images of a run differ from the exposed ones: found by its own stream, told once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.pipeline import metadata
from twinset.pipeline.metadata import commit_shifts, shifts_of
from twinset.pipeline.opening import Run
from twinset.pipeline.real import RealData, RealFacts
from twinset.randomness import Stream


class Notes:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


def run_of(folder: Path, *, factor: float, validation: float | None = None, seed: int = 0) -> Run:
    """A run whose held-out objects are ``factor`` times as large as the exposed ones, or those of a part another."""
    rng, samples = Stream(1).numpy(), []
    for number in range(80):
        larger = 1 if number < 40 else factor if validation is None or number >= 60 else validation
        side = 12 * float(np.exp(rng.normal(0, 0.1))) * larger
        box = np.array([[5, 5, 5 + side, 5 + side]], dtype=np.float32)
        said = Annotation(instances=Instances((64, 64), np.zeros(1, dtype=np.int64), box))
        samples.append(Sample(str(number), said, image=np.zeros((64, 64, 1), dtype=np.uint8)))
    splits = ["train"] * 40 + ["validation"] * 20 + ["test"] * 20
    dataset = Dataset.of(samples, classes=["thing"], splits=splits)
    facts = RealFacts("0", "boxes", None, "", (), (), "detection")
    real = RealData(dataset, np.arange(80), ImageSpec(8, 8, 1), facts)
    return cast(Run, SimpleNamespace(folder=folder, real=real, stream=Stream(seed), listener=Notes()))


def heard(run: Run) -> list[str]:
    return cast(Notes, run.listener).heard


def test_a_shift_is_noted_in_the_first_sitting_alone_and_stays_for_the_report(tmp_path: Path) -> None:
    first, second = run_of(tmp_path, factor=1.6), run_of(tmp_path, factor=1.6)
    commit_shifts(first)
    commit_shifts(second)
    assert any("box_area" in sentence for sentence in heard(first))
    assert heard(second) == []
    assert shifts_of(second) == tuple(heard(first))
    assert heard(second) == []


def test_test_images_unlike_the_validation_images_are_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, factor=1.6, validation=1.0)
    assert [text for text in shifts_of(run) if text.startswith("Test images differ from validation images in box_area")]
    alike = shifts_of(run_of(tmp_path / "alike", factor=1.6))
    assert alike
    assert not [text for text in alike if text.startswith("Test images differ")]


def test_parts_that_are_alike_are_not_told_apart(tmp_path: Path) -> None:
    run = run_of(tmp_path, factor=1.0)
    assert shifts_of(run) == ()
    assert heard(run) == []


def test_the_draws_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    def asked(*_: object, rng: Stream, **__: object) -> tuple[()]:
        seeds.append(rng.seed)
        return ()

    monkeypatch.setattr(metadata, "detect_shift", asked)
    for number, seed in enumerate((3, 4, 3)):
        commit_shifts(run_of(tmp_path / str(number), factor=1.0, seed=seed))
    assert len(seeds) == 6
    assert seeds[:2] == seeds[4:]
    assert len(set(seeds)) == 4
