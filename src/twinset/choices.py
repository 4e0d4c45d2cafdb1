"""Closed choices of settings: a value outside its ``Literal`` is refused when the settings are made, not when used."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal, get_args, get_origin, get_type_hints


def check_choices(settings: object) -> None:
    """``ValueError`` for a field of this dataclass that holds something else than its ``Literal`` names.

    Fields may also be optional, or tuples of such choices.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Lamp:
    ...     colour: Literal["red", "green"] = "red"
    >>> check_choices(Lamp("blue"))
    Traceback (most recent call last):
        ...
    ValueError: expected colour 'red' or 'green'; got 'blue'
    """
    for name, choices in _closed(type(settings)):
        value = getattr(settings, name)
        for one in value if isinstance(value, tuple | list) else (value,):
            if one not in choices:
                *rest, last = (repr(choice) for choice in choices if choice is not None)
                listed = f"{', '.join(rest)} or {last}" if rest else last
                raise ValueError(f"expected {name} {listed}; got {one!r}")


def _closed(kind: type[object]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The fields of a dataclass that are closed choices, each with what it may hold."""
    assert dataclasses.is_dataclass(kind)
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if choices := tuple(_choices(hints[field.name])):
            yield field.name, choices


def _choices(hint: object) -> Iterator[object]:
    """What a type hint names one by one; nothing where it leaves anything else open."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
        return
    inner = [part for part in get_args(hint) if part is not Ellipsis]
    literal = [part for part in inner if part is not type(None)]
    if literal and all(get_origin(part) is Literal for part in literal):
        for part in literal:
            yield from get_args(part)
        if len(literal) < len(inner):
            yield None
