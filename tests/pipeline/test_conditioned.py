"""A run that is asked for groups and pairs: what it makes, exports, tells, and how it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset import documents, pipeline
from twinset.annotations import PAIR, Annotation
from twinset.dataset import Dataset, Sample
from twinset.families import families
from twinset.images import ImageSpec
from twinset.pipeline.conditioned import counts_of_groups, covered_by, figures_of_conditions
from twinset.pipeline.fidelity import Features
from twinset.pipeline.real import RealData, RealFacts
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.subgroups import groups_by
from twinset.randomness import Stream
from twinset.recipe import recipe_from_values
from twinset.report import Grouping
from twinset.report.fairness import count_tables

NETWORK = {"family": "unet", "width": 32, "depth": 1, "levels": 1, "patch": 2, "augment": 0.0}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0 and 1 by pen: the fourth of each class with most ink is thick; of some nothing is said."""
    digits = twinset.load("builtin:digits")
    folder = tmp_path_factory.mktemp("pens")
    lines = ["path,label,pen"]
    for class_id in (0, 1):
        mine = digits.take(np.flatnonzero(digits.class_ids == class_id)[:40])
        ink = np.array([sample.pixels().mean() for sample in mine])
        for row, sample in enumerate(mine):
            name = f"{class_id}-{row}.png"
            (folder / name).write_bytes(sample.encoded())
            pen = "" if row % 13 == 12 else "<i>thick</i>" if ink[row] >= np.quantile(ink, 0.75) else "thin"
            lines.append(f"{name},{class_id},{pen}")
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def written(table: Path, **changes: object) -> dict[str, object]:
    return {
        "data": str(table),
        "generate": [
            {"use": "diffusion", "by": "pen", "steps": 6, "batch": 16, "sampler_steps": 3, "looks": 0, **NETWORK}
        ],
        "count": {"by": "pen", "each": 3, "pairs": True},
        "shard_size": 5,
        "align": "off",
        "threads": 1,
        "export": ["csv", "parquet", "imagefolder", "webdataset", "coco"],
        "evaluate": {
            "embedder": {"use": "random"},
            "metrics": ["kid"],
            "explain": False,
            "metadata": False,
            "utility": "off",
        },
        "gate": {"copies": "off"},
        **changes,
    }


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    return twinset.run(written(table), out=tmp_path_factory.mktemp("conditioned") / "run", workers=1, quiet=True)


@pytest.mark.slow
def test_every_group_has_its_images_and_pairs_are_whole(finished: documents.RunDocument) -> None:
    made = twinset.load(Path(finished.run) / "export" / "parquet")
    told = list(zip(made.class_ids.tolist(), made.attribute("pen"), strict=True))
    assert sorted(map(str, told)) == sorted(
        str((class_id, pen)) for class_id in (0, 1) for pen in ("<i>thick</i>", "thin") for _ in range(3)
    )
    kin = families(made)
    by_pair: dict[object, set[int]] = {}
    for pair, family in zip(made.attribute(PAIR), kin, strict=True):
        by_pair.setdefault(pair, set()).add(int(family))
    assert len(by_pair) == 6
    assert all(len(found) == 1 for found in by_pair.values())


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["csv", "parquet", "imagefolder", "webdataset", "coco"])
def test_attributes_survive_the_export(finished: documents.RunDocument, format_: str) -> None:
    made = twinset.load(Path(finished.run) / "export" / format_)
    assert set(made.attribute("pen")) == {"<i>thick</i>", "thin"}
    assert None not in made.attribute(PAIR)


def test_the_report_tells_counts_before_and_after_and_shows_pairs(finished: documents.RunDocument) -> None:
    told = json.loads((Path(finished.run) / "evaluation" / "fairness.json").read_text())
    (grouping,) = [each for each in told["groupings"] if each["by"] == "pen"]
    assert [each["synthetic"] for each in grouping["counts"]] == [{"<i>thick</i>": 3, "thin": 3}] * 2
    names = [each["name"] for each in grouping["measures"]]
    assert [name for name in names if name.startswith("group_")] == [
        "group_coverage_training",
        "group_coverage_synthetic",
        "group_coverage_both",
        "group_told_held_out",
        "group_told_synthetic",
    ]
    assert len(told["pairs"]) == 6
    assert told["pairs"][0]["values"] == ["<i>thick</i>", "thin"]
    page = (Path(finished.run) / "report.html").read_text()
    assert "Images by pen, before and after" in page
    assert "carry no pen" not in page
    assert "<i>thick</i>" not in page
    assert "<h3>Pairs</h3>" in page
    assert "say nothing of pen" in page


