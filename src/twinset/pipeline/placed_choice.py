"""What a recipe's utility part trains in detection and segmentation: what goes together, what fits, what is here."""

from __future__ import annotations

import os
from pathlib import Path

from twinset.dataset import Task
from twinset.downstream.own_command import OwnTrainer
from twinset.downstream.placed_models import FITTING, MASKED, check_weights
from twinset.errors import RecipeError, UsageError
from twinset.paths import expanded
from twinset.pipeline.real import RealData
from twinset.recipe import UtilityPart

OURS = ("auto", "dense", "unet")
MINUTES_VARIABLE, MINUTES = "TWINSET_TRAINER_MINUTES", 60.0
"""How long one training by a user's command may take."""


def check_part(part: UtilityPart) -> None:
    """What does not go together in a recipe is a :class:`RecipeError`, weights that are not here are a
    :class:`MissingModelError`; neither takes any time.
    """
    if part.command is not None:
        for key in ("model", "steps", "width", "size", "weights"):
            if getattr(part, key) not in ("auto", None):
                raise _refused(key, "nothing beside a command", getattr(part, key), "say it in the command's words")
        trainer_of(part)
    elif part.weights is not None:
        if part.model in OURS:
            named = dict.fromkeys(name for names in FITTING.values() for name in names if name not in OURS)
            hint = f"set model to one of {', '.join(named)}, or leave weights out"
            raise _refused("weights", "none with our own networks, which learn anew", part.weights, hint)
        check_weights(part.model, expanded(part.weights))
    if part.model not in OURS and part.width != "auto":
        raise _refused("width", f"auto with {part.model}", part.width, "its width is its own")


def check_fits(part: UtilityPart, task: Task) -> None:
    """:class:`RecipeError` for a model that cannot be trained for this task."""
    if task == "classification":
        for key in ("model", "weights", "command"):
            if getattr(part, key) not in ("auto", None):
                hint = "the classifier of that task is fixed; leave it out"
                raise _refused(key, "none in task classification", getattr(part, key), hint)
    elif part.model not in ("auto", *FITTING[task]):
        raise _refused(
            "model", f"auto, {' or '.join(FITTING[task])} in task {task}", part.model, "leave it out for auto"
        )


def _refused(key: str, expected: str, got: object, hint: str) -> RecipeError:
    return RecipeError(f"evaluate.utility.{key}: expected {expected}; got {got!r}", hint=hint)


def trainer_of(part: UtilityPart) -> OwnTrainer | None:
    """The user's own trainer, whose words were placed when the recipe was read; :class:`RecipeError` for a command that
    cannot be run.
    """
    if part.command is None:
        return None
    stated = os.environ.get(MINUTES_VARIABLE, str(MINUTES))
    try:
        minutes = float(stated)
    except ValueError as error:
        raise UsageError(f"expected a number of minutes in {MINUTES_VARIABLE}; got {stated!r}") from error
    try:
        return OwnTrainer.of(part.command, minutes=minutes)
    except UsageError as error:
        raise RecipeError(f"evaluate.utility.command: {error.message}", hint=error.hint) from error


def model_of(part: UtilityPart) -> str | None:
    """The network of torchvision; None for our own."""
    return None if part.model in OURS else part.model


def weights_of(part: UtilityPart) -> Path | None:
    """The file of weights."""
    return None if part.weights is None else expanded(part.weights)


def judges_masks(part: UtilityPart, task: Task) -> bool:
    """Whether objects are judged by their masks: where what is trained finds them."""
    return task == "instance-segmentation" and (part.model == MASKED or part.command is not None)


def check_masks(part: UtilityPart, real: RealData) -> None:
    """:class:`RecipeError` where masks are judged that some validation or test objects do not have."""
    if not judges_masks(part, real.task):
        return
    for name in ("validation", "test"):
        found = [sample.annotation.instances for sample in real.part(name) if sample.annotation is not None]
        bare = sum(len(one) > 0 and not one.has_masks for one in found if one is not None)
        if bare:
            what = "a command" if part.command is not None else part.model
            raise RecipeError(
                f"evaluate.utility: expected a mask for each object, by which {what} is judged in task {real.task}; "
                f"got {bare} {name} images without",
                hint="choose a model that finds boxes, or set task: detection, in which boxes are judged",
            )
