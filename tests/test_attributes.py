"""Which attributes of images name groups, and what ``init`` proposes of them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from twinset.attributes import grouping_attributes
from twinset.images import encode_png
from twinset.inspection import inspect
from twinset.pipeline.tools import init, load
from twinset.recipe import load_recipe

COUNT = 44


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Images of two classes with a sex, a site of a hostile name, a patient each, a class by another name, and one
    column that says the same of all."""
    draw = np.random.default_rng(0)
    place = tmp_path / "table.csv"
    with place.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "sex", "site\n# export: [coco]", "patient", "diagnosis", "hospital"])
        for number in range(COUNT):
            (tmp_path / f"{number}.png").write_bytes(encode_png(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)))
            sick = number % 2
            rows.writerow(
                [f"{number}.png", "ab"[sick], "fm"[number // 2 % 2], number % 3, number, ("ill", "well")[sick], "one"]
            )
    return place


def test_attributes_of_few_values_name_groups_and_a_class_by_another_name_does_not(table: Path) -> None:
    found = grouping_attributes(load(table))
    assert sorted(found) == ["sex", "site\n# export: [coco]"]
    assert found["sex"] == {"f": 22, "m": 22}
    assert sum(found["site\n# export: [coco]"].values()) == COUNT


def test_init_proposes_them_on_a_line_that_makes_a_recipe_when_it_is_taken_up(table: Path, tmp_path: Path) -> None:
    init(str(table), out=tmp_path / "r.yaml")
    text = (tmp_path / "r.yaml").read_text()
    line = next(each for each in text.splitlines() if "subgroups:" in each)
    assert line.startswith('  # subgroups: ["sex", "site\\n# export: [coco]"]   #')
    assert load_recipe(tmp_path / "r.yaml").recipe.evaluate.subgroups is None
    (tmp_path / "r.yaml").write_text(text.replace(line, line.replace("# ", "", 1)))
    assert load_recipe(tmp_path / "r.yaml").recipe.evaluate.subgroups == ("sex", "site\n# export: [coco]")


def test_inspect_lists_them(table: Path) -> None:
    found = inspect(table)
    assert "  groups by sex: f × 22, m × 22" in found.lines()
    assert found.to_json()["groups"] == {name: dict(counts) for name, counts in found.groups.items()}


def test_nothing_is_proposed_where_nothing_names_groups(tmp_path: Path) -> None:
    assert "subgroups" not in init("builtin:digits", out=tmp_path / "d.yaml").text
