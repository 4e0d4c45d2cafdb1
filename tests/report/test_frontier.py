"""The page of a frontier study: figures at their places, names as text, nothing that runs."""

from __future__ import annotations

from dataclasses import replace

from twinset.report.charts import Table
from twinset.report.frontier import FrontierPage, FrontierPoint, frontier_charts, frontier_table, render_frontier


def point(number: int, setting: str, *, worth: float, auc: float, **more: object) -> FrontierPoint:
    values: dict[str, object] = {
        "release": "dataset",
        "answer": "no_leakage_detected",
        "finding": f"no leakage detected in {setting}",
        "guarantee": "",
        "utility": (worth, worth - 0.1, worth + 0.05),
        "behind": None,
        "attack": "gan_leaks",
        "auc": (auc, auc - 0.02, auc + 0.03),
        "found": (0.01, 0.0, 0.03),
        "qualifies": True,
        "because": "",
        "recommended": False,
        **more,
    }
    return FrontierPoint(number, setting, **values)  # type: ignore[arg-type]


POINTS = (
    point(1, "<b>mine</b>", worth=0.9, auc=0.8, answer="leak_found", qualifies=False, because="a leak was found"),
    point(2, "bound", worth=0.7, auc=0.52, guarantee="ε 5, δ 1.0e-4", recommended=True),
    point(2, "bound", worth=0.65, auc=0.55, guarantee="ε 5, δ 1.0e-4", release="classifier"),
    replace(point(3, "empty", worth=0.5, auc=0.5), answer=None, utility=None, auc=None),
)
PAGE = FrontierPage(
    title="photos: 3 settings",
    release=True,
    answer="Release the dataset of bound",
    sentence="Release the dataset of bound (ε = 5).",
    points=POINTS,
    real=(0.95, 0.9, 0.98),
    blind=0.1,
    test=Table("On test images", ("Classifiers", "Balanced accuracy"), (("bound", "69 %"),)),
    settings=Table("Settings", ("Setting", "What"), (("1 <b>mine</b>", "diffusion"),)),
    files=("settings/bound/export/imagefolder",),
    recipe="recommended.yaml",
    not_covered="Comparing settings is not covered by any ε.",
    notes=("<i>odd</i>",),
    command="twinset frontier recipe.yaml",
    version="1",
)


def test_marks_stand_where_their_figures_are_on_axes_that_all_charts_share() -> None:
    dataset, classifier = frontier_charts(PAGE)
    assert (dataset.release, classifier.release) == ("dataset", "classifier")
    mine, bound = dataset.marks
    assert mine.x > bound.x
    assert mine.y < bound.y
    assert (dataset.across, dataset.up, dataset.real) == (classifier.across, classifier.up, classifier.real)
    for mark in (mine, bound):
        low, high, bottom, top = mark.bars
        assert low < mark.x < high
        assert top < mark.y < bottom
    assert dataset.real < mine.y
    assert dataset.chance < bound.x


def test_numbers_of_points_at_one_place_do_not_lie_on_each_other() -> None:
    same = tuple(point(number, f"s{number}", worth=0.8, auc=0.55) for number in range(1, 7))
    (chart,) = frontier_charts(replace(PAGE, points=same))
    places = [mark.text for mark in chart.marks]
    assert len(set(places)) == 6


def test_the_table_has_every_release_also_without_figures() -> None:
    rows = frontier_table(POINTS).rows
    assert len(rows) == 4
    assert rows[0][2] == "no: a leak was found"
    assert rows[1][2] == "recommended"
    assert rows[3][4] == rows[3][6] == "–"


def test_names_are_text_and_nothing_runs() -> None:
    html = render_frontier(PAGE)
    assert "<b>mine" not in html
    assert "&lt;b&gt;mine&lt;/b&gt;" in html
    assert "<i>odd" not in html
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert html.count('class="ring"') == 2
    assert html.count('<div class="scroll"') == 3
    nothing = render_frontier(replace(PAGE, release=False, answer="Release nothing", test=None, files=(), points=()))
    assert "Release nothing" in nothing
    assert '<svg class="scatter"' not in nothing
