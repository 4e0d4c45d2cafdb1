from __future__ import annotations

import numpy as np

from twinset.evaluation.neighbourhoods.duplicates import copy_groups, distinct_rows, with_copies


def test_groups_are_named_after_their_first_row_across_blocks() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [0.0, 0.0], [-0.0, 0.0], [1.0, 2.0]], dtype=np.float32)
    for block in (1, 2, 100):
        assert copy_groups(x, block=block).tolist() == [0, 1, 0, 3, 3, 0]
    assert copy_groups(x, rows=np.array([2, 4, 5])).tolist() == [2, 4, 2]
    assert distinct_rows(x).tolist() == [0, 1, 3]


def test_images_with_copies_are_counted_and_near_copies_are_not() -> None:
    x = np.random.Generator(np.random.PCG64(0)).normal(size=(50, 4))
    x = np.concatenate([x, x[:10], x[:3], x[20:25] * (1 + 1e-15), -x[30:35]])
    norms = (x**2).sum(axis=1)
    assert with_copies(x, norms, 1) == 2 * 7 + 3 * 3
    assert with_copies(x, norms, 2) == 3 * 3
    assert with_copies(x[:50], norms[:50], 1) == 0
