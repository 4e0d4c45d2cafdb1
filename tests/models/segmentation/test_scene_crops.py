"""Maps follow their pictures: class colours are painted, both are moved, and colours and classes still agree."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from twinset.models.segmentation.augmentation import (
    Flips,
    SceneAugmentation,
    _centres,
    _matrices,
    crop_and_augment,
    scene_augmentation,
)
from twinset.randomness import Stream

ANYWHERE = torch.full((4, 2), math.nan)


def painted(n: int = 4, height: int = 40, width: int = 56) -> tuple[torch.Tensor, torch.Tensor]:
    """Blocks of 5 classes, −1 among them, and a picture whose value is a function of the class alone."""
    blocks = torch.randint(-1, 4, (n, height // 8, width // 8), generator=Stream(1).torch())
    maps = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    return colours(maps), maps


def colours(maps: torch.Tensor) -> torch.Tensor:
    return torch.stack([(maps + 1) / 4 * 2 - 1, ((maps + 1) % 3) - 1.0, ((maps + 1) % 2) * 2.0 - 1], dim=1)


GEOMETRY = SceneAugmentation(rotate_degrees=30, zoom=1.8, elastic=0.05, flips="all")


@pytest.mark.parametrize(
    "settings",
    [
        SceneAugmentation(),
        SceneAugmentation(flips="horizontal"),
        SceneAugmentation(flips="all"),
        SceneAugmentation(zoom=1.8),
        SceneAugmentation(rotate_degrees=30),
        SceneAugmentation(elastic=0.05),
        GEOMETRY,
    ],
)
@pytest.mark.parametrize("crop", [(40, 56), (24, 32)])
def test_maps_follow_the_picture_exactly(settings: SceneAugmentation, crop: tuple[int, int]) -> None:
    images, maps = painted()
    moved, classes = crop_and_augment(images, maps, ANYWHERE, crop=crop, settings=settings, rng=Stream(5))
    assert moved.shape == (4, 3, *crop)
    assert classes.shape == (4, *crop)
    # Bilinear reading mixes colours at the blocks' edges; where the colour is pure, it must be that of the class.
    pure = torch.stack([(moved - colours(torch.full_like(classes, c))).abs().amax(1) < 1e-3 for c in range(-1, 4)])
    found, is_pure = pure.to(torch.int64).argmax(0) - 1, pure.any(0)
    inside = classes >= 0
    assert (is_pure & inside).sum() > 0.4 * inside.sum()
    assert torch.equal(found[is_pure & inside], classes[is_pure & inside])


def test_outside_the_picture_is_ignored() -> None:
    images, maps = torch.zeros(3, 1, 20, 20), torch.full((3, 20, 20), 2)
    _, classes = crop_and_augment(
        images, maps, ANYWHERE[:3], crop=(40, 30), settings=SceneAugmentation(), rng=Stream(0)
    )
    expected = torch.full((40, 30), -1)
    expected[10:30, 5:25] = 2
    assert torch.equal(classes, expected.expand(3, 40, 30))


def test_without_augmentation_a_whole_crop_is_the_picture() -> None:
    images, maps = painted()
    moved, classes = crop_and_augment(
        images, maps, ANYWHERE, crop=(40, 56), settings=SceneAugmentation(), rng=Stream(3)
    )
    torch.testing.assert_close(moved, images, atol=1e-4, rtol=0)
    assert torch.equal(classes, maps)


def test_crops_contain_their_target() -> None:
    images, maps = torch.zeros(64, 1, 48, 64), torch.zeros(64, 48, 64, dtype=torch.int64)
    places = torch.randint(48, (64, 2), generator=Stream(4).torch())
    maps[torch.arange(64), places[:, 1], places[:, 0]] = 1
    spread = maps.clone()
    for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        spread |= torch.roll(maps, (down, right), (1, 2))
    settings = SceneAugmentation(rotate_degrees=20, zoom=1.5, flips="all")
    for crop in ((20, 32), (16, 16)):
        _, classes = crop_and_augment(images, spread, places + 0.5, crop=crop, settings=settings, rng=Stream(9))
        assert (classes == 1).any((1, 2)).all()
        _, elsewhere = crop_and_augment(
            images, spread, torch.full((64, 2), math.nan), crop=crop, settings=settings, rng=Stream(9)
        )
        assert not (elsewhere == 1).any((1, 2)).all()


def test_crops_stay_inside_pictures_they_fit_in() -> None:
    matrix = _matrices(200, replace(GEOMETRY, elastic=0), Stream(1).torch())
    centre = _centres(matrix, torch.full((200, 2), math.nan), (100, 120), (30, 20), Stream(2).torch())
    corners = torch.tensor([[-10.0, -15], [10, -15], [-10, 15], [10, 15]])
    points = corners @ matrix.transpose(1, 2) + centre[:, None]
    assert points.min() > -1e-3
    assert (points.amax((0, 1)) < torch.tensor([120.001, 100.001])).all()
    assert centre.std(0).min() > 10


def test_turns_keep_shapes_flips_are_all_eight_symmetries_and_zoom_goes_both_ways() -> None:
    def distinct(flips: Flips) -> int:
        settings = SceneAugmentation(flips=flips)
        return len(_matrices(300, settings, Stream(1).torch()).round().reshape(-1, 4).unique(dim=0))

    assert [distinct("none"), distinct("horizontal"), distinct("all")] == [1, 2, 8]
    turned = _matrices(50, SceneAugmentation(rotate_degrees=40, zoom=2, flips="all"), Stream(1).torch())
    gram = turned.transpose(1, 2) @ turned
    torch.testing.assert_close(gram, gram[:, :1, :1] * torch.eye(2), atol=1e-5, rtol=0)
    scale = torch.linalg.det(_matrices(2000, SceneAugmentation(zoom=2), Stream(1).torch())).rsqrt()
    assert 0.5 <= float(scale.min()) < 0.52
    assert 1.95 < float(scale.max()) <= 2.0
    assert abs(float(scale.log().mean())) < 0.05


def test_a_named_strength_is_wilder_than_the_one_before_and_none_is_nothing() -> None:
    images, maps = painted()
    images = images * 0.5
    spread = []
    for strength in ("none", "light", "medium", "strong"):
        settings = scene_augmentation(strength, flips="none")
        moved, _ = crop_and_augment(images, maps, ANYWHERE, crop=(40, 56), settings=settings, rng=Stream(3))
        spread.append(float((moved - images).abs().mean()))
    assert spread[0] < 1e-4
    assert spread == sorted(spread)
    assert scene_augmentation("none", flips="all").flips == "none"
    assert scene_augmentation("light", flips="all").flips == "all"


def test_equal_streams_give_equal_crops() -> None:
    images, maps = painted()
    settings = scene_augmentation("strong", flips="all")
    first, again, other = (
        crop_and_augment(images, maps, ANYWHERE, crop=(24, 24), settings=settings, rng=Stream(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize(
    "wrong", [{"zoom": 0.5}, {"rotate_degrees": -1}, {"elastic": 0.6}, {"flips": "vertical"}, {"contrast": 2}]
)
def test_impossible_augmentation_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SceneAugmentation(**wrong)  # type: ignore[arg-type]


def test_an_unknown_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a strength out of none, light, medium, strong; got 'wild'"):
        scene_augmentation("wild", flips="none")  # type: ignore[arg-type]
