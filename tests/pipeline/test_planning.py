from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.errors import RecipeError
from twinset.pipeline.planning import Planner, class_counts, largest_remainder
from twinset.recipe import Recipe
from twinset.store import PLAN_SCHEMA


def recipe(**values: object) -> Recipe:
    return Recipe.model_validate({"data": "x", **values})


def table(rows: list[dict[str, int]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)


def test_a_total_follows_the_class_shares() -> None:
    assert class_counts(recipe(count=8), {"a": 10, "b": 30}) == {"a": 2, "b": 6}


def test_counts_per_class_are_taken_as_they_are() -> None:
    assert class_counts(recipe(count={"b": 3}), {"a": 10, "b": 30}) == {"a": 0, "b": 3}


def test_balance_evens_out_real_and_synthetic_together() -> None:
    real = {"a": 10, "b": 30}
    made = class_counts(recipe(count="balance"), real)
    assert made["a"] + real["a"] == made["b"] + real["b"]


def test_an_unknown_class_is_an_error() -> None:
    with pytest.raises(RecipeError, match="expected classes out of a, b; got c"):
        class_counts(recipe(count={"c": 1}), {"a": 1, "b": 1})


@given(st.integers(0, 500), st.lists(st.floats(0.01, 10), min_size=1, max_size=9))
def test_largest_remainder_sums_up_and_stays_within_one(total: int, weights: list[float]) -> None:
    found = largest_remainder(total, np.array(weights))
    exact = total * np.array(weights) / sum(weights)
    assert sum(found) == total
    assert np.all(np.abs(np.array(found) - exact) < 1 + 1e-6)


def test_the_first_shard_of_a_source_holds_every_class() -> None:
    planner = Planner("key", "digest", (1.0,), 20)
    rows = planner.first_round([50] * 10)
    assert Counter(row["class_id"] for row in rows if row["shard"] == 0) == dict.fromkeys(range(10), 2)


def test_shares_are_met_and_shards_have_one_source_each() -> None:
    rows = Planner("key", "digest", (3.0, 1.0), 16).first_round([10, 20, 30])
    assert Counter(row["source"] for row in rows) == {0: 45, 1: 15}
    assert Counter(row["class_id"] for row in rows) == {0: 10, 1: 20, 2: 30}
    assert all(len({row["source"] for row in rows if row["shard"] == s}) == 1 for s in {row["shard"] for row in rows})
    assert max(Counter(row["shard"] for row in rows).values()) <= 16


def test_a_retry_keeps_class_and_source_and_gets_new_shards_seeds_and_ranks() -> None:
    planner = Planner("key", "digest", (1.0,), 4)
    first = planner.first_round([3, 3])
    again = planner.retry(table(first), [1, 4])
    before = {row["slot"]: row for row in first}
    for row in again:
        assert (row["class_id"], row["source"]) == (before[row["slot"]]["class_id"], 0)
        assert row["attempt"] == 1
        assert row["seed"] != before[row["slot"]]["seed"]
        assert row["shard"] > max(r["shard"] for r in first)
        assert row["rank"] >= 3


def test_seeds_depend_on_the_run_key_only() -> None:
    seeds = [
        [row["seed"] for row in Planner(key, "d", (1.0,), size).first_round([6])]
        for key, size in (("a", 2), ("a", 6), ("b", 2))
    ]
    assert seeds[0] == seeds[1] != seeds[2]
