"""The figures of a run beside its utility study: on features, and on whatever else ``evaluate.metrics`` names.

Pictures are looked at as :mod:`~twinset.pipeline.comparing` does, by the same extractors at the same sizes, so that an
extractor's name means the same numbers in both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from twinset import methods
from twinset.dataset import Dataset
from twinset.embedding.embedder import EmbedderMethod
from twinset.embedding.protocol import AS_THEY_CAME, protocol_of, stamped
from twinset.embedding.random_convolution import RandomConvolution
from twinset.embedding.self_trained import SelfTrained, SelfTrainedEmbedder
from twinset.evaluation import FEATURE_METRICS, ByClass, fidelity
from twinset.metric_names import BY_CLASS
from twinset.pipeline.comparing.asking import Asked
from twinset.pipeline.comparing.looking import Seen, features_cache, look
from twinset.pipeline.comparing.metrics import Loaded, loaded, on_device
from twinset.pipeline.opening import Run
from twinset.pipeline.real import RealData
from twinset.randomness import Stream
from twinset.recipe import UsePart
from twinset.scores import Score
from twinset.stages import Embedder

FEWEST = 10
"""Accepted images below which nothing is said of them."""

UNSEEING: Mapping[str, str] = {"nearest": "nearest_record", "authenticity": "authenticity"}
"""Metrics that only an extractor which saw none of the images may answer, with what their scores begin with."""


@dataclass(frozen=True, eq=False)
class Features:
    """Feature vectors of one embedder: training (N, D), held out (H, D), accepted (M, D).

    ``saw_training`` says that the embedder was trained on the training images; ``unseeing`` are then the same images
    by one that was not.
    """

    extractor: str
    training: np.ndarray
    holdout: np.ndarray
    accepted: np.ndarray
    saw_training: bool = False
    unseeing: Features | None = None


@dataclass(frozen=True, eq=False)
class Fidelity:
    """``scores`` of the accepted images; ``before`` are those of all candidates, where some were rejected."""

    scores: tuple[Score, ...] = ()
    before: tuple[Score, ...] = ()
    features: Features | None = None


@dataclass(frozen=True, eq=False)
class _Extractors:
    """The recipe's own; what the measures that it names read; fixed random features where its own saw real images."""

    own: Embedder
    measures: Loaded
    fixed: RandomConvolution | None

    @property
    def all(self) -> list[Embedder]:
        """Each once."""
        used = [self.own, self.fixed, *self.measures.extractors.values()]
        return list({each.name: each for each in used if each is not None}.values())


def fidelity_of_run(run: Run, accepted: Dataset, everything: Dataset) -> Fidelity:
    """The figures that the recipe asks for; nothing where it asks for none or too few images were accepted."""
    if not run.recipe.evaluate.fidelity or len(accepted) < FEWEST:
        return Fidelity()
    rng, real = run.stream.child("fidelity"), run.real
    extractors = _extractors(run, rng)
    progress, cache = run.listener.stage("fidelity"), features_cache(run.listener)
    with tempfile.TemporaryDirectory(prefix="twinset-fidelity-") as scratch:

        def seen(dataset: Dataset, name: str, by: list[Embedder] | None = None) -> Seen:
            return look(
                dataset,
                extractors.all if by is None else by,
                spec=real.spec,
                scratch=Path(scratch),
                cache=cache,
                progress=progress,
                name=name,
                pixels=False,
                copies=False,
            )

        held, made, shown = (
            seen(dataset, name)
            for dataset, name in ((real.holdout, "held out"), (accepted, "synthetic"), (real.training, "training"))
        )
        families = real.part_families("validation", "test")
        asked = Asked(held, made, shown, extractors.own, families, rng.child("measures"), run.machine.device)
        scores = _scores(run, asked, extractors, rng)
        before: list[Score] = []
        if len(everything) > len(accepted):
            before = _before(run, asked, seen(everything, "candidates", [extractors.own]), rng)
        protocols = {each.name: protocol_of(each, real.spec) for each in extractors.all}
        seed, pictures = run.recipe.seed, _came(real.facts.size)
        return Fidelity(
            tuple(stamped(scores, protocols, seed=seed, pictures=pictures)),
            tuple(stamped(before, protocols, seed=seed, pictures=pictures)),
            _features(asked, extractors),
        )


