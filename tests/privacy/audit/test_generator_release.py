from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from twinset.copytest import Known
from twinset.images import ImageSpec
from twinset.models.diffusion import DiffusionSettings, fit_diffusion
from twinset.models.networks import NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.privacy.attacks.diffusion import ReleasedDiffusion
from twinset.privacy.audit import generator_release
from twinset.privacy.audit.generator_release import GeneratorRelease, audit_generator, sampled
from twinset.privacy.audit.model_release import Targets
from twinset.privacy.audit.witnesses import witnesses
from twinset.randomness import Stream
from twinset.threads import torch_threads

Side = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class OnlySamples:
    """Images of a set with noise: it can be sampled, and asked nothing else."""

    pictures: np.ndarray
    class_ids: np.ndarray

    def sample(self, class_ids: np.ndarray, *, rng: Stream) -> np.ndarray:
        draw = rng.numpy()
        rows = np.array([draw.choice(np.flatnonzero(self.class_ids == each)) for each in class_ids])
        made = self.pictures[rows] + draw.normal(0, 12, (len(rows), *self.pictures.shape[1:]))
        return np.clip(np.rint(made), 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class WithLosses(OnlySamples):
    """It also tells the squared distance to the nearest of its images of the class."""

    times = (0,)

    def losses(self, pictures: np.ndarray, class_ids: np.ndarray, *, time: int, rng: Stream) -> np.ndarray:
        rows, others = (each.reshape(len(each), -1).astype(float) for each in (pictures, self.pictures))
        squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * rows @ others.T
        return np.where(class_ids[:, None] == self.class_ids, squares, np.inf).min(axis=1)


@dataclass(frozen=True, eq=False)
class TrainedOn(WithLosses):
    """And copies of it can be shown more images: one in ``every`` of a pass stays."""

    every: int = 60

    def exposed(self, pictures: np.ndarray, class_ids: np.ndarray, *, passes: int, rng: Stream) -> TrainedOn:
        kept = slice(None, None, max(1, self.every // passes))
        return replace(
            self,
            pictures=np.concatenate([self.pictures, pictures[kept]]),
            class_ids=np.concatenate([self.class_ids, class_ids[kept]]),
        )


@pytest.fixture(scope="module")
def sides() -> list[Side]:
    """Training, held-out, reference and public digits, 400 each."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(images))
    return [(images[rows], found.target[rows]) for rows in np.split(order[:1600], 4)]


@pytest.fixture(scope="module")
def targets(sides: list[Side]) -> Targets:
    training, holdout = sides[:2]
    return Targets.of(witnesses(training[0], holdout[0], Known(training[1]), Known(holdout[1])), training, holdout)


def release(made_by: OnlySamples, targets: Targets, sides: list[Side]) -> GeneratorRelease:
    samples = sampled(made_by, sides[0][1], 300, rng=Stream(5))
    return GeneratorRelease(made_by, targets, samples, sides[2])


def test_a_generator_that_holds_its_training_images_is_found_by_its_losses_and_by_what_it_makes(sides, targets) -> None:
    found = audit_generator(release(WithLosses(*sides[0]), targets, sides), rng=Stream(0))
    assert found.answer == "leak_found"
    assert {"loss", "quantile_regression", "extraction", "gan_leaks"} == set(found.p_values)
    assert max(found.p_values[name] for name in ("loss", "extraction")) < 1e-6
    assert found.facts["extracted_training"] > 10 * max(1, found.facts["extracted_holdout"])
    sampled_only = audit_generator(release(OnlySamples(*sides[0]), targets, sides), rng=Stream(0))
    assert sampled_only.answer == "leak_found"
    assert set(sampled_only.p_values) == {"extraction", "gan_leaks"}


def test_a_generator_of_other_images_passes_and_the_least_exposure_that_was_found_is_told(sides, targets) -> None:
    found = audit_generator(release(TrainedOn(*sides[3]), targets, sides), rng=Stream(0))
    assert found.answer == "no_leakage_detected", found.finding
    exposed = [control for control in found.controls if "more times" in control.what]
    assert (exposed[0].dose, exposed[0].found) == (50, True)
    least = min(control.dose for control in exposed if control.found)
    assert f"a copy of it that saw each of the training images {least} more times" in found.finding
    assert "copies of training images among its samples" in found.finding


def test_images_that_steps_are_chosen_on_are_not_scored_nor_more_than_a_number(sides, targets, monkeypatch) -> None:
    found = audit_generator(release(WithLosses(*sides[3]), targets, sides), rng=Stream(0), controls=False)
    loss = next(figures for figures in found.attacks if figures.name == "loss")
    members = targets.witnesses.members
    assert loss.members == members - round(0.2 * members)
    assert loss.members == found.facts["scored_training"]
    monkeypatch.setattr(generator_release, "MOST_SCORED", 90)
    fewer = audit_generator(release(WithLosses(*sides[3]), targets, sides), rng=Stream(0), controls=False)
    assert (fewer.facts["scored_training"], fewer.facts["scored_holdout"]) == (90, 90)


def test_nothing_is_cleared_where_no_copy_can_be_trained_on_or_the_copies_are_not_found(sides, targets) -> None:
    without = audit_generator(release(WithLosses(*sides[3]), targets, sides), rng=Stream(0))
    assert without.answer == "inconclusive"
    assert "no copy of this generator can be trained on" in without.finding

    class Forgets(TrainedOn):
        def exposed(self, pictures: np.ndarray, class_ids: np.ndarray, *, passes: int, rng: Stream) -> TrainedOn:
            return self

    missed = audit_generator(release(Forgets(*sides[3]), targets, sides), rng=Stream(0))
    assert missed.answer == "inconclusive"
    assert "saw each of the training images 50 more times was not found" in missed.finding


@pytest.mark.slow
def test_an_over_fitted_diffusion_model_is_found_from_the_inside(sides) -> None:
    """Of 64 digits, seen 150 times each."""
    training, holdout = ((pictures[:64], labels[:64]) for pictures, labels in sides[:2])
    few = Targets.of(witnesses(training[0], holdout[0], Known(training[1]), Known(holdout[1])), training, holdout)
    settings = DiffusionSettings(
        NetworkSettings("unet", 32, 1, 2, 2), TrainingSettings(steps=1, batch=64), SamplingSettings(steps=5), looks=0
    )
    with torch_threads(1):
        fresh = ReleasedDiffusion(
            fit_diffusion(*training, n_classes=10, settings=settings, rng=Stream(0))  # type: ignore[arg-type]
        )
        fitted = fresh.exposed(*training, passes=150, rng=Stream(1))
        assert fresh.model.spec == ImageSpec(8, 8, 1)
        asked = GeneratorRelease(fitted, few, sampled(fitted, training[1], 40, rng=Stream(2)), sides[2])
        found = audit_generator(asked, rng=Stream(0), controls=False)
    assert found.answer == "leak_found", found.p_values
    assert {"loss", "secmi", "pia"} <= set(found.p_values)
    assert min(found.p_values[name] for name in ("loss", "secmi", "pia")) < 1e-3
