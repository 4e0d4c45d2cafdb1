"""A written recipe becomes a resolved one, once: every ``auto`` turns into a number that this machine can meet."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pydantic

from twinset import __version__, methods
from twinset.downstream import UtilityPlan, choose_settings, placed_budget, study_seconds
from twinset.downstream.budget import FEWEST_STEPS
from twinset.errors import RecipeError, RunFolderError, UsageError
from twinset.generators.folder import Folder
from twinset.models.classical import flip_is_safe
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import placed
from twinset.pipeline.deployment import pinned_target, resolved_target, step_time
from twinset.pipeline.folders import hardware
from twinset.pipeline.group_counts import check_conditions, group_counts, training_cells
from twinset.pipeline.placed_choice import check_fits
from twinset.pipeline.planning import class_counts, placed_count, sources
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener, duration
from twinset.recipe import GroupCountPart, Recipe, UsePart
from twinset.stages import CalibratedMethod, PinnedMethod
from twinset.store import write_bytes
from twinset.threads import available_cores
from twinset.yamlfile import load_yaml

OVERHEAD_SECONDS = 20.0
FIT_SHARE = 0.4
UTILITY_SHARE = 0.45
TARGET_SHARE = 0.1
LEAST_SECONDS = 10.0
"""What is shared out however little time was asked for."""

OVERRUN = 1.3
"""A plan that takes longer than this share of the time asked for says so."""


@dataclass(frozen=True)
class Machine:
    """What a run may use here: neither workers nor device are part of what decides the dataset."""

    workers: int
    device: str

    @staticmethod
    def of(*, workers: int | None, device: str) -> Machine:
        """The machine as asked for: ``auto`` takes CUDA where there is some, no number of workers one per core."""
        if workers is not None and workers < 1:
            raise UsageError(f"expected at least one worker; got {workers}", hint="leave it out for one per core")
        return Machine(available_cores() if workers is None else workers, _device(device))


def _device(name: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N`` for what was asked for; :class:`UsageError` for what is not there."""
    if name == "cpu":
        return name
    if name != "auto" and not re.fullmatch(r"cuda(:\d+)?", name):
        raise UsageError(f"expected --device auto, cpu, cuda or cuda:N; got {name!r}", hint="--device auto")
    import torch

    if not torch.cuda.is_available():
        if name == "auto":
            return "cpu"
        raise UsageError(f"expected a CUDA device for --device {name}; got none here", hint="--device cpu")
    number, count = int(name.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= count:
        raise UsageError(
            f"expected a CUDA device below {count} for --device {name}; got none there", hint="--device cuda"
        )
    return "cuda" if name == "auto" else name


def cache_folder() -> Path:
    """Where calibrations are kept: ``TWINSET_CACHE``, else the user's cache folder; RuntimeError if he has no home."""
    named = os.environ.get("TWINSET_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinset"


def resolve_once(recipe: Recipe, real: RealData, machine: Machine, listener: Listener) -> Recipe:
    """:func:`resolve`, with timing done once: the same recipe on the same data and machine resolves the same again."""
    recipe = pinned(recipe)
    values = {**recipe.to_values(), "name": None, "data": real.facts.digest}
    place = [machine.workers, machine.device, available_cores(), metadata.version("torch"), __version__, hardware()]
    key = hashlib.sha256(json.dumps([values, place], sort_keys=True).encode()).hexdigest()[:32]
    if found := _kept(key):
        return found.model_copy(update={"data": recipe.data, "name": recipe.name})
    resolved = resolve(recipe, real, machine)
    try:
        write_bytes(_kept_in(key), resolved.to_yaml().encode())
    except (RunFolderError, OSError, RuntimeError) as error:
        listener.note(f"calibration could not be kept for later runs: {error}")
    return resolved


def _kept(key: str) -> Recipe | None:
    """What an earlier run resolved; None if there is nothing or it cannot be read, as all can be resolved anew."""
    try:
        path = _kept_in(key)
        return Recipe.model_validate(load_yaml(path).values) if path.exists() else None
    except (OSError, RuntimeError, RecipeError, pydantic.ValidationError):
        return None


def _kept_in(key: str) -> Path:
    return cache_folder() / "resolved" / f"{key}.yaml"


def pinned(recipe: Recipe) -> Recipe:
    """The recipe with the digests of the files that its sources stand on."""

    def one(kind: methods.Kind, part: UsePart, where: str) -> UsePart:
        method = methods.build(kind, part.use, part.settings, where=where)
        if not isinstance(method, PinnedMethod):
            return part
        return UsePart.model_validate({"use": part.use, "share": part.share, **methods.settings_of(method.pinned())})

    return recipe.model_copy(
        update={
            "generate": tuple(one("generators", part, f"generate.{i}") for i, part in enumerate(recipe.generators)),
            "edit": tuple(one("editors", part, f"edit.{i}") for i, part in enumerate(recipe.edit)),
            "target": None if recipe.target is None else pinned_target(recipe.target),
        }
    )


def resolve(recipe: Recipe, real: RealData, machine: Machine) -> Recipe:
    """The recipe with nothing left open."""
    check_conditions(recipe, real)
    training = real.training
    threads = min(available_cores(), 8) if recipe.threads == "auto" else recipe.threads
    budget = max(LEAST_SECONDS, recipe.minutes * 60 - OVERHEAD_SECONDS)
    seconds = budget * FIT_SHARE / max(1, _calibrated(recipe))

    def decided(kind: methods.Kind, part: UsePart, where: str) -> UsePart:
        method = methods.build(kind, part.use, part.settings, where=where)
        if isinstance(method, CalibratedMethod):
            method = method.resolve(
                real.spec,
                n_classes=len(training.classes),
                n_training=len(training),
                seconds=seconds,
                threads=threads,
                device=machine.device,
            )
        return UsePart.model_validate(
            {"use": part.use, "share": 1.0 if part.share is None else part.share, **methods.settings_of(method)}
        )

    values, counts = recipe.to_values(), _counts(recipe, real)
    size: dict[str, object] = {"size": [real.spec.height, real.spec.width], "channels": real.spec.channels}
    if real.task != "classification":
        size = {"size": recipe.to_values()["image"]["size"], "channels": recipe.image.channels}  # type: ignore[index]
    values |= {
        "threads": threads,
        "image": {**size, "fit": real.spec.fit if real.task == "classification" else recipe.image.fit},
        "count": counts.model_dump(exclude_none=True) if isinstance(counts, GroupCountPart) else counts,
        "generate": [
            decided("generators", part, f"generate.{i}").model_dump(mode="json")
            for i, part in enumerate(recipe.generators)
        ],
        "edit": [decided("editors", part, f"edit.{i}").model_dump(mode="json") for i, part in enumerate(recipe.edit)],
    }
    if recipe.target is not None:
        target = resolved_target(recipe.target, real, seconds=budget * TARGET_SHARE)
        values["target"] = target.model_dump(mode="json", exclude_none=True)
    if recipe.filters:
        values["align"] = [_spelled_out(part, f"align.{i}") for i, part in enumerate(recipe.filters)]
    values["evaluate"] = {**recipe.evaluate.model_dump(mode="json"), "utility": _utility(recipe, real, machine, budget)}
    return Recipe.model_validate(values)


def estimate(resolved: Recipe, real: RealData, machine: Machine) -> dict[str, float]:
    """Seconds that the fits and the utility study of a resolved recipe take here, by probes; the rest by its share."""
    n_classes, threads = len(real.training.classes), int(resolved.threads)
    kinds: list[tuple[methods.Kind, tuple[UsePart, ...]]] = [
        ("generators", resolved.generators),
        ("editors", resolved.edit),
    ]
    fits = 0.0
    for kind, parts in kinds:
        for part in parts:
            method = methods.build(kind, part.use, part.settings, where=kind)
            if isinstance(method, CalibratedMethod):
                fits += method.fit_seconds(real.spec, n_classes=n_classes, threads=threads, device=machine.device)
    if resolved.target is not None and resolved.target.path is not None:
        fits += int(resolved.target.steps) * step_time(resolved.target, real)
    study, utility = 0.0, resolved.evaluate.utility
    if utility != "off" and real.task != "classification":
        study = placed.study_time(utility, real, machine.workers)
    elif utility != "off":
        settings = ClassifierSettings(width=int(utility.width), steps=int(utility.steps), batch=utility.batch_size)
        study = study_seconds(
            real.spec,
            n_classes,
            settings,
            workers=machine.workers,
            cells=UtilityPlan(settings, seed=0, seeds=utility.seeds).cell_count,
            n_evaluate=len(real.holdout),
        )
    rest = OVERHEAD_SECONDS + (1 - FIT_SHARE - UTILITY_SHARE) * resolved.minutes * 60
    return {"fit": fits, "utility": study, "the rest": rest, "whole run": fits + study + rest}


def overruns(resolved: Recipe, seconds: float) -> bool:
    """Whether a run that takes ``seconds`` takes far more than its recipe asks for."""
    return seconds > OVERRUN * resolved.minutes * 60


def least_time(written: Recipe, resolved: Recipe, real: RealData, machine: Machine) -> str:
    """A line for people whose ``minutes`` are too few for the least that is trained; "" where they are not.

    Costs some seconds of probes, and those only where a floor was met.
    """
    if not _at_a_floor(written, resolved, real):
        return ""
    seconds = estimate(resolved, real, machine)["whole run"]
    if not overruns(resolved, seconds):
        return ""
    return (
        f"{written.minutes:g} minutes are too few: this run takes about {duration(seconds)}, the least there is; with "
        "fewer training steps the figures would mislead. Fewer seeds or smaller images make it quicker."
    )


def _at_a_floor(written: Recipe, resolved: Recipe, real: RealData) -> bool:
    """Whether something was left open that could not be made to fit the time."""
    asked, decided = written.evaluate.utility, resolved.evaluate.utility
    if asked != "off" and decided != "off" and asked.steps == "auto" and asked.command is None:
        fewest = FEWEST_STEPS if real.task == "classification" else placed_budget.FEWEST_STEPS
        if int(decided.steps) <= fewest:
            return True
    return written.minutes * 60 - OVERHEAD_SECONDS < LEAST_SECONDS and _calibrated(written) > 0


def _spelled_out(part: UsePart, where: str) -> dict[str, object]:
    """An aligner with all its settings, so that another version's defaults do not change it."""
    method = methods.build("aligners", part.use, part.settings, where=where)
    return {"use": part.use, **methods.settings_of(method)}


def _counts(recipe: Recipe, real: RealData) -> dict[str, int] | int | GroupCountPart:
    parts = sources(recipe)
    if recipe.count == "auto" and len(parts) == 1 and parts[0].use == "folder":
        method = methods.build("generators", "folder", parts[0].settings, where="generate.0")
        assert isinstance(method, Folder)
        if real.task != "classification":
            return len(method.read())
        have = method.read().class_counts()
        return {name: have.get(name, 0) for name in real.dataset.classes}
    if real.task != "classification":
        return placed_count(recipe, len(real.training))
    if isinstance(recipe.count, GroupCountPart):
        return group_counts(recipe.count, training_cells(real, recipe.count.by))
    return class_counts(recipe, real.training.class_counts())


def _calibrated(recipe: Recipe) -> int:
    """How many sources share the time for fitting."""
    kinds: list[tuple[methods.Kind, tuple[UsePart, ...]]] = [
        ("generators", recipe.generators),
        ("editors", recipe.edit),
    ]
    built = [methods.build(kind, part.use, part.settings, where=kind) for kind, parts in kinds for part in parts]
    return sum(isinstance(method, CalibratedMethod) for method in built)


def _utility(recipe: Recipe, real: RealData, machine: Machine, budget: float) -> dict[str, object] | str:
    """The utility part with its classifier decided for the time there is."""
    part = recipe.evaluate.utility
    if part == "off":
        return "off"
    check_fits(part, real.task)
    if real.task != "classification":
        return placed.resolved_part(part, real, seconds=budget * UTILITY_SHARE, workers=machine.workers)
    flip = (
        part.flip if part.flip != "auto" else flip_is_safe(real.training.prepared(real.spec), real.training.class_ids)
    )
    values = {**part.model_dump(mode="json"), "flip": flip}
    if part.steps != "auto" and part.width != "auto":
        return values
    evaluated = len(real.part("validation")) + len(real.part("test"))
    settings = choose_settings(
        real.spec,
        list(real.training.class_counts().values()),
        seconds=budget * UTILITY_SHARE,
        workers=machine.workers,
        cells=UtilityPlan(ClassifierSettings(), seed=0, seeds=part.seeds).cell_count,
        batch=part.batch_size,
        width=None if part.width == "auto" else part.width,
        n_evaluate=evaluated,
    )
    decided = {"steps": settings.steps, "width": settings.width}
    return {**values, **{key: value for key, value in decided.items() if values[key] == "auto"}}
