"""What the documentation says runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def code(document: str, language: str = "python") -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_generator_of_the_plugin_page_passes_its_contract(tmp_path: Path) -> None:
    blocks = code("docs/plugins.md")
    assert len(blocks) == 2
    (tmp_path / "test_blend.py").write_text("\n".join(blocks))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"[3-9] passed", ended.stdout), ended.stdout


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (block,) = code("README.md")
    quick = block.replace("steps=500", "steps=150").replace("sample(200", "sample(40")
    assert quick != block
    ended = subprocess.run([sys.executable, "-c", quick], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "twin").is_dir()


def test_every_command_of_the_readme_and_the_tutorial_exists() -> None:
    from typer.main import get_command

    from twinset.cli import app

    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/tutorial.md"))
    named = set(re.findall(r"(?:^|`|&& )twinset ([a-z]+)", text, re.MULTILINE))
    assert {"run", "inspect", "init", "compare"} <= named <= verbs
