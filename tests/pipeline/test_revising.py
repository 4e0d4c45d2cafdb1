"""Far objects taken out of pictures as they are made: in a run, from its recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset import pipeline
from twinset.errors import RecipeError
from twinset.formats import read, write
from twinset.pipeline import revising
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.thresholds import read_thresholds
from twinset.recipe import build_methods, recipe_from_values
from twinset.store import ShardStore

QUICK = {
    "minutes": 1,
    "count": 12,
    "shard_size": 6,
    "seed": 5,
    "threads": 1,
    "evaluate": {"fidelity": False, "metadata": False, "explain": False, "utility": "off"},
    "gate": {"copies": "off"},
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    parts = {"train": 16, "validation": 8, "test": 6}
    folder = tmp_path_factory.mktemp("revising") / "real"
    write(dataset.take(np.concatenate([np.flatnonzero(splits == k)[:n] for k, n in parts.items()])), folder, "coco")
    return folder


def made(real: Path, out: Path, **settings: object) -> Path:
    # Every tenth real object is far so, and most pasted ones: enough are taken out to look at.
    align = [{"use": "object-density", "threshold": "quantile", "quantile": 0.9, **settings}]
    twinset.run({"data": str(real), **QUICK, "align": align}, out=out, workers=1, quiet=True)
    return out


def pictures(out: Path) -> list[tuple[int, int, float]]:
    """Of every picture how many objects stay and went, and the share of black pixels."""
    twin = ShardStore(out).accepted(read("builtin:digit-scenes")[0].classes)
    found = []
    for sample in twin:
        assert sample.annotation is not None
        assert sample.annotation.instances is not None
        gone = int(sample.annotation.attributes.get("objects_far", 0))
        found.append((len(sample.annotation.instances), gone, float((sample.pixels() == 0).all(axis=2).mean())))
    return found


@pytest.fixture(scope="module")
def blackened(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(real, tmp_path_factory.mktemp("black") / "run", far="black-box", paint="black")


@pytest.mark.slow
def test_far_objects_lose_label_and_pixels_and_pictures_stay(real: Path, blackened: Path, tmp_path: Path) -> None:
    black, boxes = pictures(blackened), pictures(made(real, tmp_path / "boxes", far="drop-box"))
    for found in (black, boxes):
        assert len(found) == 12
        assert sum(gone for _, gone, _ in found) >= 4
        assert sum(left for left, _, _ in found) >= 2
    untouched = max(dark for _, _, dark in boxes)
    assert all((dark > untouched) is (gone > 0) for _, gone, dark in black)


@pytest.mark.slow
def test_the_report_shows_the_cut_and_the_scores(blackened: Path) -> None:
    page = (blackened / "report.html").read_text()
    assert "Distance of objects from real ones" in page
    assert "were painted over" in page
    told = json.loads((blackened / "models" / "align-0" / "revising.json").read_text())
    assert told["threshold"] == pytest.approx(np.quantile(told["real"], 0.9), rel=0.05)
    assert told["far"]["real"] == pytest.approx(0.1, abs=0.05)
    assert f"Cut at {told['threshold']:.3g}" in page.replace("−", "-")


def test_revised_pictures_can_be_made_again(blackened: Path) -> None:
    assert pipeline.verify(blackened, samples=4, device="cpu", listener=Quiet()).ok


@pytest.mark.slow
def test_a_run_that_is_killed_before_ends_in_the_same_dataset(
    real: Path, blackened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(revising, "write_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made(real, tmp_path / "run", far="black-box", paint="black")
    document = pipeline.resume(tmp_path / "run", workers=1, device="cpu", listener=Quiet())
    assert document.digest == json.loads((blackened / "result.json").read_text())["digest"]


@pytest.mark.slow
def test_a_run_that_is_killed_between_two_of_them_fits_the_second_on_the_same_pilot(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"use": "object-density", "far": "black-box", "threshold": "quantile", "quantile": 0.6}
    recipe = {"data": str(real), **QUICK, "align": [first, {"use": "object-density", "far": "drop-box"}]}
    write, calls = revising.write_json, []

    def once(path: Path, value: object) -> None:
        calls.append(path)
        if len(calls) > 1:
            raise KeyboardInterrupt
        write(path, value)

    twinset.run(recipe, out=tmp_path / "whole", workers=1, quiet=True)
    with monkeypatch.context() as patched:
        patched.setattr(revising, "write_json", once)
        with pytest.raises(KeyboardInterrupt):
            twinset.run(recipe, out=tmp_path / "killed", workers=1, quiet=True)
    pipeline.resume(tmp_path / "killed", workers=1, device="cpu", listener=Quiet())
    told = [(tmp_path / run / "models" / "align-1" / "revising.json").read_bytes() for run in ("whole", "killed")]
    assert told[0] == told[1]
    digests = [json.loads((tmp_path / run / "result.json").read_text())["digest"] for run in ("whole", "killed")]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_where_whole_pictures_go_the_cut_and_the_real_scores_are_kept_too(real: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    align = [{"use": "object-density"}, {"use": "density"}, {"use": "object-density", "neighbours": 1}]
    twinset.run({"data": str(real), **QUICK, "align": align, "max_attempts": 2}, out=out, workers=1, quiet=True)
    cuts = read_thresholds(out)
    assert set(cuts) == {"farthest_object", "distance_from_real", "farthest_object[filter 2]"}
    assert cuts["farthest_object"].threshold != cuts["farthest_object[filter 2]"].threshold
    judgement = ShardStore(out).judgement(0)
    assert judgement is not None
    assert set(judgement.scores) == set(cuts)
    for cut in cuts.values():
        assert len(cut.real) == 8
        assert cut.real_rejected is not None
        assert cut.real_rejected <= 0.25
    assert "of held-out real images" in (out / "report.html").read_text()


def test_allowed_objects_have_no_meaning_where_pictures_stay() -> None:
    part = {"data": "x", "align": [{"use": "object-density", "far": "drop-box", "allowed": 2}]}
    with pytest.raises(RecipeError, match="expected allowed with far: drop-picture only"):
        build_methods(recipe_from_values(part).recipe)
