from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sklearn.datasets import load_digits

from twinset.formats import builtin


@pytest.mark.parametrize("where", ["its file", "its function"])
def test_digits_are_those_of_scikit_learn(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "its function":
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    given = load_digits()
    images, labels = builtin._load()
    assert images.dtype == np.uint8
    assert np.array_equal(images, np.rint(given.images * 255 / 16))
    assert np.array_equal(labels, given.target)
