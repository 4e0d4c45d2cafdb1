"""Fitted placement follows training without copying it; targets and configurations are reached."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp, skew

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.copypaste import (
    BoxTarget,
    Configuration,
    CopyPaste,
    CopyPasteGenerator,
    Normal,
    PlacementTarget,
)
from twinset.generators.copypaste.context import learn
from twinset.generators.copypaste.marginals import RANKS, at_ranks_of_mixture
from twinset.generators.copypaste.placement import Counts, Fitted, measured, overlap
from twinset.instances import Instances
from twinset.stages import Slot


def drawn(generator: CopyPasteGenerator, count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(M, 4) boxes as laid, clipped to the picture, their classes, and the objects per picture (N,)."""
    boxes, class_ids, counts = [], [], []
    for index in range(count):
        layout = generator.layout(Slot(index, 0, index, 0, "r"))
        height, width = layout.size
        boxes += [np.clip(o.box, 0, [width, height] * 2) for o in layout.objects]
        class_ids += [o.class_id for o in layout.objects]
        counts.append(len(layout.objects) + layout.left_out)
    return np.array(boxes), np.array(class_ids), np.array(counts)


def points(boxes: np.ndarray) -> np.ndarray:
    return measured(boxes.astype(np.float64), np.full((len(boxes), 2), (96, 128)))[0]


@pytest.mark.slow
def test_fitted_placement_has_the_distribution_of_the_training_boxes(masked: Dataset) -> None:
    boxes, class_ids, counts = drawn(CopyPaste(truncation=0).fit(masked, rng=0))
    real = masked.object_boxes()
    ours, theirs = points(boxes), points(real)
    assert ks_2samp(ours[:, 0], theirs[:, 0]).statistic < 0.12
    assert abs((ours[:, 1] > 0.4).mean() - (theirs[:, 1] > 0.4).mean()) < 0.06
    assert abs(ours[:, 1].mean() - theirs[:, 1].mean()) < 0.06
    assert ks_2samp(boxes[:, 1::2].mean(1), real[:, 1::2].mean(1)).statistic < 0.15
    assert ks_2samp(counts, masked.object_counts()).statistic < 0.15
    share = np.mean(masked.object_column("class_id") == 1)
    assert abs(np.mean(class_ids == 1) - share) < 0.05
    # Discs are small and high, bars large and low: the joint distribution is kept.
    assert np.median(ours[class_ids == 0, 3]) < 0.5 < np.median(ours[class_ids == 1, 3])
    uniform, _, _ = drawn(CopyPaste(placement="uniform").fit(masked, rng=0))
    assert ks_2samp(points(uniform)[:, 0], theirs[:, 0]).statistic > 0.3


@pytest.mark.slow
def test_no_training_box_comes_back(masked: Dataset) -> None:
    boxes, _, _ = drawn(CopyPaste().fit(masked, rng=0))
    table, _ = overlap(boxes, masked.object_boxes().astype(np.float64))
    assert (table.max(1) > 0.98).mean() < 0.02
    assert np.abs(boxes[:, None] - masked.object_boxes()[None]).max(2).min() > 1e-6


@pytest.mark.slow
def test_a_target_in_numbers_is_reached(masked: Dataset) -> None:
    target = PlacementTarget(
        log_area=(Normal(-5.0, 0.1, 3.0), Normal(-3.5, 0.1, 1.0)),
        count=(Normal(9, 1),),
        class_shares={"disc": 1, "bar": 1},
    )
    boxes, class_ids, counts = drawn(CopyPaste(target=target, truncation=0, max_iou=1).fit(masked, rng=0), 200)
    area = points(boxes)[:, 0]
    assert abs((area > -4.25).mean() - 0.25) < 0.05
    assert abs(area[area < -4.25].mean() + 5.0) < 0.06
    assert abs(area[area > -4.25].mean() + 3.5) < 0.06
    assert abs(counts.mean() - 9) < 0.3
    assert abs((class_ids == 0).mean() - 0.5) < 0.05
    assert area[class_ids == 1].mean() > area[class_ids == 0].mean() + 0.3  # the larger class stays the larger


