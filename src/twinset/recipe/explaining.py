"""What is wrong with a run file, as one line with its place."""

from __future__ import annotations

import pydantic
from pydantic import BaseModel

from twinset.errors import RecipeError, UnknownNameError
from twinset.recipe.model import Recipe
from twinset.refusals import refusal
from twinset.yamlfile import YamlFile


def explain(error: pydantic.ValidationError, file: YamlFile) -> RecipeError:
    """The first problem with file, line, what was expected and what to do."""
    found = refusal(error)
    where, line = ".".join(str(part) for part in found.place), file.line(found.place)
    message, hint = found.message, found.hint
    if found.kind == "unknown":
        unknown = UnknownNameError("key", str(found.place[-1]), _known_keys(found.place[:-1]))
        message, hint = unknown.message, unknown.hint
    elif found.kind == "missing" and where == "data":
        hint = "`twinset init DIR` writes a whole recipe"
    return RecipeError(f"{where}: {message}" if where else message, path=file.name, line=line, hint=hint)


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        candidates = [inner, *getattr(inner, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]
