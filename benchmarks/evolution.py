"""Does evolution find a hidden configuration from votes alone, what does privacy cost there, and does anything leak?

    uv run python benchmarks/evolution.py [--parts gap,leak] [--seeds 3] [--epsilons none,20,5,1] [--worlds 1000]
        [--workers N]

`gap`: pictures of a renderer (64 × 64, road, cars) whose configuration is hidden play the real images. Told is the
Fréchet distance of what evolves from held-out pictures of the hidden configuration, less the distance of two such sets
from each other: of plain sampling (the generator as it is), of the winners of every round, and the share that is gone
in the end; first without noise, then with the noise that an (ε, δ) takes.

`leak`: an evolution over a stock of rendered pictures is run in many worlds, with and without one target picture among
the real ones (the rest stays), each world with noise of its own; the target is an ordinary picture of the hidden
configuration, or one that is like no other. Two attacks say in which worlds the target was. One
sees the released pictures: the distance of the nearest one. One sees the noisy votes of all rounds, knows every other
real image and all candidates, and adds up what is more than their votes where the target would vote; theory bounds the
AUC of any attack on them by Φ(μ/√2). Both are shown to find planted leaks: votes without noise, and a release in which
every candidate of the last round is replaced by the real picture nearest to it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from hardware import machine
from numpy.typing import NDArray

from twinset.alignment.evolution import (
    Configurations,
    Electorate,
    Evolution,
    Round,
    best_auc,
    default_delta,
    epsilon,
    evolve,
    jittered,
    parents,
    sigma_for,
    votes_in,
)
from twinset.alignment.evolution.candidates import slots
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.embedding.embedder import embed_images
from twinset.embedding.random_convolution import RandomConvolution
from twinset.evaluation.distances.frechet import frechet_value
from twinset.executors.local import LocalProcesses
from twinset.generators.rendering import Rendering, RenderingGenerator
from twinset.instances import Instances
from twinset.neighbours import nearest
from twinset.randomness import Stream
from twinset.stages import Configuration, Generator, Slot

SIDE = 64
IMAGES = 300
HIDDEN = {
    "size_mean": float(np.log(0.25)),
    "size_std": 0.2,
    "elevation_degrees_mean": 75.0,
    "elevation_degrees_std": 8.0,
    "count_mean": 2.0,
    "count_std": 0.8,
    "centre_x_mean": 0.35,
    "centre_x_std": 0.15,
    "centre_y_mean": 0.6,
    "centre_y_std": 0.12,
    "sun_strength_mean": 2.2,
    "sun_strength_std": 0.4,
    "ambient_mean": 0.5,
    "ambient_std": 0.1,
}
ODD = {
    **HIDDEN,
    "size_mean": float(np.log(0.8)),
    "count_mean": 1.0,
    "ambient_mean": 1.25,
    "elevation_degrees_mean": 10.0,
}
"""Of the target in `leak`: a picture like no other, which alone votes for what is like it."""

WITHIN = {"count_mean": (0.0, 6.0), "count_std": (1.2, 1.5), "size_mean": (float(np.log(0.05)), float(np.log(0.6)))}
"""What is searched of the renderer's space: what its own settings draw, with some room. All else is searched whole."""

SETTINGS = Evolution(rounds=5, population=60, pictures=4, lookahead="mean")
SMALL = Evolution(rounds=4, population=60, pictures=1)
STOCK, VOTERS, RELEASED = 2_000, 200, 100
Auc = tuple[float, float, float]
"""Value, and the ends of its 95 % interval."""


@lru_cache(maxsize=1)
def generator() -> RenderingGenerator:
    """The renderer, fitted on four blank pictures of which it takes size and class."""
    box = np.array([[1, 1, 20, 20]], dtype=np.float32)
    annotation = Annotation(instances=Instances((SIDE, SIDE), np.zeros(1, dtype=np.int64), box))
    blank = [
        Slot(number, 0, number, 0, "blank").sample(
            np.zeros((SIDE, SIDE, 3), dtype=np.uint8), method="blank", annotation=annotation
        )
        for number in range(4)
    ]
    training = Dataset.of(blank, classes=["car"], name="blank")
    return Rendering(backdrop="road", maps=(), shapes_per_class=12).fit(training, rng=Stream(0))


def pictures(of: Generator, count: int, rng: Stream) -> list[Sample]:
    """``count`` pictures of a generator."""
    return list(of.generate(slots([0] * count, rng=rng)))


