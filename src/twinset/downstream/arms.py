"""The five arms, the ways to train each (recipes), and which cells are due.

A cell is one training run. First the real arms and the synthetic one run with every seed; the classical strength
that is best on validation is then tried with synthetic images at several shares. So the side with synthetic data
gets as many trials as the side without, and starts from the strongest classical baseline. At last the picked recipe of
either side, between which the verdict decides, runs with a few more seeds: that is where seeds narrow the interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Generic, Literal, Protocol, TypeVar, get_args

import numpy as np

from twinset.models.classical import STRENGTHS, Strength

ArmName = Literal["real", "real+classical", "synthetic", "real+synthetic", "real+classical+synthetic"]
ARMS: tuple[ArmName, ...] = get_args(ArmName)
WITHOUT_SYNTHETIC: tuple[ArmName, ...] = ("real", "real+classical")
WITH_SYNTHETIC: tuple[ArmName, ...] = ("real+synthetic", "real+classical+synthetic")
"""The arms between which the verdict decides: real data alone, or real data with the synthetic set added."""


@dataclass(frozen=True, order=True)
class Recipe:
    """One way to train: an arm, its augmentation strength, and the synthetic share of every batch.

    ``balanced`` draws images of rare classes more often.
    """

    arm: ArmName
    strength: Strength
    share: float
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.arm not in ARMS or self.strength not in STRENGTHS or not 0 <= self.share <= 1:
            raise ValueError(f"expected a known arm and strength and a share in [0, 1]; got {self}")
        if ("classical" in self.arm) == (self.strength == "none"):
            raise ValueError(f"expected augmentation exactly in the classical arms; got {self}")
        fixed = {"real": 0.0, "real+classical": 0.0, "synthetic": 1.0}
        if self.share != fixed.get(self.arm, self.share):
            raise ValueError(f"expected share {fixed[self.arm]:g} in arm {self.arm}; got {self.share:g}")

    @property
    def text(self) -> str:
        """For people: the arm with what was chosen in it."""
        chosen = [] if self.strength == "none" else [f"{self.strength} augmentation"]
        chosen += ["class-balanced sampling"] if self.balanced else []
        chosen += [f"{self.share:.0%} of each batch synthetic"] if 0 < self.share < 1 else []
        return f"{self.arm} ({', '.join(chosen)})" if chosen else self.arm


@dataclass(frozen=True, order=True)
class Cell:
    """One training run: a recipe, on one subset of the training set, with one seed."""

    recipe: Recipe
    subset: int
    seed: int

    @property
    def key(self) -> str:
        """A name that is good as a file name."""
        recipe = self.recipe
        strength = f"{recipe.strength}-balanced" if recipe.balanced else recipe.strength
        return f"{recipe.arm}_{strength}_{round(1000 * recipe.share):04d}_k{self.subset}_s{self.seed}"


@dataclass(frozen=True)
class CellResult:
    """What a cell found. Recipes are picked by ``validation_score``, the study's metric; ties go to the lower loss.

    In classification the predicted class of every validation and test image stands here; what detectors and
    segmenters found lies in a file beside, which ``found`` is the digest of. ``real_study`` is the digest of all that
    decided a cell besides itself, where no synthetic image had a part in it; ``taken_from`` the study that it was
    trained in, where that was another one. Both are "" otherwise.
    """

    cell: Cell
    study: str
    validation_score: float
    validation_loss: float
    seconds: float
    validation_predictions: tuple[int, ...] = ()
    test_predictions: tuple[int, ...] = ()
    found: str = ""
    real_study: str = ""
    taken_from: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain JSON types."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, object]) -> CellResult:
        """What :meth:`to_json` wrote; ``ValueError`` if it is something else."""
        try:
            cell = values["cell"]
            return CellResult(
                cell=Cell(Recipe(**cell["recipe"]), int(cell["subset"]), int(cell["seed"])),  # type: ignore[index]
                study=str(values["study"]),
                validation_score=float(values["validation_score"]),  # type: ignore[arg-type]
                validation_loss=float(values["validation_loss"]),  # type: ignore[arg-type]
                seconds=float(values["seconds"]),  # type: ignore[arg-type]
                validation_predictions=tuple(int(p) for p in values["validation_predictions"]),  # type: ignore[attr-defined]
                test_predictions=tuple(int(p) for p in values["test_predictions"]),  # type: ignore[attr-defined]
                found=str(values["found"]),
                real_study=str(values.get("real_study", "")),
                taken_from=str(values.get("taken_from", "")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"expected a cell result; got {type(error).__name__}: {error}; run the cell again"
            ) from error


class StudySettings(Protocol):
    """What is trained in every cell, and how."""

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types, all that decides a training."""
        ...


