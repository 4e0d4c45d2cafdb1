"""The steps that close the gap, on the page: figures, verdicts, and what was not tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twinset.report import GapFacts, ReportData, StepChange, StepFacts, render
from twinset.report.steps import measure_steps, step_table

NEARER = StepChange(0.4, 0.1, -0.35, -0.22)
SAME = StepChange(0.02, 0.021, -0.004, 0.005)
GAP = GapFacts(
    "render",
    "validation",
    40,
    120,
    "random features",
    (
        StepFacts("Layout", "helps", True, 31.0, "", NEARER, SAME, {"box_area": (0.8, 0.05), "count": (0.2, 0.15)}),
        StepFacts("Matching", "no measurable help", False, 65.0, "", SAME, SAME, {"box_area": (0.05, 0.06)}),
        StepFacts("Curation", "not tried", False, 0.1, "objects are not made from <b>shapes</b>"),
    ),
)


def test_a_row_a_step_with_its_change_and_interval() -> None:
    table = step_table(GAP)
    assert table.rows[0][:-1] == ("Layout", "helps, kept", "metadata", "0.400", "0.100", "−0.350 … −0.220")
    assert table.rows[1] == ("", "", "features", "0.0200", "0.0210", "−0.00400 … +0.00500", "")
    assert table.rows[2][1] == "no measurable help, not kept"
    assert table.rows[4][:-1] == ("Curation", "not tried", "–", "–", "–", "–")
    assert len(table.rows) == 5


def test_measures_stand_before_and_after_each_step_and_a_dash_where_there_is_no_value() -> None:
    table = measure_steps(GAP)
    assert table is not None
    assert table.columns == ("Measure", "Layout", "Matching")
    assert [row[1:] for row in table.rows] == [("0.800 → 0.0500", "0.0500 → 0.0600"), ("0.200 → 0.150", "–")]
    assert measure_steps(replace(GAP, steps=GAP.steps[2:])) is None


def test_the_page_shows_the_steps_and_never_takes_their_words_as_markup(
    report_data: Callable[..., ReportData],
) -> None:
    page = render(replace(report_data(), gaps=(GAP,)))
    assert 'id="gap"' in page
    assert "weighed by 40 validation images and a pilot of 120" in page
    assert "what they gain is told too well" not in page
    assert "&lt;b&gt;shapes&lt;/b&gt;" in page
    assert "what they gain is told too well" in render(replace(report_data(), gaps=(replace(GAP, part="exposed"),)))
    assert 'id="gap"' not in render(report_data())
