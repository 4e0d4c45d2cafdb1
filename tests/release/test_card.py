from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from twinset.release import Export, Parent, Release, dataset_card
from twinset.release.card import plain

MakeRelease = Callable[..., Release]


def front_matter(card: str) -> dict[str, object]:
    assert card.startswith("---\n")
    head = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(head, dict)
    return head


def test_front_matter_is_what_the_hub_reads(make_release: MakeRelease, exported: Callable[[str], Export]) -> None:
    head = front_matter(dataset_card(make_release(exports=(exported("parquet"), exported("imagefolder")))))
    assert head["license"] == "cc-by-4.0"
    assert head["task_categories"] == ["image-classification"]
    assert "synthetic" in head["tags"]  # type: ignore[operator]
    assert head["size_categories"] == ["n<1K"]
    files = [{"split": "train", "path": ["export/parquet/data/train-00000-of-00001.parquet"]}]
    assert head["configs"] == [{"config_name": "default", "data_files": files}]


@pytest.mark.parametrize(
    ("licence", "identifier"),
    [(None, "unknown"), ("MIT", "mit"), ("CC BY 4.0", "cc-by-4.0"), ("ask\nmy: boss", "other")],
)
def test_licences_become_hub_identifiers(make_release: MakeRelease, licence: str | None, identifier: str) -> None:
    head = front_matter(dataset_card(make_release(licence=licence)))
    assert head["license"] == identifier
    assert head.get("license_name") == (licence if identifier == "other" else None)


def test_card_tells_verdict_figures_parents_and_limits(make_release: MakeRelease) -> None:
    card = dataset_card(make_release())
    assert "**Measured as useful.** It helps." in card
    assert "+1.8 percentage points of balanced accuracy (+0.4 … +3.1)" in card
    assert "| frechet\\_distance ↓ | 9.7 | 9 … 10 | 3.2 | 120 | 10 | random |" in card
    assert "- frechet\\_distance: N is small" in card
    assert "| real pets | 120 | CC BY 4.0 |" in card
    assert "**Passed.** No copies found." in card
    assert "- Only 40 real test images." in card
    assert "cd" * 32 in card


def test_what_was_not_measured_is_said(make_release: MakeRelease) -> None:
    card = dataset_card(
        make_release(decision=None, difference=None, arms=(), scores=(), gate_passed=None, licence=None, parents=())
    )
    assert "Not measured: no classifier was trained" in card
    assert "Not tested. These images may repeat training images." in card
    assert "No licence was given" in card


def test_failed_gate_is_not_called_passed(make_release: MakeRelease) -> None:
    card = dataset_card(make_release(gate_passed=False, decision="blocked_by_gate", difference=None))
    assert "**Failed.**" in card
    assert "**Passed.**" not in card


def test_names_from_data_are_text(make_release: MakeRelease) -> None:
    hostile = "<script>alert(1)</script>"
    card = dataset_card(
        make_release(
            name=f"x\n---\nlicense: mit # {hostile}",
            counts={hostile: 1, "a|b": 1, "[x](javascript:1)": 1},
            parents=(Parent(f"![p](http://e.x) {hostile}", "`x`\n# h", 1),),
            methods={hostile: 2},
            sentence="# big\n\n- list",
        )
    )
    assert "<script>" not in card.replace(card.split("---\n")[1], "")
    assert front_matter(card)["license"] == "cc-by-4.0"
    assert "\\[x\\](javascript:1)" in card
    assert "| a\\|b | 1 |" in card
    assert "\n# big" not in card


def test_recipe_cannot_leave_its_fence(make_release: MakeRelease) -> None:
    card = dataset_card(make_release(recipe="a: 1\n```\n<b>out</b>\n````\n"))
    assert "\n`````yaml\na: 1\n```\n<b>out</b>\n````\n`````\n" in card


def test_plain_keeps_ordinary_words() -> None:
    assert plain("0.1.0") == "0.1.0"
    assert plain("2025-01-31") == "2025-01-31"
    assert plain("1. x") == "1\\. x"
    assert plain("- x") == "\\- x"
