from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from twinset.errors import UnknownNameError
from twinset.generators.rendering.materials import (
    KINDS,
    asphalt,
    checker,
    fabric,
    fractal,
    grass,
    leather,
    named,
    names,
    paint,
    speckle,
    toned,
    wood,
)
from twinset.images import Pixels
from twinset.randomness import Stream

BROWN = (0.6, 0.4, 0.2)
TEXTURES: dict[str, Callable[[int], Pixels]] = {
    "wood": lambda seed: wood(BROWN, rng=seed, planks=1),
    "fabric": lambda seed: fabric(BROWN, rng=seed),
    "leather": lambda seed: leather(BROWN, rng=seed),
    "speckle": lambda seed: speckle(BROWN, rng=seed),
    "paint": lambda seed: paint(BROWN, rng=seed),
    "asphalt": lambda seed: asphalt(BROWN, rng=seed),
    "grass": lambda seed: grass(BROWN, rng=seed),
}


def steps(texture: Pixels, axis: int) -> np.ndarray:
    """Mean change from each line to the next, the last one to the first."""
    whole = texture.astype(float)
    return np.abs(np.roll(whole, -1, axis=axis) - whole).mean(axis=tuple({0, 1, 2} - {axis}))


@pytest.mark.parametrize("name", TEXTURES)
def test_textures_repeat_without_a_seam(name: str) -> None:
    texture = TEXTURES[name](3)
    for axis in (0, 1):
        inside = steps(texture, axis)
        assert inside[-1] <= inside[:-1].max() * 1.05


@pytest.mark.parametrize("name", TEXTURES)
def test_equal_seeds_give_equal_textures_and_others_differ(name: str) -> None:
    assert np.array_equal(TEXTURES[name](1), TEXTURES[name](1))
    assert not np.array_equal(TEXTURES[name](1), TEXTURES[name](2))


@pytest.mark.parametrize("name", [name for name in TEXTURES if name != "grass"])
def test_a_texture_has_its_tone_on_average(name: str) -> None:
    texture = TEXTURES[name](4)
    assert texture.dtype == np.uint8
    assert texture.shape == (128, 128, 3)
    assert texture.mean(axis=(0, 1)) / 255 == pytest.approx(BROWN, abs=0.06)


def test_wood_changes_less_along_its_grain() -> None:
    texture = wood(BROWN, rng=1, planks=1)
    assert steps(texture, 1).mean() < 0.5 * steps(texture, 0).mean()


def test_noise_has_no_mean_and_unit_deviation_and_gets_smoother() -> None:
    rough, soft = (fractal(64, smoothness=value, rng=1) for value in (0.2, 2.0))
    for field in (rough, soft):
        assert field.mean() == pytest.approx(0, abs=1e-9)
        assert field.std() == pytest.approx(1)
    assert np.abs(np.diff(soft, axis=1)).mean() < 0.3 * np.abs(np.diff(rough, axis=1)).mean()


def test_a_checkers_squares_alternate() -> None:
    board = checker((1, 1, 1), (0, 0, 0), size=8, squares=4)
    assert board[0, :, 0].tolist() == [255, 255, 0, 0, 255, 255, 0, 0]
    assert board[2, :, 0].tolist() == [0, 0, 255, 255, 0, 0, 255, 255]
    with pytest.raises(ValueError, match="even number of squares"):
        checker((1, 1, 1), (0, 0, 0), squares=3)


def test_colours_are_cut_off_not_wrapped() -> None:
    assert toned((0.9, 0.5, 0.0), np.array([[1.0, -2.0]])).tolist() == [[[255, 255, 0], [0, 0, 0]]]


@pytest.mark.parametrize("name", names(*KINDS))
def test_every_named_material_is_made(name: str) -> None:
    material = named(name, rng=Stream(1))
    assert material.texture is not None
    assert material.texture.std() > 0


def test_shade_goes_from_dark_to_light() -> None:
    means = []
    for shade in (-1.0, 0.0, 1.0):
        texture = named("oak wood", rng=1, shade=shade).texture
        assert texture is not None
        means.append(float(texture.mean()))
    assert means[0] < 0.75 * means[1] < means[1] < means[2]
    with pytest.raises(ValueError, match="shade"):
        named("oak wood", rng=1, shade=2)


def test_an_unknown_material_lists_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'oak wood'"):
        named("oak wod", rng=1)
