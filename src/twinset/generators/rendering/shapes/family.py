"""What a family of objects is: named parameters with ranges, and a mesh for every choice of them.

All families share one frame: metres, z up, standing on z = 0 around the z axis, front towards +x, left towards +y.
A family is any object with ``name``, ``parameters`` and ``build``; see ``examples/rendering_family.py``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np

from twinset.errors import UnknownNameError
from twinset.generators.rendering.meshes import Mesh
from twinset.randomness import RandomSource, Stream

Option = str | int | bool
Value = float | Option
Values = Mapping[str, Value]
Changes = Literal["shape", "look"]


@dataclass(frozen=True)
class Number:
    """A number drawn evenly from ``low`` … ``high``; ``changes`` says whether it moves vertices or only colours."""

    low: float
    high: float
    changes: Changes = "shape"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"expected finite low ≤ high; got {self.low} and {self.high}")

    def drawn(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(rng.uniform(self.low, self.high))

    def holds(self, value: Value) -> bool:
        """Whether this value may be given."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} … {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of ``options``, drawn in proportion to ``weights`` (none: evenly)."""

    options: tuple[Option, ...]
    changes: Changes = "shape"
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.options or len(set(map(repr, self.options))) != len(self.options):
            raise ValueError(f"expected options that differ, at least one; got {self.options}")
        weights = self.weights
        if weights is not None and (len(weights) != len(self.options) or min(weights) < 0 or not sum(weights) > 0):
            raise ValueError(f"expected a weight ≥ 0 for each of {len(self.options)} options; got {weights}")

    def drawn(self, rng: np.random.Generator) -> Option:
        """One of the options."""
        weights = None if self.weights is None else np.asarray(self.weights) / sum(self.weights)
        return self.options[int(rng.choice(len(self.options), p=weights))]

    def holds(self, value: Value) -> bool:
        """Whether this value is one of the options."""
        return any(value == option and type(value) is type(option) for option in self.options)

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.options))}"


class Family(Protocol):
    """Objects of one kind."""

    @property
    def name(self) -> str:
        """As a recipe calls it."""
        ...

    @property
    def parameters(self) -> Mapping[str, Number | Choice]:
        """What may vary, by name."""
        ...

    def build(self, values: Values) -> Mesh:
        """The object with these values, one for each parameter. Equal values give equal meshes."""
        ...


def draw(family: Family, *, rng: RandomSource) -> dict[str, Value]:
    """Values for all parameters. Each has its own stream: a parameter that is added later changes no other's value."""
    stream = Stream.of(rng).child("shape", family.name)
    return {name: range_.drawn(stream.child(name).numpy()) for name, range_ in family.parameters.items()}


def built(family: Family, values: Values) -> Mesh:
    """The mesh of these values; :class:`ValueError` names what is missing, unknown or out of range."""
    for name in values:
        if name not in family.parameters:
            raise UnknownNameError(f"parameter of {family.name}", name, family.parameters)
    for name, range_ in family.parameters.items():
        if name not in values:
            raise ValueError(f"expected a value for {name} of {family.name} ({range_}); got none")
        if not range_.holds(values[name]):
            raise ValueError(f"expected {name} of {family.name} {range_}; got {values[name]!r}")
    return family.build(values)


def topology(family: Family, values: Values) -> str:
    """The choices that change the shape, e.g. ``chair/splayed-ladder-round-arms``: the kind, not its sizes.

    Yes-or-no parameters appear by their name where they hold.
    """
    words = []
    for name, range_ in family.parameters.items():
        if isinstance(range_, Choice) and range_.changes == "shape":
            value = values[name]
            if isinstance(value, bool):
                words += [name] if value else []
            else:
                words.append(str(value))
    return "/".join([family.name, "-".join(words)]) if words else family.name


