"""What a run does when it is opened again: after an interruption, a change, damage, an upgrade."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import twinset
from twinset import documents, pipeline
from twinset.annotations import Annotation
from twinset.dataset import Dataset
from twinset.errors import RunFolderError, UsageError
from twinset.pipeline import making, running
from twinset.pipeline.fitting import Source, as_generator
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.resolving import Machine
from twinset.stages import Generator


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    folder = tmp_path_factory.mktemp("resuming")
    twinset.load("builtin:digits").take(range(150)).export(folder / "photos", format="imagefolder")
    return twinset.run(quick(folder / "photos"), out=folder / "run", workers=1, quiet=True)


def quick(data: Path, **changes: object) -> dict[str, object]:
    return {
        "data": str(data),
        "count": 20,
        "shard_size": 8,
        "generate": [],
        "edit": [{"use": "classical"}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off"},
        "gate": {"copies": "off"},
        **changes,
    }


@pytest.fixture
def run(finished: documents.RunDocument, tmp_path: Path) -> Path:
    """A finished run that may be disturbed."""
    return Path(shutil.copytree(finished.run, tmp_path / "run"))


@pytest.fixture
def half_made(run: Path) -> Path:
    """A run that was killed before its last shard."""
    for name in ("result.json", "manifest.json", "index.parquet", "_done/000002.json"):
        (run / name).unlink()
    return run


def resumed(folder: Path, device: str = "auto") -> documents.RunDocument:
    return pipeline.resume(folder, workers=1, device=device, listener=Quiet())


def evaluated(folder: Path) -> documents.RunDocument:
    return pipeline.evaluate(folder, workers=1, device="auto", listener=Quiet())


def verified(folder: Path) -> documents.VerifyDocument:
    return pipeline.verify(folder, samples=4, device="auto", listener=Quiet())


@pytest.mark.slow
@pytest.mark.parametrize("at", ["measure", "release", "write_manifest", "write_json"])
def test_an_interrupted_evaluation_is_ended_by_resume(
    finished: documents.RunDocument, run: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(running, at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluated(run)
    for verb in (verified, evaluated):
        with pytest.raises(RunFolderError, match=r"got an unfinished one; `twinset resume` it first"):
            verb(run)
    assert resumed(run).digest == finished.digest
    assert verified(run).ok


def test_an_evaluation_makes_no_images(half_made: Path) -> None:
    with pytest.raises(RunFolderError, match=r"got an unfinished one; `twinset resume` it first"):
        evaluated(half_made)
    assert not (half_made / "_done" / "000002.json").exists()


def test_a_run_goes_on_with_the_versions_that_it_began_with(
    finished: documents.RunDocument, half_made: Path, run: Path
) -> None:
    path = half_made / "environment.json"
    values = json.loads(path.read_text())
    for name, other in (("torch", "1.0"), ("numpy", "1.0"), ("twinset", "0.0"), ("device", "cuda:0")):
        path.write_text(json.dumps({**values, name: other}))
        says = rf"expected {name} {other.partition(':')[0]}, with which .*; got {name} .*; resume it with"
        with pytest.raises(RunFolderError, match=says):
            resumed(half_made, device="cpu")
    path.write_text(json.dumps({**values, "scipy": "1.0", "workers": "64"}))
    assert resumed(half_made).digest == finished.digest


def test_a_dataset_that_is_made_can_be_measured_by_other_versions(finished: documents.RunDocument, run: Path) -> None:
    path = run / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "torch": "1.0"}))
    assert evaluated(run).digest == finished.digest


def test_a_run_that_began_on_the_processor_goes_on_there(
    finished: documents.RunDocument, half_made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Machine.of(workers=1, device="auto").device == "cuda"
    with pytest.raises(RunFolderError, match=r"expected device cpu, .*; got device cuda; "):
        resumed(half_made, device="cuda:0")
    assert resumed(half_made).digest == finished.digest


@pytest.mark.parametrize("name", ["shards/000001.parquet", "scores/000001.parquet", "plan.parquet", "index.parquet"])
@pytest.mark.parametrize("indexed", [True, False])
def test_what_the_message_about_a_damaged_file_says_helps(
    finished: documents.RunDocument, run: Path, name: str, indexed: bool
) -> None:
    for other in ("result.json", "manifest.json", *(() if indexed else ("index.parquet",))):
        (run / other).unlink()
    (run / name).write_bytes(b"PAR1 damaged")
    with pytest.raises(RunFolderError, match="expected a Parquet table") as refused:
        resumed(run)
    named = re.match(r"delete (.*) in .*, then `twinset resume` it", refused.value.hint)
    assert named is not None
    for each in named[1].split(", "):
        (run / each).unlink()
    assert resumed(run).digest == finished.digest
    assert verified(run).ok


def test_a_shard_without_its_marker_in_a_finished_run_can_be_made_again(
    finished: documents.RunDocument, run: Path
) -> None:
    (run / "_done" / "000001.json").unlink()
    with pytest.raises(RunFolderError, match=r"delete index\.parquet in .*, then `twinset resume` it"):
        evaluated(run)
    (run / "index.parquet").unlink()
    assert resumed(run).digest == finished.digest


def test_the_shards_of_a_source_share_its_generator(
    finished: documents.RunDocument, half_made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(half_made / "_done")
    built = []

    def counted(source: Source, fitted: object, folder: Path) -> Generator:
        built.append(source.number)
        return as_generator(source, fitted, folder)

    monkeypatch.setattr(making, "as_generator", counted)
    assert resumed(half_made).digest == finished.digest
    assert (built, len(list((half_made / "_done").iterdir()))) == ([0], 3)


def test_a_damaged_identity_is_not_to_be_deleted(run: Path) -> None:
    (run / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"run\.json: expected JSON; .*another --out") as refused:
        resumed(run)
    assert "delete" not in refused.value.hint


def test_a_damaged_list_of_files_can_be_written_anew(run: Path) -> None:
    (run / "manifest.json").write_text("[]")
    with pytest.raises(RunFolderError, match="`twinset evaluate` the run"):
        verified(run)
    evaluated(run)
    assert verified(run).ok


def test_a_typing_error_in_the_resolved_recipe_is_named_with_its_line(run: Path) -> None:
    path = run / "resolved.yaml"
    text = path.read_text()
    path.write_text(text.replace("max_attempts:", "max_atempts:"))
    line = text[: text.index("max_attempts:")].count("\n") + 1
    says = rf"resolved\.yaml:{line}: max_atempts: .*; did you mean 'max_attempts'\?; undo the change"
    with pytest.raises(RunFolderError, match=says):
        evaluated(run)
    path.write_text(text)
    evaluated(run)


def test_a_result_that_cannot_be_read_is_written_anew(finished: documents.RunDocument, run: Path) -> None:
    path = run / "result.json"
    for text in (json.dumps({**json.loads(path.read_text()), "more": 1}), "{", "[]"):
        path.write_text(text)
        for verb in (resumed, verified):
            with pytest.raises(RunFolderError, match=r"result\.json: expected .*; delete .*result\.json"):
                verb(run)
        path.unlink()
        assert resumed(run).digest == finished.digest


@pytest.mark.slow
def test_a_corrected_column_makes_another_dataset(tmp_path: Path) -> None:
    digits = twinset.load("builtin:digits").take(range(150))

    def of_patients(patients: list[str]) -> Dataset:
        samples = [
            replace(sample, annotation=Annotation(sample.annotation.class_id, attributes={"patient": patient}))
            for sample, patient in zip(digits, patients, strict=True)
            if sample.annotation is not None
        ]
        return Dataset.of(samples, classes=digits.classes)

    of_patients([f"p{row // 2}" for row in range(150)]).export(tmp_path / "photos", format="csv")
    recipe = quick(tmp_path / "photos", split={"groups": {"column": "patient"}})
    first = twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)
    assert twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True) == first
    (table,) = (tmp_path / "photos").glob("*.csv")
    table.write_text(table.read_text().replace("p7,", "p8,").replace("p7\n", "p8\n"))
    with pytest.raises(RunFolderError, match="expected the dataset that this run began with"):
        twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)


def test_attributes_count_only_where_there_are_some() -> None:
    digits = twinset.load("builtin:digits")
    assert digits.source_digest().startswith("37c2531beb73")
    some = [sample for sample in digits.take(range(2)) if sample.annotation is not None]

    def digest(**attributes: str) -> str:
        noted = [replace(s, annotation=Annotation(s.annotation.class_id, attributes=attributes)) for s in some]  # type: ignore[union-attr]
        return Dataset.of(noted, classes=digits.classes).source_digest()

    assert digest() == digits.take(range(2)).source_digest()
    assert len({digest(), digest(patient="1"), digest(patient="2"), digest(eye="1")}) == 4


@pytest.mark.parametrize("spoilt", ["damaged", "not a recipe", "unreadable", "no home"])
def test_a_cache_that_cannot_be_used_is_done_without(
    finished: documents.RunDocument, spoilt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twinset.pipeline.folders import recipe_of
    from twinset.pipeline.real import load_real
    from twinset.pipeline.resolving import resolve_once
    from twinset.recipe import Recipe

    folder = Path(finished.run)
    recipe, real = recipe_of(folder).recipe, load_real(folder)

    def resolved() -> Recipe:
        return resolve_once(recipe, real, Machine.of(workers=1, device="cpu"), Quiet())

    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path))
    first = resolved()
    (kept,) = tmp_path.rglob("*.yaml")
    if spoilt == "damaged":
        kept.write_bytes(b"\xff: [")
    elif spoilt == "not a recipe":
        kept.write_text("count: many\n")
    elif spoilt == "unreadable":
        monkeypatch.setattr(Path, "exists", refused(PermissionError(13, "Permission denied")))
    else:
        monkeypatch.delenv("TWINSET_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", refused(RuntimeError("Could not determine home directory.")))
    assert resolved() == first
    if spoilt in ("damaged", "not a recipe"):
        assert yaml.safe_load(kept.read_text())["data"] == first.to_values()["data"]


def refused(error: Exception) -> object:
    def fail(*_: object) -> bool:
        raise error

    return fail


@pytest.mark.parametrize(
    ("workers", "device", "says"),
    [
        (0, "cpu", "expected at least one worker; got 0"),
        (-2, "cpu", "expected at least one worker; got -2"),
        (1, "gpu", "expected --device auto, cpu, cuda or cuda:N; got 'gpu'"),
        (1, "cudafoo", "expected --device auto, cpu, cuda or cuda:N; got 'cudafoo'"),
        (1, "cuda:", "expected --device auto, cpu, cuda or cuda:N; got 'cuda:'"),
        (1, "cuda:99", "expected a CUDA device"),
    ],
)
def test_a_machine_that_is_not_there_is_refused_before_any_work(
    workers: int, device: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        twinset.run({"data": "builtin:digits"}, out=tmp_path / "run", workers=workers, device=device, quiet=True)
    assert not (tmp_path / "run").exists()
