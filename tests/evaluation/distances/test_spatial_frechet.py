from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinset.evaluation.distances.frechet import frechet_value
from twinset.evaluation.distances.spatial_frechet import (
    SpatialFrechetDistance,
    spatial_features,
    spatial_frechet_distance,
)


def maps(seed: int, count: int = 60, shape: tuple[int, int, int] = (5, 3, 2)) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(count, *shape))


def test_the_first_channels_are_taken_whole_and_without_copying(tmp_path: Path) -> None:
    x = maps(0)
    found = spatial_features(x, channels=2)
    assert found.shape == (60, 12)
    assert (found == np.concatenate([x[:, 0].reshape(60, 6), x[:, 1].reshape(60, 6)], axis=1)).all()
    assert np.shares_memory(found, x)
    np.save(tmp_path / "maps.npy", x)
    kept = np.load(tmp_path / "maps.npy", mmap_mode="r")
    assert np.shares_memory(spatial_features(kept, channels=2), kept)


def test_other_channels_do_not_count() -> None:
    x, y = maps(1), maps(2)
    other = y.copy()
    other[:, 2:] += 100
    values = [spatial_frechet_distance(x, each, channels=2).value for each in (y, other)]
    assert values[0] == values[1]
    assert spatial_frechet_distance(x, other, channels=3).value > 1000
    assert values[0] == pytest.approx(frechet_value(x[:, :2].reshape(60, -1), y[:, :2].reshape(60, -1)), rel=1e-9)


def test_it_sees_an_arrangement_that_pooled_features_do_not() -> None:
    x, y = maps(3, 400), maps(4, 400)
    x[..., 0, :] += 2
    turned, straight = y.copy(), y.copy()
    turned[..., 2, :] += 2
    straight[..., 0, :] += 2
    pooled = [frechet_value(x.mean(axis=(2, 3)), each.mean(axis=(2, 3))) for each in (turned, straight)]
    assert abs(pooled[0] - pooled[1]) < 0.1
    spatial = [spatial_frechet_distance(x, each, channels=5).value for each in (turned, straight)]
    # 4 of 6 places of 5 channels differ by 2 in the mean: 5 · 4 · 2² more.
    assert spatial[0] - spatial[1] == pytest.approx(80, rel=0.1)


def test_the_score_names_the_map_and_few_images_have_none() -> None:
    score = SpatialFrechetDistance(channels=4).score(maps(5), maps(6), extractor="net/layer3")
    assert score.name == "spatial_frechet_distance"
    assert (score.settings["channels"], score.settings["map"]) == ("first 4 of 5", "3 x 2")
    assert score.settings["dimension"] == 24
    assert score.extractor == "net/layer3"
    assert score.interval is not None
    assert "spatial Fréchet distance of 60 images" in score.warnings[0]
    assert "at least 2" in spatial_frechet_distance(maps(7, 1), maps(8), channels=1).undefined_because


def test_maps_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 5 channels"):
        spatial_frechet_distance(maps(0), maps(1))
    with pytest.raises(ValueError, match="before pooling"):
        spatial_features(maps(0).mean(axis=(2, 3)))
    with pytest.raises(ValueError, match="one shape"):
        spatial_frechet_distance(maps(0), maps(1, 60, (5, 2, 3)), channels=2)
    with pytest.raises(ValueError, match="channels ≥ 1"):
        SpatialFrechetDistance(channels=0)
