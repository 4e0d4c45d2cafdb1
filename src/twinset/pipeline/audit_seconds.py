"""How long the privacy audit of a run will take here, by probes; nothing of the audit itself is run."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from twinset import methods
from twinset.copying import nearest_pictures
from twinset.crops import crop_owners
from twinset.generators.diffusion import Diffusion
from twinset.pipeline.object_audit import MOST
from twinset.pipeline.planning import planned
from twinset.pipeline.real import RealData
from twinset.privacy.audit.generator_release import CHOOSING, EXPOSURES, MOST_SCORED
from twinset.recipe import Recipe
from twinset.recipe.model import PLACED
from twinset.threads import torch_threads

PROBED = 48
"""Pictures on either side of the probe."""

SEARCHES, AT_LEAST = 0.8, 1.0
"""An audit with its controls takes so many times the probe's time for each distance between real images and released
and real ones, and some seconds at least: .5 to 1.9 times in five audits of pictures of 8 and 32 pixels a side."""

FORWARD = 1 / 3
"""Of a training step is a look of the network."""

EXPOSED_AT_ONCE = 64
"""Images in a step that trains an exposed copy."""

LOOKS_CHOOSING, LOOKS_SCORED = 91, 32
"""Of the network at a picture on which steps are chosen, and at one that is scored: losses at eight noises, SecMI's
way into noise, PIA's two."""


def audit_seconds(resolved: Recipe, real: RealData) -> float:
    """Seconds that the audit of a resolved recipe takes on this machine, with one thread; 0 where there is none."""
    part = resolved.privacy
    if part is None or not part.audit:
        return 0.0
    made, shown, held = planned(resolved), len(real.training), len(real.holdout)
    pairs = _pairs(made, shown, held)
    if real.task in PLACED:
        objects = [len(crop_owners(side)[0]) for side in (real.training, real.holdout)]
        pasted = round(made * objects[0] / max(1, shown))
        pairs += _pairs(*(min(MOST, count) for count in (pasted, *objects)))
    seconds = AT_LEAST + SEARCHES * pairs * _seconds_of_pair(real)
    if part.with_generator:
        seconds += sum(_attacked(method, made, shown, held, real) for method in _diffusions(resolved))
    return seconds


def _pairs(made: int, shown: int, held: int) -> float:
    """Distances between all real images and the released and real ones."""
    return float((shown + held) * (made + shown + held))


def _seconds_of_pair(real: RealData) -> float:
    """Of a distance under flips and shifts, by a small search."""
    pictures = real.training.take(range(min(PROBED, len(real.training)))).prepared(real.spec)
    wide = np.concatenate([pictures] * -(-PROBED // len(pictures)))[:PROBED]
    with torch_threads(1):
        nearest_pictures(wide, wide, k=1)  # what is loaded the first time is not counted
        began = time.perf_counter()
        nearest_pictures(wide, wide, k=1)
        return (time.perf_counter() - began) / PROBED**2


def _diffusions(resolved: Recipe) -> list[Diffusion]:
    """The models that are attacked from inside, of which copies are trained on."""
    built = [
        methods.build("generators", part.use, part.settings, where=f"generate.{number}")
        for number, part in enumerate(resolved.generators)
    ]
    return [method for method in built if isinstance(method, Diffusion)]


def _attacked(method: Diffusion, made: int, shown: int, held: int, real: RealData) -> float:
    """Of attacks on a model and on its exposed copies, of training these, and of fresh samples."""
    alike = replace(method, privacy=None, batch=EXPOSED_AT_ONCE)
    settings = alike.settings()
    whole = alike.fit_seconds(real.spec, n_classes=len(real.training.classes), threads=1, device="cpu")
    step = whole / (settings.training.steps * settings.training.batch)
    asked = sum(min(count, MOST_SCORED) * ((1 - CHOOSING) * LOOKS_SCORED + CHOOSING * LOOKS_CHOOSING)
                for count in (shown, held))  # fmt: skip
    sampled = max(made, shown) * settings.sampling.steps * (1 if settings.sampling.guidance == 1 else 2)
    return step * (sum(EXPOSURES) * shown + FORWARD * ((1 + len(EXPOSURES)) * asked + sampled))
