"""What pydantic finds wrong with a run file, as one line with its place in the words of people who write YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pydantic
from pydantic import BaseModel

from twinset.errors import RecipeError, UnknownNameError
from twinset.recipe.model import Recipe
from twinset.yamlfile import YamlFile

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def explain(error: pydantic.ValidationError, file: YamlFile) -> RecipeError:
    """The first problem with file, line, what was expected and what to do."""
    alternatives = _alternatives(error)
    first, location = alternatives[0], _location(alternatives[0])
    where = ".".join(str(part) for part in location)
    line = file.line(location)
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        problem = UnknownNameError("key", str(location[-1]), known)
        return RecipeError(f"{where}: {problem.message}", path=file.name, line=line, hint=problem.hint)
    if first["type"] == "missing":
        return RecipeError(
            f"{where}: expected this key; got none",
            path=file.name,
            line=line,
            hint="`twinset init DIR` writes a whole recipe" if where == "data" else "add it",
        )
    message = " or ".join(dict.fromkeys(_expected(each["msg"]) for each in alternatives)).replace(
        " or expected ", " or "
    )
    got = "" if isinstance(first["input"], dict | BaseModel) else f"; got {first['input']!r}"
    return RecipeError(f"{where}: {message}{got}" if where else message, path=file.name, line=line)


def _alternatives(error: pydantic.ValidationError) -> list[ErrorDetails]:
    """What is wrong at one place: several problems where several kinds of value would do; the deepest place counts."""
    errors = error.errors()
    place = _location(errors[0])
    here = [each for each in errors if _location(each)[: len(place)] == place]
    deepest = max(here, key=lambda each: len(_location(each)))
    return [each for each in here if _location(each) == _location(deepest)]


def _location(error: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(part for part in error["loc"] if not _is_union_tag(part))


_WORDS = (
    (r"(Input|Value) should be", "expected"),
    (r", unable.*", ""),
    (r"a valid dictionary( or instance of \w+)?", "`key: value` lines"),
    (r"a valid (tuple|list)", "a list"),
    (r"a valid integer", "a whole number"),
    (r"expected (greater|less)", r"expected a number \1"),
    (r"Tuple should have at most (\d+) items.*", r"expected at most \1 items"),
)
"""Pydantic's words in the words of people who write YAML."""


def _expected(message: str) -> str:
    message = message.removeprefix("Value error, ")
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and (
        part in ("int", "dict[str,constrained-int]", "constrained-int", "tuple[int, int]")
        or part.startswith(("literal[", "dict[", "tuple[", "function-", "constrained"))
        or (part.endswith("Part") and part[0].isupper())
    )


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        candidates = [inner, *getattr(inner, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]
