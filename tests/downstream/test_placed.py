from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.annotations import Annotation, SemanticMap
from twinset.average_precision import Matches, match_detections
from twinset.dataset import Dataset, Sample
from twinset.downstream import placed_scores
from twinset.downstream.arms import Cell, CellResult, Recipe, UtilityPlan
from twinset.downstream.intervals import interval_of_mean
from twinset.downstream.metrics import resample
from twinset.downstream.placed_cells import PlacedPlan, PlacedSettings, run_placed_cell, write_found
from twinset.downstream.placed_data import PlacedData, placed_data
from twinset.downstream.placed_scores import PlacedStudy, found_path
from twinset.downstream.summary import summarise
from twinset.downstream.verdict import decide
from twinset.errors import RunFolderError
from twinset.instances import Instances
from twinset.randomness import Stream

SETTINGS = PlacedSettings(height=48, width=48, channels=1, steps=4, batch=4, stride=4)
PLAN: PlacedPlan = UtilityPlan(SETTINGS, seed=3, seeds=2, extra_seeds=0, strengths=("medium",), shares=(0.5,))
REAL, SYNTHETIC = Cell(Recipe("real", "none", 0.0), 0, 0), Cell(Recipe("synthetic", "none", 1.0), 0, 0)


def squares(n: int, *, seed: int, kind: str = "objects") -> Dataset:
    """Pictures of 48 x 48 with one bright (class 1) or dark (class 0) square each, its box, and a semantic map."""
    rng = Stream(seed).numpy()
    samples = []
    for number in range(n):
        label, side = number % 2, int(rng.integers(12, 20))
        x, y = (int(v) for v in rng.integers(0, 48 - side, 2))
        pixels = np.full((48, 48, 1), 128, dtype=np.uint8)
        pixels[y : y + side, x : x + side] = 255 * label
        classes = np.zeros((48, 48), dtype=np.int32)
        classes[y : y + side, x : x + side] = label + 1
        box = np.array([[x, y, x + side, y + side]])
        instances = Instances((48, 48), np.array([label]), box)
        said = Annotation(instances=instances) if kind == "objects" else Annotation(semantic=SemanticMap.of(classes))
        samples.append(Sample(f"{seed}-{number}", said, image=pixels))
    names = ["dark", "bright"] if kind == "objects" else ["none", "dark", "bright"]
    return Dataset.of(samples, classes=names)


def data(kind: str = "objects", synthetic: int = 6) -> PlacedData:
    parts = {"train": 8, "validation": 4, "test": 12}
    sets = {name: squares(n, seed=at, kind=kind) for at, (name, n) in enumerate(parts.items())}
    made = squares(max(1, synthetic), seed=9, kind=kind).take(range(synthetic))
    return placed_data(
        **sets,
        synthetic=made,
        test_families=np.arange(12),
        kind=kind,
        size=(48, 48),
        channels=1,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("kind", ["objects", "pixels"])
def test_a_cell_is_a_pure_function_of_data_plan_and_cell(kind: str, tmp_path: Path) -> None:
    found = [
        run_placed_cell(SYNTHETIC, data(kind), plan=PLAN, study="s", found=tmp_path / f"{number}")
        for number in range(2)
    ]
    assert found[0].found == found[1].found
    assert found[0].validation_score == found[1].validation_score
    if kind == "pixels":
        return  # four steps leave every seed with one class all over
    other = run_placed_cell(replace(SYNTHETIC, seed=1), data(kind), plan=PLAN, study="s", found=tmp_path / "2")
    assert other.found != found[0].found


@pytest.mark.parametrize("kind", ["objects", "pixels"])
@pytest.mark.parametrize("synthetic", [0, 6])
def test_saved_data_comes_back_with_the_same_digest(kind: str, synthetic: int, tmp_path: Path) -> None:
    before = replace(data(kind, synthetic), train_subset=np.eye(8, dtype=bool)[:2])
    before.save(tmp_path)
    after = PlacedData.load(tmp_path)
    assert after.digest() == before.digest()
    assert (after.kind, after.classes, after.subsets) == (before.kind, before.classes, 2)
    assert after.rows("train", 1).tolist() == [1]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "least"), [("objects", 0.7), ("pixels", 0.6)])
