"""YAML that we read from people: safe, small, with the line of every key."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from twinset.errors import RecipeError

MAX_BYTES = 1_000_000
BOOLEAN = "tag:yaml.org,2002:bool"
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """A parsed mapping and where each of its keys stands. ``name`` is what messages call the file."""

    values: dict[str, object]
    lines: Mapping[KeyPath, int]
    name: str

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of its nearest ancestor that stands in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


class _BeyondValues(Exception):
    """``found`` in the line of this number, which no recipe needs."""

    def __init__(self, found: str, line: int | None) -> None:
        super().__init__(found, line)
        self.found, self.line = found, line


class _Loader(yaml.SafeLoader):
    """Safe YAML for people: keys are text as it stands there (class names may be numbers), and only true and false
    are booleans: `off`, `on`, `yes` and `no` stay words, as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != BOOLEAN]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_event(self) -> yaml.Event:
        """The next event, if it is a plain one."""
        event: yaml.Event = super().get_event()  # type: ignore[no-untyped-call]
        if found := _beyond_values(event):
            raise _BeyondValues(found, event.start_mark.line + 1 if event.start_mark else None)
        return event

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """A mapping with text keys."""
        found: dict[Hashable, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is no text", problem_mark=key.start_mark)
            found[str(key.value)] = self.construct_object(value, deep=deep)
        return found


_Loader.add_implicit_resolver(BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def load_yaml(path: Path) -> YamlFile:
    """A YAML mapping from a file; :class:`RecipeError` with file and line for anything else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecipeError(
            f"expected a readable file; got {error.strerror}", path=path, hint="check the path"
        ) from error
    return parse_yaml(data, name=str(path))


def parse_yaml(data: bytes, *, name: str) -> YamlFile:
    """A YAML mapping from bytes. Tags, anchors, repeated keys and files above 1 MB are refused."""
    if len(data) > MAX_BYTES:
        raise RecipeError(f"expected at most {MAX_BYTES} bytes; got {len(data)}", path=name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"expected UTF-8 text; got byte {data[error.start]:#04x}", path=name) from error
    try:
        node, values = _composed(text)
    except _BeyondValues as error:
        raise RecipeError(
            f"expected plain values; got {error.found}",
            path=name,
            line=error.line,
            hint="write the value out, in quotes if it begins with &, * or !",
        ) from error
    except RecursionError as error:
        raise RecipeError("expected a few levels of nesting; got too many", path=name) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise RecipeError(
            f"expected YAML; got {error.problem or error.context}",
            path=name,
            line=line,
            hint="check indentation and quotes there",
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"expected YAML; got {str(error).splitlines()[0]}", path=name) from error
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise RecipeError(f"expected `key: value` lines; got {_kind(values)}", path=name, line=1)
    lines: dict[KeyPath, int] = {}
    _collect(node, (), lines, name)
    return YamlFile(values, lines, name)


def _composed(text: str) -> tuple[yaml.Node | None, object]:
    """The one document in a text, and its values: read once, as that takes longer than all that is done with them."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _beyond_values(event: yaml.Event) -> str:
    """What an event has that no recipe needs; "" for a plain one."""
    if isinstance(event, yaml.AliasEvent):
        return "an alias"
    if getattr(event, "anchor", None) is not None:
        return "an anchor"
    return "a tag" if getattr(event, "tag", None) is not None else ""


def _kind(values: object) -> str:
    return "an empty file" if values is None else f"a {type(values).__name__}"


def _collect(node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*at, str(key.value))
            if path in lines:
                raise RecipeError(
                    f"expected each key once; got {key.value!r} again (first in line {lines[path]})",
                    path=name,
                    line=key.start_mark.line + 1,
                    hint="remove one of them",
                )
            lines[path] = key.start_mark.line + 1
            _collect(value, path, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, index)] = value.start_mark.line + 1
            _collect(value, (*at, index), lines, name)
