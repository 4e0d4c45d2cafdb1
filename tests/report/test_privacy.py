"""The privacy audit and the groups on the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from twinset.report import (
    AttackFacts,
    ClosePair,
    FairnessFacts,
    GroupFigure,
    Grouping,
    GroupMeasure,
    Picture,
    PrivacyFacts,
    ReleaseFacts,
    ReportData,
    render,
)
from twinset.report.privacy import attack_table, control_table

MakeReport = Callable[..., ReportData]
EVIL = "<img src=x onerror=alert(1)>"


def pair(name: str) -> ClosePair:
    grey = np.full((8, 8, 1), 128, dtype=np.uint8)
    return ClosePair(Picture(name, grey), Picture(f"real/{name}", grey), 0.01, 0.02, flagged=True)


def release(**changes: object) -> ReleaseFacts:
    settings: dict[str, object] = {
        "what": "the dataset",
        "answer": "leak_found",
        "finding": f"leak found: {EVIL}",
        "alpha": 0.01,
        "p_value": 1e-6,
        "attacks": (
            AttackFacts("gan_leaks", 0.91, 0.88, 0.94, 1e-9, {0.01: (0.4, 0.3, 0.5), 0.1: (0.7, 0.6, 0.8)}),
            AttackFacts("domias", 0.6, 0.5, 0.7, 0.02, {0.1: (0.2, 0.1, 0.3)}),
        ),
        "meaning": "Whoever gets these images can tell.",
        "controls": (("ten copies", "found"), ("ten disguised copies", "missed"), ("halves", "1 of 5 flagged")),
        "hits": (12, 0),
        "pairs": (pair(EVIL),),
    }
    return ReleaseFacts(**{**settings, **changes})  # type: ignore[arg-type]


def facts(**changes: object) -> PrivacyFacts:
    counts = {"synthetic": 500, "training": 599, "holdout": 598, "reference": 0}
    settings: dict[str, object] = {
        "answer": "leak_found",
        "finding": f"leak found: {EVIL}",
        "withheld": True,
        "compared": "pixels",
        "counts": counts,
        "releases": (release(),),
        "warnings": ("without reference images",),
    }
    return PrivacyFacts(**{**settings, **changes})  # type: ignore[arg-type]


def test_the_page_shows_answer_attacks_controls_and_pairs_with_names_escaped(report_data: MakeReport) -> None:
    page = render(replace(report_data(), privacy=facts()))
    assert EVIL not in page
    assert '<a href="#privacy">Privacy audit</a>' in page
    section = page[page.index('id="privacy"') : page.index('id="fidelity"')]
    for text in ("export withheld", "0.910 (0.880 … 0.940)", "40.0 % (30.0 % … 50.0 %)", "1 of 5 flagged", "missed"):
        assert text in section, text
    assert "&lt;img src=x onerror=alert(1)&gt; → real/&lt;img" in section
    assert section.count("data:image/png;base64,") == 2


def test_every_release_has_its_answer_its_meaning_and_its_figures(report_data: MakeReport) -> None:
    model = release(
        what="the generator",
        answer="no_leakage_detected",
        finding="no leakage detected",
        meaning="Nothing was learnt.",
        attacks=(AttackFacts("pia", 0.5, 0.45, 0.55, 0.4, {}),),
        hits=None,
        pairs=(),
        withheld=True,
    )
    page = render(replace(report_data(), privacy=facts(releases=(release(), model))))
    section = page[page.index('id="privacy"') : page.index('id="fidelity"')]
    assert section.count("What it means.") == 2
    assert "Whoever gets these images can tell." in section
    assert "pia if the model sees the same noise in it before and after some is added" in section
    own = section[section.index("<h3>The generator") :]
    assert '<span class="badge good">no leakage detected</span> <span class="badge bad">withheld</span>' in own
    assert "are hit at less than half" not in own
    assert section.count("Leak found: &lt;img") == 1


def test_an_audit_alone_is_a_page_whose_answer_is_the_worst() -> None:
    page = render(ReportData("Privacy audit of <b>x</b>", (), "twinset audit x", "1", kind="audit", privacy=facts()))
    assert '<p class="answer" id="answer">Leak found</p>' in page
    assert "tone-blocked_by_gate" in page
    assert "<b>x</b>" not in page
    assert "<dt>The dataset</dt><dd>Leak found</dd>" in page
    assert '<td class="n" data-label="Result">found</td>' in page
    assert "No classifier was trained" not in page
    assert "Do the synthetic images help" not in page


def test_without_an_audit_there_is_no_section(report_data: MakeReport) -> None:
    assert 'id="privacy"' not in render(report_data())


def test_an_audit_that_could_not_be_made_is_told(report_data: MakeReport) -> None:
    page = render(
        replace(report_data(), privacy=facts(answer="inconclusive", finding="too few", counts={}, releases=()))
    )
    assert ">inconclusive</span>" in page
    assert "Too few." in page


def test_tables_leave_out_what_was_not_measured() -> None:
    table = attack_table(release())
    assert table.columns == (
        "Attack",
        "AUC (.5 is chance)",
        "p",
        "found at 1 % false alarms",
        "found at 10 % false alarms",
    )
    assert table.rows[1][3:] == ("–", "20.0 % (10.0 % … 30.0 %)")
    controls = control_table(release())
    assert controls is not None
    assert controls.rows[0] == ("Ten copies", "found")
    assert [row[1] for row in controls.rows] == ["found", "missed", "1 of 5 flagged"]
    assert control_table(release(controls=())) is None


def test_groups_stand_in_a_table_with_their_gap_and_names_escaped(report_data: MakeReport) -> None:
    figures = {EVIL: GroupFigure(0.5, 0.4, 0.6, 120), "b": GroupFigure(None, None, None, 0)}
    measure = GroupMeasure("coverage", "Covered", figures, None, higher_is_better=True)
    groups = FairnessFacts((Grouping("site", (measure,), ("nothing is known of b",)),))
    page = render(replace(report_data(), fairness=groups))
    assert EVIL not in page
    assert '<td class="n">50.0 % (40.0 % … 60.0 %)</td><td class="n">120</td>' in page
    assert "Nothing is known of b." in page
    assert '<a href="#fairness">Groups</a>' in page
