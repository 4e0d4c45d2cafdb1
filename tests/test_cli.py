from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import twinset as twinset_package
from twinset import cli, documents, pipeline
from twinset.errors import RunFolderError
from twinset.pipeline import words
from twinset.pipeline.reporting import Listener

VERBS = [
    "run",
    "resume",
    "evaluate",
    "status",
    "verify",
    "inspect",
    "init",
    "compare",
    "detect",
    "fit-detector",
    "convert",
    "plugins",
    "doctor",
    "schema",
]


def twinset(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "twinset.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["twinset", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_in_its_help(verb: str) -> None:
    shown = CliRunner().invoke(cli.app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f"  twinset {verb}" in shown.output


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from twinset import cli; sys.argv = ['twinset', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'pyarrow', 'pydantic', 'sklearn') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code", "says"),
    [
        (["run", "nowhere/"], "usage", 2, "which does not exist"),
        (["run", "nowhere.yaml"], "recipe", 2, "expected a readable file"),
        (["run", "builtin:digits", "--set", "cuont=3"], "recipe", 2, "did you mean 'count'?"),
        (["run", "builtin:digits", "--minutes", "x"], "usage", 2, "Invalid value"),
        (["run", "builtin:digits", "--device", "tpu"], "usage", 2, "expected --device"),
        (["run", "builtin:digist"], "unknown-name", 2, "did you mean 'digits'?"),
        (["run"], "usage", 2, "Missing argument"),
        (["rnu"], "usage", 2, "No such command"),
        (["resume", "nowhere"], "run-folder", 4, "expected a run folder"),
        (["status", "nowhere"], "run-folder", 4, "expected a run folder"),
        (["verify", "nowhere"], "run-folder", 4, "expected a run folder"),
        (["inspect", "nowhere"], "dataset-format", 4, "no such file"),
        (["compare", "nowhere", "there"], "dataset-format", 4, "no such file"),
        (["compare", "builtin:digits", "builtin:digits", "--utility"], "usage", 2, "expected --train"),
        (
            ["compare", "builtin:digits", "builtin:digits", "--extractor", "dino"],
            "unknown-name",
            2,
            "expected an embedder",
        ),
        (["detect", "builtin:digits"], "usage", 2, "Missing option '--detector'"),
        (["detect", "builtin:digits", "--detector", "no"], "data", 4, "expected a detector; got no such file"),
        (["detect", "builtin:digits", "--detector", "no", "--rate", "0.1"], "usage", 2, "expected --rate 0.01 or 0.05"),
        (["fit-detector", "nowhere", "there", "--out", "it"], "dataset-format", 4, "no such file"),
        (["fit-detector", "builtin:digits", "there", "--out", "."], "run-folder", 4, "expected no file there"),
        (["convert", "builtin:digits", "x", "--to", "tfrecord"], "usage", 2, "expected --to one of"),
        (["schema", "rnu"], "unknown-name", 2, "did you mean 'run'?"),
    ],
)
def test_a_failure_is_one_json_object_and_one_line(
    arguments: list[str],
    code: str,
    exit_code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = called(monkeypatch, capsys, *arguments, "--json")
    answer = json.loads(out)
    assert set(answer) == {"error"}
    assert ended == exit_code
    assert answer["error"]["code"] == code or not code
    assert says in answer["error"]["message"] + answer["error"]["hint"]
    assert "Traceback" not in err
    assert err.count("error: ") == 1


def test_inspect_prints_one_object_that_fits_its_schema(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, out, _ = called(monkeypatch, capsys, "inspect", "builtin:digits", "--json")
    answer = json.loads(out)
    jsonschema.validate(answer, documents.schema("inspect"))
    assert ended == 0
    assert (answer["images"], answer["format"], len(answer["classes"])) == (1797, "builtin:digits", 10)


def test_init_writes_a_recipe_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twinset.recipe import load_recipe

    monkeypatch.chdir(tmp_path)
    ended, out, _ = called(monkeypatch, capsys, "init", "builtin:digits", "--json")
    assert ended == 0
    assert load_recipe(Path(json.loads(out)["recipe"])).recipe.data.path == "builtin:digits"
    ended, _, err = called(monkeypatch, capsys, "init", "builtin:digits")
    assert ended == 4
    assert "expected no file there" in err


def test_convert_round_trips_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twinset.formats import read

    ended, out, _ = called(
        monkeypatch, capsys, "convert", "builtin:digits", tmp_path / "out", "--to", "parquet", "--json"
    )
    assert (ended, json.loads(out)["images"]) == (0, 1797)
    dataset, _ = read(tmp_path / "out")
    assert dataset.class_counts()["3"] == 183


def annotated(place: Path) -> Path:
    """Two pictures with boxes, of which one is a crowd, as Parquet."""
    from twinset.annotations import Annotation, Instances
    from twinset.dataset import Dataset, Sample
    from twinset.formats import write

    image, corners = np.zeros((8, 9, 3), np.uint8), np.array([[0, 0, 4, 5], [1, 1, 3, 3]], np.float32)
    found = Instances((8, 9), np.array([0, 1]), corners, crowd=np.array([False, True]))
    samples = [Sample(name, Annotation(instances=found), image=image + at) for at, name in enumerate("ab")]
    write(Dataset.of(samples, classes=("cat", "dog")), place, "parquet")
    return place


def test_convert_says_what_the_format_has_no_place_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = annotated(tmp_path / "in")
    ended, out, _ = called(monkeypatch, capsys, "convert", source, tmp_path / "yolo", "--to", "yolo", "--json")
    answer = json.loads(out)
    jsonschema.validate(answer, documents.schema("convert"))
    assert (ended, answer["losses"]) == (0, {"crowd flags": 2})
    assert answer["notes"] == ["2 crowd flags have no place in yolo"]
    ended, out, _ = called(monkeypatch, capsys, "convert", source, tmp_path / "folder", "--to", "imagefolder")
    assert ended == 0
    assert out.splitlines() == [
        f"wrote 2 images to {tmp_path / 'folder'}",
        "note: 4 objects have no place in imagefolder",
        "note: 2 crowd flags have no place in imagefolder",
    ]


@pytest.mark.parametrize(("options", "ids"), [([], [1, 2]), (["--category-base", "0"], [0, 1])])
def test_categories_are_numbered_from_what_is_asked(
    options: list[str],
    ids: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = annotated(tmp_path / "in")
    ended, _, _ = called(monkeypatch, capsys, "convert", source, tmp_path / "out", "--to", "coco", *options)
    content = json.loads((tmp_path / "out/annotations/instances_all.json").read_text())
    assert ended == 0
    assert [one["id"] for one in content["categories"]] == ids
    assert [one["category_id"] for one in content["annotations"]] == ids * 2


def test_a_category_base_is_of_coco_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--to", "voc", "--category-base", "0")
    ended, _, err = called(monkeypatch, capsys, "convert", "builtin:digits", tmp_path / "out", *options)
    assert ended == 2
    assert "expected --category-base with --to coco; got --to voc" in err


def boxed(place: Path) -> Path:
    """YOLO of two pictures, one box without an area and one picture that is none."""
    from twinset.images import encode_png

    for name in ("a", "b", "c"):
        for below, data in (("images", encode_png(np.zeros((8, 9, 3), np.uint8))), ("labels", b"0 0.5 0.5 0.5 0.5\n")):
            path = place / below / f"{name}.{'png' if below == 'images' else 'txt'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (place / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0\n")
    (place / "images/c.png").write_bytes(b"text")
    return place


def test_convert_refuses_bad_input_and_skips_it_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = boxed(tmp_path / "in"), tmp_path / "out"
    ended, _, err = called(monkeypatch, capsys, "convert", source, out, "--to", "coco")
    assert ended == 4
    assert "--on-bad-input skip" in err
    assert "on_bad_input: skip" not in err
    ended, _, err = called(monkeypatch, capsys, "convert", source, out, "--to", "coco", "--on-bad-input", "ignore")
    assert (ended, "expected --on-bad-input refuse or skip; got 'ignore'" in err) == (2, True)
    ended, shown, _ = called(monkeypatch, capsys, "convert", source, out, "--to", "coco", "--on-bad-input", "skip")
    assert ended == 0
    lines = shown.splitlines()
    assert lines[0] == f"wrote 2 images to {out}"
    assert any(
        line.startswith("note: 1 bad file left out, first labels/c.txt: images/c.png: expected") for line in lines
    )
    assert any(line.startswith("note: 1 bad object clipped or left out, first labels/a.txt:2:") for line in lines)
    assert len(json.loads((out / "annotations/instances_all.json").read_text())["annotations"]) == 2


def test_python_is_told_how_to_skip_in_python(tmp_path: Path) -> None:
    import twinset

    with pytest.raises(twinset.TwinsetError) as caught:
        twinset.load(boxed(tmp_path / "in"))
    assert 'pass on_bad_input="skip"' in caught.value.hint
    assert len(twinset.load(tmp_path / "in", on_bad_input="skip")) == 2


def test_a_part_of_a_dataset_and_a_recipe_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = boxed(tmp_path / "in")
    for part in ("labels", "images"):
        ended, _, err = called(monkeypatch, capsys, "inspect", source / part)
        assert ended == 4
        assert f"give {source}" in err
    (tmp_path / "recipe.yaml").write_text(f"data: {source}\n")
    for options in (["inspect", tmp_path / "recipe.yaml"], ["convert", tmp_path / "recipe.yaml", "x", "--to", "coco"]):
        ended, _, err = called(monkeypatch, capsys, *options)
        assert ended == 4
        assert "got a recipe of twinset" in err


def test_convert_refuses_what_would_be_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = annotated(tmp_path / "in")
    ended, _, err = called(monkeypatch, capsys, "convert", source, tmp_path / "out", "--to", "masks")
    assert ended == 2
    assert "got 2 of 4 with a box alone" in err  # the crowds could be ignored
    assert not (tmp_path / "out").exists()


def test_help_of_convert_lists_every_format() -> None:
    from twinset.formats import FORMATS

    shown = " ".join(CliRunner().invoke(cli.app, ["convert", "--help"], env={"COLUMNS": "200"}).output.split())
    words = set(re.split(r"\W+", shown[shown.index("--to") :]))
    assert set(FORMATS) <= words


@pytest.mark.parametrize("place", ["file", "file/sub", "x" * 300, "/proc/abc"])
def test_a_run_folder_that_cannot_be_made_is_no_fault_of_twinset(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    ended, out, err = called(monkeypatch, capsys, "run", "builtin:digits", "--out", place, "--json", "--quiet")
    assert (ended, json.loads(out)["error"]["code"]) == (4, "run-folder")
    assert err.splitlines()[0].startswith("error: ")
    assert "Traceback" not in err
    assert (tmp_path / "file").read_text() == "mine"


def test_two_recipes_at_once_do_not_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twinset.store import locked

    with locked(tmp_path / "run"):
        ended, _, err = called(monkeypatch, capsys, "run", "builtin:digits", "--out", tmp_path / "run", "--quiet")
        assert ended == 4
        assert "another process works in" in err
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.lock"]


def test_a_moved_run_answers_with_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
    ended, out, _ = called(monkeypatch, capsys, "resume", tmp_path / "moved", "--quiet")
    assert ended in (0, 5)
    assert str(tmp_path / "x") not in out
    for path in ("report.html", "export/csv"):
        assert (tmp_path / "moved" / path).exists()
        assert str(tmp_path / "moved" / path) in out
    ended, out, _ = called(monkeypatch, capsys, "resume", tmp_path / "moved", "--quiet", "--json")
    assert json.loads(out)["run"] == str(tmp_path / "moved")
    assert json.loads(out)["digest"] == before.digest


def test_names_from_data_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "a\x1b[2J\x1b]0;evil\x07.png"
    found = documents.VerifyDocument(
        run=f"runs/{evil}",
        ok=False,
        digest="0" * 64,
        shards=1,
        regenerated=0,
        mismatches=[documents.MismatchPart(path=evil, problem=f"expected {evil}")],
    )
    monkeypatch.setattr(pipeline, "verify", lambda *_, **__: found)
    ended, out, _ = called(monkeypatch, capsys, "verify", "run", "--quiet")
    assert ended == 4
    assert out.count("a\\x1b[2J\\x1b]0;evil\\x07.png") == 3
    assert all(line.isprintable() for line in out.splitlines())


def test_every_text_for_the_terminal_is_printable() -> None:
    evil = "\x1b[2J\u202e\n\x07"
    gate = documents.GatePart(passed=False, reasons=[evil])
    verdict = documents.VerdictPart(decision="blocked_by_gate", sentence=evil, difference=None)
    score = documents.ScorePart(
        value=None, low=None, high=None, undefined_because=evil, n_real=1, n_synthetic=1, extractor=None, floor=None
    )
    detector = documents.DetectorPart(
        sha256="0",
        real_name=evil,
        synthetic_name=evil,
        generators=[evil],
        n_real=1,
        n_synthetic=1,
        held_out_real=1,
        held_out_synthetic=1,
        auc=1,
        auc_low=1,
        auc_high=1,
        thresholds={},
        seed=0,
        warnings=[evil],
    )
    plugin = documents.PluginPart(
        kind="generators", name=evil, target=evil, distribution=evil, version=evil, problem=evil
    )
    texts = [
        words.run(
            documents.RunDocument(
                run=evil,
                report=evil,
                digest="0",
                verdict=verdict,
                counts=documents.Counts(planned=1, accepted=1, rejected=0, failed=0),
                scores={},
                utility={},
                utility_metric="balanced accuracy",
                gate=gate,
                exports={"csv": evil},
                warnings=[evil],
                seconds=1,
            )
        ),
        words.plan(
            documents.PlanDocument(
                recipe={},
                training={evil: 1},
                validation={evil: 1},
                test={evil: 1},
                slots={evil: 1},
                shards=1,
                seconds={},
                bytes=1,
                missing=[evil],
                notes=[evil],
            )
        ),
        words.status(
            documents.StatusDocument(
                run=evil,
                stage="fitting",
                finished=False,
                planned=1,
                generated=0,
                accepted=None,
                seconds=1,
                stages={evil: 1},
            )
        ),
        words.comparison(
            documents.CompareDocument(
                real=evil,
                synthetic=evil,
                train=None,
                n_real=1,
                n_synthetic=1,
                scores={"fid": score},
                gate=gate,
                verdict=verdict,
                report=evil,
                warnings=[evil],
                seconds=1,
            )
        ),
        words.detection(
            documents.DetectDocument(
                source=evil,
                detector_file=evil,
                detector=detector,
                n_images=1,
                rate=0.01,
                flagged=1,
                expected_if_all_real=None,
                p_value_if_all_real=None,
                sentence=evil,
                limits=evil,
                images=[documents.DetectedImage(id=evil, score=1, false_alarm_rate=0.1, outside=0, flagged=True)],
                warnings=[evil],
                seconds=1,
            )
        ),
        words.fitted_detector(
            documents.FitDetectorDocument(
                detector_file=evil, detector=detector, limits=evil, warnings=[evil], seconds=1
            )
        ),
        words.plugins(documents.PluginsDocument(plugins=[plugin])),
        words.doctor(documents.DoctorDocument(ok=False, environment={"cpu": evil}, extras={}, problems=[evil])),
        words.inspection([evil]),
    ]
    for text in texts:
        assert "\\x1b[2J" in text
        assert all(line.isprintable() for line in text.split("\n")), text


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunFolderError("disk full"), ValueError("ours")])
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "builtin:digits"],
        ["resume", "run"],
        ["evaluate", "run"],
        ["verify", "run"],
        ["compare", "builtin:digits", "builtin:digits"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_display_ends_before_an_error_is_told(
    arguments: list[str], error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, listener: Listener, **__: object) -> None:
        listener.stage("fit")(1, 2, "steps")
        raise error

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(pipeline, arguments[0], fail)
    monkeypatch.setattr(sys, "stderr", terminal)
    ended, _, _ = called(monkeypatch, capsys, *arguments)
    shown, _, after = terminal.getvalue().rpartition("\x1b[?25h")
    assert ended == (130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1))
    assert shown.count("\x1b[?25l") == 1
    assert str(error).partition(";")[0] in after
    assert "━" not in after


def test_the_display_of_the_python_face_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, listener: Listener, **__: object) -> None:
        listener.stage("fit")(1, 2, "steps")
        raise RunFolderError("disk full")

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(pipeline, "run", fail)
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(RunFolderError):
        twinset_package.run({"data": "builtin:digits"})
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize("ending", ["result", "ctrl-c"])
def test_a_terminal_gets_its_cursor_back_and_a_result_on_its_own_line(ending: str) -> None:
    import pty

    code = (
        "import os, signal, sys, time\nfrom twinset import cli, documents, pipeline\n"
        "def verify(*_, listener, **__):\n"
        "    listener.stage('report')(1, 2, 'pages')\n    time.sleep(0.3)\n"
        f"    if {ending == 'ctrl-c'}: os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "    return documents.VerifyDocument(\n"
        "        run='RESULT', ok=True, digest='', shards=1, regenerated=0, mismatches=[])\n"
        "pipeline.verify = verify\nsys.argv = ['twinset', 'verify', 'x']\ncli.main()\n"
    )
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True
    ) as process:
        os.close(child)
        try:
            while piece := os.read(parent, 65536):
                shown += piece
        except OSError:  # Linux answers so when the other side is closed
            pass
    os.close(parent)
    drawn, _, after = shown.decode().rpartition("\x1b[?25h")
    assert process.returncode == (0 if ending == "result" else 130)
    assert drawn.count("\x1b[?25l") == 1
    assert "━" in drawn
    assert after.splitlines()[:1] == ["RESULT: ok" if ending == "result" else "error: stopped"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_json_goes_to_stdout_while_the_display_is_on_a_terminal() -> None:
    import pty

    code = (
        "import sys\nfrom twinset import cli, documents, pipeline\n"
        "def verify(*_, listener, **__):\n"
        "    listener.stage('report')(1, 2, 'pages')\n"
        "    return documents.VerifyDocument(run='x', ok=True, digest='', shards=1, regenerated=0, mismatches=[])\n"
        "pipeline.verify = verify\nsys.argv = ['twinset', 'verify', 'x', '--json']\ncli.main()\n"
    )
    parent, child = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=child,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(child)
    os.close(parent)
    assert json.loads(ended.stdout)["run"] == "x"


@pytest.mark.parametrize("name", [*documents.DOCUMENTS, "recipe"])
def test_every_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(documents.schema(name))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("co", "compare convert"), ("run --wo", "--workers"), ("schema pla", "plan"), ("convert a b --to pa", "parquet")],
)
def test_bash_completes_verbs_options_and_names(typed: str, offered: str, tmp_path: Path) -> None:
    (tmp_path / "twinset").write_text(f"#!{sys.executable}\nfrom twinset.cli import main\n\nmain()\n")
    (tmp_path / "twinset").chmod(0o755)
    script = f"""
        PATH={tmp_path}:$PATH
        eval "$(_TWINSET_COMPLETE=source_bash twinset)"
        complete -p twinset > /dev/null || exit 1
        COMP_WORDS=(twinset {typed})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _twinset_completion twinset
        echo "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == offered, ended.stderr


def test_a_path_that_is_not_utf_8_still_gives_one_json_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, out, err = called(monkeypatch, capsys, "status", "/nowhere/a\udcff", "--json")
    error = json.loads(out)["error"]
    assert (ended, error["code"]) == (4, "run-folder")
    assert error["message"].startswith("/nowhere/a\\udcff: expected a run folder")
    assert err.startswith("error: /nowhere/a\\udcff: ")


def test_a_path_that_is_not_utf_8_comes_back_from_json_as_it_was() -> None:
    document = documents.InitDocument(recipe="photos/a\udcff.yaml", text="data: é")
    assert documents.InitDocument.model_validate(json.loads(documents.to_json(document))) == document


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from twinset import pipeline

    def stopped(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", stopped)
    ended, out, err = called(monkeypatch, capsys, "run", "builtin:digits", "--json")
    assert ended == 130
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "run the same command again to continue" in err
