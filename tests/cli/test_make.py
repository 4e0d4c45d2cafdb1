from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import twinset as twinset_package

Called = Callable[..., tuple[int, str, str]]


def test_init_writes_a_recipe_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    from twinset.recipe import load_recipe

    monkeypatch.chdir(tmp_path)
    ended, out, _ = called("init", "builtin:digits", "--json")
    assert ended == 0
    assert load_recipe(Path(json.loads(out)["recipe"])).recipe.data.path == "builtin:digits"
    ended, _, err = called("init", "builtin:digits")
    assert ended == 4
    assert "expected no file there" in err
    ended, out, _ = called("init", "builtin:digits", "--out", "we ird <b>.yaml")
    assert "next: twinset run 'we ird <b>.yaml'" in out


@pytest.mark.parametrize("place", ["file", "file/sub", "x" * 300, "/proc/abc"])
def test_a_run_folder_that_cannot_be_made_is_no_fault_of_twinset(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    ended, out, err = called("run", "builtin:digits", "--out", place, "--json", "--quiet")
    assert (ended, json.loads(out)["error"]["code"]) == (4, "run-folder")
    assert err.splitlines()[0].startswith("error: ")
    assert "Traceback" not in err
    assert (tmp_path / "file").read_text() == "mine"


def test_two_recipes_at_once_do_not_share_a_folder(tmp_path: Path, called: Called) -> None:
    from twinset.locks import locked

    with locked(tmp_path / "run"):
        ended, _, err = called("run", "builtin:digits", "--out", tmp_path / "run", "--quiet")
        assert ended == 4
        assert "another process works in" in err
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.lock"]


@pytest.mark.slow
def test_a_moved_run_answers_with_where_it_is(tmp_path: Path, called: Called) -> None:
    digits = twinset_package.load("builtin:digits")
    digits.take(range(100)).export(tmp_path / "real", format="imagefolder")
    digits.take(range(100, 200)).export(tmp_path / "made", format="imagefolder")
    recipe: dict[str, object] = {
        "data": str(tmp_path / "real"),
        "generate": [{"use": "folder", "path": str(tmp_path / "made")}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off"},
        "gate": {"copies": "off"},
        "export": ["csv"],
    }
    before = twinset_package.run(recipe, out=tmp_path / "x", workers=1, quiet=True)
    assert Path(before.run) == tmp_path / "x"
    (tmp_path / "x").rename(tmp_path / "moved")
    ended, out, _ = called("resume", tmp_path / "moved", "--quiet")
    assert ended in (0, 5)
    assert str(tmp_path / "x") not in out
    for path in ("report.html", "export/csv"):
        assert (tmp_path / "moved" / path).exists()
        assert str(tmp_path / "moved" / path) in out
    ended, out, _ = called("resume", tmp_path / "moved", "--quiet", "--json")
    assert json.loads(out)["run"] == str(tmp_path / "moved")
    assert json.loads(out)["digest"] == before.digest


def test_init_into_a_folder_names_a_file_in_it(tmp_path: Path, called: Called) -> None:
    ended, _, err = called("init", "builtin:digits", "--out", tmp_path)
    assert ended == 4
    assert f"{tmp_path}: expected the name of a new file; got a folder\n  hint: --out {tmp_path / 'digits.yaml'}" in err


@pytest.mark.parametrize("source", ["builtin:mnist", "empty"])
def test_a_run_of_what_is_no_dataset_leaves_nothing_behind(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    ended, _, err = called("run", source, "--quiet")
    assert ended in (2, 4)
    assert "expected" in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty"]


def test_a_run_that_is_refused_keeps_a_folder_that_was_there(tmp_path: Path, called: Called) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "out").mkdir()
    assert called("run", tmp_path / "empty", "--out", tmp_path / "out", "--quiet")[0] == 4
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "mine" / "real").mkdir(parents=True)
    (tmp_path / "mine" / "recipe.yaml").write_text("mine")
    assert called("run", tmp_path / "empty", "--out", tmp_path / "mine", "--quiet")[0] == 4
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["real", "recipe.yaml"]


def test_a_run_that_began_earlier_stays_when_its_data_are_gone(tmp_path: Path, called: Called) -> None:
    import shutil

    from twinset.pipeline.folders import begin
    from twinset.recipe import recipe_for

    (tmp_path / "data").mkdir()
    begin(tmp_path / "out", recipe_for(tmp_path / "data"))
    assert called("run", tmp_path / "data", "--out", tmp_path / "out", "--quiet")[0] == 4
    assert {"run.json", "recipe.yaml"} <= {path.name for path in (tmp_path / "out").iterdir()}
    shutil.rmtree(tmp_path / "data")


@pytest.mark.slow
def test_a_dry_run_tells_its_stages_and_the_run_takes_its_calibration_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    from twinset.models import calibration
    from twinset.pipeline import resolving

    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "seconds_per_step", lambda *_, **__: 0.1)
    monkeypatch.setattr("twinset.models.choices.seconds_per_step", lambda *_, **__: 0.1)
    options = ("--set", "evaluate.utility=off", "--minutes", "1")
    ended, out, err = called("run", "builtin:digits", "--dry-run", *options)
    assert ended == 0
    assert err.splitlines()[0] == "read the real images …"
    assert "timed" in err
    assert "times estimated" in out.splitlines()[0]

    def again(*_: object, **__: object) -> None:
        raise AssertionError("calibrated again")

    monkeypatch.setattr(resolving, "resolve", again)
    assert called("run", "builtin:digits", "--dry-run", *options, "--quiet")[:2] == (0, out)


def test_a_plan_that_takes_longer_than_it_should_gives_one_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    from twinset.models import calibration

    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "seconds_per_step", lambda *_, **__: 9.0)
    monkeypatch.setattr("twinset.models.choices.seconds_per_step", lambda *_, **__: 9.0)
    _, out, _ = called("run", "builtin:digits", "--dry-run", "--set", "evaluate.utility=off", "--quiet")
    note = next(line for line in out.splitlines() if "takes longer than minutes: 5" in line)
    assert "asked for" not in out
    assert " min " not in note


def test_bad_boxes_are_not_said_to_be_left_out_where_the_run_is_refused(tmp_path: Path, called: Called) -> None:
    from twinset.images import encode_png

    for below, name in (("images", "a.png"), ("labels", "a.txt")):
        (tmp_path / "data" / below).mkdir(parents=True)
        data = encode_png(np.zeros((8, 9, 3), np.uint8)) if below == "images" else b"0 0.5 0.5 0 0\n0 .5 .5 .5 .5\n"
        (tmp_path / "data" / below / name).write_bytes(data)
    ended, _, err = called("run", tmp_path / "data", "--quiet", "--out", tmp_path / "out")
    assert ended == 4
    assert "left out" not in err
    assert "--set on_bad_input=skip" in err
    assert not (tmp_path / "out").exists()
