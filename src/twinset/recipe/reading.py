"""From a file, plain values or a dataset to a checked recipe, its paths made absolute, ``--set`` applied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pydantic

from twinset import methods
from twinset.errors import RecipeError, UnknownNameError, UsageError
from twinset.metric_names import chosen
from twinset.paths import expanded
from twinset.recipe.explaining import explain
from twinset.recipe.model import Recipe
from twinset.recipe.parts import UsePart
from twinset.yamlfile import KeyPath, YamlFile, load_yaml, parse_yaml


@dataclass(frozen=True)
class WrittenRecipe:
    """A recipe as somebody wrote it, its paths made absolute; its digest finds its run."""

    recipe: Recipe

    def digest(self) -> str:
        """sha256 of the written values; the key of the run folder."""
        return hashlib.sha256(json.dumps(self.recipe.to_values(), sort_keys=True).encode()).hexdigest()

    @property
    def source(self) -> str | Path:
        """The real dataset: ``builtin:NAME``, or a path made absolute from the recipe's folder."""
        path = self.recipe.data.path
        return path if path.startswith("builtin:") else Path(path)


def load_recipe(path: Path, *, overrides: Sequence[str] = ()) -> WrittenRecipe:
    """The recipe in a file, with ``a.b=c`` overrides; :class:`RecipeError` with file and line otherwise."""
    file = load_yaml(path)
    return _written(file, overrides, path.resolve().parent)


def recipe_from_values(
    values: Mapping[str, object], *, overrides: Sequence[str] = (), base: Path | None = None, name: str = "recipe"
) -> WrittenRecipe:
    """A recipe from plain values, as :func:`load_recipe`."""
    return _written(YamlFile(dict(values), {}, name), overrides, (base or Path.cwd()).resolve())


def recipe_for(source: str | Path, *, overrides: Sequence[str] = (), minutes: float | None = None) -> WrittenRecipe:
    """The recipe in a YAML file, or the default one for a dataset: a folder, a table file or ``builtin:NAME``."""
    named = str(source)
    if minutes is not None:
        overrides = [*overrides, f"minutes={minutes:g}"]
    if named.startswith("builtin:"):
        return recipe_from_values({"data": named, "minutes": 5}, overrides=overrides)
    path = expanded(named)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_recipe(path, overrides=overrides)
    if not path.exists():
        raise UsageError(
            f"expected a recipe (.yaml), a dataset folder or builtin:NAME; got {named!r}, which does not exist",
            hint="check the path; `twinset init DIR` writes a recipe",
        )
    return recipe_from_values({"data": str(path.resolve())}, overrides=overrides)


def _written(file: YamlFile, overrides: Sequence[str], base: Path) -> WrittenRecipe:
    values = file.values
    for override in overrides:
        values = _override(values, override)
    if overrides:
        file = replace(file, values=values, lines=_lines_but(file.lines, overrides))
    try:
        recipe = Recipe.model_validate(values)
    except pydantic.ValidationError as error:
        raise explain(error, file) from error
    build_methods(recipe, file)
    _check_metrics(recipe, file)

    def placed(path: str, at: KeyPath = ()) -> str:
        if path.startswith("builtin:"):
            return path
        try:
            return str((base / expanded(path)).resolve())
        except UsageError as error:
            raise RecipeError(error.message, path=file.name, line=file.line(at), hint=error.hint) from error
        except (OSError, RuntimeError) as error:  # so Python tells of a link that leads back to itself
            message = f"expected a path; got {path!r}, which leads nowhere"
            raise RecipeError(message, path=file.name, line=file.line(at), hint="repair its links") from error

    data = recipe.data.model_copy(update={"path": placed(recipe.data.path, ("data", "path"))})
    recipe = recipe.with_paths(placed).model_copy(update={"data": data})
    return WrittenRecipe(recipe.with_command(lambda words: _placed_words(words, base)))


def _placed_words(words: tuple[str, ...], base: Path) -> tuple[str, ...]:
    """A command with those words made absolute that name something below the recipe's folder."""
    # Loads what trains, so only where a recipe has a command.
    from twinset.downstream.own_command import placed_words

    return placed_words(words, base)


