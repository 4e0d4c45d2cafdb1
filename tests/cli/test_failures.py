from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from twinset import pipeline

Called = Callable[..., tuple[int, str, str]]


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
        (["detect", "builtin:digits"], "usage", 2, "expected one of --detector FILE"),
        (["detect", "builtin:digits", "--detector", "no"], "data", 4, "expected a detector; got no such file"),
        (["detect", "builtin:digits", "--detector", "no", "--rate", "0.1"], "usage", 2, "expected --rate 0.01 or 0.05"),
        (["fit-detector", "nowhere", "there", "--out", "it"], "dataset-format", 4, "no such file"),
        (["fit-detector", "builtin:digits", "there", "--out", "."], "run-folder", 4, "expected the name of a new file"),
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
    called: Called,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = called(*arguments, "--json")
    answer = json.loads(out)
    assert set(answer) == {"error"}
    assert ended == exit_code
    assert answer["error"]["code"] == code or not code
    assert says in answer["error"]["message"] + answer["error"]["hint"]
    assert "Traceback" not in err
    assert err.count("error: ") == 1


@pytest.mark.parametrize(
    ("words", "says", "where"),
    [
        (["run", "x", "--minutes", "0"], "'--minutes': expected a number greater than or equal to 0.1; got '0'", "run"),
        (["run", "x", "--workers=two"], "'--workers': expected a whole number; got 'two'", "run"),
        (["fit-detector", "a", "b"], "Missing option '--out'", "fit-detector"),
        (["--quiet", "rnu"], "No such option", ""),
        (["rnu"], "No such command", ""),
    ],
)
def test_a_usage_error_says_what_came_and_names_the_help_of_its_command(
    words: list[str], says: str, where: str, called: Called
) -> None:
    ended, _, err = called(*words)
    assert ended == 2
    assert says in err
    assert err.endswith(f"hint: see `twinset {where} --help`\n" if where else "hint: see `twinset --help`\n")


def test_an_empty_folder_is_not_told_to_give_the_same_command_again(tmp_path: Path, called: Called) -> None:
    ended, _, err = called("inspect", tmp_path)
    assert ended == 4
    assert "expected pictures; got none" in err
    assert "twinset inspect" not in err


def test_a_dataset_that_does_not_come_with_twinset_is_told_how_to_name_another(called: Called) -> None:
    ended, _, err = called("inspect", "builtin:mnist")
    assert ended == 2
    assert "give the path of a folder or file" in err


def test_a_path_that_is_not_utf_8_still_gives_one_json_object(called: Called) -> None:
    ended, out, err = called("status", "/nowhere/a\udcff", "--json")
    error = json.loads(out)["error"]
    assert (ended, error["code"]) == (4, "run-folder")
    assert error["message"].startswith("/nowhere/a\\udcff: expected a run folder")
    assert err.startswith("error: /nowhere/a\\udcff: ")


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:

    def stopped(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", stopped)
    ended, out, err = called("run", "builtin:digits", "--json")
    assert ended == 130
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "run the same command again to continue" in err