def _extractors(run: Run, rng: Stream) -> _Extractors:
    part, device, spec = run.recipe.evaluate.embedder, run.machine.device, run.real.spec
    own = _fitted(part, run.real, run.folder / "evaluation" / "embedder", rng)
    measures = loaded(
        run.recipe.evaluate.metric_names,
        nothing=run.real.training.take([]),
        spec=spec,
        rng=rng.child("extractor"),
        device=device,
        clip=_weights(part, "clip"),
        inception=_weights(part, "inception"),
    )
    return _Extractors(on_device(own, device), measures, RandomConvolution() if own.fitted_on else None)


def _came(size: str) -> str:
    """What became of the real pictures at the beginning of the run, from its sentence on their size."""
    first = size.partition(";")[0]
    return AS_THEY_CAME if first.endswith(AS_THEY_CAME) else first


def _weights(part: UsePart, name: str) -> str | None:
    """Where the weights of this network are, if the recipe's embedder names them."""
    path = part.settings.get("path")
    return path if part.settings.get("name") == name and isinstance(path, str) else None


def _scores(run: Run, asked: Asked, extractors: _Extractors, rng: Stream) -> list[Score]:
    """Those on features first; nearest records by features that saw none of the images."""
    names, real, accepted = run.recipe.evaluate.metric_names, run.real, asked.made.dataset
    own, fixed = extractors.own.name, extractors.fixed
    assert asked.shown is not None
    held, made, training = (each.features[own] for each in (asked.held, asked.made, asked.shown))
    by_class = [FEATURE_METRICS[name] for name in names if name in BY_CLASS]
    scores = fidelity(
        held,
        made,
        extractor=own,
        rng=rng,
        train=training if fixed is None else None,
        holdout=held if fixed is None else None,
        extractor_saw_real=fixed is not None,
        real_families=asked.families,
        by_class=ByClass(real.dataset.classes, real.holdout.class_ids, accepted.class_ids, by_class)
        if real.task == "classification"
        else None,
        metrics=[FEATURE_METRICS[name] for name in names if name in FEATURE_METRICS],
    )
    if fixed is not None:
        unseeing = [name for name in UNSEEING if name in names]
        scores = [score for score in scores if not score.name.startswith(tuple(UNSEEING.values()))]
        held, made, training = (each.features[fixed.name] for each in (asked.held, asked.made, asked.shown))
        scores += fidelity(
            held,
            made,
            extractor=fixed.name,
            rng=rng,
            train=training,
            holdout=held,
            metrics=[FEATURE_METRICS[name] for name in unseeing],
        )
    return scores + extractors.measures.scores(names, asked)


def _before(run: Run, asked: Asked, candidates: Seen, rng: Stream) -> list[Score]:
    """Two-sample figures of all that was made, before any filter."""
    own = asked.embedder.name
    names = run.recipe.evaluate.metric_names
    found = fidelity(
        asked.held.features[own],
        candidates.features[own],
        extractor=own,
        rng=rng,
        extractor_saw_real=True,
        real_families=asked.families,
        metrics=[FEATURE_METRICS[name] for name in names if name in FEATURE_METRICS],
    )
    return [score for score in found if score.value is not None]


def _features(asked: Asked, extractors: _Extractors) -> Features:
    """Copies in memory: what is mapped from scratch files ends with them."""
    assert asked.shown is not None
    parts = (asked.shown, asked.held, asked.made)

    def copies(extractor: str, *, saw: bool, unseeing: Features | None) -> Features:
        training, holdout, made = (np.array(each.features[extractor]) for each in parts)
        return Features(extractor, training, holdout, made, saw, unseeing)

    fixed = extractors.fixed
    unseeing = None if fixed is None else copies(fixed.name, saw=False, unseeing=None)
    return copies(extractors.own.name, saw=fixed is not None, unseeing=unseeing)


def _fitted(part: UsePart, real: RealData, folder: Path, rng: Stream) -> Embedder:
    """The embedder of a recipe; a self-trained one is kept in the run folder."""
    method = methods.build("embedders", part.use, part.settings, where="evaluate.embedder")
    if isinstance(method, SelfTrained):
        if not (folder / "self-trained.safetensors").exists():
            folder.mkdir(parents=True, exist_ok=True)
            method.fit(real.training, spec=real.spec, rng=rng).save(folder)
        return SelfTrainedEmbedder.load(folder)
    return cast(EmbedderMethod, method).fit(real.training, spec=real.spec, rng=rng)
