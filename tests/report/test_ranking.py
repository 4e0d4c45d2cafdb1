"""The page of a leaderboard: bars where the figures are, names as text, nothing that runs."""

from __future__ import annotations

import pytest

from twinset.report.ranking import RankedSet, RankingPage, rank_chart, render_ranking

ROWS = (RankedSet("good", 1.0, 0.5, 1, 2), RankedSet("<b>bad</b>", 3.0, 0.25, 1, 2))


def test_intervals_lie_on_one_axis_in_the_order_of_the_figures() -> None:
    good, bad = rank_chart("kernel_distance", ROWS, higher_is_better=False).bars
    assert (good.rank, good.value, good.interval) == ("1–2", "1", "0.0200 … 1.98")
    assert good.low < good.at < good.high < bad.low < bad.at < bad.high
    assert good.at - good.low == pytest.approx(good.high - good.at, abs=0.2)
    assert good.high - good.low == pytest.approx(2 * (bad.high - bad.low), abs=0.3)
    assert (good.y, bad.y) == (16, 42)


def test_equal_figures_without_error_are_drawn_all_the_same() -> None:
    (bar,) = rank_chart("precision", [RankedSet("one", 1.0, 0.0, 1, 1)], higher_is_better=True).bars
    assert bar.low == bar.at == bar.high


def test_names_are_text_and_nothing_runs() -> None:
    page = RankingPage(
        title="Ranks",
        summary="Ten images of each.",
        scores={"kernel_distance": ROWS},
        higher_is_better={"kernel_distance": False},
        notes=("<i>odd</i>",),
        command="twinset leaderboard a b",
        version="1",
    )
    html = render_ranking(page)
    assert "<b>bad" not in html
    assert "&lt;b&gt;bad&lt;/b&gt;" in html
    assert "<i>odd" not in html
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert "lower is better" in html
    assert html.count("<circle") == 2
