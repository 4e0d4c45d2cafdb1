"""What pydantic refuses, in the words of people who write YAML: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydantic
    from pydantic_core import ErrorDetails

LONGEST = 80
"""Characters of a refused value that are shown."""

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Refusal:
    """A value that will not do: where it stands, pydantic's ``kind`` of error, *expected X; got Y*, and what to do."""

    place: Place
    kind: str
    message: str
    hint: str


def refusal(error: pydantic.ValidationError) -> Refusal:
    """The first problem; where several kinds of value would have done, all of them are named."""
    alternatives = _alternatives(error)
    # A check of ours has understood what kind of value was meant: it knows best.
    first = next((each for each in alternatives if _own_words(each)), alternatives[0])
    place = _place(first)
    if first["type"] == "missing":
        what = "one more item" if place and isinstance(place[-1], int) else "this key"
        return Refusal(place, "missing", f"expected {what}; got none", "add it")
    if first["type"] in UNKNOWN_KEY:
        return Refusal(place, "unknown", f"expected a known key; got {place[-1]!r}", "correct it, or leave it out")
    named = place[-1:] == ("[key]",)
    message = _own_words(first) or ("expected as key " if named else "expected ") + _listed(alternatives)
    if "; got " not in message and not isinstance(first["input"], dict) and not hasattr(first["input"], "model_fields"):
        message += f"; got {_shown(first['input'])}"
    return Refusal(place[:-1] if named else place, first["type"], message, _hint(alternatives))


def _own_words(error: ErrorDetails) -> str:
    """The message of a check that is not pydantic's, which is a whole sentence; "" for one of theirs."""
    own = error["type"] in ("value_error", "assertion_error")
    return re.sub(r"^(Value error|Assertion failed), ", "", error["msg"]) if own else ""


def _alternatives(error: pydantic.ValidationError) -> list[ErrorDetails]:
    """What is wrong at one place: several problems where several kinds of value would do; the deepest place counts."""
    errors = error.errors()
    place = _place(errors[0])
    here = [each for each in errors if _place(each)[: len(place)] == place]
    deepest = max(here, key=lambda each: len(_place(each)))
    found = [each for each in here if _place(each) == _place(deepest)]
    # That another kind of value has no such key says nothing of this one.
    return [each for each in found if each["type"] not in UNKNOWN_KEY] or found


def _place(error: ErrorDetails) -> Place:
    return tuple(part for part in error["loc"] if not _is_union_tag(part))


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and (
        part in ("int", "float", "bool", "str", "ShapeSource")
        or part.startswith(("literal[", "dict[", "list[", "tuple[", "function-", "constrained"))
        or (part.endswith("Part") and part[0].isupper())
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "`key: value` lines",
    "model_type": "`key: value` lines",
    "model_attributes_type": "`key: value` lines",
    "dataclass_type": "`key: value` lines",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("greater than or equal to", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("less than or equal to", "le"),
}
_LENGTHS = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}


def _listed(alternatives: Sequence[ErrorDetails]) -> str:
    """All that would have done: closed choices first, then other kinds of value.

    ``'auto', 'balance', a whole number or a list``
    """
    others = [_words(each) for each in alternatives if each["type"] != "literal_error"]
    *rest, last = dict.fromkeys([*_choices(alternatives), *others])
    return f"{', '.join(rest)} or {last}" if rest else last


def _choices(alternatives: Sequence[ErrorDetails]) -> list[str]:
    """The closed choices as they are written, such as ``'auto'`` and ``3``."""
    texts = [str(each["ctx"]["expected"]) for each in alternatives if each["type"] == "literal_error"]
    return list(dict.fromkeys(choice for text in texts for choice in re.split(r", | or ", text)))


def _words(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"a number {words} {context[name]:g}"
    if kind in _LENGTHS:
        words, name = _LENGTHS[kind]
        return f"a list of {words} {context[name]} item{'' if context[name] == 1 else 's'}"
    if kind == "multiple_of":
        return f"a multiple of {context['multiple_of']}"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    return re.sub(r"^(Input|Value) should be ", "", _own_words(error).removeprefix("expected ") or error["msg"])


def _hint(alternatives: Sequence[ErrorDetails]) -> str:
    got, kinds = alternatives[0]["input"], {each["type"] for each in alternatives}
    choices = [choice.strip("'") for choice in _choices(alternatives)]
    if isinstance(got, str) and (near := difflib.get_close_matches(got, choices, n=1)):
        return f"did you mean {near[0]!r}?"
    if kinds == {"literal_error"}:
        return "use one of those" if len(choices) > 1 else ""
    if isinstance(got, str) and any(each.get("ctx", {}).get("class_name") == "UsePart" for each in alternatives):
        return f"write {{use: {got}}}"
    if isinstance(got, str) and kinds & {"list_type", "tuple_type"}:
        return f"write it in brackets: [{', '.join(got.split())}]"
    return ""
