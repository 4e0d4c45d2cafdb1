"""No word of pydantic's reaches people: they read what was expected, what came, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pydantic
import pytest

from twinset import methods
from twinset.errors import RecipeError
from twinset.recipe import recipe_from_values
from twinset.refusals import refusal

PYDANTIC = ("Input should", "Value error", "unable to", "valid ", "String should", "Field required", "expected:")


def told(*overrides: str, **values: object) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe_from_values({"data": "x", **values}, overrides=overrides)
    assert caught.value.exit_code == 2
    assert not [words for words in PYDANTIC if words in str(caught.value)], str(caught.value)
    return str(caught.value).removeprefix("recipe: ")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"task": "detectoin"},
            "task: expected 'auto', 'classification', 'detection', 'instance-segmentation' or "
            "'semantic-segmentation'; got 'detectoin'; did you mean 'detection'?",
        ),
        ({"image": {"channels": 2}}, "image.channels: expected 'auto', 1 or 3; got 2; use one of those"),
        ({"minutes": "abc"}, "minutes: expected a number; got 'abc'"),
        ({"minutes": 0}, "minutes: expected a number greater than 0; got 0"),
        ({"seed": 1.5}, "seed: expected a whole number; got 1.5"),
        ({"name": 3}, "name: expected text; got 3"),
        ({"evaluate": {"fidelity": "maybe"}}, "evaluate.fidelity: expected true or false; got 'maybe'"),
        (
            {"evaluate": {"utility": {"width": 17}}},
            "evaluate.utility.width: expected 'auto' or a multiple of 8; got 17",
        ),
        ({"evaluate": {"utility": {"flip": "x"}}}, "evaluate.utility.flip: expected 'auto' or true or false; got 'x'"),
        ({"count": "foo"}, "count: expected 'auto', 'balance', a whole number or `key: value` lines; got 'foo'"),
        ({"count": {"a": "b"}}, "count.a: expected a whole number; got 'b'"),
        ({"image": {"size": [1, 2, 3]}}, "a whole number or a list of at most 2 items; got [1, 2, 3]"),
        ({"image": {"size": [9]}}, "image.size.1: expected one more item; got none; add it"),
        ({"match": {"measures": []}}, "match.measures: expected a list of at least 1 item; got []"),
        ({"export": "coco"}, "export: expected 'auto' or a list; got 'coco'; write it in brackets: [coco]"),
        (
            {"generate": ["copypaste"]},
            "generate.0: expected `key: value` lines; got 'copypaste'; write {use: copypaste}",
        ),
        ({"generate": [{}]}, "generate.0.use: expected this key; got none; add it"),
        ({"target": {}}, "target: expected either path or numbers"),
        (
            {"target": {"numbers": {"foo": {"means": [1]}}}},
            "target.numbers.foo: expected as key 'box_area', 'aspect_ratio', 'centre_x', 'centre_y' or 'count'",
        ),
        (
            {"generate": [{"use": "copypaste", "placement": "fited"}]},
            "generate.0.placement: expected 'uniform', 'fitted' or 'context'; got 'fited'; did you mean 'fitted'?",
        ),
        ({"generate": [{"use": "copypaste", "count": 3}]}, "generate.0.count: expected a list; got 3"),
        ({"generate": [{"use": "copypaste", "balance": "x"}]}, "generate.0.balance: expected a number; got 'x'"),
        (
            {"generate": [{"use": "copypaste", "target": {"foo": 3}}]},
            "generate.0.target.foo: expected a known key; got 'foo'; correct it, or leave it out",
        ),
        ({"generate": [{"use": "folder"}]}, "generate.0.path: expected this key; got none; add it"),
        (
            {"generate": [{"use": "copypaste", "truncation": 0.95}]},
            "expected truncation of at most 0.9; got 0.95; give a smaller share",
        ),
    ],
)
def test_a_refused_value_is_told_in_our_words(values: dict[str, object], expected: str) -> None:
    message = told(**values)
    assert expected in message
    assert message.count("; got ") <= 1


def test_what_a_check_of_ours_says_is_not_said_twice() -> None:
    message = told(generate=[{"use": "copypaste", "truncation": 0.95}])
    assert message.endswith("; got 0.95; give a smaller share")


def test_a_plug_in_may_speak_its_own_words() -> None:
    @dataclass(frozen=True)
    class Odd:
        size: int = 1
        mode: Literal["a"] = "a"

        def __post_init__(self) -> None:
            if self.size > 5:
                raise ValueError("five is plenty")

    def of(values: dict[str, object]) -> str:
        with pytest.raises(pydantic.ValidationError) as caught:
            pydantic.TypeAdapter(Odd).validate_python(values)
        found = refusal(caught.value)
        return f"{found.message}|{found.hint}"

    assert of({"size": 9}) == "five is plenty|"
    assert of({"mode": "b"}) == "expected 'a'; got 'b'|"


def test_a_long_value_is_shown_in_part() -> None:
    assert told(minutes="x" * 500).endswith("x…")


def test_every_method_refuses_in_our_words() -> None:
    for kind, name, key, bad in (
        ("editors", "geometric", "fill", "x"),
        ("aligners", "density", "neighbours", "many"),
        ("embedders", "pretrained", "name", "x"),
    ):
        with pytest.raises(RecipeError) as caught:
            methods.build(kind, name, {key: bad}, where="here")  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"here.{key}: expected ")
        assert not [words for words in PYDANTIC if words in str(caught.value)]
