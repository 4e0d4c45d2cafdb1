"""A small run from the recipe to the report, and what it takes to disturb it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import jsonschema
import pyarrow.parquet as parquet
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

import twinset
from twinset import documents, pipeline
from twinset.errors import DataError, RunFolderError
from twinset.formats import read
from twinset.pipeline.reporting import Quiet
from twinset.provenance import read_provenance

SMALL: dict[str, object] = {
    "data": "builtin:digits",
    "split": {"shots": 12},
    "count": 40,
    "shard_size": 16,
    "threads": 1,
    "minutes": 1,
    "generate": [
        {
            "use": "diffusion",
            "family": "unet",
            "width": 32,
            "depth": 1,
            "levels": 2,
            "patch": 2,
            "steps": 120,
            "batch": 32,
            "augment": 0.3,
            "sampler_steps": 6,
            "looks": 2,
        }
    ],
    "align": [
        {"use": "copies"},
        {"use": "agreement", "members": 1, "steps": 60},
        {"use": "density"},
        {"use": "duplicates"},
    ],
    "max_attempts": 2,
    "evaluate": {"embedder": {"use": "random"}, "utility": {"seeds": 1, "steps": 20, "width": 8, "flip": False}},
    "export": ["imagefolder", "parquet"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    return twinset.run(SMALL, out=tmp_path_factory.mktemp("run") / "a", workers=1, quiet=True)


@pytest.mark.slow
def test_a_run_leaves_what_it_promises(finished: documents.RunDocument) -> None:
    folder = Path(finished.run)
    for name in (
        "recipe.yaml",
        "resolved.yaml",
        "environment.json",
        "log.jsonl",
        "plan.parquet",
        "index.parquet",
        "report.html",
        "export/README.md",
        "export/croissant.json",
        "export/imagefolder",
        "export/parquet",
    ):
        assert (folder / name).exists(), name
    jsonschema.validate(json.loads(finished.model_dump_json(by_alias=True)), documents.schema("run"))
    assert set(finished.utility) == {
        "real",
        "real+classical",
        "synthetic",
        "real+synthetic",
        "real+classical+synthetic",
    }
    assert finished.counts.accepted + finished.counts.failed == finished.counts.planned == 40


@pytest.mark.slow
def test_every_exported_picture_says_that_it_is_synthetic(finished: documents.RunDocument) -> None:
    pictures = sorted(Path(finished.exports["imagefolder"]).rglob("*.png"))
    assert len(pictures) == finished.counts.accepted
    for path in pictures:
        provenance = read_provenance(path.read_bytes())
        assert provenance is not None
        assert provenance.source_type.endswith("trainedAlgorithmicMedia")
    exported, _ = read(finished.exports["parquet"])
    assert len(exported) == finished.counts.accepted
    assert all(sample.origin.synthetic for sample in exported)


@pytest.mark.slow
def test_the_resolved_recipe_gives_the_same_digest_with_more_workers(
    finished: documents.RunDocument, tmp_path: Path
) -> None:
    resolved = yaml.safe_load((Path(finished.run) / "resolved.yaml").read_text())
    resolved["evaluate"]["utility"] = "off"
    # No more workers than shards, or some would have nothing to do.
    assert len(list((Path(finished.run) / "shards").glob("*.parquet"))) >= 3
    again = twinset.run(resolved, out=tmp_path / "b", workers=3, quiet=True)
    assert again.digest == finished.digest


@pytest.mark.slow
def test_running_again_answers_from_what_is_there(finished: documents.RunDocument) -> None:
    began = time.monotonic()
    again = twinset.run(SMALL, out=finished.run, workers=1, quiet=True)
    assert again == finished
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_verify_finds_a_flipped_bit_and_passes_without(finished: documents.RunDocument, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(finished.run, folder)
    assert pipeline.verify(folder, samples=3, device="cpu", listener=Quiet()).ok
    shard = next((folder / "shards").glob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    found = pipeline.verify(folder, samples=0, device="cpu", listener=Quiet())
    assert not found.ok
    assert shard.name in found.mismatches[0].path


@pytest.mark.slow
def test_status_tells_a_finished_run(finished: documents.RunDocument) -> None:
    found = pipeline.status(Path(finished.run))
    assert found.finished
    assert found.accepted == finished.counts.accepted


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="expected an empty folder"):
        twinset.run(SMALL, out=tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_recipe_of_the_users_own_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "recipe.yaml"
    mine.write_text("data: builtin:digits  # my notes\n")
    with pytest.raises(RunFolderError, match=r"expected an empty folder; got .*recipe\.yaml"):
        twinset.run(mine, out=tmp_path, quiet=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("recipe.yaml", "data: builtin:digits  # my notes\n")
    ]


def test_a_kill_between_recipe_and_identity_does_no_harm(tmp_path: Path) -> None:
    from twinset.pipeline.folders import begin, identity
    from twinset.recipe import recipe_from_values

    written = recipe_from_values(SMALL)
    begin(tmp_path, written)
    (tmp_path / "run.json").unlink()
    begin(tmp_path, written)
    assert identity(tmp_path)["written"] == written.digest()


def test_another_recipe_does_not_take_over_a_run(tmp_path: Path) -> None:
    from twinset.pipeline.folders import begin
    from twinset.recipe import recipe_from_values

    begin(tmp_path / "run", recipe_from_values(SMALL))
    with pytest.raises(RunFolderError, match="the run of another one"):
        twinset.run({**SMALL, "seed": 5}, out=tmp_path / "run", quiet=True)


def nothing_is_half_written(folder: Path) -> None:
    """Every file that has its final name can be read to its end."""
    for path in (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".tmp-")):
        match path.suffix:
            case ".parquet":
                parquet.read_table(path)
            case ".json":
                json.loads(path.read_text())
            case ".jsonl":
                lines = path.read_text().splitlines()
                assert all(json.loads(line) for line in lines)
            case ".yaml":
                yaml.safe_load(path.read_text())
            case ".safetensors":
                load_file(path)
            case ".png":
                Image.open(path).load()


KILLS = int(os.environ.get("TWINSET_KILLS", "4"))
"""SIGKILLs in the test below. More than four also take a recipe of about a minute; pytest -s shows the stages hit."""

A_MINUTE = {**SMALL, "count": 300, "generate": [{**SMALL["generate"][0], "steps": 600}]}  # type: ignore[index]


@pytest.fixture(scope="module")
def undisturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], documents.RunDocument]:
    """A recipe and its run in this process, with one worker and no kill."""
    if KILLS > 4:
        return A_MINUTE, twinset.run(A_MINUTE, out=tmp_path_factory.mktemp("whole") / "run", workers=1, quiet=True)
    return SMALL, request.getfixturevalue("finished")


@pytest.mark.slow(seconds=90)
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_run_that_is_killed_and_resumed_ends_in_the_same_dataset(
    undisturbed: tuple[dict[str, object], documents.RunDocument], tmp_path: Path
) -> None:
    written, whole = undisturbed
    assert whole.counts.accepted >= 8
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(written))

    def command(folder: Path) -> list[str]:
        options = ["--out", str(folder), "--workers", "2", "--quiet", "--json"]
        return [sys.executable, "-m", "twinset.cli", "run", str(recipe), *options]

    def digest(stdout: str) -> str:
        return str(json.loads(stdout)["digest"])

    # Three processes that load PyTorch take about half as long again as this one took.
    took = 1.5 * whole.seconds
    draw, stages, folder = random.Random(3), [], tmp_path / "killed-0"
    while len(stages) < KILLS:
        with (tmp_path / "stdout").open("wb") as stdout:
            run = subprocess.Popen(command(folder), stdout=stdout, stderr=subprocess.DEVNULL)
        try:
            run.wait(timeout=draw.uniform(1.0, took))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            nothing_is_half_written(folder)
            stages.append(stage_of(folder))
        else:
            assert digest((tmp_path / "stdout").read_text()) == whole.digest, stages
            assert not list(folder.rglob(".tmp-*"))
            folder = tmp_path / f"killed-{len(stages)}"
    time.sleep(1.5)
    ended = subprocess.run(command(folder), capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 5), ended.stderr
    assert digest(ended.stdout) == whole.digest, stages
    assert not list(folder.rglob(".tmp-*"))
    print(f"\n{whole.seconds:.0f} s undisturbed; killed in {dict(Counter(stages))}")


def stage_of(folder: Path) -> str:
    """The stage that a run stopped in."""
    try:
        return str(pipeline.status(folder).stage)
    except RunFolderError:
        return "before the run folder"


@pytest.mark.slow
def test_a_resolved_recipe_refuses_another_content_of_its_folder(tmp_path: Path) -> None:
    digits = twinset.load("builtin:digits")
    digits.take(range(200)).export(tmp_path / "real", format="imagefolder")
    digits.take(range(200, 400)).export(tmp_path / "synthetic", format="imagefolder")
    recipe: dict[str, object] = {
        "data": str(tmp_path / "real"),
        "generate": [{"use": "folder", "path": str(tmp_path / "synthetic")}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off"},
        "gate": {"copies": "off"},
    }
    first = twinset.run(recipe, out=tmp_path / "first", workers=1, quiet=True)
    resolved = yaml.safe_load((tmp_path / "first" / "resolved.yaml").read_text())
    again = twinset.run(resolved, out=tmp_path / "again", workers=1, quiet=True)
    assert again.digest == first.digest

    shown = [tmp_path / "first" / "report.html", *(tmp_path / "first" / "export").glob("*.*")]
    assert {path.name for path in shown} >= {"report.html", "README.md", "croissant.json", "recipe.yaml"}
    for path in shown:
        assert str(tmp_path) not in path.read_text(), f"{path.name} tells where the real images are"
    shared = twinset.run(
        {
            **yaml.safe_load((tmp_path / "first" / "export" / "recipe.yaml").read_text()),
            "data": str(tmp_path / "real"),
            "generate": [{**resolved["generate"][0]}],
        },
        out=tmp_path / "shared",
        workers=1,
        quiet=True,
    )
    assert shared.digest == first.digest

    next((tmp_path / "synthetic").rglob("*.png")).unlink()
    with pytest.raises(DataError, match="the images that this recipe was resolved with"):
        twinset.run(resolved, out=tmp_path / "changed", workers=1, quiet=True)
    anew = twinset.run(recipe, out=tmp_path / "anew", workers=1, quiet=True)
    assert anew.counts.planned == first.counts.planned - 1
