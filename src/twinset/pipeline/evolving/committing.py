"""The evolution of one source: account first, rounds one by one, outcome last.

It comes after matching and curation, and before anything is generated. Every round is committed before the next is
begun. The key of the noise lies in the source's folder from before the first vote until the outcome is committed: a run
that was killed repeats its round with the same noise, and spends no budget twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from twinset import methods
from twinset.alignment.evolution import Configurations, Electorate, Evolution, Guarantee, Round, evolve, guarantee
from twinset.alignment.evolution.candidates import slots
from twinset.dataset import Sample
from twinset.embedding.embedder import EmbedderMethod, embed_dataset
from twinset.embedding.protocol import spec_for
from twinset.executors.local import LocalProcesses
from twinset.pipeline.evolving.kept import commit_round, destroy_key, history_of, kept_key
from twinset.pipeline.evolving.pooled import OfClass, Pooled
from twinset.pipeline.evolving.spaces import candidates_of, evolving_classes, refuse_seen, space_of
from twinset.pipeline.evolving.yardstick import Yardstick, yardstick_of
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.randomness import Stream
from twinset.recipe import EvolvePart
from twinset.stages import Configuration, Embedder, Generator
from twinset.store import read_json, write_json
from twinset.threads import torch_threads

Rounds = tuple[Round[Configuration], ...]
Excesses = Mapping[str, float | None]
"""Fréchet distance over the floor: ``before``, ``round 1`` …, ``after``; None where it is undefined."""


def evolved_path(folder: Path) -> Path:
    """Where a source keeps the outcome of its evolution."""
    return folder / "evolved.json"


@dataclass(frozen=True, eq=False)
class _Evolving:
    """One source under evolution."""

    name: str
    part: EvolvePart
    real: RealData
    candidates: Configurations
    embedder: Embedder
    yardstick: Yardstick
    rng: Stream
    generators: int

    @property
    def classes(self) -> int:
        """Classes that have candidates of their own."""
        return evolving_classes(self.real)

    @property
    def settings(self) -> Evolution:
        """What the recipe asks for, with the noise that it takes."""
        return self.part.settings(images=len(self.real.training), generators=self.generators)

    def account(self, touched: Sequence[str]) -> Guarantee:
        """What the votes cost; RecipeError where an ε is asked for that cannot be claimed."""
        training = self.real.training
        found = guarantee(
            self.settings,
            images=len(training),
            delta=self.part.delta,
            embedder=self.embedder,
            private_ids=frozenset(training.ids),
            touched=touched,
            family=int(np.unique(self.real.part_families("train"), return_counts=True)[1].max()),
            generators=self.generators,
        )
        if self.part.epsilon is not None:
            refuse_seen(self.name, found.refused)
        return found

    def rounds(self, folder: Path, executor: LocalProcesses, listener: Listener) -> tuple[Rounds, Excesses]:
        """All rounds, those of earlier sittings read and new ones committed, and the excess distance of each."""
        training = self.real.training
        voters = embed_dataset(self.embedder, training, spec=spec_for(self.embedder, self.real.spec))
        progress = listener.stage(f"evolve {self.name}")
        history, excesses = history_of(folder)

        def seen(number: int, found: Round[Configuration], shown: Sequence[Sequence[Sample]]) -> None:
            excess = self.yardstick.excess([picture for each in shown for picture in each])
            excesses[f"round {number + 1}"] = excess
            commit_round(folder, number, found, excess)
            progress(number + 1, self.part.rounds, "rounds")

        found = evolve(
            Electorate(voters, training.class_ids if self.classes > 1 else None),
            Pooled(self.candidates, executor),
            self.yardstick.features,
            self.settings,
            rng=self.rng,
            key=kept_key(folder) if self.part.noisy else b"",
            classes=self.classes,
            history=history,
            seen=seen,
        )
        return found, excesses

    def excess_of(self, generator: Generator) -> float | None:
        """The excess distance of as many pictures by this generator as a round has."""
        total = self.part.population * self.part.pictures
        wanted = slots([row * self.classes // total for row in range(total)], rng=self.rng.child("ends"))
        return self.yardstick.excess(list(generator.generate(wanted)))

    def winners(self, last: Round[Configuration]) -> list[list[tuple[float, Configuration]]]:
        """Weighted configurations of every class that has its own, else of all together."""
        if self.classes == 1:
            return [list(last.winners())]
        return [list(last.winners(class_id)) for class_id in range(self.classes)]

    def sentences(self, excesses: Excesses, rounds: Rounds) -> Iterator[str]:
        """How near it came, and where votes ran out."""
        told = [f"{key} {value:.3g}" for key, value in excesses.items() if value is not None]
        if told:
            yield (
                f"Evolution of {self.name}: Fréchet distance from {self.yardstick.who}, over the real-vs-real floor: "
                f"{', '.join(told)} ({len(rounds)} rounds of {len(rounds[0].candidates)} configurations)."
            )
        names = self.real.dataset.classes if self.classes > 1 else ("all",)
        starved = [
            f"round {number + 1} ({', '.join(names[c] for c in one.starved)})"
            for number, one in enumerate(rounds)
            if one.starved
        ]
        if starved:
            yield f"Evolution of {self.name}: no vote was left of noise and threshold in {', '.join(starved)}."


def commit_evolution(
    generator: object,
    folder: Path,
    part: EvolvePart,
    real: RealData,
    *,
    name: str,
    seed: int,
    number: int = 0,
    generators: int = 1,
    touched: Sequence[str] = (),
    executor: LocalProcesses,
    listener: Listener,
) -> None:
    """Evolves the configurations of one source, unless an earlier sitting ended that.

    ``seed`` is the recipe's and ``number`` the source's: where noise is to protect the images, nothing that decides a
    candidate may follow from their digest, as a run's own streams do. ``touched`` says what else of the images is in
    the generator, and ``generators`` how many of the run evolve by the votes of the same images. Raises
    :class:`RecipeError` for a generator without a configuration space, or where an ε is asked for
    that cannot be claimed.
    """
    if not evolved_path(folder).exists():
        with torch_threads(1):
            rng = Stream(seed).child("evolve", number)
            candidates = candidates_of(generator, folder, part, name=name)
            evolving = _evolving(name, part, real, candidates, rng=rng, generators=generators)
            account = evolving.account(touched)
            rounds, between = evolving.rounds(folder, executor, listener)
            weighted = evolving.winners(rounds[-1])
            excesses = {
                "before": evolving.excess_of(cast(Generator, generator)),
                **between,
                "after": evolving.excess_of(_followed(generator, part.measures, weighted, name=name)),
            }
        sentences = (*evolving.sentences(excesses, rounds), *account.sentences())
        for sentence in sentences:
            listener.note(sentence)
        _write_outcome(folder, part, weighted, excesses, account, sentences)
    destroy_key(folder)


def _evolving(
    name: str, part: EvolvePart, real: RealData, candidates: Configurations, *, rng: Stream, generators: int
) -> _Evolving:
    """A source before its first round, with the features it is judged by."""
    method = methods.build("embedders", part.embedder.use, part.embedder.settings, where="evolve.embedder")
    embedder = cast(EmbedderMethod, method).fit(real.training, spec=real.spec, rng=rng.child("embedder"))
    yardstick = yardstick_of(real, embedder, rng.child("yardstick"))
    return _Evolving(name, part, real, candidates, embedder, yardstick, rng, generators)


def _write_outcome(
    folder: Path,
    part: EvolvePart,
    weighted: Sequence[Sequence[tuple[float, Configuration]]],
    excesses: Excesses,
    account: Guarantee,
    sentences: Sequence[str],
) -> None:
    outcome = {
        "measures": None if part.measures is None else list(part.measures),
        "weighted": weighted,
        "excess_frechet": excesses,
        "epsilon": None if math.isinf(account.epsilon) else account.epsilon,
        "delta": account.delta,
        "sigma": account.sigma,
        "claimed": account.claimed,
        "sentences": list(sentences),
    }
    write_json(evolved_path(folder), outcome)


def evolved(generator: object, folder: Path, *, name: str) -> object:
    """A generator with the winners of its evolution; as it is where none was asked for."""
    if not evolved_path(folder).exists():
        return generator
    stored = cast("Mapping[str, object]", read_json(evolved_path(folder)))
    weighted = cast("list[list[tuple[float, Configuration]]]", stored["weighted"])
    return _followed(generator, cast("Sequence[str] | None", stored["measures"]), weighted, name=name)


def evolution_sentences(folder: Path) -> tuple[str, ...]:
    """What the report says of a source's evolution: how near it came, and what it cost in privacy."""
    if not evolved_path(folder).exists():
        return ()
    return tuple(cast("dict[str, list[str]]", read_json(evolved_path(folder)))["sentences"])


def _followed(
    generator: object,
    measures: Sequence[str] | None,
    weighted: Sequence[Sequence[tuple[float, Configuration]]],
    *,
    name: str,
) -> Generator:
    space = space_of(generator, measures, name=name)
    made = tuple(space.configured([(weight, values) for weight, values in own]) for own in weighted)
    return made[0] if len(made) == 1 else OfClass(made)