@pytest.mark.slow
def test_a_target_for_one_class_moves_that_class_alone(masked: Dataset) -> None:
    target = PlacementTarget(per_class={"bar": BoxTarget(centre_y=(Normal(0.3, 0.02),))})
    before, classes_before, _ = drawn(CopyPaste(truncation=0, max_iou=1).fit(masked, rng=0))
    after, classes_after, _ = drawn(CopyPaste(truncation=0, max_iou=1, target=target).fit(masked, rng=0))
    centres = after[:, 1::2].mean(1) / 96
    assert abs(centres[classes_after == 1].mean() - 0.3) < 0.02
    assert centres[classes_after == 1].std() < 0.04
    discs = [boxes[ids == 0, 1::2].mean() for boxes, ids in ((before, classes_before), (after, classes_after))]
    assert abs(discs[0] - discs[1]) < 3
    with pytest.raises(DataError, match="target classes"):
        CopyPaste(target=PlacementTarget(per_class={"cat": BoxTarget()})).fit(masked, rng=0)


@pytest.mark.slow
def test_configurations_are_followed_in_their_proportions(masked: Dataset) -> None:
    low = Configuration(log_area_mean=-5.2, log_area_std=0.1, log_aspect_mean=0.0, log_aspect_std=0.05)
    high = Configuration(log_area_mean=-3.6, log_area_std=0.1, log_aspect_mean=0.25, log_aspect_std=0.05)
    settings = CopyPaste(truncation=0, max_iou=1, stretch=4, rotation_degrees=0)
    generator = settings.fit(masked, rng=0).configured([(3, low), (1, high)])
    found = points(drawn(generator)[0])
    large = found[:, 0] > -4.4
    assert abs(large.mean() - 0.25) < 0.04
    assert abs(found[~large, 0].mean() + 5.2) < 0.05
    assert abs(found[large, 1].mean() - 0.25) < 0.04
    assert abs(found[~large, 1].mean()) < 0.04


@pytest.mark.slow
def test_counts_are_configured_by_picture(masked: Dataset) -> None:
    few = Configuration(count_mean=2, count_std=0.1, log_area_mean=-3.6, log_area_std=0.05)
    many = Configuration(count_mean=12, count_std=0.1, log_area_mean=-5.2, log_area_std=0.05)
    generator = CopyPaste(truncation=0, max_iou=1).fit(masked, rng=0).configured([(1, few), (1, many)])
    for index in range(60):
        layout = generator.layout(Slot(index, 0, index, 0, "r"))
        area = points(np.array([o.box for o in layout.objects]))[:, 0]
        assert (area > -4.4).all() if len(layout.objects) < 7 else (area < -4.4).all()
    _, _, counts = drawn(generator)
    assert abs((counts > 7).mean() - 0.5) < 0.08


def test_the_space_bounds_what_training_shows(masked: Dataset) -> None:
    generator = CopyPaste().fit(masked, rng=0)
    space = generator.space
    assert set(space) == set(Configuration.__dataclass_fields__)
    assert all(low < high for low, high in space.values())
    area = points(masked.object_boxes())[:, 0].mean()
    assert space["log_area_mean"][0] < area < space["log_area_mean"][1]
    with pytest.raises(ValueError, match="weights > 0"):
        generator.configured([(0.0, Configuration())])
    with pytest.raises(ValueError, match="together"):
        Configuration(count_mean=3)


def test_quantiles_of_a_mixture() -> None:
    values = at_ranks_of_mixture(RANKS, (Normal(0, 1, 1), Normal(10, 2, 3)))
    assert (np.diff(values) > 0).all()
    assert abs(np.interp(0.25 * 0.5, RANKS, values)) < 0.02  # half of the first component lies below its mean
    assert abs(np.interp(0.25 + 0.75 * 0.5, RANKS, values) - 10) < 0.02


