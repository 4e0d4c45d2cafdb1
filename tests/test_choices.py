"""Settings made in Python refuse what a recipe refuses, when they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from twinset.choices import check_choices
from twinset.methods import BUILT_IN, method_class


def closed_fields() -> Iterator[tuple[str, str, str, object]]:
    """Every field of every method of ours that is a closed choice, and a value that is none of them."""
    for kind, names in BUILT_IN.items():
        for name in names:
            cls = method_class(kind, name)
            hints = get_type_hints(cls)
            for field in dataclasses.fields(cls):
                hint = hints[field.name]
                if any(get_origin(part) is Literal for part in (hint, *get_args(hint))):
                    yield kind, name, field.name, ("x",) if get_origin(hint) is tuple else "x"


@pytest.mark.parametrize(("kind", "name", "field", "bad"), list(closed_fields()))
def test_a_value_outside_a_closed_choice_is_refused_in_python(kind: str, name: str, field: str, bad: object) -> None:
    with pytest.raises(ValueError, match=rf"expected .*{field}"):
        method_class(kind, name)(**{field: bad})  # type: ignore[arg-type]


def test_the_table_has_closed_choices() -> None:
    assert ("generators", "copypaste", "placement", "x") in list(closed_fields())
    assert len(list(closed_fields())) >= 15


@dataclasses.dataclass(frozen=True)
class Lamp:
    colour: Literal["red", "green"] = "red"
    shade: Literal["round"] | None = None
    bulbs: tuple[Literal["led", "neon"], ...] = ("led",)
    watts: int = 5
    mixed: Literal["auto"] | int = 3


def test_optional_tuples_and_open_fields() -> None:
    for good in (Lamp(), Lamp("green", "round", ("neon", "led")), Lamp(bulbs=()), Lamp(mixed=9), Lamp(watts=-1)):
        check_choices(good)
    for bad, message in (
        (Lamp("blue"), "expected colour 'red' or 'green'; got 'blue'"),  # type: ignore[arg-type]
        (Lamp(None), "expected colour 'red' or 'green'; got None"),  # type: ignore[arg-type]
        (Lamp(shade="square"), "expected shade 'round'; got 'square'"),  # type: ignore[arg-type]
        (Lamp(bulbs=("led", "gas")), "expected bulbs 'led' or 'neon'; got 'gas'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=message):
            check_choices(bad)
