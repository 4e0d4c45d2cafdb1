"""What the objects of a twin are to measure, where the exposed images do not say: numbers, or deployment images.

Deployment images have no labels: a detector trained on the exposed images finds their objects, and its error on the
validation images is told beside what it found. The outcome is committed to the run folder; later sittings read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from math import exp
from pathlib import Path
from typing import cast

from twinset.alignment.metadata import (
    MEASURES,
    Component,
    InferenceError,
    Mixture,
    Target,
    target_from_numbers,
)
from twinset.generators.copypaste import CopyPaste, Normal, PlacementTarget
from twinset.pipeline.deployment import inferred_target
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.randomness import Stream
from twinset.recipe import Recipe
from twinset.store import read_json, write_json


def target_path(folder: Path) -> Path:
    """Where a run keeps its target."""
    return folder / "models" / "target.json"


def commit_target(
    recipe: Recipe, real: RealData, folder: Path, *, run: Stream, device: str, listener: Listener
) -> None:
    """Writes the recipe's target into the run folder, unless an earlier sitting did or the recipe has none."""
    part = recipe.target
    if part is None or target_path(folder).exists():
        return
    told: tuple[str, ...] = ()
    if part.numbers is not None:
        target = target_from_numbers({str(name): given for name, given in part.numbers.items()})
    else:
        target, told = inferred_target(recipe, part, real, run=run.child("target"), device=device, listener=listener)
    sentences = (*_sentences(target), *told)
    for sentence in sentences:
        listener.note(sentence)
    write_json(target_path(folder), {**_to_json(target), "sentences": list(sentences)})


def committed_target(folder: Path) -> Target | None:
    """The target that lies in a run folder."""
    if not target_path(folder).exists():
        return None
    return _from_json(cast("dict[str, object]", read_json(target_path(folder))))


def target_sentences(folder: Path) -> tuple[str, ...]:
    """What the report says of a run's target, its error included."""
    if not target_path(folder).exists():
        return ()
    return tuple(cast("dict[str, list[str]]", read_json(target_path(folder)))["sentences"])


def aimed(method: object, target: Target) -> object:
    """Copy–paste with this target, but for what its own settings say already; any other method as it is."""
    if not isinstance(method, CopyPaste):
        return method
    own = method.target or PlacementTarget()

    def wanted(name: str, said: tuple[Normal, ...]) -> tuple[Normal, ...]:
        mixture = target.mixtures.get(name)
        if said or mixture is None:
            return said
        return tuple(Normal(*part) for part in zip(mixture.means, mixture.stds, mixture.weights, strict=True))

    decided = replace(
        own,
        log_area=wanted("box_area", own.log_area),
        log_aspect=wanted("aspect_ratio", own.log_aspect),
        centre_x=wanted("centre_x", own.centre_x),
        centre_y=wanted("centre_y", own.centre_y),
        count=wanted("count", own.count),
    )
    return replace(method, target=decided)


def _sentences(target: Target) -> Iterator[str]:
    """The target in words: components by measure and, where it was inferred, by how much that may be wrong."""
    yield f"Target: {target.source}."
    for name, mixture in target.mixtures.items():
        unit = MEASURES[name]
        parts = zip(mixture.means, mixture.weights, strict=True)
        text = f"Target of {name}: " + ", ".join(f"{unit.original(mean):.3g} ({weight:.0%})" for mean, weight in parts)
        error = target.errors.get(name)
        if error is None:
            yield f"{text}."
        elif unit.scale == "log":
            yield (
                f"{text}; on {error.images} labelled validation images the detector's means are "
                f"{exp(error.bias):.2f} times the truth, off by a factor of {exp(error.mean_absolute_error):.2f} "
                "an image."
            )
        else:
            yield (
                f"{text}; on {error.images} labelled validation images the detector's means are {error.bias:+.2g} "
                f"beside the truth, off by {error.mean_absolute_error:.2g} an image."
            )


def _to_json(target: Target) -> dict[str, object]:
    return {
        "source": target.source,
        "level": target.level,
        "mixtures": {name: asdict(mixture) for name, mixture in target.mixtures.items()},
        "components": [
            {"weight": one.weight, "means": dict(one.means), "stds": dict(one.stds)} for one in target.components
        ],
        "errors": {name: asdict(error) for name, error in target.errors.items()},
    }


def _from_json(values: Mapping[str, object]) -> Target:
    stored = cast("Mapping[str, Mapping[str, dict[str, list[float]]]]", values)
    return Target(
        {
            name: Mixture(**{key: tuple(row) for key, row in given.items()})
            for name, given in stored["mixtures"].items()
        },
        tuple(Component(**one) for one in cast("list[dict[str, object]]", values["components"])),  # type: ignore[arg-type]
        values["level"],  # type: ignore[arg-type]
        cast(str, values["source"]),
        errors={name: InferenceError(**given) for name, given in stored["errors"].items()},  # type: ignore[arg-type]
    )
