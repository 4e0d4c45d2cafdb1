"""Brings drawn boxes to what a target or a configuration wants of them, each value keeping its rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from twinset.generators.copypaste.marginals import (
    MEASURES,
    BoxTarget,
    Measure,
    Mixture,
    PlacementTarget,
    Reference,
    Weighted,
    at_rank,
    at_ranks_of_mixture,
    components,
    draw,
)
from twinset.generators.copypaste.placement import Boxes, Floats

ACROSS, DOWN = 1 | 4, 2 | 8


@dataclass(frozen=True, eq=False)
class Steering:
    """``pooled`` are the marginals of placement left to itself, ``of_class`` those of single classes, as needed.

    ``target`` comes from the recipe, ``configured`` from the matching loop and has the last word.
    """

    pooled: Reference
    of_class: Mapping[int, Reference] = field(default_factory=dict)
    target: PlacementTarget | None = None
    per_class: Mapping[int, BoxTarget] = field(default_factory=dict)
    configured: Weighted = ()
    simulated: Mapping[Measure, Floats] = field(default_factory=dict)
    of_component: tuple[Reference, ...] = ()

    def following(self, weighted: Weighted, draws: np.random.Generator) -> Steering:
        """The same steering with these configurations.

        What they make of ``simulated`` (n,) objects shows which ranks those of each component have in other measures:
        if the large ones are the long ones, a component of large objects must not end up longer than it says.
        """
        which = components(weighted, self._areas(weighted, self.simulated["log_area"], draws), draws)
        seen = [which == k for k in range(len(weighted))]
        parts = (
            Reference.of({name: values[rows] for name, values in self.simulated.items()}) if rows.any() else self.pooled
            for rows in seen
        )
        return replace(self, configured=weighted, of_component=tuple(parts))

    def _areas(self, followed: Weighted, areas: Floats, draws: np.random.Generator) -> Floats:
        """Log areas (n,) at equal rank in the mixture of all configurations; as they are where not all speak of it."""
        said = [configuration.normal("log_area", weight) for weight, configuration in followed]
        mixture = tuple(part for part in said if part is not None)
        if len(mixture) < len(followed):
            return areas
        return at_ranks_of_mixture(_ranks(self.pooled, "log_area", areas, draws), mixture)

    def component(self, draws: np.random.Generator) -> Weighted:
        """The configurations that one picture follows: a single one where any speaks of the count, else all."""
        if not any(configuration.count_mean is not None for _, configuration in self.configured):
            return self.configured
        weights = np.array([weight for weight, _ in self.configured])
        return (self.configured[int(draws.choice(len(weights), p=weights / weights.sum()))],)

    def total(self, followed: Weighted, draws: np.random.Generator) -> int | None:
        """How many objects are wanted in a picture; None where nothing is said."""
        part = followed[0][1].normal("count") if len(followed) == 1 else None
        mixture: Mixture = (part,) if part else self.target.count if self.target else ()
        return max(0, int(np.floor(draw(mixture, draws) + draws.random()))) if mixture else None

    def steer(self, boxes: Boxes, size: tuple[int, int], followed: Weighted, draws: np.random.Generator) -> Boxes:
        """Boxes (n) for a picture of (height, width) with all that is wanted of them."""
        if not len(boxes) or (self.target is None and not followed):
            return boxes
        values = values_of(boxes, size)
        moved: dict[Measure, Floats] = {}
        if self.target is not None:
            self._to_target(self.target, boxes, values, moved, draws)
        if followed:
            self._to_configured(followed, values, moved, draws)
        return _moved(boxes, size, moved)

    def _to_target(
        self,
        target: PlacementTarget,
        boxes: Boxes,
        values: Mapping[Measure, Floats],
        moved: dict[Measure, Floats],
        draws: np.random.Generator,
    ) -> None:
        for name in MEASURES:
            pooled: Mixture = getattr(target, name)
            if pooled:
                moved[name] = at_ranks_of_mixture(_ranks(self.pooled, name, values[name], draws), pooled)
            for c, own in self.per_class.items():
                mixture: Mixture = getattr(own, name)
                rows = boxes.class_ids == c
                if mixture and rows.any():
                    ranks = _ranks(self.of_class[c], name, values[name][rows], draws)
                    moved.setdefault(name, values[name].copy())[rows] = at_ranks_of_mixture(ranks, mixture)

    def _to_configured(
        self,
        followed: Weighted,
        values: Mapping[Measure, Floats],
        moved: dict[Measure, Floats],
        draws: np.random.Generator,
    ) -> None:
        areas = self._areas(followed, values["log_area"], draws)
        all_speak = areas is not values["log_area"]
        if all_speak:
            moved["log_area"] = areas
        which = components(followed, areas, draws)
        for name in MEASURES:
            for k, (_, configuration) in enumerate(followed):
                part, rows = configuration.normal(name), which == k
                if part is None or not rows.any() or (name == "log_area" and all_speak):
                    continue
                reference = self.of_component[k] if len(followed) > 1 else self.pooled
                ranks = _ranks(reference, name, values[name][rows], draws)
                moved.setdefault(name, values[name].copy())[rows] = at_rank(ranks, part)


def _ranks(reference: Reference, name: Measure, values: Floats, draws: np.random.Generator) -> Floats:
    """Ranks of values; random ones where placement leaves the measure open (NaN)."""
    open_ = np.isnan(values)
    return (
        np.where(open_, draws.random(values.shape), reference.rank(name, values))
        if open_.any()
        else (reference.rank(name, values))
    )


def values_of(boxes: Boxes, size: tuple[int, int]) -> dict[Measure, Floats]:
    """The measures of n boxes: (n,) log area and log aspect, (n, T) centres of all their candidate places."""
    width, height = (side[:, None] / full for side, full in zip(boxes.sides(size), size[::-1], strict=True))
    return {
        "log_area": boxes.log_area,
        "log_aspect": boxes.log_aspect,
        "centre_x": boxes.places[..., 0] * (1 - width) + width / 2,
        "centre_y": boxes.places[..., 1] * (1 - height) + height / 2,
    }


def _moved(boxes: Boxes, size: tuple[int, int], moved: Mapping[Measure, Floats]) -> Boxes:
    """The boxes with these measures; a box that would leave the picture is pushed back to its border."""
    boxes = replace(
        boxes,
        log_area=np.minimum(moved.get("log_area", boxes.log_area), 0.0),
        log_aspect=moved.get("log_aspect", boxes.log_aspect),
    )
    places, touching = boxes.places.copy(), boxes.touching.copy()
    sides = [side[:, None] / full for side, full in zip(boxes.sides(size), size[::-1], strict=True)]
    axes: tuple[tuple[Measure, int], ...] = (("centre_x", ACROSS), ("centre_y", DOWN))
    for axis, (name, bits) in enumerate(axes):
        if name in moved:
            share = sides[axis]
            places[..., axis] = np.clip((moved[name] - share / 2) / np.maximum(1 - share, 1e-6), 0, 1)
            touching &= np.uint8(15 - bits)
    return replace(boxes, places=places, touching=touching)
