from __future__ import annotations

import numpy as np
import pytest

from twinset.privacy.shadows import ShadowSettings, halves, train_together
from twinset.randomness import Stream
from twinset.threads import torch_threads


def test_each_image_is_in_half_of_the_networks() -> None:
    found = halves(501, 16, rng=Stream(0))
    assert found.shape == (16, 501)
    assert (found.sum(axis=0) == 8).all()
    assert 200 < found.sum(axis=1).min() <= found.sum(axis=1).max() < 300


def test_networks_learn_their_own_half_and_do_not_see_the_other() -> None:
    """Labels that no picture explains can only be learnt by heart."""
    draw = np.random.Generator(np.random.PCG64(0))
    rows, labels = draw.normal(size=(60, 40)).astype(np.float32), draw.integers(4, size=60)
    included = halves(60, 6, rng=Stream(1))
    with torch_threads(1):
        networks = train_together(
            rows, labels, included, classes=4, settings=ShadowSettings(width=64, steps=300, batch=32), rng=Stream(2)
        )
    right = networks.logits(rows).argmax(axis=-1) == labels
    assert right[included].mean() > 0.98
    assert right[~included].mean() < 0.5


def test_a_network_does_not_depend_on_the_labels_of_images_it_was_not_given() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    rows, labels = draw.normal(size=(30, 8)).astype(np.float32), draw.integers(3, size=30)
    included = np.array([np.arange(30) < 15, np.arange(30) >= 15])
    other = np.where(included[0], labels, (labels + 1) % 3)
    settings = ShadowSettings(width=16, steps=40, batch=8)
    with torch_threads(1):
        first, second = (
            train_together(rows, given, included, classes=3, settings=settings, rng=Stream(4)).logits(rows)
            for given in (labels, other)
        )
    assert np.array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])


def test_networks_without_images_are_refused() -> None:
    with pytest.raises(ValueError, match="some of 4 images"):
        train_together(np.zeros((4, 2)), np.zeros(4, dtype=int), np.zeros((2, 4), dtype=bool), classes=2, rng=Stream(0))
    with pytest.raises(ValueError, match="rate > 0"):
        ShadowSettings(rate=0)
