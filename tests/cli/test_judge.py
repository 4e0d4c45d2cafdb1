from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import twinset as twinset_package

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of 30 digits each."""
    digits = twinset_package.load("builtin:digits")
    for number, name in enumerate(("real", "made")):
        digits.take(range(30 * number, 30 * number + 30)).export(tmp_path / name, format="imagefolder")
    return tmp_path / "real", tmp_path / "made"


def test_where_nothing_could_be_measured_there_is_no_table_and_no_zero(sets: tuple[Path, Path], called: Called) -> None:
    ended, out, _ = called("compare", *sets, "--metrics", "edits", "--quiet")
    assert ended == 4
    assert "nothing could be measured" in out
    assert "interval" not in out
    assert "not measured: psnr, ssim, ms_ssim: it needs the training images" in out
    ended, out, _ = called("compare", *sets, "--metrics", "edits,kid", "--quiet")
    assert ended == 0
    assert "nothing could be measured" not in out


def test_features_alone_are_still_told_what_needs_pictures(tmp_path: Path, called: Called) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(20, 3)))
    ended, out, _ = called("compare", tmp_path / "a.npy", tmp_path / "b.npy", "--metrics", "perceptual", "--quiet")
    assert ended == 4
    assert "it needs pictures; got features alone" in out


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (["--by", "group"], "value of --by out of class; got 'group'", "every class by itself"),
        (["--on-bad-input", "drop"], "--on-bad-input out of refuse, skip; got 'drop'", "skip leaves that out"),
    ],
)
def test_a_choice_that_is_none_is_explained(words: list[str], says: str, hint: str, called: Called) -> None:
    ended, out, _ = called("compare", "a", "b", *words, "--json")
    error = json.loads(out)["error"]
    assert ended == 2
    assert says in error["message"]
    assert hint in error["hint"]


def test_a_rate_that_no_detector_has_is_explained(called: Called) -> None:
    ended, _, err = called("detect", "a", "--detector", "b", "--rate", "2")
    assert ended == 2
    assert "expected --rate 0.01 or 0.05; got 2\n  hint: detectors are calibrated for" in err


@pytest.mark.parametrize(("out", "says"), [("d.bin", "expected --out NAME.safetensors"), (".", "got a folder")])
def test_a_place_that_a_detector_cannot_have_is_refused_before_anything_is_read(
    out: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    monkeypatch.chdir(tmp_path)
    _, _, err = called("fit-detector", "nowhere", "there", "--out", out)
    assert says in err
    assert "hint: --out " in err


def test_equal_sets_are_named_as_equal(sets: tuple[Path, Path], tmp_path: Path, called: Called) -> None:
    ended, _, err = called("fit-detector", sets[0], sets[0], "--out", tmp_path / "d.safetensors", "--quiet")
    assert ended == 4
    assert "got 30, all equal to real ones pixel by pixel" in err
    assert not (tmp_path / "d.safetensors").exists()


def test_a_damaged_detector_is_told_in_words_and_how_to_make_one(tmp_path: Path, called: Called) -> None:
    (tmp_path / "d.safetensors").write_text("no detector")
    ended, _, err = called("detect", "a", "--detector", tmp_path / "d.safetensors")
    assert ended == 4
    assert "got a file that is damaged, or of another kind" in err
    assert "`twinset fit-detector REAL SYNTHETIC --out FILE`" in err
    assert "deserializ" not in err