def test_classes_keep_their_expected_shares_and_singles_stay_single() -> None:
    counts = Counts(np.array([[11, 1, 0], [13, 1, 0], [9, 1, 2], [12, 1, 0]]))
    draws = np.random.Generator(np.random.PCG64(0))
    tables = np.array([np.bincount(counts.classes(counts.total(draws), draws), minlength=3) for _ in range(3000)])
    assert abs(tables.sum(1).mean() - 12.75) < 0.2
    assert np.abs(tables.sum(0) / tables.sum() - np.array([45, 4, 2]) / 51).max() < 0.012
    assert (tables[:, 1] == 1).mean() > 0.7
    even = Counts(counts.counts, balance=1.0)
    ids = np.concatenate([even.classes(12, draws) for _ in range(500)])
    assert np.abs(np.bincount(ids) / len(ids) - 1 / 3).max() < 0.03


def test_context_learns_where_a_class_stands() -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    tables = draws.normal(size=(6, 24, 24, 3)).astype(np.float32)
    tables[..., 0] = draws.random((6, 24, 24)) < 0.3
    centres, ids = [], []
    for table in tables:
        rows, columns = np.nonzero(table[..., 0])
        pick = draws.choice(len(rows), 12)
        centres.append(np.stack([columns[pick] + 0.5, rows[pick] + 0.5], 1) / 24)
        ids.append(np.zeros(12, dtype=np.int64))
    context = learn(tables, tables, centres, ids, 2)
    good = tables[0, ..., 0] == 1
    assert context.heat[0, 0][good].min() > context.heat[0, 0][~good].max() - 3
    assert context.heat[0, 0][good].mean() > context.heat[0, 0][~good].mean() + 2
    assert not context.heat[:, 1].any()
    frame = np.array([240.0, 240.0] * 2)
    at = [np.argwhere(good)[0], np.argwhere(~good)[0]]
    boxes = np.array([[x * 10, y * 10, x * 10 + 10, y * 10 + 10] for y, x in at], dtype=np.float64)
    first = [context.order(0, 0, boxes, frame, draws)[0] for _ in range(200)]
    assert np.mean(np.array(first) == 0) > 0.8


def test_context_placement_runs_on_pictures(masked: Dataset) -> None:
    _, class_ids, _ = drawn(CopyPaste(placement="context").fit(masked, rng=0), 20)
    assert len(class_ids) > 20


@pytest.mark.slow
def test_skewed_sizes_stay_skewed_and_crowding_is_that_of_training() -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    samples = []
    for index in range(40):
        side = 8 + 6 * draws.exponential(size=6)  # few large ones
        corners = np.stack([np.linspace(0, 170, 6), draws.uniform(0, 100, 6)], 1)  # side by side, never overlapping
        boxes = np.concatenate([corners, corners + np.minimum(side, 30)[:, None]], 1)
        annotation = Annotation(instances=Instances((200, 240), np.zeros(6, dtype=int), boxes))
        picture = draws.integers(0, 255, (200, 240, 3)).astype(np.uint8)
        samples.append(Sample(f"s{index}", annotation, image=picture))
    training = Dataset.of(samples, classes=["a"])
    generator = CopyPaste(truncation=0, most_cutouts=20).fit(training, rng=0)
    model = generator.placement.model if generator.placement is not None else None
    assert isinstance(model, Fitted)
    ours = np.concatenate([model.draw(np.zeros(6, dtype=int), -1, draws).log_area for _ in range(300)])
    sides = training.object_boxes()[:, 2:] - training.object_boxes()[:, :2]
    theirs = np.log(sides.prod(1) / 48000)
    assert skew(theirs) > 0.4
    assert skew(ours) > 0.5 * skew(theirs)
    largest = []
    for index in range(60):
        boxes = np.array([o.box for o in generator.layout(Slot(index, 0, index, 0, "r")).objects])
        table = overlap(boxes, boxes)[1] - np.eye(len(boxes))
        largest.append(table.max())
    assert np.mean(np.array(largest) < 0.05) > 0.8
