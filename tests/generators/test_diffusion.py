from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from twinset.dataset import Dataset
from twinset.errors import RunFolderError
from twinset.formats import read
from twinset.generators.diffusion import Diffusion, DiffusionGenerator
from twinset.images import ImageSpec
from twinset.models import calibrated, choices
from twinset.models.calibration import DiffusionPlan
from twinset.models.networks import NetworkSettings
from twinset.randomness import Stream
from twinset.stages import CalibratedMethod, ResumableMethod, Slot, Workspace

TINY = Diffusion(
    family="unet", width=32, depth=1, levels=1, patch=2, steps=4, batch=8, augment=0.3, sampler_steps=3, sample_batch=4
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return read("builtin:digits", on_bad_input="refuse")[0].take(range(30))


@pytest.fixture(scope="module")
def generator(digits: Dataset) -> DiffusionGenerator:
    return TINY.fit(digits, rng=1)


def slots(indices: Sequence[int]) -> list[Slot]:
    return [Slot(i, 0, Stream(9).child(i).seed, i % 10, "digest") for i in indices]


def test_it_is_a_method_that_resumes_and_calibrates() -> None:
    assert isinstance(TINY, ResumableMethod)
    assert isinstance(TINY, CalibratedMethod)


def test_a_slot_gives_the_same_pixels_alone_in_company_and_in_any_order(generator: DiffusionGenerator) -> None:
    together = {s.id: s.pixels() for s in generator.generate(slots(range(11)))}
    for order in ([7], [10, 3, 7, 2], [2, 6, 10]):
        for sample in generator.generate(slots(order)):
            assert np.array_equal(sample.pixels(), together[sample.id])


def test_samples_carry_class_seed_and_method(generator: DiffusionGenerator) -> None:
    (sample,) = generator.generate(slots([13]))
    assert sample.annotation is not None
    assert sample.annotation.class_id == 3
    assert sample.origin.method == "diffusion"
    assert sample.origin.seed == slots([13])[0].seed


def test_interactive_sampling_takes_a_count_or_class_ids(generator: DiffusionGenerator) -> None:
    assert generator.sample([3, 3, 1], rng=0).class_ids.tolist() == [3, 3, 1]
    drawn = generator.sample(6, rng=0)
    assert len(drawn) == 6
    assert drawn.digest() == generator.sample(6, rng=0).digest() != generator.sample(6, rng=1).digest()
    with pytest.raises(ValueError, match=r"0…9; got 10"):
        generator.sample([10], rng=0)


def test_a_loaded_generator_makes_the_same_images(digits: Dataset, tmp_path: Path) -> None:
    fitted = TINY.fit(digits, rng=1, workspace=Workspace(folder=tmp_path))
    loaded = TINY.load(tmp_path)
    for left, right in zip(fitted.generate(slots([0, 5])), loaded.generate(slots([0, 5])), strict=True):
        assert np.array_equal(left.pixels(), right.pixels())


def test_unlabelled_images_are_refused(digits: Dataset) -> None:
    from dataclasses import replace

    unlabelled = Dataset.of([replace(digits[0], annotation=None)], classes=digits.classes)
    with pytest.raises(ValueError, match="labelled"):
        TINY.fit(unlabelled, rng=0)


def test_resolving_leaves_nothing_open_and_keeps_what_was_asked_for() -> None:
    asked = Diffusion(width=32, steps=7)
    settled = asked.resolve(ImageSpec(8, 8, 1), n_classes=2, n_training=20, seconds=0.5, threads=1)
    assert settled.open == ()
    assert (settled.width, settled.steps) == (32, 7)
    assert settled.resolve(ImageSpec(8, 8, 1), n_classes=2, n_training=20, seconds=9, threads=1) is settled


def test_a_transformer_can_be_asked_for_at_any_size() -> None:
    settled = Diffusion(family="transformer", width=32, depth=1).resolve(
        ImageSpec(8, 8, 1), n_classes=2, n_training=20, seconds=0.5, threads=1
    )
    assert (settled.family, settled.levels, settled.depth) == ("transformer", 1, 1)


def test_an_open_fit_decides_once_per_workspace(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def timed(*args: object, **kwargs: object) -> DiffusionPlan:
        calls.append(1)
        return DiffusionPlan(NetworkSettings("unet", 32, 1, 1, 2), 8, 2 + len(calls), 0.3)

    monkeypatch.setattr(choices, "calibrate", timed)
    open_ = Diffusion(sampler_steps=2)
    first = open_.fit(digits, rng=1, workspace=Workspace(folder=tmp_path))
    again = open_.fit(digits, rng=1, workspace=Workspace(folder=tmp_path))
    assert len(calls) == 1
    assert first.model.settings == again.model.settings


def test_a_damaged_plan_is_named(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / calibrated.PLAN_FILE).write_text("{")
    with pytest.raises(RunFolderError, match=r"plan\.json"):
        Diffusion().fit(digits, rng=1, workspace=Workspace(folder=tmp_path))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"augment": 2.0}, {"family": "gan"}, {"width": 33}, {"looks": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Diffusion(**wrong)  # type: ignore[arg-type]
