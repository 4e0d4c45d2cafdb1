"""What the documentation says runs as it stands there."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
METRICS = "docs/metrics.md"
PARTS = {"mean_score", "diversity_scores", "share_scores", "share_score", "scores_of", "with_floor"}
"""Functions that give scores to those of the page, and are no metrics themselves."""


def code(document: str, language: str = "python") -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.slow
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


@pytest.mark.slow(seconds=45)
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (block,) = code("README.md")
    quick = block.replace("steps=500", "steps=150").replace("sample(200", "sample(40")
    assert quick != block
    ended = subprocess.run([sys.executable, "-c", quick], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "twin").is_dir()


def test_every_command_of_the_readme_the_tutorial_and_the_metrics_exists() -> None:
    from typer.main import get_command

    from twinset.cli import app

    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    pages = ("README.md", "docs/tutorial.md", METRICS)
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in pages)
    named = set(re.findall(r"(?:^|`|&& )twinset ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE))
    assert {"run", "inspect", "init", "compare"} <= named <= verbs


def sections(text: str, level: int) -> dict[str, str]:
    """Text by heading of this level; what stands before the first is left out."""
    parts = re.split(rf"^{'#' * level} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def groups() -> dict[str, str]:
    return sections((ROOT / METRICS).read_text(encoding="utf-8"), 2)


def metrics() -> dict[str, str]:
    return {name: part for group, text in groups().items() for name, part in sections(text, 3).items()}


def examples(text: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def rooms() -> Iterator[tuple[str, ModuleType]]:
    """Every module of the evaluation, the packages among them."""
    import twinset.evaluation

    yield "twinset.evaluation", twinset.evaluation
    for found in pkgutil.walk_packages(twinset.evaluation.__path__, "twinset.evaluation."):
        yield found.name, importlib.import_module(found.name)


@pytest.mark.slow
@pytest.mark.parametrize("group", ["the opening", *groups()])
def test_every_example_of_the_metrics_gives_its_number(group: str) -> None:
    """Each group of metrics stands alone: it imports what it uses."""
    opening = (ROOT / METRICS).read_text(encoding="utf-8").split("\n## ")[0]
    parsed = doctest.DocTestParser().get_doctest(examples(groups().get(group, opening)), {}, group, METRICS, 0)
    assert parsed.examples, f"no example under {group}"
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(parsed, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize("name", metrics())
def test_every_metric_of_the_page_has_its_parts_and_an_example_with_a_result(name: str) -> None:
    text = metrics()[name]
    wanted = (
        ("In", "Out")
        if name in sections(groups()["All at once"], 3)
        else ("Formula", "In", "Out", "Source", "Misleads")
    )
    assert not [word for word in wanted if not re.search(rf"\*\*{word}\b", text)]
    assert [each for each in doctest.DocTestParser().get_examples(examples(text)) if each.want]


def test_every_metric_function_is_called_on_the_page() -> None:
    public = set()
    for name, module in rooms():
        for word in getattr(module, "__all__", ()):
            if inspect.isfunction(getattr(module, word)):
                public.add(word)
        for word, function in inspect.getmembers(module, inspect.isfunction):
            gives = function.__annotations__.get("return")
            if function.__module__ == name and not word.startswith("_") and gives in ("Score", "list[Score]"):
                public.add(word)
    assert len(public) > 60
    called = examples((ROOT / METRICS).read_text(encoding="utf-8"))
    missing = [word for word in sorted(public - PARTS) if not re.search(rf"\b{word}\(", called)]
    assert not missing, f"{METRICS} has no example of {missing}"


def test_every_metric_class_is_named_on_the_page() -> None:
    text = (ROOT / METRICS).read_text(encoding="utf-8")
    classes = {
        word
        for _, module in rooms()
        for word in getattr(module, "__all__", ())
        if inspect.isclass(kind := getattr(module, word)) and not getattr(kind, "_is_protocol", False)
        if hasattr(kind, "measure") or hasattr(kind, "score")
    }
    assert {"FrechetDistance", "Detectability", "StructuralSimilarity"} <= classes
    assert not [word for word in sorted(classes) if f"`{word}" not in text]


def test_the_command_line_names_of_the_page_are_those_there_are() -> None:
    from twinset.evaluation import FEATURE_METRICS
    from twinset.metric_names import DEFAULTS
    from twinset.pipeline.comparing.metrics import MEASURES

    text = (ROOT / METRICS).read_text(encoding="utf-8")
    headings = "".join(line for line in text.splitlines() if line.startswith("#"))
    assert set(re.findall(r"`--metrics ([a-z-]+)`", headings)) == {*FEATURE_METRICS, *MEASURES}
    assert "`" + ",".join(DEFAULTS["compare"]) + "`" in text
