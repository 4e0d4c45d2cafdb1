from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from twinset.report import BoxSize, ReportData, SampleArm, SampleBin, SampleFacts, render
from twinset.report.plain import plain
from twinset.report.sample_study import sample_view
from twinset.scores import Interval, Score

N = 12
HOSTILE = "<script>alert(1)</script>.png"


def correlation(value: float | None = -0.5) -> Score:
    counts = {"real": N, "synthetic": 30}
    if value is None:
        return Score("arm", None, None, counts, undefined_because="too few: got 3 families")
    settings: dict[str, str | int | float] = {"families": 9, "p_value": 0.012}
    return Score("arm", value, None, counts, interval=Interval(value - 0.25, value + 0.25), settings=settings)


def arm(name: str, quality: float, *, value: float | None = -0.5) -> SampleArm:
    qualities = np.full(N, quality)
    qualities[0] = np.nan
    return SampleArm(
        name, f"{name} <i>recipe</i>", 3, qualities, correlation(value), (0.5, 1.0), (0.25, 2.0), (1.5, 0.125)
    )


def facts() -> SampleFacts:
    return SampleFacts(
        ids=(HOSTILE, *(f"test/{n}.png" for n in range(1, N))),
        quality_is="overlap",
        score=Score("score_without_training", 0.21, False, {"real": N, "synthetic": 30}, floor=0.0),
        measures={"box_area": 0.4, "count": 0.0},
        feature_ratio=1.3,
        k=5,
        distances=np.linspace(1, 2, N),
        extractor="self-trained",
        arms=(arm("without synthetic", 0.5), arm("with synthetic", 0.75, value=None)),
        bins=(SampleBin(1.0, 1.5, 6, 1.2, (0.5, 0.75)), SampleBin(1.6, 2.0, 6, 1.8, (0.25, None))),
        sizes=(BoxSize("smaller", 0.0, 0.02, 12), BoxSize("larger", 0.02, 1.0, 24)),
        close_ups=4,
        confidence=0.3,
        meeting=0.5,
        double=0.3,
        close_up=0.3,
    )


def test_chart_has_a_point_for_every_judged_image_and_a_line_for_every_arm() -> None:
    chart = sample_view(facts()).chart
    assert chart is not None
    traces = chart.views[""]
    assert [trace["mode"] for trace in traces] == ["markers", "markers", "lines+markers", "lines+markers"]  # type: ignore[index, call-overload]
    assert [len(trace["x"]) for trace in traces] == [N - 1, N - 1, 2, 1]  # type: ignore[index, call-overload, arg-type]
    assert traces[2]["x"] == [1.2, 1.8]  # type: ignore[index, call-overload]
    assert traces[2]["y"] == [50.0, 25.0]  # type: ignore[index, call-overload]
    colours = [trace["marker"]["color"] for trace in traces]  # type: ignore[index, call-overload]
    assert colours == ["@real", "@synthetic", "@real", "@synthetic"]


def test_names_of_files_are_disarmed_in_the_chart() -> None:
    shown = dataclasses.replace(facts(), ids=("test/0.png", HOSTILE, *(f"{n}" for n in range(2, N))))
    chart = sample_view(shown).chart
    assert chart is not None
    assert "<script" not in str(chart.to_json())
    assert any(row[0] == HOSTILE for row in chart.table.rows)


def test_tables_give_shares_missed_and_false_alarms_side_by_side() -> None:
    missed, alarms = sample_view(facts()).errors
    assert missed.columns == ("Size", "Objects", "without synthetic", "with synthetic")
    assert [row[1:] for row in missed.rows] == [("12", "50.0 %", "50.0 %"), ("24", "50.0 %", "50.0 %")]
    assert missed.rows[0][0] == "smaller (up to 2.0 % of the picture)"
    assert missed.rows[1][0] == "larger (above 2.0 %)"
    assert [row[1:] for row in alarms.rows] == [("0.25", "0.25"), ("2", "2"), ("2.2", "2.2")]


def test_correlations_and_parts_read_as_numbers() -> None:
    view = sample_view(facts())
    assert view.correlations is not None
    assert view.correlations.rows[0][1:] == ("−0.50", "−0.75 … −0.25", "0.012", "12", "9", "3")
    assert view.correlations.rows[1][1:3] == ("–", "–")
    assert view.silences == ("No correlation for with synthetic: too few: got 3 families",)
    assert view.parts.rows == (
        ("Size of objects", "0.400"),
        ("Features: distance 1.30 times that to training images", "0.300"),
        ("At the floor: Objects in an image", "0 each"),
    )


def test_where_there_is_no_close_up_a_dash_stands() -> None:
    arms = tuple(dataclasses.replace(one, doubles=(None, 0.5)) for one in facts().arms)
    doubles = sample_view(dataclasses.replace(facts(), arms=arms, close_ups=0)).doubles
    assert doubles is not None
    assert doubles.rows == (("close-ups", "0", "–", "–"), ("elsewhere", "12", "0.50", "0.50"))


def test_without_training_only_the_score_is_shown() -> None:
    bare = dataclasses.replace(facts(), arms=(), bins=(), sizes=(), close_ups=None)
    view = sample_view(bare)
    assert view.chart is None
    assert view.correlations is None
    assert view.errors == ()
    assert view.doubles is None
    assert view.silences == ("Nothing was trained: what networks find in each image is not known",)


def test_segmentation_and_missing_distances_leave_their_parts_out() -> None:
    arms = tuple(SampleArm(one.name, one.setting, 3, one.quality) for one in facts().arms)
    undefined = Score("score_without_training", None, False, {}, undefined_because="no features were measured")
    bare = dataclasses.replace(
        facts(), quality_is="mIoU", arms=arms, distances=None, bins=(), sizes=(), close_ups=None, score=undefined,
        feature_ratio=None,
    )  # fmt: skip
    view = sample_view(bare)
    assert view.chart is None
    assert view.correlations is None
    assert view.silences == (
        "No score without training: no features were measured",
        "Distances to the synthetic images were not measured",
    )
    assert len(view.parts.rows) == 2


def test_qualities_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="for each of 11 images"):
        dataclasses.replace(facts(), ids=facts().ids[1:])


@pytest.mark.parametrize("trained", [True, False])
def test_section_is_on_the_page_and_its_names_are_text(
    report_data: Callable[..., ReportData], *, trained: bool
) -> None:
    shown = facts() if trained else dataclasses.replace(facts(), arms=(), bins=(), sizes=(), close_ups=None)
    page = render(dataclasses.replace(report_data(), samples=shown))
    assert 'id="samples"' in page
    assert "large differences only" in page
    assert "<script>alert(1)" not in page
    assert ("One object found twice" in page) is trained
    assert ("<i>recipe" in page) is False
    assert 'id="samples"' not in render(report_data())


def test_facts_become_plain_json() -> None:
    found = plain(facts())
    assert isinstance(found, dict)
    assert found["arms"][0]["quality"][0] is None  # type: ignore[index, call-overload]
    assert found["distances"][0] == 1.0  # type: ignore[index, call-overload]