def _lines_but(lines: Mapping[KeyPath, int], overrides: Sequence[str]) -> dict[KeyPath, int]:
    """Where keys stand in the file, without those that ``--set`` has replaced."""
    replaced = [tuple(override.partition("=")[0].strip().split(".")) for override in overrides]
    return {
        path: line
        for path, line in lines.items()
        if not any(tuple(str(part) for part in path)[: len(keys)] == keys for keys in replaced)
    }


def _override(values: dict[str, object], override: str) -> dict[str, object]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"expected --set key.subkey=value; got {override!r}")
    value = parse_yaml(f"value: {text}".encode(), name="--set").values["value"]
    return _with(values, key.strip().split("."), value, key)


def _with(values: dict[str, object], keys: list[str], value: object, whole: str) -> dict[str, object]:
    head, *rest = keys
    if not rest:
        return {**values, head: value}
    inner = values.get(head, {})
    if isinstance(inner, list):
        if not rest or not head or not rest[0].isdigit() or int(rest[0]) >= len(inner):
            raise RecipeError(f"expected an index below {len(inner)} after {head!r} in --set; got {whole!r}")
        at = int(rest[0])
        item = inner[at] if isinstance(inner[at], dict) else {}
        changed = _with(item, rest[1:], value, whole) if rest[1:] else value
        return {**values, head: [*inner[:at], changed, *inner[at + 1 :]]}
    if isinstance(inner, str) and head == "data":
        inner = {"path": inner}
    return {**values, head: _with(dict(inner) if isinstance(inner, dict) else {}, rest, value, whole)}


def build_methods(recipe: Recipe, file: YamlFile | None = None) -> None:
    """Builds every method once, so that a wrong name or setting is known before anything starts."""
    groups: list[tuple[KeyPath, methods.Kind, Sequence[UsePart]]] = [
        (("generate",), "generators", recipe.generators),
        (("edit",), "editors", recipe.edit),
        (("align",), "aligners", recipe.filters),
    ]
    if recipe.privacy is not None and recipe.privacy.frontier is not None:
        for row, setting in enumerate(recipe.privacy.frontier.settings):
            place: KeyPath = ("privacy", "frontier", "settings", row)
            groups += [
                ((*place, "generate"), "generators", _spelled(setting.generate)),
                ((*place, "edit"), "editors", _spelled(setting.edit)),
                ((*place, "align"), "aligners", _spelled(setting.align)),
            ]
    for at, kind, parts in groups:
        for index, part in enumerate(parts):
            _build(kind, part, (*at, index), file)
    _build("embedders", recipe.evaluate.embedder, ("evaluate", "embedder"), file)
    if recipe.evolve is not None:
        _build("embedders", recipe.evolve.embedder, ("evolve", "embedder"), file)


def _spelled(parts: tuple[UsePart, ...] | str | None) -> tuple[UsePart, ...]:
    """The methods that are written out; none for ``auto``, ``off`` and what is left out."""
    return parts if isinstance(parts, tuple) else ()


def _check_metrics(recipe: Recipe, file: YamlFile) -> None:
    """The names under ``evaluate.metrics`` are those of ``compare --metrics``, and so is what is said of others."""
    asked = recipe.evaluate.metrics
    parts = [((), asked)] if isinstance(asked, str) else [((row,), name) for row, name in enumerate(asked or ())]
    for row, name in parts:
        try:
            chosen(name, by="run")
        except UnknownNameError as error:
            at: KeyPath = ("evaluate", "metrics", *row)
            where = ".".join(str(step) for step in at)
            message = f"{where}: {error.message}"
            raise RecipeError(message, path=file.name, line=file.line(at), hint=error.hint) from error


def _build(kind: methods.Kind, part: UsePart, at: tuple[str | int, ...], file: YamlFile | None) -> None:
    where = ".".join(str(step) for step in at)
    try:
        methods.build(kind, part.use, part.settings, where=where)
    except (RecipeError, UnknownNameError) as error:
        if file is None:
            raise
        message = error.message if isinstance(error, RecipeError) else f"{where}.use: {error.message}"
        raise RecipeError(message, path=file.name, line=file.line(at), hint=error.hint) from error
