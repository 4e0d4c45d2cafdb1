"""Which parameters of a family the worse shapes have in common: ``back = ring``, or a seat in the lowest third."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.curation import Curated, ShapeScore
from twinset.randomness import RandomSource, Stream
from twinset.stages import Parameter

PERMUTATIONS = 999
FEWEST = 2
"""Shapes that must have a trait, and that must not, for anything to be said of it."""

THIRDS = ("lowest", "middle", "highest")
LEVEL = 0.05


@dataclass(frozen=True)
class Trait:
    """A value of a parameter, or a third of its range: how many shapes of a class have it, and how they did.

    ``mean`` and ``others`` are mean scores of the shapes with and without it. ``p_value``: how often the largest
    difference of any trait of the class is as large when the scores are dealt among the shapes anew; two-sided.
    """

    class_name: str
    parameter: str
    value: str
    shapes: int
    dropped: int
    all_shapes: int
    all_dropped: int
    mean: float
    others: float
    p_value: float

    @property
    def over_represented(self) -> bool:
        """Whether shapes with it are worse beyond chance, and more of them were dropped than of the others."""
        among = self.dropped * (self.all_shapes - self.shapes)
        beside = (self.all_dropped - self.dropped) * self.shapes
        return self.p_value <= LEVEL and self.mean > self.others and among > beside

    @property
    def sentence(self) -> str:
        """What there is to say, as a whole sentence."""
        others, gone = self.all_shapes - self.shapes, self.all_dropped - self.dropped
        return (
            f"{self.parameter} {self.value} of {self.class_name}: {self.dropped} of {self.shapes} shapes dropped, "
            f"{gone} of the other {others}; mean distance {self.mean:.2f} against {self.others:.2f} "
            f"(p = {self.p_value:.3f}, corrected)."
        )


def traits(
    curated: Curated, parameters: Mapping[str, Mapping[str, Mapping[str, Parameter]]], *, rng: RandomSource
) -> tuple[Trait, ...]:
    """The traits of all classes whose shapes have parameters, by class and p-value.

    ``parameters``: values by class, shape id and name (:attr:`twinset.stages.Curatable.shape_parameters`). Numbers are
    looked at in thirds of the shapes.
    """
    stream = Stream.of(rng)
    found: list[Trait] = []
    for name in sorted({shape.class_name for shape in curated.shapes}):
        values = parameters.get(name, {})
        mine = [shape for shape in curated.shapes if shape.class_name == name and values.get(shape.shape_id)]
        found += _of_class(name, mine, values, stream.child("traits", name).numpy())
    return tuple(found)


def _of_class(
    name: str,
    shapes: list[ShapeScore],
    values: Mapping[str, Mapping[str, Parameter]],
    draws: np.random.Generator,
) -> list[Trait]:
    marks = list(_marks([values[shape.shape_id] for shape in shapes]))
    if not marks:
        return []
    has = np.stack([mark for _, _, mark in marks])
    means = np.array([shape.mean for shape in shapes])
    seen = _studentised(has, means)
    largest = np.array([np.abs(_studentised(has, draws.permutation(means))).max() for _ in range(PERMUTATIONS)])
    gone = np.array([shape.dropped for shape in shapes])
    found = [
        Trait(
            class_name=name,
            parameter=parameter,
            value=value,
            shapes=int(mark.sum()),
            dropped=int(gone[mark].sum()),
            all_shapes=len(shapes),
            all_dropped=int(gone.sum()),
            mean=float(means[mark].mean()),
            others=float(means[~mark].mean()),
            p_value=float((1 + (largest >= abs(t)).sum()) / (1 + PERMUTATIONS)),
        )
        for (parameter, value, mark), t in zip(marks, seen, strict=True)
    ]
    return sorted(found, key=lambda trait: (trait.p_value, -abs(trait.mean - trait.others)))


def _studentised(has: NDArray[np.bool_], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) difference of mean scores with and without each of the traits (T, S), over its standard error."""
    count = has.sum(1)
    others = has.shape[1] - count
    with_it = has @ means / count
    without = (means.sum() - has @ means) / others
    spread = max(float(means.std()), 1e-12)
    return np.asarray((with_it - without) / (spread * np.sqrt(1 / count + 1 / others)))


def _marks(shapes: list[Mapping[str, Parameter]]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Parameter, value and which shapes have it (S,), for all that enough shapes have and have not."""
    columns: dict[str, list[Parameter]] = defaultdict(list)
    for values in shapes:
        for name, value in values.items():
            columns[name].append(value)
    for name, column in columns.items():
        if len(column) < len(shapes):
            continue
        for value, mark in _of_column(column):
            if FEWEST <= mark.sum() <= len(shapes) - FEWEST:
                yield name, value, mark


def _of_column(column: list[Parameter]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    if not all(isinstance(value, float) for value in column):
        for value in sorted(set(column), key=str):
            yield f"= {value}", np.array([type(each) is type(value) and each == value for each in column])
        return
    numbers = np.array(column, dtype=np.float64)
    if len(np.unique(numbers)) < len(THIRDS):
        return
    edges = np.quantile(numbers, [0, 1 / 3, 2 / 3, 1])
    third = np.clip(np.searchsorted(edges[1:-1], numbers, side="right"), 0, 2)
    for at, word in enumerate(THIRDS):
        yield f"in its {word} third ({edges[at]:.3g} … {edges[at + 1]:.3g})", third == at