def features(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """(n, 128) of fixed random features."""
    pixels = np.stack([sample.pixels() for sample in samples])
    return embed_images(RandomConvolution(), pixels).astype(np.float64)


def hidden(count: int, rng: Stream, configuration: Configuration = HIDDEN) -> NDArray[np.float64]:
    """Features of pictures of the hidden configuration."""
    return features(pictures(generator().configured([(1.0, configuration)]), count, rng))


@dataclass(frozen=True)
class GapTask:
    """One evolution: its seed and noise."""

    seed: int
    sigma: float
    images: int


def known_key(*parts: object) -> bytes:
    """A key of the noise that another run draws again; a run of twinset takes one that nobody knows."""
    return hashlib.sha256(repr(parts).encode()).digest()


def one_gap(task: GapTask) -> tuple[float, list[float]]:
    """Excess of plain sampling, and of the winners of every round."""
    rng = Stream(task.seed)
    voters, held, other = (hidden(task.images, rng.child("hidden", name)) for name in ("voters", "held", "other"))
    floor = frechet_value(held, other)

    def excess(of: Generator, name: str) -> float:
        return frechet_value(held, features(pictures(of, task.images, rng.child("measured", name)))) - floor

    rounds = evolve(
        Electorate(voters),
        Configurations(generator(), WITHIN),
        features,
        replace(SETTINGS, sigma=task.sigma),
        rng=rng.child("evolve"),
        key=known_key("gap", task.seed, task.sigma),
    )
    return excess(generator(), "plain"), [
        excess(generator().configured(one.winners()), str(number)) for number, one in enumerate(rounds)
    ]


def gap(seeds: int, epsilons: Sequence[float | None], workers: int) -> dict[str, object]:
    """The table of excess distances."""
    delta = default_delta(IMAGES)
    privacies = [(wanted, 0.0 if wanted is None else sigma_for(wanted, delta, SETTINGS.rounds)) for wanted in epsilons]
    tasks = [GapTask(seed, sigma, IMAGES) for _, sigma in privacies for seed in range(seeds)]
    found = dict(LocalProcesses(workers).map(one_gap, tasks))
    table: dict[str, object] = {}
    print(f"gap: excess Fréchet distance over the floor, {IMAGES} images each, {seeds} seeds: mean (least to most)")
    for number, (wanted, sigma) in enumerate(privacies):
        rows = [found[number * seeds + seed] for seed in range(seeds)]
        plain = np.array([row[0] for row in rows])
        by_round = np.array([row[1] for row in rows])
        gone = 1 - by_round[:, -1] / plain
        spent = epsilon(sigma, SETTINGS.rounds, delta)
        name = "no noise" if wanted is None else f"ε = {spent:.3g}, δ = {delta:.2g} (σ = {sigma:.1f} votes)"
        steps = " → ".join(f"{values.mean():.2f}" for values in by_round.T)
        print(f"  {name}: plain {plain.mean():.2f}; winners by round {steps}; gone {spread(gone)}")
        table["inf" if wanted is None else f"{wanted:g}"] = {
            "sigma": sigma,
            "epsilon": None if wanted is None else spent,
            "delta": delta,
            "plain": plain.tolist(),
            "by_round": by_round.tolist(),
            "gone": gone.tolist(),
        }
    return table


@dataclass(frozen=True, eq=False)
class Stock:
    """Rendered once for all worlds: candidates are rows of it, children the rows nearest to a jittered one."""

    points: NDArray[np.float64]
    samples: tuple[Sample, ...]
    features: NDArray[np.float64]

    @staticmethod
    def of(count: int, rng: Stream) -> Stock:
        """``count`` configurations, spread evenly, with a picture of each."""
        candidates = Configurations(generator(), WITHIN)
        members = candidates.first([0] * count, rng=rng.child("first"))
        shown = [candidates.of_one(one, 0, 1, rng=rng.child("one", row))[0] for row, one in enumerate(members)]
        named = tuple(replace(sample, id=str(row)) for row, sample in enumerate(shown))
        return Stock(candidates.box.points(members), named, features(named))

    def first(self, class_ids: Sequence[int], *, rng: Stream) -> tuple[int, ...]:
        """Rows, drawn evenly."""
        return tuple(rng.numpy().choice(len(self.points), size=len(class_ids), replace=False).tolist())

    def varied(self, parents: Sequence[int], width: float, *, rng: Stream) -> tuple[int, ...]:
        """The rows nearest to the jittered parents."""
        return tuple(nearest(jittered(self.points[list(parents)], width, rng=rng), self.points, k=1)[1][:, 0].tolist())

    def pictures(
        self,
        candidates: Sequence[int],
        class_ids: Sequence[int],  # noqa: ARG002
        each: int,  # noqa: ARG002
        *,
        rng: Stream,  # noqa: ARG002
    ) -> list[list[Sample]]:
        """The one picture of every row."""
        return [[self.samples[row]] for row in candidates]

    def embed(self, shown: Sequence[Sample]) -> NDArray[np.float64]:
        """What was computed when the stock was rendered."""
        return self.features[[int(one.id) for one in shown]]


@dataclass(frozen=True, eq=False)
class Harness:
    """What all worlds share: the stock, the real images that stay, and the target (1, 128)."""

    stock: Stock
    others: NDArray[np.float64]
    target: NDArray[np.float64]

    def world(self, number: int, *, inside: bool, sigma: float) -> dict[str, float]:
        """Runs an evolution, releases pictures, and attacks what is released and the votes: higher for more inside."""
        voters = np.concatenate([self.others, self.target]) if inside else self.others
        rng, settings = Stream(1_000 + number), replace(SMALL, sigma=sigma)
        key = known_key("leak", number, inside, sigma)
        rounds = evolve(Electorate(voters), self.stock, self.stock.embed, settings, rng=rng, key=key)
        rows = parents(rounds[-1].votes, RELEASED, rng=rng.child("release"))
        winners = [rounds[-1].candidates[row] for row in rows]
        released = self.stock.features[list(self.stock.varied(winners, settings.width(SMALL.rounds), rng=rng))]
        copied = voters[nearest(self.stock.features[list(rounds[-1].candidates)], voters, k=1)[1][:, 0]]
        return {
            "released": -float(np.linalg.norm(released - self.target, axis=1).min()),
            "copied": -float(np.linalg.norm(copied - self.target, axis=1).min()),
            "votes": sum(self._evidence(one, settings) for one in rounds),
        }

    def _evidence(self, one: Round[int], settings: Evolution) -> float:
        """Of one round: votes beyond those of the others, where the target would vote."""
        shown, ids = self.stock.features[list(one.candidates)][:, None], np.zeros(len(one.candidates), dtype=np.int64)
        own = votes_in(Electorate(self.target), shown, ids, settings, 1)
        known = votes_in(Electorate(self.others), shown, ids, settings, 1)
        return float(own @ (one.votes - known))


def auc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> Auc:
    """AUC with its 95 % interval (DeLong, DeLong and Clarke-Pearson 1988); ties count half."""
    wins = (inside[:, None] > outside[None]) + 0.5 * (inside[:, None] == outside[None])
    error = float(np.sqrt(wins.mean(1).var(ddof=1) / len(inside) + wins.mean(0).var(ddof=1) / len(outside)))
    value = float(wins.mean())
    return value, max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)


