"""A detector's backbone as an extractor: laws of embedders, and that it is the backbone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from twinset.embedding.detector_backbone import DetectorBackbone
from twinset.models.detection.detector import Detector
from twinset.models.detection.network import new_network


def detector(seed: int, *, channels: int = 3) -> Detector:
    shape = {"channels": channels, "n_classes": 2, "width": 8}
    network = new_network(**shape, stride=4, generator=torch.Generator().manual_seed(seed))
    return Detector(network.eval(), **shape, stride=4, unit=16.0)


def images(count: int, *, channels: int = 3) -> torch.Tensor:
    return torch.rand((count, channels, 40, 50), generator=torch.Generator().manual_seed(9)) * 2 - 1


def test_features_of_a_picture_do_not_depend_on_its_company() -> None:
    embedder = DetectorBackbone.of(detector(0), fitted_on=["a"])
    together = embedder.embed(images(40))
    alone = embedder.embed(images(40)[33:34])
    assert together.shape == (40, 2 * (4 + 8 + 8) * 8)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together[33:34], alone)
    assert embedder.fitted_on == {"a"}


def test_weights_make_the_name_and_the_features() -> None:
    first, same, other = (DetectorBackbone.of(detector(seed), fitted_on=()) for seed in (0, 0, 1))
    assert first.name == same.name != other.name
    assert not np.allclose(first.embed(images(2)), other.embed(images(2)))


def test_the_first_features_are_the_means_at_stride_eight() -> None:
    embedder = DetectorBackbone.of(detector(0), fitted_on=(), side=64)
    from twinset.embedding.embedder import resized

    small = resized(images(1), (64, 64))
    network = embedder.network
    with torch.no_grad():
        level = network.eighth(network.quarter(network.stem(small)))
    np.testing.assert_allclose(embedder.embed(images(1))[0, :32], level.mean(dim=(2, 3))[0].numpy(), atol=1e-5)


def test_grey_networks_take_colours_and_colour_networks_take_grey() -> None:
    grey = DetectorBackbone.of(detector(0, channels=1), fitted_on=())
    assert grey.embed(images(2)).shape == grey.embed(images(2, channels=1)).shape
    assert DetectorBackbone.of(detector(0), fitted_on=()).embed(images(2, channels=1)).shape[0] == 2


def test_a_side_that_the_network_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match="a multiple of 16"):
        DetectorBackbone.of(detector(0), fitted_on=(), side=40)
