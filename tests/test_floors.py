"""The house keeps its floors: ground ← models ← stages ← face; no stage imports another; no cycles."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import twinset

ROOT = Path(twinset.__file__).parent
FACE = {"api", "cli", "contracts", "documents", "executors", "methods", "pipeline", "recipe", "yamlfile"}
STAGES = {"generators", "editing", "labels", "alignment", "evaluation", "downstream", "privacy", "release", "report"}
MODELS = {"models", "embedding"}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def floor(name: str) -> int:
    if name in FACE:
        return 3
    if name in STAGES:
        return 2
    return 1 if name in MODELS else 0


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package, read once."""
    return {
        ".".join(("twinset", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): ast.parse(
            path.read_text()
        )
        for path in ROOT.rglob("*.py")
    }


@cache
def imports(*, at_import: bool = False) -> dict[str, set[str]]:
    """Modules by module; with ``at_import`` only what loading a module loads (not functions, not type checking)."""
    found: dict[str, set[str]] = {}
    for module, tree in trees().items():
        found[module] = set()
        for node in tree.body if at_import else ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("twinset"):
                found[module] |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            elif isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names if alias.name.startswith("twinset")}
    modules = set(found)
    return {
        module: {n for n in names if n in modules and n != module and not is_prefix(n, names & modules)}
        for module, names in found.items()
    }


def is_prefix(name: str, names: set[str]) -> bool:
    """Whether only a module inside this package was imported, by ``from package import module``."""
    return any(other.startswith(f"{name}.") for other in names)


def test_no_import_goes_up() -> None:
    wrong = [
        f"{module} → {name}"
        for module, names in imports().items()
        if module != "twinset"
        for name in names
        if name != "twinset" and floor(room(name)) > floor(room(module))
    ]
    assert not wrong, wrong


def test_no_stage_imports_another() -> None:
    wrong = [
        f"{module} → {name}"
        for module, names in imports().items()
        if room(module) in STAGES
        for name in names
        if room(name) in STAGES and room(name) != room(module)
    ]
    assert not wrong, wrong


def test_no_cycles() -> None:
    graph = {module: names - {"twinset"} for module, names in imports(at_import=True).items()}
    state: dict[str, int] = {}

    def visit(module: str, path: list[str]) -> None:
        state[module] = 1
        for name in graph.get(module, ()):
            assert state.get(name) != 1, " → ".join([*path, module, name])
            if name not in state:
                visit(name, [*path, module])
        state[module] = 2

    for module in graph:
        if module not in state:
            visit(module, [])


def test_no_junk_rooms() -> None:
    names = {path.stem for path in ROOT.rglob("*.py")} | {path.name for path in ROOT.rglob("*") if path.is_dir()}
    assert not names & {"utils", "util", "core", "common", "helpers", "base", "misc"}
