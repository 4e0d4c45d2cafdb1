from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.detectability.picture_features import VIEWS, PictureFeatures
from twinset.evaluation.detectability.pixel_statistics import PixelStatistics, pixel_features, thumbnails
from twinset.images import convert_channels


def pictures(seed: int, *shape: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape).astype(np.uint8)


def column(features: np.ndarray, name: str, channels: int = 1) -> np.ndarray:
    return features[:, PixelStatistics().names(channels).index(name)]


def test_thumbnails_are_means_over_cells_also_where_cells_cut_pixels() -> None:
    picture = np.array([[0, 255, 255], [0, 255, 255], [0, 0, 0]], dtype=np.uint8)[None, :, :, None]
    assert thumbnails(picture, 1)[0, 0, 0, 0] == pytest.approx(4 / 9)
    left_top = (0.25 + 0.5) / 2.25  # a quarter of the centre pixel and half of two of its neighbours, one of them black
    assert thumbnails(picture, 2)[0, 0, 0, 0] == pytest.approx(left_top)
    whole = pictures(0, 2, 12, 16, 3)
    assert thumbnails(whole, 4).mean(axis=(1, 2)) == pytest.approx(whole.mean(axis=(1, 2)) / 255)
    assert thumbnails(whole, 4)[1, 2, 3] == pytest.approx(whole[1, 6:9, 12:16].mean(axis=(0, 1)) / 255)


def test_marginals_are_those_of_the_pixels() -> None:
    picture = np.zeros((1, 10, 10, 1), dtype=np.uint8)
    picture[0, :2, :5] = 255
    features = pixel_features(picture)
    assert column(features, "mean of channel 0") == pytest.approx(0.1)
    assert column(features, "spread of channel 0") == pytest.approx(0.3)
    assert column(features, "root of third moment of channel 0") == pytest.approx(np.cbrt(0.1 * 0.9**3 - 0.9 * 0.1**3))
    assert column(features, "share of 0 of channel 0") == pytest.approx(0.9)
    assert column(features, "share of 255 of channel 0") == pytest.approx(0.1)


def test_neighbours_tell_a_smooth_picture_from_a_rough_one_by_direction() -> None:
    rough = pictures(1, 3, 40, 40, 1)
    striped = np.repeat(rough[:, :1], 40, axis=1)  # every row the same
    across = column(pixel_features(striped), "neighbours in columns of differences in rows")
    assert across == pytest.approx(np.ones(3), abs=1e-3)
    assert np.abs(column(pixel_features(rough), "neighbours in columns of differences in rows")).max() < 0.1
    assert column(pixel_features(striped), "share of zeros of differences in columns") == pytest.approx(np.ones(3))


def test_pairs_of_residuals_are_shares_over_both_orders() -> None:
    features = pixel_features(pictures(2, 2, 20, 30, 1))
    names = PixelStatistics().names(1)
    start = names.index("neighbours -2, -2")
    table = (features[:, start : start + 25] ** 2).reshape(2, 5, 5)
    assert table.sum(axis=(1, 2)) == pytest.approx(np.ones(2))
    assert table == pytest.approx(table.transpose(0, 2, 1))


def test_grey_in_three_channels_is_alike_in_all_and_independent_channels_are_not() -> None:
    grey = pictures(3, 2, 30, 30, 1).repeat(3, axis=3)
    assert pixel_features(grey)[:, -3:] == pytest.approx(np.ones((2, 3)), abs=1e-6)
    assert np.abs(pixel_features(pictures(4, 2, 60, 60, 3))[:, -3:]).max() < 0.1


def test_every_feature_has_a_name_and_pictures_do_not_depend_on_their_batch() -> None:
    for channels in (1, 3):
        batch = pictures(5, 4, 11, 25, channels)
        features = pixel_features(batch, settings=PixelStatistics(thumbnail=5))
        assert features.shape == (4, len(PixelStatistics(thumbnail=5).names(channels)))
        assert pixel_features(batch[1:2], settings=PixelStatistics(thumbnail=5))[0] == pytest.approx(
            features[1], abs=1e-12
        )


def test_tables_take_pictures_of_any_size_and_colour_in_order() -> None:
    mixed = [pictures(6, 20, 20, 1), pictures(7, 20, 20, 3), pictures(8, 33, 17, 3), pictures(9, 20, 20, 3)]
    recipe = PictureFeatures(channels=3)
    tables = recipe.tables(iter(mixed))
    for view, features in zip(VIEWS, (pixel_features, "spectrum"), strict=True):
        assert tables[view].shape == (4, len(recipe.names()[view]))
        if callable(features):
            alone = [features(convert_channels(each, 3)[None])[0] for each in mixed]
            assert tables[view] == pytest.approx(np.stack(alone), abs=1e-12)
    with pytest.raises(ValueError, match="at least one picture"):
        recipe.tables([])
