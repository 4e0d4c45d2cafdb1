from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from twinset.models.detection.boxes import cell_centres, decode_boxes, encode_boxes, generalised_iou
from twinset.models.detection.loss import box_loss, detection_loss, heat_loss, targets_of
from twinset.models.detection.scenes import Objects

GRID = (6, 8)


def objects(boxes: list[list[float]], class_ids: list[int], ignored: list[bool] | None = None) -> Objects:
    flags = np.array(ignored or [False] * len(boxes), dtype=bool)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64), flags


def test_generalised_overlap_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 2, 2]] * 4).T
    b = torch.tensor([[0.0, 0, 2, 2], [2, 0, 4, 2], [4, 0, 6, 2], [0.5, 0.5, 1.5, 1.5]]).T
    assert generalised_iou(a, b).tolist() == pytest.approx([1, 0, 8 / 12 - 1, 1 / 4])
    torch.testing.assert_close(generalised_iou(a, b), generalised_iou(b, a))


def test_boxes_survive_coding() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = cell_centres(5, 7, 8, torch.device("cpu")).flatten(1)
    corners = torch.rand(2, 35, generator=generator) * 50
    boxes = torch.cat([corners, corners + 1 + torch.rand(2, 35, generator=generator) * 90])
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes, centres, 17.0), centres, 17.0), boxes)
    torch.testing.assert_close(
        decode_boxes(torch.zeros(4, 1), torch.tensor([[20.0], [12]]), 10.0).flatten(), torch.tensor([15.0, 7, 25, 17])
    )


def test_the_target_of_one_object_by_hand() -> None:
    """A box of 40 x 16 px at stride 8: reach ⌊5 · .27⌋ = 1 and ⌊2 · .27⌋ = 0 cells, so σ = 3/6 and 1/6."""
    targets = targets_of([objects([[8, 16, 48, 32]], [1])], n_classes=2, grid=GRID, stride=8)
    side = math.exp(-2)
    expected = np.zeros((2, *GRID))
    expected[1, 3, 2:5] = [side, 1, side]
    np.testing.assert_allclose(targets.heat[0], expected, rtol=1e-6)
    np.testing.assert_allclose(targets.weights[0, 3, 2:5], np.array([side, 1, side]) / (1 + 2 * side), rtol=1e-6)
    assert float(targets.weights.sum()) == pytest.approx(1)
    assert targets.boxes[0, :, 3, 2].tolist() == [8, 16, 48, 32]
    assert targets.objects == 1
    assert bool(targets.counted.all())


def test_a_cell_belongs_to_the_smallest_object_there() -> None:
    pair = objects([[0, 0, 64, 48], [28, 20, 36, 28], [0, 0, 60, 44]], [0, 0, 0])
    targets = targets_of([pair], n_classes=1, grid=GRID, stride=8)
    assert targets.boxes[0, :, 3, 4].tolist() == [28, 20, 36, 28]
    assert float(targets.heat[0, 0, 3, 4]) == 1
    assert float(targets.weights[0, 3, 4]) == pytest.approx(1)


def test_an_object_at_the_far_edge_has_its_centre_in_the_last_cell() -> None:
    targets = targets_of([objects([[62, 46, 64, 48], [63, 0, 64, 48]], [0, 1])], n_classes=2, grid=GRID, stride=8)
    assert float(targets.heat[0, 0, 5, 7]) == 1
    assert float(targets.heat[0, 1, 3, 7]) == 1


def test_ignored_objects_silence_their_class_and_nothing_else() -> None:
    mixed = objects([[0, 0, 32, 48], [8, 8, 16, 16]], [0, 0], [True, False])
    targets = targets_of([mixed, objects([], [])], n_classes=2, grid=GRID, stride=8)
    silent = ~targets.counted
    assert int(silent.sum()) == 4 * 6 - 1
    assert bool(targets.counted[0, 0, 1, 1])
    assert bool(silent[0, 0, :, :4].sum() == 23)
    assert targets.objects == 1
    assert float(targets.weights[1].sum()) == 0
    quiet = torch.zeros(2, 2, *GRID)
    loud = quiet.clone()
    loud[0, 0, 4, 2] = 5
    assert float(heat_loss(loud, targets)) == float(heat_loss(quiet, targets))
    loud[0, 1, 4, 2] = 5
    assert float(heat_loss(loud, targets)) > float(heat_loss(quiet, targets))


def test_focal_loss_by_hand() -> None:
    """p = ½ everywhere: the centre costs ¼ log 2, every other cell (1 − g)⁴ ¼ log 2."""
    targets = targets_of([objects([[8, 16, 48, 32]], [0])], n_classes=1, grid=GRID, stride=8)
    g = math.exp(-2)
    expected = math.log(2) / 4 * (1 + 2 * (1 - g) ** 4 + 45)
    assert float(heat_loss(torch.zeros(1, 1, *GRID), targets)) == pytest.approx(expected, rel=1e-5)


def test_gradients_raise_centres_lower_the_rest_and_pull_boxes_to_their_object() -> None:
    targets = targets_of([objects([[8, 16, 48, 32]], [0])], n_classes=1, grid=GRID, stride=8)
    logits = torch.zeros(1, 1, *GRID, requires_grad=True)
    raw = torch.zeros(1, 4, *GRID, requires_grad=True)
    detection_loss((logits, raw), targets, unit=16.0, stride=8).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert raw.grad is not None
    assert float(logits.grad[0, 0, 3, 3]) < 0
    assert float(logits.grad[0, 0, 0, 0]) > 0
    # At the cell (3, 3) the box is 16 x 16 around (28, 28); its object is 40 x 16 around (28, 24).
    assert float(raw.grad[0, 2, 3, 3]) < 0
    assert float(raw.grad[0, 1, 3, 3]) > 0
    assert float(raw.grad[0, :, 0].abs().sum()) == 0


def test_perfect_boxes_cost_nothing() -> None:
    boxes = [[8, 16, 48, 32], [0, 0, 7, 9]]
    targets = targets_of([objects(boxes, [0, 0])], n_classes=1, grid=GRID, stride=8)
    centres = cell_centres(*GRID, 8, torch.device("cpu")).flatten(1)
    raw = encode_boxes(targets.boxes.flatten(2), centres, 12.0).unflatten(2, GRID)
    raw = torch.where(targets.weights[:, None] > 0, raw, 0.0)
    assert float(box_loss(raw, targets, unit=12.0, stride=8)) == pytest.approx(0, abs=1e-5)
    assert float(box_loss(raw + 0.3, targets, unit=12.0, stride=8)) > 0.1


def test_pictures_without_objects_cost_only_scores() -> None:
    targets = targets_of([objects([], [])], n_classes=1, grid=GRID, stride=8)
    output = (torch.full((1, 1, *GRID), -20.0), torch.zeros(1, 4, *GRID))
    assert float(detection_loss(output, targets, unit=8.0, stride=8)) == pytest.approx(0, abs=1e-6)
