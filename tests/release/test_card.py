from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from twinset.release import AuditResult, Export, Parent, RedactionNote, Release, dataset_card
from twinset.release.markdown import plain

MakeRelease = Callable[..., Release]


def front_matter(card: str) -> dict[str, object]:
    assert card.startswith("---\n")
    head = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(head, dict)
    return head


def test_front_matter_is_what_the_hub_reads(make_release: MakeRelease, exported: Callable[[str], Export]) -> None:
    head = front_matter(dataset_card(make_release(exports=(exported("parquet"), exported("imagefolder")))))
    assert head["license"] == "unknown"
    assert head["task_categories"] == ["image-classification"]
    assert "synthetic" in head["tags"]  # type: ignore[operator]
    assert head["size_categories"] == ["n<1K"]
    files = [{"split": "train", "path": ["export/parquet/data/train-00000-of-00001.parquet"]}]
    assert head["configs"] == [{"config_name": "default", "data_files": files}]


def test_the_licence_is_that_of_the_parents_and_none_is_invented(make_release: MakeRelease) -> None:
    card = dataset_card(make_release(parents=(Parent("pets", "ef" * 32, 120, "CC BY 4.0"), Parent("more", "01", 3))))
    assert "| pets | 120 | CC BY 4.0 |" in card
    assert "| more | 3 | not recorded |" in card
    assert "no licence of its own" in card
    assert front_matter(card)["license"] == "unknown"


def test_card_tells_verdict_figures_parents_and_limits(make_release: MakeRelease) -> None:
    card = dataset_card(make_release())
    assert "**Use it.** It helps." in card
    assert "+1.8 percentage points of balanced accuracy (+0.4 … +3.1)" in card
    assert "| frechet\\_distance ↓ | 9.7 | 9 … 10 | 3.2 | 120 | 10 | random |" in card
    assert "- frechet\\_distance: N is small" in card
    assert "| real pets | 120 | CC BY 4.0 |" in card
    assert "**Passed.** No copies found." in card
    assert "- Only 40 real test images." in card
    assert "cd" * 32 in card


def test_card_counts_groups_before_and_after(make_release: MakeRelease) -> None:
    card = dataset_card(make_release(groups={"sex": {"<f>": (12, 40), "m": (1088, 8)}}))
    assert "| sex | real training images | images here | together |" in card
    assert "| &lt;f&gt; | 12 | 40 | 52 |" in card
    assert "| m | 1,088 | 8 | 1,096 |" in card
    assert "real training images" not in dataset_card(make_release())


def test_what_was_not_measured_is_said(make_release: MakeRelease) -> None:
    card = dataset_card(make_release(decision=None, difference=None, arms=(), scores=(), gate_passed=None, parents=()))
    assert "Not measured: no classifier was trained" in card
    assert "Not tested. These images may repeat training images." in card
    assert "no licence of its own" in card


@pytest.mark.parametrize(
    ("decision", "sentence", "told"),
    [
        ("use", "Use it: adding them helps.", "**Use it.** Adding them helps."),
        ("do_not_use", "Do not use it: nothing passed.", "**Do not use it.** Nothing passed."),
        ("no_measurable_difference", "No measurable difference: equal.", "**No measurable difference.** Equal."),
        ("use", "Beware: it helps.", "**Use it.** Beware: it helps."),
    ],
)
def test_the_heading_is_not_said_twice(make_release: MakeRelease, decision: str, sentence: str, told: str) -> None:
    assert told in dataset_card(make_release(decision=decision, sentence=sentence))


def test_failed_gate_is_not_called_passed(make_release: MakeRelease) -> None:
    card = dataset_card(make_release(gate_passed=False, decision="blocked_by_gate", difference=None))
    assert "**Failed.**" in card
    assert "**Passed.**" not in card
    assert "**Copies found, which the recipe lets out.**" in dataset_card(make_release(gate_passed=False))


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
    assert front_matter(card)["license"] == "unknown"
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


def test_the_card_tells_the_audit_and_what_was_taken_out(make_release: MakeRelease) -> None:
    audit = AuditResult(
        "inconclusive", "inconclusive: 10 <b>copies</b> missed", 10, 120, 60, (("gan_leaks", 0.5, 0.4, 0.6),)
    )
    gone = RedactionNote("2026-01-02T03:04:05+0000", 3, "consent | withdrawn", "12" * 32)
    card = dataset_card(make_release(audit=audit, redactions=(gone,)))
    assert "## Privacy audit\n\nInconclusive: 10 &lt;b&gt;copies&lt;/b&gt; missed. Tested: 10 released against" in card
    assert "| gan\\_leaks | 0.500 | 0.400 … 0.600 |" in card
    assert f"| 2026-01-02T03:04:05+0000 | 3 | consent \\| withdrawn | `{'12' * 32}` |" in card
    plain_card = dataset_card(make_release())
    assert "Not audited." in plain_card
    assert "## Images taken out" not in plain_card
