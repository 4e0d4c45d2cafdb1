"""Generators other than diffusion under `twinset audit --generator`: by what they make."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import twinset
from twinset import cli
from twinset.contracts import digits
from twinset.errors import DataError
from twinset.formats import write
from twinset.generators.cells import Cell, Cells
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


@pytest.mark.parametrize("kept", ["0-gan", "1-mean-embedding"])
def test_the_command_audits_it_and_ends_with_its_code(place: Path, kept: str) -> None:
    sides = ["--train", str(place / "train"), "--holdout", str(place / "hold")]
    shown = CliRunner().invoke(cli.app, ["audit", *sides, "--generator", str(place / kept), "-q"])
    assert shown.exit_code in (0, 5), shown.output
    said = "no leakage detected" if shown.exit_code == 0 else "inconclusive"
    assert f"generator: {said}" in shown.output
    for text in ("extraction", "gan_leaks", "copies of training images among its samples"):
        assert text in shown.output, text


def test_one_by_an_attribute_is_refused_in_one_line(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "0-gan", tmp_path / "0-diffusion")
    Cells("sex", ("0", "1"), (Cell(0, "f", 9), Cell(1, "m", 9))).save(tmp_path / "0-diffusion")
    with pytest.raises(DataError) as told:
        twinset.audit(train=place / "train", holdout=place / "hold", generator=tmp_path / "0-diffusion")
    assert told.value.message == (
        f"{tmp_path / '0-diffusion'}: expected a generator of classes alone; got one by 'sex'"
    )
    assert told.value.hint == "what it made can be audited: --release dataset"


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
