"""What the keypoints of a split are called, and how many there are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.formats.coco.point_names import pointed
from twinset.formats.objects import Objects, Stated
from twinset.formats.shelves import Rows


def pictures(*shown: tuple[str | None, tuple[str, ...] | None]) -> pa.ChunkedArray:
    """One object each: of this class, with as many keypoints as there are names; without for none."""
    objects = Objects()
    for label, names in shown:
        points = () if names is None else (1.0, 1.0, 2.0) * max(1, len(names))
        objects.picture([Stated(label, (0, 0, 5, 5), keypoints=points or None)], keypoint_names=names or None)
    return objects.settle(dict.fromkeys(range(len(shown)), (9, 9)), ["cat", "dog"])[1]


@pytest.mark.parametrize(
    ("rows", "points", "names"),
    [
        ([0, 1, 2], {0: 2, 1: 2}, ("nose", "tail")),
        ([1], {}, None),
        ([0, 3], {0: 2, 1: 3}, None),
        ([0, 4], {0: 2, 1: 1}, None),
        ([], {}, None),
    ],
)
def test_names_are_those_that_all_pictures_with_keypoints_have(
    rows: list[int], points: dict[int, int], names: tuple[str, ...] | None
) -> None:
    nose, ears = ("nose", "tail"), ("ear", "other ear", "nose")
    found = pictures(("cat", nose), ("dog", None), ("dog", nose), ("dog", ears), ("dog", ()))
    assert pointed(Rows(found, np.array(rows, dtype=np.int64))) == (points, names)