Settings = TypeVar("Settings", bound=StudySettings, covariant=True)


@dataclass(frozen=True)
class UtilityPlan(Generic[Settings]):
    """Everything a utility study fixes beforehand. ``synthetic`` is false when no synthetic image is left.

    ``seeds`` are repeats per recipe and subset, ``extra_seeds`` those that the two picked recipes run on top;
    ``subsets`` are few-shot draws of the training set (1 = all of it); ``strengths`` and ``shares`` are the trials,
    ``balanced`` those strengths that are tried with class-balanced sampling too. ``flip`` mirrors in the classical
    arms.
    """

    settings: Settings
    seed: int
    seeds: int = 3
    extra_seeds: int = 2
    subsets: int = 1
    strengths: tuple[Strength, ...] = ("light", "medium", "strong")
    shares: tuple[float, ...] = (0.2, 0.5)
    balanced: tuple[Strength, ...] = ()
    flip: bool = False
    synthetic: bool = True

    def __post_init__(self) -> None:
        if (
            min(self.seeds, self.subsets) < 1
            or self.extra_seeds < 0
            or not self.strengths
            or not self.shares
            or "none" in (*self.strengths, *self.balanced)
        ):
            raise ValueError(
                f"expected seeds and subsets ≥ 1, extra_seeds ≥ 0, strengths other than none, and shares; got {self}"
            )
        if not all(0 < share < 1 for share in self.shares):
            raise ValueError(f"expected shares between 0 and 1; got {self.shares}")

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        lists = {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
        return {**plain, **lists, "settings": self.settings.to_dict()}

    @property
    def cell_count(self) -> int:
        """How many cells the whole study runs."""
        recipes = 1 + len(self.strengths) + len(self.balanced) + (1 + 2 * len(self.shares) if self.synthetic else 0)
        extra = 2 * self.extra_seeds if self.synthetic else 0
        return (recipes * self.seeds + extra) * self.subsets

    def due(self, results: Iterable[CellResult]) -> list[Cell]:
        """The cells that can run now and have no result yet; empty when the study is complete."""
        results = list(results)
        missing = self._missing(self._first_recipes(), results, range(self.seeds))
        if missing or not self.synthetic:
            return missing
        second = self._second_recipes(self.pick(results, ("real+classical",)))
        missing = self._missing(second, results, range(self.seeds))
        if missing:
            return missing
        pair = [self.pick(results, arms) for arms in (WITHOUT_SYNTHETIC, WITH_SYNTHETIC)]
        return self._missing(pair, results, range(self.seeds, self.seeds + self.extra_seeds))

    def pick(self, results: Iterable[CellResult], arms: Sequence[ArmName]) -> Recipe:
        """The best recipe of these arms on validation, by the seeds that every recipe has."""
        trials = [result for result in results if result.cell.seed < self.seeds]
        return best_recipe(trials, arms)

    def _first_recipes(self) -> list[Recipe]:
        recipes = [Recipe("real", "none", 0.0)]
        recipes += [Recipe("real+classical", strength, 0.0) for strength in self.strengths]
        recipes += [Recipe("real+classical", strength, 0.0, balanced=True) for strength in self.balanced]
        return [*recipes, Recipe("synthetic", "none", 1.0)] if self.synthetic else recipes

    def _second_recipes(self, baseline: Recipe) -> list[Recipe]:
        plain = [Recipe("real+synthetic", "none", share) for share in self.shares]
        return plain + [replace(baseline, arm="real+classical+synthetic", share=share) for share in self.shares]

    def _missing(self, recipes: Sequence[Recipe], results: Sequence[CellResult], seeds: Iterable[int]) -> list[Cell]:
        done = {result.cell for result in results}
        cells = [Cell(recipe, subset, seed) for seed in seeds for subset in range(self.subsets) for recipe in recipes]
        return [cell for cell in cells if cell not in done]


def best_recipe(results: Iterable[CellResult], arms: Sequence[ArmName]) -> Recipe:
    """Of these arms the recipe with the best mean score on validation; ties go to the lower loss."""
    scores: dict[Recipe, list[tuple[float, float]]] = {}
    for result in results:
        if result.cell.recipe.arm in arms:
            scores.setdefault(result.cell.recipe, []).append((result.validation_score, -result.validation_loss))
    if not scores:
        raise ValueError(f"expected results of {' or '.join(arms)}; got none; run the cells that are due first")

    def mean(recipe: Recipe) -> tuple[float, float]:
        score, loss = np.mean(scores[recipe], axis=0)
        return round(float(score), 9), float(loss)

    return max(sorted(scores), key=mean)
