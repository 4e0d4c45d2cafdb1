"""Sets are ranked against the same real images; what cannot be told apart shares a rank."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError, RunFolderError, UsageError
from twinset.pipeline import words


def clouds(count: int, seed: int, brightness: float) -> Dataset:
    draws = np.random.default_rng(seed)
    pictures = np.clip(draws.normal(brightness, 40, (count, 8, 8, 1)), 0, 255).astype(np.uint8)
    return Dataset.of([Sample(f"{seed}-{row}", image=pixels) for row, pixels in enumerate(pictures)], classes=())


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    sets = {"real": (150, 100.0), "alike": (150, 100.0), "also": (120, 100.0), "bright": (130, 170.0)}
    for seed, (name, (count, brightness)) in enumerate(sets.items()):
        clouds(count, seed, brightness).export(tmp_path / name, format="imagefolder")
    return {name: tmp_path / name for name in sets}


def test_the_worst_set_is_last_and_equal_ones_share_a_rank(folders: dict[str, Path]) -> None:
    found = twinset.leaderboard(folders["bright"], folders["alike"], folders["also"], real=folders["real"])
    assert found.n_synthetic == 120
    assert "all sets are compared with 120 images" in found.warnings[0]
    for name in ("kernel_distance", "frechet_distance"):
        ranks = {one.name: (one.best, one.worst) for one in found.scores[name]}
        assert ranks == {"alike": (1, 2), "also": (1, 2), "bright": (3, 3)}, name
        assert [one.value for one in found.scores[name]] == sorted(one.value for one in found.scores[name])
    text = words.leaderboard(found)
    assert "1–2    al" in text
    assert "3      bright" in text


def test_sets_that_are_no_runs_need_real_images(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"expected --real .* none for alike, also"):
        twinset.leaderboard(folders["alike"], folders["also"])
    with pytest.raises(UsageError, match="score to rank by"):
        twinset.leaderboard(folders["alike"], real=folders["real"], by="beauty")
    with pytest.raises(UsageError, match="the same for all sets; got self"):
        twinset.leaderboard(folders["alike"], real=folders["real"], extractor="self")
    with pytest.raises(UsageError, match="expected --device auto, cpu, cuda or cuda:N; got 'tpu'"):
        twinset.leaderboard(folders["alike"], real=folders["real"], device="tpu")


def test_exports_of_one_name_are_told_by_the_folders_above_them_and_no_more(tmp_path: Path) -> None:
    for seed, run in enumerate(("first", "second")):
        clouds(12, seed, 100.0).export(tmp_path / run / "export" / "imagefolder", format="imagefolder")
    clouds(12, 2, 100.0).export(tmp_path / "real", format="imagefolder")
    sets = [str(tmp_path / run / "export" / "imagefolder") for run in ("first", "second")]
    page = tmp_path / "ranks.html"
    found = twinset.leaderboard(*sets, real=str(tmp_path / "real"), report=page)
    assert {one.name for one in found.scores["kernel_distance"]} == {
        "first/export/imagefolder",
        "second/export/imagefolder",
    }
    text = page.read_text()
    assert "twinset leaderboard first/export/imagefolder second/export/imagefolder --real real" in text
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_runs_are_ranked_on_their_own_held_out_images_if_those_are_the_same(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def run(name: str, made: Path, real: Path) -> Path:
        recipe: dict[str, object] = {
            "data": str(real),
            "generate": [{"use": "folder", "path": str(made)}],
            "align": [],
            "evaluate": {"embedder": {"use": "random"}, "utility": "off", "fidelity": False, "explain": False},
            "gate": {"copies": "off"},
        }
        twinset.run(recipe, out=tmp_path / name, workers=1, quiet=True)
        return tmp_path / name

    digits = twinset.load("builtin:digits")
    for name, rows in (("real_digits", range(200)), ("made", range(200, 300)), ("others", range(300, 400))):
        digits.take(rows).export(tmp_path / name, format="imagefolder")
    one = run("one", tmp_path / "made", tmp_path / "real_digits")
    other = run("other", tmp_path / "others", tmp_path / "real_digits")
    found = twinset.leaderboard(one, other)
    assert {ranked.name for ranked in found.scores["kernel_distance"]} == {"one", "other"}
    assert set(found.verdicts) == {"one", "other"}
    elsewhere = run("elsewhere", tmp_path / "made", tmp_path / "others")
    with pytest.raises(DataError, match="expected runs on the same real images"):
        twinset.leaderboard(one, elsewhere)


def test_a_run_of_another_build_is_one_clear_line(tmp_path: Path) -> None:
    digits = twinset.load("builtin:digits")
    for name, rows in (("real", range(120)), ("made", range(120, 180))):
        digits.take(rows).export(tmp_path / name, format="imagefolder")
    recipe: dict[str, object] = {
        "data": str(tmp_path / "real"),
        "generate": [{"use": "folder", "path": str(tmp_path / "made")}],
        "align": [],
        "evaluate": {"embedder": {"use": "random"}, "utility": "off", "fidelity": False, "explain": False},
        "gate": {"copies": "off"},
    }
    run = tmp_path / "run"
    twinset.run(recipe, out=run, workers=1, quiet=True)
    whole = (run / "split.json").read_text()
    for change in (lambda facts: facts.pop("notes"), lambda facts: facts.update(colour="blue"), dict.clear):
        values = json.loads(whole)
        change(values["facts"])
        (run / "split.json").write_text(json.dumps(values))
        with pytest.raises(RunFolderError, match=r"expected a run as twinset .* writes it; got files of another build"):
            twinset.leaderboard(run)
    values = json.loads(whole)
    del values["spec"]
    (run / "split.json").write_text(json.dumps(values))
    with pytest.raises(RunFolderError, match=r"another build .*spec") as caught:
        twinset.leaderboard(run)
    assert caught.value.exit_code == 4


def test_the_page_shows_every_score_that_of_the_order_first(folders: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "board.html"
    found = twinset.leaderboard(folders["bright"], folders["alike"], real=folders["real"], by="precision", report=page)
    assert found.report == str(page)
    text = page.read_text()
    assert text.index(">Precision") < text.index(">Kernel distance")
    assert str(tmp_path) not in text
    assert "twinset leaderboard bright alike --real real --by precision --seed 0" in text
    with pytest.raises(UsageError, match="expected a file for --report"):
        twinset.leaderboard(folders["bright"], real=folders["real"], report=tmp_path)
