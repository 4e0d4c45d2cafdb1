from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import twinset
from twinset import cli
from twinset.copytest import Known
from twinset.errors import DataError, UsageError
from twinset.pipeline.auditing import _comparable, blind_baseline, known_classes
from twinset.privacy.audit.dataset_release import DatasetRelease
from twinset.randomness import Stream


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in class folders: train, hold and ref (599 each), ``leaky`` and ``fair`` made from train and ref."""
    from sklearn.datasets import load_digits

    found, root = load_digits(), tmp_path_factory.mktemp("audit")
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    draw = np.random.Generator(np.random.PCG64(0))
    parts = np.array_split(draw.permutation(len(images)), 3)

    def write(name: str, pictures: np.ndarray, labels: np.ndarray) -> None:
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            path = root / name / str(label) / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)

    def smoothed(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = rows[draw.integers(len(rows), size=300)]
        noise = draw.normal(0, 12, images[chosen].shape)
        return np.clip(np.rint(images[chosen] + noise), 0, 255).astype(np.uint8), found.target[chosen]

    for name, rows in zip(("train", "hold", "ref"), parts, strict=True):
        write(name, images[rows], found.target[rows])
    write("leaky", *smoothed(parts[0]))
    write("fair", *smoothed(parts[2]))
    return root


@pytest.mark.slow
def test_folders_are_audited_and_pairs_are_named(folders: Path) -> None:
    document = twinset.audit(
        synthetic=folders / "leaky",
        train=folders / "train",
        holdout=folders / "hold",
        reference=folders / "ref",
        controls=False,
    )
    found = document.dataset
    assert found.answer == "leak_found"
    assert (document.n_synthetic, document.n_training, document.n_holdout, document.n_reference) == (300, 599, 599, 599)
    assert {attack.name for attack in found.attacks} >= {"gan_leaks", "monte_carlo", "domias"}
    assert found.blind is not None
    assert found.blind.low <= 0.5
    pair = found.pairs[0]
    assert (folders / "train" / str(pair["training"])).exists()
    assert (folders / "leaky" / str(pair["synthetic"])).exists()
    assert document.warnings == []


@pytest.mark.slow
def test_without_reference_images_the_attacks_that_need_them_are_left_out_and_it_is_said(folders: Path) -> None:
    document = twinset.audit(
        synthetic=folders / "fair", train=folders / "train", holdout=folders / "hold", controls=False
    )
    assert [attack.name for attack in document.dataset.attacks] == ["gan_leaks", "monte_carlo", "hole"]
    assert document.dataset.answer == "inconclusive"
    assert document.warnings == ["without reference images (real ones of neither side) the density attacks cannot run"]


@pytest.mark.slow
def test_the_command_says_what_it_found_and_ends_with_its_code(folders: Path) -> None:
    words = ["audit", "--train", str(folders / "train"), "--holdout", str(folders / "hold"), "--no-controls", "-q"]
    leaky = CliRunner().invoke(cli.app, [*words, "--synthetic", str(folders / "leaky")])
    assert leaky.exit_code == 6
    assert "dataset: leak found: gan_leaks" in leaky.output
    assert "is near to" in leaky.output
    fair = CliRunner().invoke(cli.app, [*words, "--synthetic", str(folders / "fair")])
    assert fair.exit_code == 5
    assert "dataset: inconclusive: the controls were not run" in fair.output


def test_too_little_to_audit_is_refused_with_what_is_missing(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--holdout missing"):
        twinset.audit(synthetic=folders / "fair", train=folders / "train")
    with pytest.raises(UsageError, match="got a run and --train"):
        twinset.audit(tmp_path, train=folders / "train")
    with pytest.raises(UsageError, match=r"--alpha in \(0, 0.5\)"):
        twinset.audit(synthetic="a", train="b", holdout="c", alpha=2)
    few = tmp_path / "few" / "0"
    few.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(np.full((8, 8), number, dtype=np.uint8)).save(few / f"{number}.png")
    with pytest.raises(DataError, match="at least 8 synthetic images; got 3"):
        twinset.audit(synthetic=few.parent, train=folders / "train", holdout=folders / "hold")


def test_classes_are_compared_by_name_where_a_folder_lacks_one(folders: Path, tmp_path: Path) -> None:
    from shutil import copytree

    for digit in range(1, 10):
        copytree(folders / "hold" / str(digit), tmp_path / "hold" / str(digit))
    first, second = (twinset.load(str(path)) for path in (folders / "train", tmp_path / "hold"))
    known = known_classes(first, second)
    assert [sorted(set(side.classes.tolist())) for side in known] == [list(range(10)), list(range(1, 10))]  # type: ignore[union-attr]


def test_images_of_one_family_do_not_tell_the_sides_apart() -> None:
    """Ten shots of each of twenty patients a side: who knows one shot knows the side of the others."""
    draw = np.random.Generator(np.random.PCG64(0))
    patients = draw.integers(0, 256, (40, 1, 8, 8, 1))
    shots = np.clip(patients + draw.normal(0, 5, (40, 10, 8, 8, 1)), 0, 255).astype(np.uint8).reshape(400, 8, 8, 1)
    families = np.repeat(np.arange(40), 10)
    sides = [Known(families=families[:200]), Known(families=families[200:])]
    apart = blind_baseline(DatasetRelease(shots[:8], shots[:200], shots[200:]), rng=Stream(0))
    found = blind_baseline(DatasetRelease(shots[:8], shots[:200], shots[200:], None, *sides), rng=Stream(0))
    assert apart is not None
    assert not apart.at_chance
    assert found is not None
    assert found.at_chance


def test_another_mix_of_classes_does_not_tell_the_sides_apart() -> None:
    classes = [np.repeat([0, 1, 2], counts) for counts in ((90, 30, 5), (30, 90, 0))]
    rows = _comparable(Known(classes[0]), Known(classes[1]), (125, 120), rng=Stream(0))
    assert [np.bincount(ids[chosen]).tolist() for ids, chosen in zip(classes, rows, strict=True)] == [[30, 30]] * 2
