"""Generators other than diffusion under `twinset audit --generator`: by what they make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.contracts import digits
from twinset.formats import write
from twinset.generators.gan import GAN
from twinset.generators.mean_embedding import MeanEmbedding
from twinset.randomness import Stream
from twinset.stages import Workspace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in class folders, train and hold (150 each), and two generators of the former.

    In random order, as those who wrote the first of the digits did not write the next.
    """
    root, everything = tmp_path_factory.mktemp("generators"), digits(1797)
    shown = everything.take(Stream(0).numpy().permutation(1797)[:300].tolist())
    write(shown.take(range(150)), root / "train", "imagefolder")
    write(shown.take(range(150, 300)), root / "hold", "imagefolder")
    training = shown.take(range(150))
    small = GAN(16, 4, 8, 2, 8, 1, 1e-3, 1e-3, looks=0)
    small.fit(training, rng=0, workspace=Workspace(folder=root / "0-gan"))
    MeanEmbedding(features=20, steps=3).fit(training, rng=0, workspace=Workspace(folder=root / "1-mean-embedding"))
    return root


@pytest.mark.parametrize("kept", ["0-gan", "1-mean-embedding", "0-gan/model.safetensors"])
def test_it_is_attacked_by_fresh_samples_alone(place: Path, kept: str) -> None:
    document = twinset.audit(train=place / "train", holdout=place / "hold", generator=place / kept)
    part = document.generator
    assert part is not None
    assert set(part.p_values) == {"extraction", "gan_leaks"}
    assert part.facts["samples"] == 150
    assert [control.what for control in part.controls] == [
        f"{control.dose} copies of training images among its samples" for control in part.controls
    ]
    assert part.controls
    # An untrained generator shows nobody, and the planted copies decide whether that can be said.
    assert part.answer == ("no_leakage_detected" if part.controls[0].found else "inconclusive")


def test_a_generator_that_gives_its_training_images_away_is_found(place: Path) -> None:
    """The weights of a GAN cannot be planted; its samples can: those of one that copies are flagged."""
    from twinset.copytest import Known
    from twinset.images import ImageSpec
    from twinset.models.gan.model import GanModel
    from twinset.privacy.attacks.sampled import OnlySampled
    from twinset.privacy.audit.generator_release import GeneratorRelease, audit_generator
    from twinset.privacy.audit.model_release import Targets
    from twinset.privacy.audit.witnesses import witnesses

    sides = [twinset.load(str(place / name)) for name in ("train", "hold")]
    spec = ImageSpec(8, 8, 1)
    shown = [(side.prepared(spec), side.class_ids) for side in sides]
    who = witnesses(shown[0][0], shown[1][0], Known(shown[0][1]), Known(shown[1][1]))
    generator = OnlySampled(GanModel.load(place / "0-gan"))
    made = generator.sample(np.arange(150) % 10, rng=Stream(0))
    made[:60] = shown[0][0][::2][:60]
    release = GeneratorRelease(generator, Targets.of(who, *shown), made, None)
    found = audit_generator(release, rng=Stream(1), controls=False)
    assert found.answer == "leak_found"
