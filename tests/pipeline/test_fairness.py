"""Figures of groups: what is known by hand, and what a run tells."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

import twinset
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.downstream import Utility
from twinset.errors import DataError
from twinset.images import ImageSpec
from twinset.pipeline.fairness import _exposed, _resembled, _served, told_apart
from twinset.pipeline.fidelity import Features
from twinset.pipeline.real import RealData, RealFacts
from twinset.pipeline.subgroups import Groups, check_subgroups, groups_of
from twinset.randomness import Stream
from twinset.recipe import Recipe
from twinset.report import Grouping
from twinset.report.fairness import group_tables

SPEC = ImageSpec(8, 8, 1, "stretch")


def dataset_of(pictures: np.ndarray, class_ids: np.ndarray, sites: list[str | None], *, first: int = 0) -> Dataset:
    samples = (
        Sample(
            f"{first + row:04d}",
            Annotation(class_id=int(class_id), attributes={} if site is None else {"site": site}),
            image=picture,
        )
        for row, (picture, class_id, site) in enumerate(zip(pictures, class_ids, sites, strict=True))
    )
    return Dataset.of(samples, classes=("a", "b"))


def real_data(count: int = 160) -> RealData:
    """Noise of two classes and two sites, half of it training, a quarter each validation and test; ``None`` of one."""
    draw = np.random.Generator(np.random.PCG64(0))
    pictures = draw.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    rows = np.arange(count)
    sites: list[str | None] = [("<b>north</b>", "south")[row // 2 % 2] for row in rows]
    sites[-1] = None
    splits = ["train"] * (count // 2) + ["validation"] * (count // 4) + ["test"] * (count // 4)
    dataset = dataset_of(pictures, rows % 2, sites).with_splits(splits)
    return RealData(dataset, rows, SPEC, RealFacts("0" * 64, "noise", None, "", (), ()))


def recipe(**evaluate: object) -> Recipe:
    return Recipe.model_validate({"data": "x", "evaluate": evaluate})


def groups(real: RealData) -> list[Groups]:
    return groups_of(recipe(subgroups=["site"]), real)


def test_auc_of_a_group_by_hand() -> None:
    """Members of the first group lie above, of the second one of four pairs is the wrong way round."""
    found = told_apart(
        np.array([3.0, 4, 1, 2, 3, 1.5, 1, 2]),
        np.array([True, True, False, False] * 2),
        np.repeat([0, 1], 4),
        np.zeros(8, dtype=np.int64),
        np.arange(8),
        count=3,
    )
    assert found.values[:2].tolist() == [1.0, 0.75]
    assert np.isnan(found.values[2])
    assert found.behind.tolist() == [2, 2, 0]


def test_auc_compares_within_classes() -> None:
    """Members are of another class than most others; within the classes nothing tells them apart."""
    draw = np.random.Generator(np.random.PCG64(1))
    classes = np.concatenate([np.repeat([0, 1], [180, 20]), np.repeat([0, 1], [20, 180])])
    scores = 5 * classes + draw.normal(size=400)
    member = np.arange(400) < 200
    (value,) = told_apart(scores, member, np.zeros(400, dtype=np.int64), classes, np.arange(400), count=1).values
    assert abs(value - 0.5) < 0.12
    assert ((scores[member][:, None] > scores[~member][None]).mean()) < 0.3


@pytest.mark.slow
def test_intervals_of_the_auc_hold_for_all_groups_at_once() -> None:
    """Three groups without a leak: in 19 of 20 draws all three intervals hold one half, and the gap's holds 0."""
    held, gaps = [], []
    numbers = np.tile([0, 1, 2], 60)
    member = np.arange(180) < 90
    for repeat in range(120):
        scores = Stream(repeat).numpy().normal(size=180)
        found = told_apart(scores, member, numbers, np.zeros(180, dtype=np.int64), np.arange(180), count=3)
        intervals = found.share_intervals(rng=Stream(repeat).child("joint"))
        held.append(all(each is not None and each.low <= 0.5 <= each.high for each in intervals))
        gaps.append(found.largest_difference(rng=Stream(repeat).child("gap"))[1].low == 0)
    assert np.mean(held) > 0.88
    assert np.mean(gaps) > 0.88


def test_the_group_that_is_copied_is_the_one_that_is_exposed() -> None:
    """Noisy copies of training images of one site: that site's AUC is near 1, the other's is not told from ½."""
    real = real_data()
    by_class, by_site = groups(real)
    rows = np.flatnonzero(by_site.part(real, "train") == 0)
    copies = real.training.take(rows)
    (measure,) = _exposed(by_site, real, copies, rng=Stream(0))
    north, south = (measure.groups[name] for name in by_site.names)
    assert north.value == pytest.approx(1.0)
    assert south.low is not None
    assert south.low <= 0.5 <= south.high  # type: ignore[operator]
    assert measure.gap is not None
    assert measure.gap[1] > 0.1
    (classes,) = _exposed(by_class, real, copies, rng=Stream(0))
    assert classes.gap is not None
    assert classes.gap[1] == 0


def test_a_group_without_synthetic_images_near_is_not_covered() -> None:
    real = real_data()
    _, by_site = groups(real)
    held = real.holdout
    draw = np.random.Generator(np.random.PCG64(2))
    features = draw.normal(size=(len(held), 4))
    of = by_site.part(real, "validation", "test")
    features[of == 1] += 50
    made = dataset_of(np.zeros((60, 8, 8, 1), np.uint8), np.arange(60) % 2, [None] * 60)
    synthetic = Features("normal", features, features, draw.normal(size=(60, 4)))
    (measure,) = _resembled(by_site, real, made, synthetic, rng=Stream(0))
    assert measure.groups["south"].value == 0.0
    assert cast(float, measure.groups["<b>north</b>"].value) > 0.8
    assert measure.gap is not None
    assert measure.gap[1] > 0.5