@pytest.mark.slow
def test_a_run_that_was_killed_ends_in_the_same_dataset_and_a_resolved_recipe_in_the_same_run(
    finished: documents.RunDocument, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished.run, tmp_path / "run"))
    for name in (
        "result.json",
        "manifest.json",
        "index.parquet",
        "_done/000001.json",
        "models/0-diffusion/fitted.json",
    ):
        (folder / name).unlink()
    (folder / "models" / "0-diffusion" / "finished.safetensors").unlink()
    assert pipeline.resume(folder, workers=1, device="cpu", listener=Quiet()).digest == finished.digest
    assert pipeline.verify(folder, samples=3, device="cpu", listener=Quiet()).ok
    again = twinset.run(Path(finished.run) / "resolved.yaml", out=tmp_path / "again", workers=1, quiet=True)
    assert again.digest == finished.digest


def test_a_dry_run_says_how_many_of_each_group(table: Path) -> None:
    asked = recipe_from_values(written(table, count={"by": "pen", "each": 4}))
    plan = pipeline.dry_run(asked, workers=1, device="cpu", listener=Quiet())
    assert plan.slots == {f"{name}, pen {pen}": 4 for name in "01" for pen in ("<i>thick</i>", "thin")}


def people(sites: list[str], class_ids: list[int], first: int = 0) -> Dataset:
    picture = np.zeros((8, 8, 1), np.uint8)
    return Dataset.of(
        (
            Sample(f"{first + row:03d}", Annotation(class_id=class_id, attributes={"site": site}), image=picture)
            for row, (site, class_id) in enumerate(zip(sites, class_ids, strict=True))
        ),
        classes=("a", "b"),
    )


def test_coverage_counts_images_of_the_same_cell_alone() -> None:
    held = np.array([[0.0], [1], [2], [3], [4], [5], [100]])
    classes = np.array([0, 0, 0, 0, 0, 0, 1])
    cells = np.array([0, 0, 0, 1, 1, -1, 2])
    found = covered_by(held, classes, cells, np.array([[1.0], [100.0]]), np.array([0, 2]))
    assert found[:3].tolist() == [1, 1, 1]
    assert found[3:5].tolist() == [0, 0]
    assert np.isnan(found[5:]).all()


def test_the_rare_group_is_covered_after_and_not_before() -> None:
    """Groups lie apart; training has none of one in class a. The synthetic images of it are of the right look in class
    a and of the other group's look in class b."""
    sites = ["n"] * 10 + ["n"] * 10 + ["s"] * 10
    dataset = people(sites * 2, ([0] * 10 + [1] * 20) * 2)
    extra = people(["s"] * 10, [0] * 10, first=500)
    dataset = dataset.concat(extra).with_splits(["train"] * 30 + ["test"] * 40)
    real = RealData(dataset, np.arange(70), ImageSpec(8, 8, 1), RealFacts("0", "x", None, "", (), ()))
    at = {"n": 0.0, "s": 100.0}
    place = np.array([at[str(site)] for site in dataset.attribute("site")]) + np.tile(np.arange(10), 7) / 10
    vectors = np.stack([place, dataset.class_ids * 1000.0], axis=1)
    made = people(["s"] * 20, [0] * 10 + [1] * 10)
    shown = np.array([[100.0 + n / 10, 0.0] for n in range(10)] + [[n / 10, 1000.0] for n in range(10)])
    features = Features("known", vectors[:30], vectors[30:], shown)
    groups = groups_by("site", dataset)
    found = {each.name: each.groups for each in figures_of_conditions(groups, real, made, features, rng=Stream(0))}
    assert found["group_coverage_training"]["s"].value == 0.5
    assert found["group_coverage_both"]["s"].value == 1.0
    assert found["group_coverage_synthetic"]["n"].value == 0.0
    assert found["group_told_held_out"]["s"].value == 0.5
    assert found["group_told_synthetic"]["s"].value == 0.0
    counts = counts_of_groups(groups, real, made)
    assert [each.training for each in counts] == [{"n": 10, "s": 0}, {"n": 10, "s": 10}]
    whole, by_class = count_tables(Grouping("site", (), (), counts))
    assert whole.rows[1][:5] == ("s", "10", "33.3 %", "20", "30")
    assert whole.rows[1][-1] == "0 → 10"
    assert by_class.rows[0] == ("a", "10 + 0", "0 + 10")
