from __future__ import annotations

import json

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances
from twinset.models.detection import DetectorSettings, NetworkSize, network_size, scene_augmentation, stride_for


def test_settings_survive_json() -> None:
    settings = DetectorSettings(steps=7, stride=4, crop=(64, 96), augmentation=scene_augmentation("strong", turn=True))
    assert DetectorSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert DetectorSettings.from_dict(DetectorSettings().to_dict()) == DetectorSettings()
    with pytest.raises(TypeError):
        DetectorSettings.from_dict(settings.to_dict() | {"stepz": 3})


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"width": 12}, {"stride": 16}, {"synthetic_share": 1.1}, {"crop": (60, 64)}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DetectorSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((480, 640), 80, NetworkSize(240, 320, 8)),
        ((480, 640), 40, NetworkSize(240, 320, 4)),
        ((480, 640), 26, NetworkSize(320, 416, 4)),
        ((540, 960), 10, NetworkSize(288, 512, 4)),
        ((64, 64), 30, NetworkSize(64, 64, 8)),
        ((100, 90), 5, NetworkSize(96, 96, 4)),
    ],
)
def test_small_objects_get_larger_pictures_and_finer_grids(
    size: tuple[int, int], side: float, expected: NetworkSize
) -> None:
    boxes = np.array([[0, 0, side, side]] * 3, np.float32)
    assert network_size(np.array([size] * 2), boxes, np.array([2, 1])) == expected


def test_pictures_of_several_sizes_count_by_their_own_scale() -> None:
    sizes, counts = np.array([[320, 320], [3200, 3200]]), np.array([1, 3])
    boxes = np.array([[0, 0, 40, 40]] + [[0, 0, 300, 300]] * 3, np.float32)
    assert network_size(sizes, boxes, counts).stride == 8
    with pytest.raises(ValueError, match="expected pictures"):
        network_size(sizes, boxes, np.array([1, 1]))


@pytest.mark.parametrize(("size", "stride"), [((96, 96), 4), ((192, 192), 8), ((192, 96), 4)])
def test_small_objects_need_a_finer_grid_at_the_size_that_is_seen(size: tuple[int, int], stride: int) -> None:
    """Objects of 14 px in pictures of 96: 14 px at 96, 28 px at 192, and the shorter side decides."""
    box = Instances((96, 96), np.zeros(2, dtype=np.int64), np.array([[0, 0, 14, 14], [30, 30, 44, 44]]))
    samples = [Sample(str(n), Annotation(instances=box), image=np.zeros((96, 96, 1), dtype=np.uint8)) for n in range(2)]
    assert stride_for(Dataset.of(samples, classes=["a"]), size) == stride
    nothing = [Sample("n", Annotation(instances=Instances.none((96, 96))), image=samples[0].image)]
    assert stride_for(Dataset.of(nothing, classes=["a"]), size) == 8