def test_recall_of_the_arms_and_their_difference_by_class_and_site() -> None:
    real = real_data()
    test = real.part("test")
    shots = np.arange(len(test)) // 4
    without = [np.where(test.class_ids == 0, True, (shots + run) % 4 == 0) for run in range(4)]
    with_them = [(shots + run) % 4 != 0 for run in range(4)]
    arms = {
        name: SimpleNamespace(details=SimpleNamespace(right=tuple(map(tuple, runs))))
        for name, runs in (("real", without), ("real+synthetic", with_them))
    }
    utility = cast(
        Utility,
        SimpleNamespace(
            arms=arms,
            without_synthetic=SimpleNamespace(arm="real"),
            with_synthetic=SimpleNamespace(arm="real+synthetic"),
        ),
    )
    by_class, by_site = groups(real)
    before, after, gained = _served(by_class, real, utility, rng=Stream(0))
    assert [before.groups[name].value for name in "ab"] == [1.0, 0.25]
    assert [after.groups[name].value for name in "ab"] == [0.75, 0.75]
    assert [gained.groups[name].value for name in "ab"] == [-0.25, 0.5]
    assert before.gap is not None
    assert before.gap[0] == 0.75
    before, *_ = _served(by_site, real, utility, rng=Stream(0))
    assert [figure.value for figure in before.groups.values()] == [0.625, 0.625]
    (table,) = group_tables(Grouping("site", (before,)))
    assert table.columns[2] == "images"
    assert table.rows[0][0] == "<b>north</b>"
    assert table.rows[-1][1].startswith("0.0 (0.0 … ")
    assert table.rows[-1][1].endswith(" points")
    (table,) = group_tables(Grouping("class", (gained,)))
    assert table.columns[1].endswith(", points")
    assert [row[1].split(" (")[0] for row in table.rows[:2]] == ["−25.0", "+50.0"]


def test_trainings_that_disagree_widen_the_intervals() -> None:
    """Both have the same mean for every image; of the first the runs agree, of the second they are all right or wrong
    at once."""
    real = real_data()
    by_class, _ = groups(real)
    rows = np.arange(len(real.part("test")))
    widths = {}
    for name, runs in {
        "agree": [(rows // 2 + run) % 2 == 0 for run in (0, 1)],
        "disagree": [np.full(len(rows), run == 0) for run in (0, 1)],
    }.items():
        arms = {"real": SimpleNamespace(details=SimpleNamespace(right=tuple(map(tuple, runs))))}
        study = SimpleNamespace(arms=arms, without_synthetic=SimpleNamespace(arm="real"), with_synthetic=None)
        (measure,) = _served(by_class, real, cast(Utility, study), rng=Stream(0))
        figure = measure.groups["a"]
        assert figure.value == pytest.approx(0.5)
        assert measure.gap is not None
        widths[name] = figure.high - figure.low, measure.gap[2]  # type: ignore[operator]
    assert widths["disagree"][0] > 2 * widths["agree"][0]
    assert widths["disagree"][1] > widths["agree"][1]


def test_columns_that_make_no_groups_are_refused() -> None:
    real = real_data()
    with pytest.raises(DataError, match=r"got 'age', which none has \(there are site\)|got 'age', which none has"):
        check_subgroups(recipe(subgroups=["age"]), real.dataset)
    many = dataset_of(real.dataset.prepared(SPEC), real.dataset.class_ids, [f"site {n}" for n in range(160)])
    with pytest.raises(DataError, match="at most 50 groups; got 160 values of 'site'"):
        check_subgroups(recipe(subgroups=["site"]), many)


def test_a_run_tells_its_groups_with_names_escaped(tmp_path: Path) -> None:
    real = real_data(200)
    folder = tmp_path / "real"
    folder.mkdir()
    lines = ["path,label,split,site"]
    for row, sample in enumerate(real.dataset):
        from twinset.images import encode_png

        (folder / f"{row}.png").write_bytes(encode_png(sample.pixels()))
        annotation = cast(Annotation, sample.annotation)
        site = annotation.attributes.get("site", "")
        lines.append(f"{row}.png,{'ab'[cast(int, annotation.class_id)]},{real.dataset.splits[row]},{site}")
    (folder / "table.csv").write_text("\n".join(lines))
    draw = np.random.Generator(np.random.PCG64(9))
    made = dataset_of(draw.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8), np.arange(40) % 2, [None] * 40)
    made.export(tmp_path / "made", format="imagefolder")
    found = twinset.run(
        {
            "data": str(folder / "table.csv"),
            "generate": [{"use": "folder", "path": str(tmp_path / "made")}],
            "align": "off",
            "evaluate": {
                "embedder": {"use": "random"},
                "metrics": ["kid"],
                "explain": False,
                "metadata": False,
                "utility": "off",
                "subgroups": ["site"],
            },
        },
        out=tmp_path / "run",
        workers=1,
        quiet=True,
    )
    page = (Path(found.run) / "report.html").read_text()
    assert "<b>north</b>" not in page
    assert "&lt;b&gt;north&lt;/b&gt;" in page
    assert "Synthetic images carry no site" in page
    told = json.loads((Path(found.run) / "evaluation" / "fairness.json").read_text())
    assert told["schema"] == "twinset/fairness/1"
    assert [each["by"] for each in told["groupings"]] == ["class", "site"]
