from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from twinset import cli, documents

VERBS = [
    "run",
    "resume",
    "evaluate",
    "status",
    "verify",
    "inspect",
    "init",
    "compare",
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
            ["compare", "builtin:digits", "builtin:digits", "--embedder", "dino"],
            "unknown-name",
            2,
            "expected an embedder",
        ),
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
