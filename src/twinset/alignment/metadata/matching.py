"""Which settings of a generator give the measures that are wanted: a proposer over its configuration space.

For each joint component of the target the configuration is sought whose small batch has the nearest mean and
variance, in all measures at once: a coarse grid first, then in turn the minimum of a smooth surface through all
statistics measured so far (thin-plate splines, Duchon 1977) and tree-structured Parzen estimators (Bergstra et al.
2011, by optuna), which also find what is not smooth. What is measured for one component counts for all. Nothing is kept
beside the history: the same history proposes the same next configuration, so that a search that was cut short
continues where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata.measures import MEASURES, Measures
from twinset.alignment.metadata.target import Component, Target
from twinset.randomness import Stream

Space = Mapping[str, tuple[float, float]]
"""Lowest and highest value of each setting of a generator."""

Configuration = Mapping[str, float]

NARROWEST = 0.05
"""Least standard deviation of a batch, as a share of the component's: constant ones are narrow, not infinitely far."""

CANDIDATES = 512
SMOOTHING = 1e-3
"""Of the surface: statistics of a batch are noisy."""

UNDEFINED_GAP = 1e3
"""The gap of a batch that has no value of a wanted measure; optuna wants a number."""


@dataclass(frozen=True)
class Trial:
    """A configuration and what its batch measured: mean and standard deviation by measure, on the measure's scale.

    A measure that had no finite value is not in ``means``. ``objects_per_image`` is the mean count.
    """

    configuration: Configuration
    means: Mapping[str, float]
    stds: Mapping[str, float]
    objects_per_image: float

    @staticmethod
    def of(configuration: Configuration, batch: Measures, names: Sequence[str]) -> Trial:
        """The statistics of a measured batch."""
        values = {name: batch.values(name) for name in names}
        held = {name: column for name, column in values.items() if len(column)}
        return Trial(
            MappingProxyType(dict(configuration)),
            {name: float(column.mean()) for name, column in held.items()},
            {name: float(column.std()) for name, column in held.items()},
            len(batch.image_rows) / max(1, len(batch)),
        )


@dataclass(frozen=True)
class Matched:
    """What to generate for one component: ``weight`` is its share of the images, ``gap`` what is left of its distance.

    ``reached``: the gap is within the settings' reach.
    """

    component: Component
    configuration: Configuration
    weight: float
    gap: float
    reached: bool


@dataclass(frozen=True)
class Match:
    """A configuration for each component, weights summing to 1, and all that was measured."""

    matched: tuple[Matched, ...]
    history: tuple[Trial, ...]

    @property
    def unreached(self) -> tuple[Matched, ...]:
        """Components that no measured configuration comes near."""
        return tuple(one for one in self.matched if not one.reached)

    def sentences(self) -> tuple[str, ...]:
        """What could not be reached, in words."""
        return tuple(_unreached(one, self.history) for one in self.unreached)


