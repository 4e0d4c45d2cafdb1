"""What `verify` notices, and what is refused before any work."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

import twinset
from twinset import documents, pipeline
from twinset.errors import DataError, MissingModelError, RecipeError
from twinset.images import decode, encode_png
from twinset.pipeline.reporting import Quiet


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    twinset.load("builtin:digits").take(range(300)).export(folder / "photos", format="imagefolder")
    return folder / "photos"


def quick(data: Path | str, **changes: object) -> dict[str, object]:
    return {
        "data": str(data),
        "count": 20,
        "generate": [],
        "edit": [{"use": "classical"}, {"use": "mixup"}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off"},
        "gate": {"copies": "off"},
        **changes,
    }


@pytest.fixture(scope="module")
def finished(real: Path, tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    return twinset.run(quick(real), out=tmp_path_factory.mktemp("runs") / "run", workers=1, quiet=True)


def test_training_images_of_one_group_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    images = twinset.load("builtin:digits").take(range(90))
    parts = ["train", "validation", "test"]
    images.with_splits([parts[row % 3] for row in range(90)]).export(tmp_path / "photos", format="imagefolder")
    recipe = quick(tmp_path / "photos", split={"groups": {"folder": 1}}, gate={"copies": "block"})
    with pytest.raises(DataError, match=r"at least two families for the copy test; got one: .*finer split.groups"):
        twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)
    assert not (tmp_path / "run").exists() or not (tmp_path / "run" / "shards").exists()


def verified(folder: Path, samples: int = 4) -> documents.VerifyDocument:
    return pipeline.verify(folder, samples=samples, device="auto", listener=Quiet())


@pytest.mark.slow
def test_edits_are_made_again(finished: documents.RunDocument) -> None:
    found = verified(Path(finished.run), samples=20)
    assert (found.ok, found.regenerated, found.digest) == (True, 20, finished.digest)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["export/imagefolder", "report.html", "_done", "resolved.yaml", "real"])
def test_any_changed_or_missing_file_is_named(finished: documents.RunDocument, where: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.run, folder)
    place = folder / where
    changed = place if place.is_file() else min(path for path in place.rglob("*") if path.is_file())
    changed.write_bytes(changed.read_bytes() + b"\n")
    assert [part.path for part in verified(folder).mismatches] == [changed.relative_to(folder).as_posix()]
    changed.unlink()
    (found,) = verified(folder).mismatches
    assert found.problem == "expected a file; got none"


def test_files_that_the_run_did_not_write_are_named(finished: documents.RunDocument, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.run, folder)
    for name in ("run.lock", "log.jsonl", "timings.json", ".tmp-x-1-01234567"):
        (folder / name).write_text("{}")
    assert verified(folder).ok
    for name in ("notes.txt", "export/imagefolder/3/more.png"):
        (folder / name).write_text("mine")
    found = verified(folder)
    assert [part.path for part in found.mismatches] == ["export/imagefolder/3/more.png", "notes.txt"]
    assert {part.problem for part in found.mismatches} == {"expected no such file; got one that the run did not write"}
    assert found.regenerated == 4


@pytest.mark.parametrize("column", ["class_id", "parents"])
def test_a_sample_made_again_is_compared_with_all_that_is_recorded(
    finished: documents.RunDocument, column: str, tmp_path: Path
) -> None:
    from twinset.dataset import SCHEMA
    from twinset.pipeline.manifest import write_manifest
    from twinset.store import read_table, write_table

    folder = tmp_path / "run"
    shutil.copytree(finished.run, folder)
    path = folder / "shards" / "000000.parquet"
    rows = read_table(path).to_pylist()
    rows[0][column] = (rows[0]["class_id"] + 1) % 10 if column == "class_id" else []
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA))
    write_manifest(folder)
    problems = {part.path: part.problem for part in verified(folder, samples=20).mismatches}
    assert problems[f"shards/000000.parquet#{rows[0]['id']}"] == ("made again, it has other labels, parents or origin")
    assert set(problems) == {f"shards/000000.parquet#{rows[0]['id']}", "index.parquet"}


def test_a_gate_that_was_off_has_not_passed_a_test(finished: documents.RunDocument) -> None:
    from twinset.pipeline import words

    assert (finished.gate.passed, finished.gate.tested) == (True, False)
    assert "not tested" in words.run(finished)


@pytest.mark.slow
def test_the_resolved_recipe_of_a_relative_path_runs(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(real.parent)
    (real.parent / "r.yaml").write_text(yaml.safe_dump(quick("photos")))
    first = twinset.run("r.yaml", out=tmp_path / "first", workers=1, quiet=True)
    again = twinset.run(tmp_path / "first" / "resolved.yaml", out=tmp_path / "again", workers=1, quiet=True)
    assert again.digest == first.digest


def test_a_missing_model_is_known_at_once(real: Path, tmp_path: Path) -> None:
    recipe = quick(real, evaluate={"embedder": {"use": "pretrained", "name": "dinov2", "path": str(tmp_path / "dino")}})
    began = time.monotonic()
    with pytest.raises(MissingModelError):
        twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)
    assert time.monotonic() - began < 5
    assert not (tmp_path / "run" / "shards").exists()


def test_nothing_to_make_is_refused(real: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="at least one image to make"):
        twinset.run(quick(real, count={"0": 0}), out=tmp_path / "none", workers=1, quiet=True)
    lone = tmp_path / "lone"
    shutil.copytree(real / "3", lone / "3")
    for file in (lone / "3").iterdir():  # no held-out images themselves
        file.write_bytes(encode_png(255 - decode(file.read_bytes())))
    folder = quick(real, count={"5": 4}, generate=[{"use": "folder", "path": str(lone)}], edit=[])
    with pytest.raises(DataError, match="expected images of 5"):
        twinset.run(folder, out=tmp_path / "empty", workers=1, quiet=True)


@pytest.mark.parametrize(
    "change",
    [{"evaluate": {"utility": {"width": 20}}}, {"align": [{"use": "agreement", "width": 20}]}],
)
def test_settings_that_cannot_work_are_refused_before_any_work(
    real: Path, change: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="multiple of 8"):
        twinset.run(quick(real, **change), out=tmp_path / "run", workers=1, quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_comparison_shows_its_gate_and_leaves_shared_images_out(real: Path, tmp_path: Path) -> None:
    digits = twinset.load(real)
    digits.take(range(0, 150)).export(tmp_path / "train", format="imagefolder")
    digits.take(range(130, 300)).export(tmp_path / "held", format="imagefolder")
    digits.take(range(0, 60)).export(tmp_path / "copies", format="imagefolder")
    found = twinset.compare(
        tmp_path / "held", tmp_path / "copies", train=tmp_path / "train", report=tmp_path / "page.html"
    )
    assert found.n_real == 150
    assert "20 real images are training images too" in found.warnings[0]
    assert found.gate is not None
    assert not found.gate.passed
    text = (tmp_path / "page.html").read_text()
    assert "opying detected" in text
    assert "No copy test was run" not in text
    assert "twinset compare held copies --train train" in text
    assert str(tmp_path) not in text
