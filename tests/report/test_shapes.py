"""Curated shapes and cuts of scores on the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from twinset.report import (
    CurationFacts,
    MeasureFacts,
    MetadataFacts,
    ReportData,
    ScoreValues,
    ShapeFacts,
    ShapeLook,
    TraitFacts,
    render,
)
from twinset.report.histograms import score_charts
from twinset.report.limits import limits_of
from twinset.report.metadata import metadata_charts
from twinset.report.model import Picture
from twinset.report.shapes import shape_charts, trait_table

MakeData = Callable[..., ReportData]


def facts(*, in_force: bool = True) -> CurationFacts:
    shapes = [
        ShapeFacts("chair", f"chair/{k}", 20, 1.0 + 0.1 * k, 0.8 + 0.1 * k, 1.2 + 0.1 * k, dropped=k == 4)
        for k in range(5)
    ]
    unsure = ShapeFacts("table", "table/<b>0</b>", 2, 1.5, None, None, dropped=False)
    traits = [TraitFacts("chair", f"p{k}", "= ring", 1, 2, 0, 3, 1.4, 1.1, k / 20) for k in range(12)]
    looks = [
        ShapeLook("chair", gone, 1.0, Picture(f"chair/{at}", np.full((8, 8, 3), 90 + at, dtype=np.uint8)))
        for at, gone in ((4, True), (0, False))
    ]
    lines = (("chair", 1.2, 1.35), ("table", 1.5, 1.65))
    told = ("1 of 5 shapes of chair were dropped.",)
    return CurationFacts("render", 48, (*shapes, unsure), lines, tuple(traits), tuple(looks), told, in_force)


def test_shapes_stand_in_order_with_intervals_and_those_dropped_apart() -> None:
    chairs, tables = shape_charts(facts())
    kept, dropped = chairs.views[""][:2]
    assert np.allclose(kept["y"], [1.0, 1.1, 1.2, 1.3])  # type: ignore[call-overload, index, arg-type]
    assert np.allclose(dropped["y"], [1.4])  # type: ignore[call-overload, index, arg-type]
    assert (kept["x"], dropped["x"]) == ([0, 1, 2, 3], [4])  # type: ignore[call-overload, index]
    assert np.allclose(dropped["error_y"]["array"], 0.2)  # type: ignore[call-overload, index]
    assert [row[0] for row in chairs.table.rows][:2] == ["chair/4", "chair/3"]
    assert [row[-1] for row in chairs.table.rows] == ["dropped", *["kept"] * 4]
    assert tables.table.rows[0][3] == "–"
    assert "<b>" not in str(tables.views)
    assert {chairs.id, tables.id} == {"shapes-0", "shapes-1"}


def test_the_surest_traits_come_first_and_doubtful_ones_are_left_out() -> None:
    table = trait_table(facts())
    assert table is not None
    assert [row[0] for row in table.rows] == [f"chair: p{k} = ring" for k in range(5)]
    assert table.rows[0][1:3] == ("1 of 2", "0 of 3")
    assert trait_table(dataclasses.replace(facts(), traits=())) is None


def test_the_page_tells_of_a_curation_and_whether_it_is_in_force(report_data: MakeData) -> None:
    page = render(dataclasses.replace(report_data(), curations=(facts(),)))
    assert 'id="shapes"' in page
    assert "1 of 5 shapes of chair were dropped." in page
    assert "Dropped</h3>" in page
    assert "Nearest to the real ones" in page
    assert "It did not help" not in page
    assert "table/<b>0</b>" not in page
    undone = render(dataclasses.replace(report_data(), curations=(facts(in_force=False),)))
    assert "It did not help: all shapes stayed." in undone


def test_a_score_is_shown_with_its_cut_and_the_real_beside_it(report_data: MakeData) -> None:
    alignment = report_data().alignment
    assert alignment is not None
    made, real = np.array([0.5, 1.0, 1.5, 2.5]), np.array([0.6, 0.9, 1.1, 2.2])
    scores = ScoreValues("object_distance", made[:3], made[3:], 2.0, real, "objects")
    (chart,) = score_charts(dataclasses.replace(alignment, scores=(scores,)))
    assert "Cut at 2: 25 % lie beyond, of held-out real objects 25 %." in chart.note.replace("25.0", "25")
    assert chart.note.split("Cut")[1] in chart.alt
    outline, cut = chart.views[""][2:]
    assert sum(outline["y"][:-1]) == 4  # type: ignore[call-overload, index]
    assert cut["x"] == [2.0, 2.0]  # type: ignore[call-overload, index]
    assert [row[:2] for row in chart.table.rows] == [("kept", "3"), ("rejected", "1"), ("real, held out", "4")]


def test_what_was_not_trained_is_called_by_its_name(report_data: MakeData) -> None:
    data = dataclasses.replace(report_data(), verdict=None, utility=None, trains="detector")
    page = render(data)
    assert "Not measured: no detector was trained" in page
    assert "No detector was trained: nothing here says" in limits_of(data)[0]
    assert "no classifier" not in page.lower()


def test_what_only_the_maker_knows_is_shown_without_a_distance_from_real(report_data: MakeData) -> None:
    edges, shares = np.array([1.0, 2.0, 4.0]), {"before": np.array([0.5, 0.5]), "after": np.array([0.1, 0.9])}
    known = MeasureFacts("distance_metres", edges, shares, float("nan"), {}, logarithmic=True)
    metadata = MetadataFacts((), scenes=(known,))
    (chart,) = metadata_charts(metadata)
    assert chart.title == "Distance of objects from the camera"
    assert chart.note == "Known of synthetic images only: their maker wrote it beside them."
    data = dataclasses.replace(report_data(), metadata=metadata)
    assert "Distance of objects from the camera" in render(data)
    assert "NaN" not in str(data.to_json())