@dataclass(frozen=True)
class Matching:
    """Settings: ``grid`` configurations first, then at most ``trials`` more; a component within ``reach`` is done.

    The gap is the Bhattacharyya distance of two Gaussians, averaged over the measures: .05 is a mean .63 standard
    deviations off, or a standard deviation wrong by a factor of 1.56. ``patience``: a component is reached
    for good below ``reach`` × ``patience``; until all are, the remaining trials go on.
    """

    grid: int = 27
    trials: int = 60
    reach: float = 0.05
    patience: float = 0.1

    def __post_init__(self) -> None:
        if self.grid < 1 or self.trials < 0 or self.reach <= 0 or not 0 <= self.patience <= 1:
            raise ValueError(f"expected grid ≥ 1, trials ≥ 0, reach > 0 and 0 ≤ patience ≤ 1; got {self}")

    def propose(self, space: Space, target: Target, history: Sequence[Trial], *, rng: Stream) -> Configuration | None:
        """The next configuration to measure, None when the search is over; a function of its arguments alone."""
        _check(space, history)
        points = _grid(space, self.grid)
        if len(history) < len(points):
            return points[len(history)]
        trial = len(history) - len(points)
        gaps = [min(component_gap(component, one) for one in history) for component in target.components]
        open_ = [at for at, gap in enumerate(gaps) if gap > self.reach * self.patience]
        if trial >= self.trials or not open_:
            return None
        component = target.components[open_[trial // 2 % len(open_)]]
        suggest = _on_surface if trial % 2 == 0 else _suggested
        return suggest(space, component, history, rng.child("trial", trial))

    def best(self, target: Target, history: Sequence[Trial]) -> Match:
        """The nearest measured configuration of each component; of equals the first."""
        if not history:
            raise ValueError("expected at least one measured configuration; got none; match first")
        chosen = []
        for component in target.components:
            gaps = [component_gap(component, trial) for trial in history]
            at = int(np.argmin(gaps))
            chosen.append((component, history[at], gaps[at]))
        weights = np.array([_image_share(component, trial, target) for component, trial, _ in chosen])
        return Match(
            tuple(
                Matched(component, trial.configuration, float(weight), gap, gap <= self.reach)
                for (component, trial, gap), weight in zip(chosen, weights / weights.sum(), strict=True)
            ),
            tuple(history),
        )


def component_gap(component: Component, trial: Trial) -> float:
    """Mean over the measures of ¼ (μ − m)² / (σ² + s²) + ½ ln((σ² + s²) / 2 σ s): 0 for equal means and variances."""
    if not all(name in trial.means for name in component.means):
        return UNDEFINED_GAP
    wanted = np.array([[mean, component.stds[name]] for name, mean in component.means.items()]).T
    means = np.array([trial.means[name] for name in component.means])
    stds = np.array([max(trial.stds[name], NARROWEST * component.stds[name]) for name in component.means])
    return float(_gaussian_gaps(wanted, means, stds).mean())


def _image_share(component: Component, trial: Trial, target: Target) -> float:
    """A component's share of objects takes as many images as its batch needs for them."""
    if target.level == "image" or trial.objects_per_image <= 0:
        return component.weight
    return component.weight / trial.objects_per_image


def _check(space: Space, history: Sequence[Trial]) -> None:
    if not space or not all(np.isfinite([low, high]).all() and low < high for low, high in space.values()):
        raise ValueError(f"expected a space of settings with low < high; got {dict(space)}")
    for trial in history:
        if set(trial.configuration) != set(space):
            raise ValueError(
                f"expected a history over {sorted(space)}; got {sorted(trial.configuration)}; start a new search"
            )


def _grid(space: Space, most: int) -> list[Configuration]:
    """Equal steps along every setting, the bounds included, as many as ``most`` points allow.

    Where not even two a setting are allowed: ``most`` points of a Halton sequence.
    """
    steps = int(np.floor(most ** (1 / len(space)) + 1e-9))
    if steps >= 2:
        axes = [np.linspace(low, high, steps).tolist() for low, high in space.values()]
        return [dict(zip(space, point, strict=True)) for point in product(*axes)]
    from scipy.stats import qmc

    bounds = np.array(list(space.values()))
    unit = qmc.Halton(len(space), scramble=False).random(most + 1)[1:]
    points = bounds[:, 0] + unit * (bounds[:, 1] - bounds[:, 0])
    return [dict(zip(space, point.tolist(), strict=True)) for point in points]


def _on_surface(space: Space, component: Component, history: Sequence[Trial], rng: Stream) -> Configuration:
    """Where splines through the measured means and log standard deviations come nearest to this component.

    Candidates are spread evenly and, ever more narrowly, around the nearest of them. Too few trials, or trials that
    leave a direction of the space untried: optuna is asked.
    """
    from scipy.interpolate import RBFInterpolator

    names = list(component.means)
    known = [trial for trial in history if all(name in trial.means for name in names)]
    if len(known) <= len(space) + 1:
        return _suggested(space, component, history, rng)
    low, high = np.array(list(space.values())).T
    points = (np.array([[trial.configuration[name] for name in space] for trial in known]) - low) / (high - low)
    if np.linalg.matrix_rank(points - points.mean(axis=0)) < len(space):
        return _suggested(space, component, history, rng)
    stds = np.array([[max(trial.stds[name], NARROWEST * component.stds[name]) for name in names] for trial in known])
    means = np.array([[trial.means[name] for name in names] for trial in known])
    surface = RBFInterpolator(points, np.concatenate([means, np.log(stds)], axis=1), smoothing=SMOOTHING)
    wanted = np.array([[component.means[name], component.stds[name]] for name in names]).T
    draw = rng.numpy()
    candidates = draw.uniform(size=(CANDIDATES, len(space)))
    for width in (0.1, 0.03, 0.01):
        predicted = surface(candidates)
        gaps = _gaussian_gaps(wanted, predicted[:, : len(names)], np.exp(predicted[:, len(names) :])).mean(axis=1)
        best = candidates[np.argmin(gaps)]
        around = best + draw.normal(0, width, size=(CANDIDATES, len(space)))
        candidates = np.clip(np.concatenate([best[None], around]), 0, 1)
    return dict(zip(space, (low + best * (high - low)).tolist(), strict=True))


def _gaussian_gaps(
    wanted: NDArray[np.float64], means: NDArray[np.float64], stds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bhattacharyya distances of Gaussians with ``means`` and ``stds`` (…, K) from those ``wanted`` (2, K)."""
    both = wanted[1] ** 2 + stds**2
    return np.asarray(0.25 * (wanted[0] - means) ** 2 / both + 0.5 * np.log(both / (2 * wanted[1] * stds)))


def _suggested(space: Space, component: Component, history: Sequence[Trial], rng: Stream) -> Configuration:
    """Where optuna's sampler would look next for this component, given all that was measured."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        sampler = optuna.samplers.TPESampler(seed=rng.seed % 2**32, n_startup_trials=0, multivariate=len(space) > 1)
        study = optuna.create_study(sampler=sampler)
        ranges: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.FloatDistribution(low, high) for name, (low, high) in space.items()
        }
        for trial in history:
            gap = component_gap(component, trial)
            study.add_trial(
                optuna.trial.create_trial(params=dict(trial.configuration), distributions=ranges, value=gap)
            )
        return {name: float(value) for name, value in study.ask(ranges).params.items()}
    finally:
        optuna.logging.set_verbosity(before)


def _unreached(one: Matched, history: Sequence[Trial]) -> str:
    nearest = next(trial for trial in history if trial.configuration == one.configuration)
    parts = []
    for name, mean in one.component.means.items():
        got = nearest.means.get(name)
        found = "no value" if got is None else f"{MEASURES[name].original(got):.3g}"
        parts.append(f"{name} {MEASURES[name].original(mean):.3g} (nearest {found})")
    return f"not reached: {', '.join(parts)}; gap {one.gap:.2g}, {one.component.weight:.0%} of the target"
