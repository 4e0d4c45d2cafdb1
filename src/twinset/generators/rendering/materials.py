"""Procedural textures, uint8 (size, size, 3), that repeat without a seam, and named materials made of them.

A texture carries its own colours (its material is white); one tile lies on a metre unless a part says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.errors import UnknownNameError
from twinset.generators.rendering.meshes import Colour, Material
from twinset.images import Pixels
from twinset.randomness import RandomSource, Stream

Field = NDArray[np.float64]
TILE = 128


def fractal(size: int, *, smoothness: float, rng: RandomSource, stretch: float = 1.0) -> Field:
    """(size, size) periodic Gaussian noise, mean 0 and deviation 1, whose amplitude falls as frequency^−smoothness.

    0 is white, 1 cloudy, 2 soft; ``stretch`` > 1 draws it out along the first texture axis (columns).
    """
    if size < 2 or not stretch > 0:
        raise ValueError(f"expected a size ≥ 2 and a stretch > 0; got {size} and {stretch}")
    white = Stream.of(rng).numpy().standard_normal((size, size))
    down, across = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    radius = np.sqrt(down**2 + (across * stretch) ** 2)
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(white) * (radius * size) ** -smoothness
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray(field / max(float(field.std()), 1e-12))


def toned(colour: ArrayLike, light: Field) -> Pixels:
    """The colour (sRGB 0…1) times 1 + light at each pixel."""
    return shaded(np.asarray(colour, dtype=np.float64) * (1 + light[..., None]))


def shaded(colours: Field) -> Pixels:
    """(h, w, 3) of 0…1 as uint8; what is outside is cut off."""
    return np.asarray(np.clip(np.rint(colours * 255), 0, 255), dtype=np.uint8)


def _grid(size: int) -> tuple[Field, Field]:
    """Rows and columns of pixel centres, 0…1."""
    at = (np.arange(size) + 0.5) / size
    return np.broadcast_to(at[:, None], (size, size)), np.broadcast_to(at[None, :], (size, size))


def wood(tone: Colour, *, rng: RandomSource, size: int = TILE, planks: int = 4) -> Pixels:
    """Grain along the first texture axis in ``planks`` boards, each of its own shade, with a dark joint between."""
    stream = Stream.of(rng)
    rows, _ = _grid(size)
    board = np.minimum((rows * planks).astype(int), planks - 1)
    shades = stream.child("boards").numpy().normal(0, 0.06, planks)
    figure = fractal(size, smoothness=1.4, rng=stream.child("figure"), stretch=14)
    fibres = fractal(size, smoothness=0.5, rng=stream.child("fibres"), stretch=30)
    rings = np.sin(2 * np.pi * (2.2 * figure + rows * planks))
    joint = np.where(((rows * planks) % 1) * size / planks < 1.0, -0.25, 0.0) if planks > 1 else 0.0
    return toned(tone, shades[board] + 0.07 * rings + 0.06 * fibres + joint)


def fabric(tone: Colour, *, rng: RandomSource, size: int = TILE, threads: int = 32) -> Pixels:
    """A plain weave of ``threads`` a tile with uneven dye."""
    rows, columns = _grid(size)
    over = ((rows * threads).astype(int) + (columns * threads).astype(int)) % 2
    weft, warp = np.abs(np.sin(np.pi * threads * rows)), np.abs(np.sin(np.pi * threads * columns))
    stream = Stream.of(rng)
    dye = fractal(size, smoothness=1.0, rng=stream.child("dye"))
    return toned(tone, 0.3 * (np.where(over == 1, weft, warp) - 0.64) + 0.04 * dye)


def leather(tone: Colour, *, rng: RandomSource, size: int = TILE, pebbles: int = 15) -> Pixels:
    """``pebbles`` × ``pebbles`` uneven ones between dark creases, on cloudy dye."""
    stream = Stream.of(rng)
    nearest, second = _two_nearest(stream.child("pebbles").numpy().uniform(-0.4, 0.4, (pebbles, pebbles, 2)), size)
    crease = np.clip((second - nearest) / 0.35, 0, 1)
    return toned(tone, 0.22 * (crease - 0.75) + 0.05 * fractal(size, smoothness=1.2, rng=stream.child("dye")))


def _two_nearest(jitter: Field, size: int) -> tuple[Field, Field]:
    """Distance of every pixel to the two nearest of the points on a jittered grid (n, n, 2), in steps of that grid.

    Only the nine points around a pixel are asked, as the others are farther away but for a few pixels.
    """
    count = len(jitter)
    at = (np.arange(size) + 0.5) / size * count
    cell, within = at.astype(int), at % 1 - 0.5
    nearest, second = np.full((size, size), np.inf), np.full((size, size), np.inf)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            points = jitter[np.ix_((cell + row) % count, (cell + column) % count)]
            far = np.hypot(points[..., 0] + row - within[:, None], points[..., 1] + column - within[None, :])
            second = np.minimum(second, np.maximum(nearest, far))
            nearest = np.minimum(nearest, far)
    return nearest, second


def checker(first: Colour, second: Colour, *, size: int = TILE, squares: int = 8) -> Pixels:
    """``squares`` (even, so that it repeats) squares along each axis."""
    if squares < 2 or squares % 2:
        raise ValueError(f"expected an even number of squares ≥ 2; got {squares}")
    rows, columns = _grid(size)
    odd = ((rows * squares).astype(int) + (columns * squares).astype(int)) % 2
    return shaded(np.where(odd[..., None] == 1, np.asarray(second), np.asarray(first)))


def speckle(
    tone: Colour, *, rng: RandomSource, size: int = TILE, contrast: float = 0.1, smoothness: float = 1.0
) -> Pixels:
    """One colour with fractal light and dark: plaster, plastic, stone, cytoplasm."""
    return toned(tone, contrast * fractal(size, smoothness=smoothness, rng=rng))


def paint(tone: Colour, *, rng: RandomSource, size: int = TILE, flakes: float = 0.05) -> Pixels:
    """Metal paint: fine bright flakes, and a trace of dirt."""
    stream = Stream.of(rng)
    flake = np.abs(fractal(size, smoothness=0.0, rng=stream.child("flakes"))) - 0.8
    return toned(tone, flakes * flake + 0.008 * fractal(size, smoothness=1.5, rng=stream.child("dirt")))


def asphalt(tone: Colour = (0.33, 0.33, 0.34), *, rng: RandomSource, size: int = TILE) -> Pixels:
    """Grit on worn patches, a few stones brighter than the rest."""
    stream = Stream.of(rng)
    grit = fractal(size, smoothness=0.2, rng=stream.child("grit"))
    worn = fractal(size, smoothness=1.6, rng=stream.child("worn"))
    return toned(tone, 0.08 * grit + 0.09 * worn + 0.25 * (grit > 2.4))


def grass(tone: Colour = (0.27, 0.37, 0.16), *, rng: RandomSource, size: int = TILE) -> Pixels:
    """Blades and tufts between green and straw."""
    stream = Stream.of(rng)
    blades = fractal(size, smoothness=0.5, rng=stream.child("blades"))
    tufts = fractal(size, smoothness=1.3, rng=stream.child("tufts"))
    straw = np.clip(0.25 + 0.2 * fractal(size, smoothness=1.2, rng=stream.child("straw")), 0, 1)[..., None]
    ground = np.asarray(tone) * (1 - straw) + np.array([0.52, 0.48, 0.28]) * straw
    return shaded(ground * (1 + 0.2 * blades + 0.15 * tufts)[..., None])


WOODS: Mapping[str, Colour] = MappingProxyType(
    {
        "oak": (0.72, 0.55, 0.36),
        "beech": (0.80, 0.63, 0.46),
        "walnut": (0.38, 0.25, 0.17),
        "cherry": (0.56, 0.31, 0.19),
        "ash": (0.84, 0.76, 0.62),
        "ebony": (0.20, 0.16, 0.14),
    }
)
LACQUERS: Mapping[str, Colour] = MappingProxyType(
    {
        "white": (0.91, 0.91, 0.89),
        "black": (0.09, 0.09, 0.10),
        "grey": (0.52, 0.53, 0.54),
        "red": (0.70, 0.13, 0.12),
        "yellow": (0.90, 0.70, 0.18),
        "green": (0.24, 0.43, 0.29),
        "blue": (0.15, 0.31, 0.55),
    }
)
METALS: Mapping[str, Colour] = MappingProxyType(
    {"steel": (0.72, 0.73, 0.74), "iron": (0.22, 0.22, 0.23), "brass": (0.78, 0.63, 0.34), "copper": (0.72, 0.45, 0.32)}
)
DYES: Mapping[str, Colour] = MappingProxyType(
    {
        "natural": (0.80, 0.74, 0.64),
        "black": (0.12, 0.12, 0.13),
        "grey": (0.50, 0.50, 0.51),
        "navy": (0.13, 0.18, 0.32),
        "teal": (0.15, 0.40, 0.42),
        "red": (0.62, 0.13, 0.15),
        "rose": (0.80, 0.52, 0.52),
        "olive": (0.38, 0.39, 0.22),
        "mustard": (0.78, 0.58, 0.20),
    }
)
HIDES: Mapping[str, Colour] = MappingProxyType(
    {
        "tan": (0.63, 0.41, 0.24),
        "brown": (0.36, 0.22, 0.14),
        "black": (0.11, 0.10, 0.10),
        "cream": (0.85, 0.79, 0.67),
        "burgundy": (0.38, 0.10, 0.13),
    }
)
PAINTS: Mapping[str, Colour] = MappingProxyType(
    {
        "white": (0.93, 0.93, 0.92),
        "silver": (0.72, 0.74, 0.75),
        "grey": (0.38, 0.40, 0.42),
        "black": (0.07, 0.07, 0.08),
        "blue": (0.12, 0.22, 0.42),
        "sky": (0.45, 0.58, 0.68),
        "red": (0.60, 0.09, 0.10),
        "burgundy": (0.33, 0.09, 0.15),
        "green": (0.12, 0.27, 0.19),
        "beige": (0.74, 0.68, 0.56),
        "yellow": (0.88, 0.73, 0.15),
        "orange": (0.82, 0.37, 0.10),
    }
)
PAINT_SHARES = (25.0, 18, 16, 18, 7, 2, 6, 2, 1, 2, 1, 1)
"""Roughly how often each of ``PAINTS`` is seen on a road, percent."""


def _wooden(tone: Colour, rng: Stream) -> Material:
    return Material((1.0, 1.0, 1.0), roughness=0.5, texture=wood(tone, rng=rng))


def _lacquered(tone: Colour, rng: Stream) -> Material:
    return Material((1.0, 1.0, 1.0), roughness=0.3, texture=speckle(tone, rng=rng, contrast=0.015))


def _metallic(tone: Colour, rng: Stream) -> Material:
    return Material((1.0, 1.0, 1.0), roughness=0.3, metallic=0.8, texture=speckle(tone, rng=rng, contrast=0.02))


def _woven(tone: Colour, rng: Stream) -> Material:
    return Material((1.0, 1.0, 1.0), roughness=0.95, texture=fabric(tone, rng=rng))


def _tanned(tone: Colour, rng: Stream) -> Material:
    return Material((1.0, 1.0, 1.0), roughness=0.55, texture=leather(tone, rng=rng))


def _painted(tone: Colour, rng: Stream) -> Material:
    return Material((1.0, 1.0, 1.0), roughness=0.2, metallic=0.15, texture=paint(tone, rng=rng))


KINDS: Mapping[str, tuple[Mapping[str, Colour], Callable[[Colour, Stream], Material]]] = MappingProxyType(
    {
        "wood": (WOODS, _wooden),
        "lacquer": (LACQUERS, _lacquered),
        "metal": (METALS, _metallic),
        "fabric": (DYES, _woven),
        "leather": (HIDES, _tanned),
        "paint": (PAINTS, _painted),
    }
)


def names(*kinds: str) -> tuple[str, ...]:
    """The materials of these kinds as :func:`named` takes them.

    >>> names("metal")
    ('steel metal', 'iron metal', 'brass metal', 'copper metal')
    """
    return tuple(f"{tone} {kind}" for kind in kinds for tone in KINDS[kind][0])


def named(name: str, *, rng: RandomSource, shade: float = 0.0) -> Material:
    """The material of a name, e.g. ``oak wood``; ``shade`` −1…1 makes it darker or lighter by up to a third."""
    tone, _, kind = name.rpartition(" ")
    if kind not in KINDS or tone not in KINDS[kind][0]:
        raise UnknownNameError("material", name, names(*KINDS))
    if not -1 <= shade <= 1:
        raise ValueError(f"expected a shade in −1…1; got {shade}")
    tones, make = KINDS[kind]
    red, green, blue = (part * (1 + shade / 3) if shade < 0 else part + (1 - part) * shade / 3 for part in tones[tone])
    return make((red, green, blue), Stream.of(rng).child(kind))
