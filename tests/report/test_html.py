from __future__ import annotations

import dataclasses
import html.parser
import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from twinset.pipeline.comparing.metrics import MEASURES
from twinset.report import MetricTable, Picture, ReportData, ScoreValues, render
from twinset.report.glossary import Entry, entry_for
from twinset.report.histograms import score_charts
from twinset.report.limits import limits_of
from twinset.report.pictures import encode_all
from twinset.report.scripts import script_json
from twinset.report.tables import matrix_of
from twinset.report.words import size_of
from twinset.scores import Interval, Score

MakeData = Callable[..., ReportData]


class Page(html.parser.HTMLParser):
    """Elements, attributes and visible text of a page, as a browser's parser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._raw = ""
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts[-1] += data
        elif not self._raw:
            self.words.append(data)


@pytest.fixture
def page(report_data: MakeData) -> Page:
    return Page(render(report_data()))


def test_class_names_with_markup_are_text(page: Page) -> None:
    visible = "".join(page.words)
    assert "<script>alert(1)</script>" in visible
    assert "<b>x</b>" in visible
    assert "{{ 7 * 7 }}" in visible
    assert not any("onerror" in attrs or "onload" in attrs for _, attrs in page.elements)
    assert not any(tag == "img" and attrs.get("src") == "x" for tag, attrs in page.elements)


def test_only_our_scripts_are_there_and_all_are_inline(page: Page) -> None:
    kinds = [attrs for tag, attrs in page.elements if tag == "script"]
    assert len(kinds) == 3
    assert all("src" not in attrs for attrs in kinds)
    assert sum("plotly.js v" in text for text in page.scripts) == 1


def test_page_refers_to_nothing_outside(page: Page) -> None:
    for tag, attrs in page.elements:
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)


def test_every_picture_and_chart_has_words(page: Page) -> None:
    pictures = [attrs for tag, attrs in page.elements if tag == "img"]
    assert len(pictures) > 300
    assert all(attrs.get("alt") for attrs in pictures)
    plots = [attrs for tag, attrs in page.elements if (attrs.get("id") or "").startswith("plot-")]
    assert {attrs["id"] for attrs in plots} == {"plot-utility", "plot-map", "plot-cost", "plot-score-0", "plot-score-1"}
    assert all(len(attrs.get("aria-label") or "") > 40 for attrs in plots)
    assert sum(tag == "table" for tag, _ in page.elements) == sum(tag == "caption" for tag, _ in page.elements)


def test_chart_axes_have_titles_and_labels_are_disarmed(page: Page) -> None:
    charts = json.loads(page.scripts[0])
    for name, chart in charts.items():
        assert chart["layout"]["xaxis"]["title"]["text"], name
    names = {trace["name"] for trace in charts["map"]["views"]["by class"]}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in names
    assert "&lt;b&gt;x&lt;/b&gt;" in names


def test_script_json_survives_every_way_out_of_a_script_element() -> None:
    hostile = {"a": "</script><!--<script>&amp;\u2028\u2029", "b": [float("nan"), float("inf"), 1.5]}
    text = script_json(hostile)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {"a": hostile["a"], "b": [None, None, 1.5]}


def test_a_bare_comparison_renders_without_the_parts_of_a_run(report_data: MakeData) -> None:
    data = dataclasses.replace(
        report_data(), kind="compare", verdict=None, utility=None, alignment=None, rejected=(), cost=None, recipe="",
        asked=(), feature_map=None,
    )  # fmt: skip
    page = Page(render(data))
    ids = {attrs.get("id") for _, attrs in page.elements}
    assert {"fidelity", "copies", "pictures", "limits"} <= ids
    assert not {"utility", "alignment", "rejections", "cost", "map"} & ids
    assert not any("plotly.js v" in text for text in page.scripts)
    assert any("whether the synthetic images help" in limit for limit in limits_of(data))


def test_an_almost_empty_report_renders() -> None:
    data = ReportData(title="x", classes=(), command="twinset compare a b", version="0", kind="compare")
    assert "Two datasets compared" in "".join(Page(render(data)).words)


def test_a_run_without_a_verdict_says_that_nothing_was_measured(report_data: MakeData) -> None:
    data = dataclasses.replace(report_data(), verdict=None, utility=None)
    words = "".join(Page(render(data)).words)
    assert "Not measured: no classifier was trained" in words
    assert "No measurable difference" not in words
    assert "Two datasets compared" not in words


def test_histograms_count_every_image(report_data: MakeData) -> None:
    facts = report_data().alignment
    assert facts is not None
    rising = np.linspace(0.0, 1.0, 9_000)
    scores = (ScoreValues("agreement", rising[:6_000], rising[6_000:]),)
    (chart,) = score_charts(dataclasses.replace(facts, scores=scores))
    kept, rejected = (sum(trace["y"]) for trace in chart.views[""])  # type: ignore[call-overload, index]
    assert (kept, rejected) == (6_000, 3_000)
    assert [row[:2] for row in chart.table.rows] == [("kept", "6,000"), ("rejected", "3,000")]
    assert "real" not in chart.alt


@pytest.mark.parametrize("name", ["energy_density_gap", "clip_precision_at_1", "density_gap", "recall_at_5"])
def test_scores_of_plug_ins_are_not_explained_as_ours(name: str) -> None:
    assert entry_for(name) == Entry(name.replace("_", " "), "")


def test_scores_of_ours_are_explained() -> None:
    names = ["frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage", "detectability_auc",
             "detectability_accuracy", "nearest_record_ratio", "nearest_record_share", "membership_auc",
             "copy_test_p_value", "training_images_hit", "held_out_images_hit", "copy_distance", "copy_ratio",
             "distance_from_real", "agreement"]  # fmt: skip
    assert all(entry_for(name).meaning for name in names)


@pytest.mark.parametrize(("size", "text"), [(999_700_000, "1 GB"), (999_400_000, "999 MB"), (999, "999 B"), (0, "0 B")])
def test_sizes_never_need_an_exponent(size: int, text: str) -> None:
    assert size_of(size) == text


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        ("use", "Use it"),
        ("do_not_use", "Do not use it"),
        ("no_measurable_difference", "No measurable difference"),
        ("nothing_learnt", "No verdict"),
        ("blocked_by_gate", "Blocked by the release gate"),
    ],
)
def test_each_decision_has_its_words(report_data: MakeData, decision: str, answer: str) -> None:
    assert answer in render(report_data(decision=decision))


def test_copies_are_the_headline_where_no_usefulness_was_measured(report_data: MakeData) -> None:
    data = report_data(decision="blocked_by_gate")
    assert 'class="card verdict tone-blocked_by_gate"' in render(data)
    assert data.gate is not None
    found = dataclasses.replace(data.gate, passed=False, sentence="3 are copies")
    reported = dataclasses.replace(data, verdict=None, gate=found)
    text = render(reported)
    assert 'class="card verdict tone-blocked_by_gate"' in text
    assert '<p class="answer" id="answer">It copies real images</p>' in text
    assert '<p class="sentence">3 are copies.' in text
    allowed = render(dataclasses.replace(reported, gate=dataclasses.replace(found, blocks=False)))
    assert 'class="card verdict tone-none"' in allowed
    assert '<p class="answer" id="answer">Copies found, not blocked</p>' in allowed
    passed = render(dataclasses.replace(reported, gate=dataclasses.replace(data.gate, passed=True)))
    assert 'class="card verdict tone-none"' in passed
    assert "It copies real images" not in passed


def test_networks_that_learnt_nothing_are_told_without_a_word_on_the_interval(report_data: MakeData) -> None:
    data = report_data(decision="nothing_learnt")
    text = render(data)
    assert "The networks learnt next to nothing in the time given" in text
    assert 'class="card verdict tone-nothing_learnt"' in text
    assert not any("interval reaches" in limit for limit in limits_of(data))


def test_positive_difference_lies_right_of_zero_and_negative_left(report_data: MakeData) -> None:
    def dot(decision: str) -> float:
        found = re.search(r'class="dot" style="left:([\d.]+)%"', render(report_data(decision=decision)))
        assert found
        return float(found[1])

    assert dot("use") > 50 > dot("do_not_use")


def test_rendering_twice_gives_the_same_page(report_data: MakeData) -> None:
    assert render(report_data()) == render(report_data())


def test_large_pictures_shrink_until_the_page_is_light(report_data: MakeData) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    pictures = tuple(Picture(f"p{k}", noise) for k in range(60))
    data = report_data()
    assert data.gallery is not None
    grid = dataclasses.replace(data.gallery.grids[0], real=pictures, synthetic=())
    data = dataclasses.replace(data, gallery=dataclasses.replace(data.gallery, grids=(grid,)), gate=None, rejected=())
    thumbnails = encode_all(data)
    assert thumbnails.longest < 192
    assert sum(len(uri) for uri in thumbnails.uris.values()) < 5_500_000
    assert encode_all(data, budget=100).longest == 48


def test_json_has_the_figures_and_names_pictures_by_digest(report_data: MakeData) -> None:
    content = report_data().to_json()
    text = json.dumps(content, allow_nan=False)
    assert content["schema"] == "twinset/report/1"
    back = json.loads(text)
    assert back["verdict"]["difference"]["value"] == 0.018
    assert len(back["gallery"]["grids"][0]["real"][0]["sha256"]) == 64
    assert back["metrics"][0]["scores"][0]["name"] == "frechet_distance"


def test_figures_by_class_make_one_matrix_whatever_the_names(report_data: MakeData) -> None:
    matrix = matrix_of(report_data().metrics[1])
    assert matrix is not None
    assert matrix.columns == ("precision", "recall")
    assert [name for name, _, _ in matrix.rows] == list(report_data().classes)
    assert [score.value for score in matrix.rows[3][2] if score] == pytest.approx([0.86, 0.86])
    assert matrix_of(report_data().metrics[0]) is None
    odd = Score("recall[a[b]]", 0.5, True, {})
    found = matrix_of(MetricTable("t", (odd,)))
    assert found is not None
    assert found.rows[0][0] == "a[b]"


def test_a_matrix_has_every_figure_under_its_own_heading() -> None:
    def figure(name: str, value: float) -> Score:
        return Score(name, value, None, {"real": 1, "synthetic": 1})

    matrix = matrix_of(MetricTable("t", (figure("a[cat]", 1), figure("b[dog]", 2), figure("b[cat]", 3))))
    assert matrix is not None
    values = [(name, [cell and cell.value for cell in cells]) for name, _, cells in matrix.rows]
    assert (matrix.columns, values) == (("a", "b"), [("cat", [1, 3]), ("dog", [None, 2])])


def test_limits_follow_from_the_data(report_data: MakeData) -> None:
    data = report_data()
    assert data.utility is not None
    assert data.verdict is not None
    limits = " ".join(limits_of(data))
    assert "learned on this very dataset" in limits
    assert "reaches 1.4 percentage points" in limits
    assert "Only 360" not in limits
    small = dataclasses.replace(data, utility=dataclasses.replace(data.utility, n_test=120), limits=("Own words.",))
    assert "Only 120 real test images" in " ".join(limits_of(small))
    assert limits_of(small)[-1] == "Own words."
    ungated = dataclasses.replace(data, gate=None)
    assert any("No copy test was run" in limit for limit in limits_of(ungated))


def test_bad_report_data_is_refused(report_data: MakeData) -> None:
    data = report_data()
    with pytest.raises(ValueError, match="expected 3 class counts"):
        dataclasses.replace(data, classes=("a", "b", "c"))
    assert data.feature_map is not None
    with pytest.raises(ValueError, match="expected xy"):
        dataclasses.replace(data.feature_map, xy=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="low ≤ value ≤ high"):
        dataclasses.replace(data.verdict.difference, low=0.5)  # type: ignore[union-attr]


def test_every_score_of_a_comparison_has_words_for_people() -> None:
    names = [name for measure in MEASURES.values() for name in measure.scores]
    names += ["vendi_q1", "vendi_ratio_q2", "vendi_qinf", "cmmd", "frechet_infinity", "authenticity"]
    for name in names:
        assert entry_for(name).label != name.replace("_", " "), name
    assert entry_for("vendi_ratio_q1[cat]").label == "Vendi ratio, order 1, cat"


def test_intervals_say_what_they_are_about_and_how_often_they_hold(report_data: MakeData) -> None:
    held = Score(
        "frechet_distance",
        2.0,
        False,
        {"real": 50, "synthetic": 50},
        interval=Interval(1.0, 3.0),
        settings={"interval_coverage": ".88–.99 simulated"},
    )
    with_one = "".join(
        Page(render(dataclasses.replace(report_data(), metrics=(MetricTable("Likeness", (held,)),)))).words
    )
    assert "on average at these numbers of images" in with_one
    assert "an interval held it in .88–.99 simulated" in with_one
    bare = dataclasses.replace(held, interval=None)
    without = "".join(
        Page(render(dataclasses.replace(report_data(), metrics=(MetricTable("Likeness", (bare,)),)))).words
    )
    assert "an interval held it" not in without
