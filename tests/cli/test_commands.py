from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import twinset as twinset_package
from twinset import cli
from twinset.cli.commands import VERBS


@pytest.mark.parametrize("verb", [verb.__name__.replace("_", "-") for verb in VERBS])
def test_every_verb_has_examples_in_its_help(verb: str) -> None:
    shown = CliRunner().invoke(cli.app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f"  twinset {verb}" in shown.output


def test_the_list_of_commands_cuts_no_summary() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "80"}).output
    listed = shown[shown.index("Commands:") :].splitlines()[1:]
    assert len(listed) == len(VERBS)
    assert all(line.endswith(".") and not line.endswith("...") and "…" not in line for line in listed)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from twinset import cli; sys.argv = ['twinset', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'pyarrow', 'pydantic', 'sklearn') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("[]\n")


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


def test_the_module_runs_as_the_command_does() -> None:
    command = [sys.executable, "-m", "twinset.cli", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == f"twinset {twinset_package.__version__}\n"