def leak(worlds: int) -> dict[str, object]:
    """AUCs of both attacks on an evolution with noise, and on leaks that were planted, for two targets."""
    rng = Stream(99)
    stock, voters = Stock.of(STOCK, rng.child("stock")), hidden(VOTERS, rng.child("voters"))
    delta = default_delta(VOTERS)
    sigma = sigma_for(1.0, delta, SMALL.rounds)
    bound = best_auc(sigma, SMALL.rounds)
    print(
        f"leak: {worlds} worlds with the target and {worlds} without; AUC of the attacks (95 % interval) at ε = 1, "
        f"δ = {delta:.2g} (σ = {sigma:.1f} votes), where no attack has more than {bound:.3f}"
    )
    targets = {"an ordinary picture": HIDDEN, "a picture like no other": ODD}
    found = {}
    for target, configuration in targets.items():
        harness = Harness(stock, voters, hidden(1, rng.child("target"), configuration))
        found[target] = attacked(harness, sigma, worlds)
        told_of(target, found[target], bound)
    return {"sigma": sigma, "epsilon": 1.0, "delta": delta, "bound": bound, "auc": found}


def attacked(harness: Harness, sigma: float, worlds: int) -> dict[str, Auc]:
    """AUCs of all attacks on one target, with noise and without."""
    found = {}
    for name, noise in (("noise", sigma), ("none", 0.0)):
        seen = [harness.world(number, inside=number % 2 == 0, sigma=noise) for number in range(2 * worlds)]
        for attack in ("released", "copied", "votes"):
            scores = np.array([one[attack] for one in seen])
            found[f"{name}: {attack}"] = auc(scores[::2], scores[1::2])
    return found


def told_of(target: str, found: Mapping[str, Auc], bound: float) -> None:
    """Prints the AUCs of one target."""

    def chance(_: float, low: float, high: float) -> bool:
        return low <= 0.5 <= high

    print(f"  the target is {target}:")
    told("released pictures", found["noise: released"], chance, "at chance")
    told("released pictures, the bound", found["noise: released"], lambda _, low, __: low <= bound, "within it")
    told("noisy votes, the bound", found["noise: votes"], lambda _, low, __: low <= bound, "within it")
    told("planted: votes without noise", found["none: votes"], lambda _, low, __: low > bound, "found")
    told("planted: nearest real pictures released", found["noise: copied"], lambda _, low, __: low > 0.5, "found")
    told("no noise, released pictures (no promise)", found["none: released"], chance, "at chance")


def told(what: str, value: Auc, holds: Callable[[float, float, float], bool], wanted: str) -> None:
    """Prints an AUC, and whether it is as wanted."""
    print(
        f"    {what}: {value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f}): {wanted if holds(*value) else 'NOT ' + wanted}"
    )


def spread(values: NDArray[np.float64]) -> str:
    """Mean, least and most of shares."""
    return f"{values.mean():.0%} ({values.min():.0%} to {values.max():.0%})"


def main() -> None:
    """Runs the parts and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="gap,leak")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epsilons", default="none,20,5,1")
    parser.add_argument("--worlds", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    epsilons = [None if one == "none" else float(one) for one in given.epsilons.split(",")]
    found: dict[str, object] = {"machine": machine()}
    if "gap" in given.parts:
        found["gap"] = gap(given.seeds, epsilons, given.workers)
    if "leak" in given.parts:
        found["leak"] = leak(given.worlds)
    print(json.dumps(found))


if __name__ == "__main__":
    import evolution  # under this name workers find what is kept between calls

    evolution.main()