def test_good_data_is_learnt_and_wrong_labels_are_not(kind: str, least: float, tmp_path: Path) -> None:
    plan = replace(PLAN, settings=replace(SETTINGS, steps=80))
    good = data(kind, 8)
    study = PlacedStudy(good, tmp_path)

    def score(cell: Cell, whole: PlacedData) -> float:
        file = found_path(tmp_path, cell.key, whole)
        run = run_placed_cell(cell, whole, plan=plan, study="s", found=file)
        judged = study.judged([run])
        return float(judged.scores(np.ones((1, judged.families)))[0, 0])

    assert score(REAL, good) > least
    if kind == "objects":
        wrong = replace(good.synthetic, class_ids=tuple(1 - ids for ids in good.synthetic.class_ids))  # type: ignore[type-var, union-attr]
    else:
        shifted = np.where(good.synthetic.maps == 1, 2, np.where(good.synthetic.maps == 2, 1, 0))  # type: ignore[union-attr]
        wrong = replace(good.synthetic, maps=shifted.astype(np.int16))  # type: ignore[type-var]
    assert score(SYNTHETIC, replace(good, synthetic=wrong)) < 0.4


def pretend(cell: Cell, whole: PlacedData, folder: Path, *, gain: float) -> CellResult:
    """Detections that are right in 60 % of the test images, in ``gain`` more where synthetic images took part."""
    share = 0.6 + gain * (cell.recipe.share > 0)
    hit = Stream(5).numpy().random(len(whole.test)) < share
    found = []
    for right, truth in zip(hit, whole.instances("test"), strict=True):
        boxes = truth.boxes if right else np.array([[0, 0, 2, 2]], dtype=np.float32)
        found.append(replace(truth, boxes=boxes, confidences=np.ones(1, dtype=np.float32)))
    digest = write_found(found_path(folder, cell.key, whole), found)
    return CellResult(cell, "s", share, 1 - share, 1.0, found=digest)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gain", "decision"), [(0.35, "use"), (-0.35, "do_not_use"), (0.0, "no_measurable_difference")]
)
def test_the_verdict_follows_the_average_precision_on_test(gain: float, decision: str, tmp_path: Path) -> None:
    many = placed_data(
        train=squares(8, seed=0),
        validation=squares(4, seed=1),
        test=squares(200, seed=2),
        synthetic=squares(6, seed=9),
        test_families=np.arange(200),
        kind="objects",
        size=(48, 48),
        channels=1,
    )
    results: list[CellResult] = []
    while due := PLAN.due(results):
        results += [pretend(cell, many, tmp_path, gain=gain) for cell in due]
    utility = summarise(results, data=PlacedStudy(many, tmp_path), plan=PLAN)
    assert utility.metric == "mAP@50"
    assert utility.difference is not None
    # All detections are equally sure, so precision is the share of hits at every recall up to it.
    assert utility.difference.value == pytest.approx((0.6 + gain) ** 2 - 0.6**2, abs=0.1)
    verdict = decide(utility)
    assert verdict.decision == decision
    assert "mAP@50" in verdict.sentence


@pytest.mark.parametrize("kind", ["objects", "pixels"])
def test_what_a_cell_found_is_believed_only_while_it_is_that(kind: str, tmp_path: Path) -> None:
    whole = data(kind)
    study = PlacedStudy(whole, tmp_path)
    cells = [REAL, SYNTHETIC]
    files = [found_path(tmp_path, cell.key, whole) for cell in cells]
    results = [
        run_placed_cell(cell, whole, plan=PLAN, study="s", found=file) for cell, file in zip(cells, files, strict=True)
    ]
    first = replace(results[0], found=hashlib.sha256(files[0].read_bytes()).hexdigest())
    assert study.file(first) == files[0]
    files[0].write_bytes(files[1].read_bytes() + b" ")  # what another cell found, or the same, with a byte more
    for ask in (study.judged, study.details):
        with pytest.raises(RunFolderError, match="expected what this training found; got another content") as caught:
            ask(results)
        assert str(files[0]) in str(caught.value)
        assert f"delete {REAL.key}.json" in str(caught.value.hint)
    files[0].unlink()
    with pytest.raises(RunFolderError, match="got No such file"):
        study.judged(results)


