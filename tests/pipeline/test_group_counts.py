"""Numbers by an attribute: how they are settled, planned, tried again, and refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.editing.mixing import Cutout
from twinset.errors import RecipeError
from twinset.images import ImageSpec
from twinset.pipeline.fitting import EditedReal
from twinset.pipeline.group_counts import check_conditions, group_counts, training_cells
from twinset.pipeline.making import _whole_pairs
from twinset.pipeline.planning import Planner, counts_of, placed_count, planned
from twinset.pipeline.real import RealData, RealFacts
from twinset.pipeline.releasing import few_of_groups
from twinset.recipe import GroupCountPart, Recipe, recipe_from_values
from twinset.stages import Slot
from twinset.store import PLAN_SCHEMA, ShardStore, write_table

TRAINING = {"a": {"f": 40, "m": 160}, "b": {"f": 1, "m": 99}}


def recipe(**values: object) -> Recipe:
    return Recipe.model_validate({"data": "x", **values})


def by_sex(**given: object) -> GroupCountPart:
    return GroupCountPart.model_validate({"by": "sex", **given})


def real_data(sexes: list[str | None]) -> RealData:
    """Training images of two classes in turn, and one test image of a value that training has not."""
    samples = [
        Sample(f"{row}", Annotation(class_id=row % 2, attributes={} if sex is None else {"sex": sex}), image=b"")
        for row, sex in enumerate([*sexes, "x"])
    ]
    splits = ["train"] * len(sexes) + ["test"]
    dataset = Dataset.of(samples, classes=("a", "b")).with_splits(splits)
    facts = RealFacts("0" * 64, "people", None, "", (), ())
    return RealData(dataset, np.arange(len(dataset)), ImageSpec(8, 8, 1, "stretch"), facts)


def test_as_many_of_each_as_asked_for_or_as_auto_makes_in_all() -> None:
    assert group_counts(by_sex(each=50), TRAINING).of == {"a": {"f": 50, "m": 50}, "b": {"f": 50, "m": 50}}
    assert group_counts(by_sex(), TRAINING).of == {"a": {"f": 250, "m": 250}, "b": {"f": 250, "m": 250}}


def test_balance_makes_real_and_synthetic_together_equal() -> None:
    made = group_counts(by_sex(each="balance"), TRAINING).of
    assert made is not None
    together = {TRAINING[name][value] + n for name, values in made.items() for value, n in values.items()}
    assert together == {160 + 250}


def test_a_settled_count_stays_as_it_is() -> None:
    settled = group_counts(by_sex(each=3, pairs=True), TRAINING)
    again = GroupCountPart.model_validate(settled.model_dump(exclude_none=True))
    assert group_counts(again, TRAINING) == settled
    resolved = recipe(count=settled.model_dump(exclude_none=True))
    assert planned(resolved) == 12
    assert counts_of(resolved, ["a", "b"]) == [6, 6]
    assert Recipe.model_validate(resolved.to_values()).digest() == resolved.digest()


def test_training_cells_count_training_images_alone() -> None:
    assert training_cells(real_data(["f", "f", "m", None]), "sex") == {"a": {"f": 1, "m": 1}, "b": {"f": 1, "m": 0}}


def test_groups_without_training_images_are_refused_with_a_way_out() -> None:
    without = {"a": {"f": 4, "m": 9}, "b": {"f": 0, "m": 9}}
    with pytest.raises(RecipeError, match="got none of class 'b' with sex 'f'") as refused:
        group_counts(by_sex(), without)
    assert "count.of" in (refused.value.hint or "")
    named = group_counts(by_sex(of={"a": {"f": 5}, "b": {"m": 5}}), without)
    assert named.total == 10
    with pytest.raises(RecipeError, match=r"training images of class 'b' have \(m\); got 'f'"):
        group_counts(by_sex(of={"b": {"f": 5}}), without)
    with pytest.raises(RecipeError, match="expected classes out of a, b; got c"):
        group_counts(by_sex(of={"c": {"f": 5}}), without)


@pytest.mark.parametrize(
    ("count", "says"),
    [
        ({"by": "sex", "each": 0}, "count: each: expected 'auto', 'balance' or a number greater than or equal to 1"),
        ({"by": "sex", "eech": 3}, "count: eech: expected a known key"),
        ({"by": "sex", "each": 2, "of": {"a": {"f": 1}}}, "expected each or of; got both"),
        ({"by": "sex", "of": {"a": {"f": 0}}}, "expected at least one image to make"),
        ({"by": "sex", "each": "balance", "pairs": True}, "expected pairs of equal numbers; got each: balance"),
        ({"by": "sex", "of": {"a": {"f": 1, "m": 2}}, "pairs": True}, "expected pairs of equal numbers"),
        ({"a": "x"}, r"count.a: expected a whole number; got 'x'"),
    ],
)
def test_counts_that_cannot_be_are_refused_in_a_line(count: object, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe_from_values({"data": "x", "count": count})


def test_classes_may_be_called_by_and_each() -> None:
    assert recipe(count={"by": 3, "each": 4}).count == {"by": 3, "each": 4}


@pytest.mark.parametrize(
    ("generate", "says"),
    [
        ([{"use": "diffusion"}], r"generate.0.by: expected 'sex', as count.by says; got 'nothing'"),
        ([{"use": "diffusion", "by": "sex"}, {"use": "mean-embedding"}], "got 'mean-embedding', which makes classes"),
        ([{"use": "diffusion", "by": "age"}], "got 'age', which has none"),
    ],
)
def test_every_generator_must_take_what_is_counted_by(generate: list[dict[str, object]], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        check_conditions(recipe(generate=generate, count={"by": "sex"}), real_data(["f", "f", "m", "m"]))


def test_editors_take_part_but_for_pairs_and_mixing_and_pictures_of_objects_do_not() -> None:
    real = real_data(["f", "m"])

    def asked(use: str, **count: object) -> Recipe:
        return recipe(generate=[], edit=[{"use": use}], count={"by": "sex", **count})

    check_conditions(asked("classical"), real)
    with pytest.raises(RecipeError, match="got cutmix, which mixes several"):
        check_conditions(asked("cutmix"), real)
    with pytest.raises(RecipeError, match="images of one noise; got editors"):
        check_conditions(asked("classical", each=2, pairs=True), real)
    with pytest.raises(RecipeError, match="expected a number or auto in task detection; got numbers by an attribute"):
        placed_count(recipe(task="detection", count={"by": "sex"}), 10)


def test_every_group_gets_its_images_and_slots_say_what_they_are_to_be() -> None:
    planner = Planner("key", "digest", (1.0,), 4, "sex")
    rows = planner.first_round_of_groups(by_sex(of={"a": {"f": 2, "m": 3}, "b": {"m": 1}}), ["a", "b"])
    assert Counter((row["class_id"], row["value"]) for row in rows) == {(0, "f"): 2, (0, "m"): 3, (1, "m"): 1}
    assert len({row["seed"] for row in rows}) == 6
    slots = [slot for shard in (0, 1) for slot in planner.slots(table(rows), shard)]
    assert [slot.attribute for slot in slots] == [("sex", row["value"]) for row in rows]
    assert all(slot.pair is None for slot in slots)


def test_images_of_a_pair_share_a_seed_and_go_into_another_try_together() -> None:
    planner = Planner("key", "digest", (2.0, 1.0), 3, "sex")
    count = by_sex(of={"a": {"f": 4, "m": 4}, "b": {"f": 5, "m": 5}}, pairs=True)
    rows = planner.first_round_of_groups(count, ["a", "b"])
    assert Counter(row["source"] for row in rows) == {0: 12, 1: 6}
    pairs: dict[int | None, list[dict[str, object]]] = {}
    for row in rows:
        pairs.setdefault(row["pair"], []).append(dict(row))
    assert len(pairs) == 9
    for first, members in pairs.items():
        assert [row["value"] for row in members] == ["f", "m"]
        assert members[0]["slot"] == first
        assert len({(row["seed"], row["class_id"], row["source"]) for row in members}) == 1
    again = planner.retry(table(rows), [2, 3])
    assert again[0]["seed"] == again[1]["seed"] != rows[2]["seed"]
    assert [(row["pair"], row["value"], row["attempt"]) for row in again] == [(2, "f", 1), (2, "m", 1)]


def test_a_pair_is_accepted_whole_or_not_at_all() -> None:
    planner = Planner("key", "digest", (1.0,), 9, "sex")
    plan = table(planner.first_round_of_groups(by_sex(of={"a": {"f": 3, "m": 3}}, pairs=True), ["a"]))
    kept = _whole_pairs(plan, [0, 1, 3, 4, 5], [None, "copy", None, None, None])
    assert kept == [
        "another image of its pair was rejected",
        "copy",
        "another image of its pair was rejected",
        None,
        None,
    ]


def test_edited_images_have_the_value_that_was_asked_for() -> None:
    training = real_data(["f", "f", "m", "m", "m", "f", None]).training
    pixels = np.zeros((8, 8, 1), np.uint8)
    training = Dataset.of((replace(sample, image=pixels) for sample in training), classes=training.classes)
    slots = [
        Slot(n, 0, 9 + n, n % 2, "d", attribute=("sex", value)) for n, value in enumerate("ffmmfm") for _ in range(3)
    ]
    made = Dataset.of(
        (replace(s, id=f"{n}") for n, s in enumerate(EditedReal(Cutout(), training, "cutout").generate(slots))),
        classes=training.classes,
    )
    assert made.attribute("sex") == [slot.attribute[1] for slot in slots if slot.attribute]
    assert made.class_ids.tolist() == [slot.class_id for slot in slots]


def test_groups_that_stay_far_below_what_was_asked_for_are_limits() -> None:
    count = by_sex(of={"a": {"f": 4, "m": 4}})
    made = real_data(["m", "m", "m", "m", "f"]).training
    assert few_of_groups(count, made) == ["Class 'a' with sex 'f': 1 of 4 images made."]
    assert few_of_groups({"a": 9}, made) == []


def test_plans_of_earlier_versions_are_read(tmp_path: object) -> None:
    from pathlib import Path

    store = ShardStore(Path(str(tmp_path)))
    rows = Planner("key", "digest", (1.0,), 4).first_round([2])
    write_table(store.plan_path, table(rows).drop_columns(["value", "pair"]))
    assert store.plan().schema.equals(PLAN_SCHEMA)
    assert store.plan().column("pair").to_pylist() == [None, None]


def table(rows: object) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)
