from __future__ import annotations

import json

import pytest

from twinset.downstream import ARMS, Cell, CellResult, Recipe, UtilityPlan
from twinset.downstream.arms import WITH_SYNTHETIC, WITHOUT_SYNTHETIC, best_recipe
from twinset.models.classifier import ClassifierSettings

PLAN = UtilityPlan(ClassifierSettings(), seed=1)


def result(cell: Cell, right: int, loss: float = 1.0) -> CellResult:
    """A result with ``right`` of four validation images right."""
    return CellResult(cell, "study", right / 4, loss, 0.1)


def finish(plan: UtilityPlan, right: dict[str, int]) -> list[CellResult]:
    """Every due cell, round after round; ``right`` by strength."""
    results: list[CellResult] = []
    while cells := plan.due(results):
        results += [result(cell, right.get(cell.recipe.strength, 1)) for cell in cells]
    return results


def test_the_synthetic_side_starts_from_the_best_classical_strength() -> None:
    results = finish(PLAN, {"light": 2, "medium": 4, "strong": 3})
    combined = {r.cell.recipe.strength for r in results if r.cell.recipe.arm == "real+classical+synthetic"}
    assert combined == {"medium"}


def test_both_sides_get_as_many_trials_with_as_many_seeds() -> None:
    results = finish(PLAN, {})
    sides = [[r.cell for r in results if r.cell.recipe.arm in arms] for arms in (WITHOUT_SYNTHETIC, WITH_SYNTHETIC)]
    assert len({cell.recipe for cell in sides[0]}) == len({cell.recipe for cell in sides[1]}) == 4
    assert len(sides[0]) == len(sides[1]) == 4 * 3 + 2
    assert {r.cell.recipe.arm for r in results} == set(ARMS)
    assert len(results) == PLAN.cell_count == 31
    assert len({r.cell.key for r in results}) == 31


def test_only_the_picked_pair_gets_the_extra_seeds_and_they_do_not_change_the_pick() -> None:
    results = finish(PLAN, {"strong": 4})
    extra = [r for r in results if r.cell.seed >= PLAN.seeds]
    assert {r.cell.recipe.arm for r in extra} == {"real+classical", "real+classical+synthetic"}
    assert {r.cell.recipe.strength for r in extra} == {"strong"}
    spoiled = [result(r.cell, 0) if r.cell.seed >= PLAN.seeds else r for r in results]
    assert PLAN.pick(spoiled, WITHOUT_SYNTHETIC).strength == "strong"
    assert PLAN.due(spoiled) == []


def test_without_synthetic_images_only_the_real_arms_run() -> None:
    plan = UtilityPlan(ClassifierSettings(), seed=1, synthetic=False, seeds=2)
    results = finish(plan, {})
    assert {r.cell.recipe.arm for r in results} == set(WITHOUT_SYNTHETIC)
    assert len(results) == plan.cell_count == 8


def test_work_continues_where_it_stopped_in_any_order() -> None:
    results = finish(PLAN, {"medium": 3})
    assert PLAN.due(reversed(results)) == []
    kept = results[::2]
    due = PLAN.due(kept)
    assert due
    assert not {cell.key for cell in due} & {r.cell.key for r in kept}


def test_subsets_multiply_the_cells() -> None:
    plan = UtilityPlan(ClassifierSettings(), seed=1, seeds=2, subsets=5)
    assert len(finish(plan, {})) == plan.cell_count == (9 * 2 + 2 * 2) * 5


def test_best_recipe_averages_seeds_and_breaks_ties_by_loss() -> None:
    light, strong = Recipe("real+classical", "light", 0.0), Recipe("real+classical", "strong", 0.0)
    lucky = [result(Cell(light, 0, 0), 4), result(Cell(light, 0, 1), 0)]
    steady = [result(Cell(strong, 0, 0), 3), result(Cell(strong, 0, 1), 3)]
    assert best_recipe([*lucky, *steady], ("real+classical",)) == strong
    tied = [result(Cell(light, 0, 0), 3, loss=0.2), result(Cell(strong, 0, 0), 3, loss=0.5)]
    assert best_recipe(tied, ("real+classical",)) == light
    with pytest.raises(ValueError, match="expected results"):
        best_recipe(tied, ("synthetic",))


def test_results_and_plans_survive_json() -> None:
    original = result(Cell(Recipe("real+classical+synthetic", "strong", 0.5), 1, 2), 3, loss=0.123)
    assert CellResult.from_json(json.loads(json.dumps(original.to_json()))) == original
    plan = UtilityPlan(ClassifierSettings(steps=9), seed=4, strengths=("strong",), shares=(0.3,), flip=True)
    plain = json.loads(json.dumps(plan.to_dict()))
    assert (plain["strengths"], plain["shares"], plain["flip"], plain["settings"]["steps"]) == (
        ["strong"],
        [0.3],
        True,
        9,
    )
    with pytest.raises(ValueError, match="expected a cell result"):
        CellResult.from_json({"cell": 3})


@pytest.mark.parametrize(
    ("arm", "strength", "share"),
    [("real", "light", 0.0), ("real+classical", "none", 0.0), ("synthetic", "none", 0.5), ("real", "none", 0.1)],
)
def test_recipes_that_contradict_their_arm_are_refused(arm: str, strength: str, share: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        Recipe(arm, strength, share)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"extra_seeds": -1}, {"shares": (1.0,)}, {"strengths": ("none",)}, {"subsets": 0}]
)
def test_plans_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        UtilityPlan(ClassifierSettings(), seed=1, **wrong)  # type: ignore[arg-type]