def test_detections_of_a_run_are_matched_once_in_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, results = data(), []
    while due := PLAN.due(results):
        results += [pretend(cell, whole, tmp_path, gain=0.1 * cell.seed) for cell in due]
    calls = []

    def counted(*args: object, **kwargs: object) -> Matches:
        calls.append(args)
        return match_detections(*args, **kwargs)  # type: ignore[arg-type]

    expected = summarise(results, data=PlacedStudy(whole, tmp_path), plan=PLAN)
    monkeypatch.setattr(placed_scores, "match_detections", counted)
    found = summarise(results, data=PlacedStudy(whole, tmp_path), plan=PLAN)
    assert found == expected
    assert len(calls) == len({result.found for result in results})


def empty_but(data: PlacedData, shown: int) -> PlacedData:
    """The same with objects in the first ``shown`` test images alone."""
    rows = data.test_truth.to_pylist()
    for row in rows[shown:]:
        row["instances"] = {**row["instances"], "objects": []}
    return replace(data, test_truth=pa.Table.from_pylist(rows, data.test_truth.schema))


def test_draws_that_show_no_object_say_nothing(tmp_path: Path) -> None:
    """Of 12 images one shows an object: (11/12)^12 = 35 % of the draws show none, and all others what the set shows."""
    whole = empty_but(data(), 1)
    (truth, *_) = whole.instances("test")
    sure = replace(truth, confidences=np.ones(1, dtype=np.float32))
    digest = write_found(found_path(tmp_path, REAL.key, whole), [sure, *(Instances.none((48, 48)),) * 11])
    judged = PlacedStudy(whole, tmp_path).judged([CellResult(REAL, "s", 1.0, 0.0, 1.0, found=digest)])
    without = np.ones((2, 12))
    without[1, 0] = 0
    assert judged.scores(without)[:, 0].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    drawn = resample(judged.scores, judged.families, draws=1000, generator=Stream(0).numpy())
    assert drawn.undefined == pytest.approx(352, abs=45)
    assert len(drawn.draws) == 1000 - drawn.undefined
    assert (drawn.draws == 1.0).all()
    found = interval_of_mean(replace(judged, resolution=0.001), subsets=1, seeds=1, rng=Stream(0))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low > 0.99
    assert found.undefined_draws > 0


def test_test_images_without_anything_to_find_give_no_figure(tmp_path: Path) -> None:
    whole = empty_but(data(), 0)
    digest = write_found(found_path(tmp_path, REAL.key, whole), [Instances.none((48, 48))] * 12)
    judged = PlacedStudy(whole, tmp_path).judged([CellResult(REAL, "s", 1.0, 0.0, 1.0, found=digest)])
    with pytest.raises(ValueError, match="expected test images that show something to find"):
        interval_of_mean(replace(judged, resolution=0.1), subsets=1, seeds=1, rng=Stream(0))


def test_balanced_trials_are_cells_of_their_own() -> None:
    plan = replace(PLAN, balanced=("medium",))
    cells = plan.due([])
    balanced = [cell for cell in cells if cell.recipe.balanced]
    assert {cell.recipe.arm for cell in balanced} == {"real+classical"}
    assert len({cell.key for cell in cells}) == len(cells)
    results = [CellResult(cell, "s", 1.0 if cell.recipe.balanced else 0.5, 0.0, 1.0) for cell in cells]
    second = plan.due(results)
    assert all(cell.recipe.balanced for cell in second if cell.recipe.arm == "real+classical+synthetic")
    assert not any(cell.recipe.balanced for cell in second if cell.recipe.arm == "real+synthetic")


def test_data_that_does_not_fit_together_is_refused() -> None:
    good = data()
    with pytest.raises(ValueError, match="expected a family"):
        replace(good, test_families=np.arange(3))
    with pytest.raises(ValueError, match="expected train_subset"):
        replace(good, train_subset=np.ones((2, 3), dtype=bool))
    with pytest.raises(ValueError, match="expected validation images with their truth"):
        replace(good, validation_truth=good.test_truth)