def shape_id(family: Family, values: Values) -> str:
    """The topology and eight hexadecimal digits over all that changes the shape; colours do not count.

    Numbers are told apart to six digits.
    """
    parts = [
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value!r}"
        for name, value in sorted(values.items())
        if family.parameters[name].changes == "shape"
    ]
    digest = hashlib.blake2b(";".join([family.name, *parts]).encode(), digest_size=4).hexdigest()
    return f"{topology(family, values)}/{digest}"


def number(values: Values, name: str) -> float:
    """The value as a float."""
    value = values[name]
    if isinstance(value, str | bool):
        raise TypeError(f"expected a number for {name}; got {value!r}")
    return float(value)


def text(values: Values, name: str) -> str:
    """The value as a string."""
    value = values[name]
    if not isinstance(value, str):
        raise TypeError(f"expected a name for {name}; got {value!r}")
    return value


def has(values: Values, name: str) -> bool:
    """The value of a yes-or-no parameter."""
    value = values[name]
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false for {name}; got {value!r}")
    return value


@dataclass(frozen=True)
class Narrowed:
    """A family with some parameters held to less: how a class says which part of a family it means.

    Raises :class:`UnknownNameError` for an unknown parameter, :class:`ValueError` for what the family does not hold.
    """

    family: Family
    limits: Mapping[str, Number | Choice]

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            if name not in self.family.parameters:
                raise UnknownNameError(f"parameter of {self.family.name}", name, self.family.parameters)
            whole = self.family.parameters[name]
            ends: Sequence[Value] = limit.options if isinstance(limit, Choice) else (limit.low, limit.high)
            for end in ends:
                if not whole.holds(end):
                    raise ValueError(f"expected {name} of {self.family.name} {whole}; got {end!r}")

    @property
    def name(self) -> str:
        """That of the family: shape ids stay the same."""
        return self.family.name

    @property
    def parameters(self) -> Mapping[str, Number | Choice]:
        """The family's, with the limits in place; each keeps what it changes, options their weights."""
        limited = {
            name: _limited(range_, self.limits[name]) if name in self.limits else range_
            for name, range_ in self.family.parameters.items()
        }
        return MappingProxyType(limited)

    def build(self, values: Values) -> Mesh:
        """The family's mesh."""
        return self.family.build(values)


def held(family: Family, limits: Mapping[str, Sequence[Value]]) -> Family:
    """The family with limits as people write them: a least and a most of a number, the options that stay of a choice.

    :class:`UnknownNameError` for an unknown parameter, :class:`ValueError` says what a known one may be held to.
    """
    found: dict[str, Number | Choice] = {}
    for name, values in limits.items():
        if name not in family.parameters:
            raise UnknownNameError(f"parameter of {family.name}", name, family.parameters)
        whole = family.parameters[name]
        numbers = [float(value) for value in values if whole.holds(value) and not isinstance(value, str)]
        options = tuple(value for value in values if whole.holds(value) and not isinstance(value, float))
        if isinstance(whole, Number) and len(numbers) == len(values) == 2 and numbers[0] <= numbers[1]:
            found[name] = Number(numbers[0], numbers[1])
        elif isinstance(whole, Choice) and len(options) == len(values) == len(set(map(repr, options))) > 0:
            found[name] = Choice(options)
        else:
            wanted = "a least and a most within" if isinstance(whole, Number) else "some, each once, of"
            allowed = str(whole).removeprefix("one of ")
            raise ValueError(f"expected limits.{name} of {family.name}: {wanted} {allowed}; got {list(values)}")
    return Narrowed(family, found) if found else family


def _limited(whole: Number | Choice, limit: Number | Choice) -> Number | Choice:
    """The limit as a parameter of the family."""
    if isinstance(limit, Choice) and isinstance(whole, Choice) and whole.weights and limit.weights is None:
        weights = tuple(whole.weights[whole.options.index(option)] for option in limit.options)
        limit = replace(limit, weights=weights if sum(weights) > 0 else None)
    return replace(limit, changes=whole.changes)
