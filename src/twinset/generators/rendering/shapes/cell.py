"""Blood cells as on a stained smear: five red, six white and three platelet forms, each with four outlines.

Unit: an undeformed red cell is 1 m across, so that cells can lie among other objects; a scene of a slide scales it
(7.8 µm is the real size). Cells lie flat and are seen from +z. White cells are 1.4–2.1 m, platelets 0.25–0.5 m.
The biconcave profile is that of Evans and Fung (1972), "Improved measurements of the erythrocyte geometry", but half
as thick, as cells dry flat on a smear.
Keypoints: centre of the top, and the outermost points in the directions ±x and ±y.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.materials import Field, fractal, shaded, speckle
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled
from twinset.generators.rendering.shapes.family import Choice, Number, Values, number, text
from twinset.generators.rendering.shapes.outlines import ellipse, wavy
from twinset.generators.rendering.shapes.parts import curve, ellipsoid, lens, moved, tube
from twinset.images import Pixels
from twinset.randomness import Stream

Floats = NDArray[np.float64]
AROUND, RINGS = 48, 12
RED, RED_RIM, PALE = (0.73, 0.53, 0.53), (0.62, 0.42, 0.43), (0.85, 0.75, 0.73)
PLASMA, GRANULAR = (0.76, 0.66, 0.82), (0.80, 0.52, 0.58)
NUCLEUS, PLATELET = (0.29, 0.21, 0.62), (0.45, 0.35, 0.72)
RED_OPACITY, PLASMA_OPACITY = 0.4, 0.7
"""Of red cells, and of plasma and platelets; nuclei are opaque."""

LOBES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "eosinophil": (2, "lobes"),
        "neutrophil-3": (3, "lobes"),
        "neutrophil-4": (4, "lobes"),
        "band": (1, "sausage"),
        "monocyte": (1, "kidney"),
        "lymphocyte": (1, "round"),
    }
)
REDS = ("disc", "flat", "target", "cup", "sphere")
PLATELETS = ("platelet", "giant-platelet", "platelet-clump")
KINDS = (*REDS, *LOBES, *PLATELETS)


@dataclass(frozen=True)
class Cell:
    """Red cells, white cells and platelets; hold ``kind`` to those of one class."""

    name: ClassVar[str] = "cell"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "kind": Choice(KINDS),
            "outline": Choice(("round", "oval", "tear", "spiky"), weights=(5, 3, 1, 1)),
            "size": Number(0.85, 1.15),
            "wobble": Number(0.0, 0.05),
            "stretch": Number(1.0, 1.25),
            "thickness": Number(0.8, 1.2),
            "turn": Number(0, 1),
            "pallor": Number(0, 1, "look"),
            "stain": Number(-1, 1, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """``size`` is relative to the kind's usual one, ``turn`` picks irregularities, ``stain`` the dye's depth."""
        kind = text(values, "kind")
        rng, look = Stream(int(number(values, "turn") * 2**31)), Stream(int(number(values, "grain") * 2**31))
        width = number(values, "size") * _usual(kind)
        outline = _outline(values, width, rng)
        if kind in REDS:
            parts = [_red(kind, outline, width, values, look)]
        elif kind in LOBES:
            parts = _white(kind, outline, width, values, rng, look)
        else:
            parts = _platelet(kind, outline, width, values, rng, look)
        low, high = outline.min(0), outline.max(0)
        top = max(float(part.bounds[1, 2]) for part in parts)
        middle = (low + high) / 2
        points: dict[str, tuple[float, float, float]] = {"top": (middle[0], middle[1], top)}
        for name, row in zip(("front", "rear", "left", "right"), _extremes(outline), strict=True):
            points[name] = (float(outline[row, 0]), float(outline[row, 1]), 0.05 * width)
        return assembled(parts, keypoints=points)


def _extremes(outline: Floats) -> tuple[int, int, int, int]:
    x, y = outline.T
    return int(x.argmax()), int(x.argmin()), int(y.argmax()), int(y.argmin())


def _usual(kind: str) -> float:
    sizes = {
        "sphere": 0.82,
        "lymphocyte": 1.4,
        "monocyte": 2.1,
        "platelet": 0.32,
        "giant-platelet": 0.55,
        "platelet-clump": 0.36,
    }
    return sizes.get(kind, 1.75 if kind in LOBES else 1.0)


def _outline(values: Values, width: float, rng: Stream) -> Floats:
    kind, stretch, wobble = text(values, "outline"), number(values, "stretch"), number(values, "wobble")
    drawn = rng.child("outline").numpy()
    longer = stretch if kind == "oval" else 1 + 0.2 * (stretch - 1)
    if kind == "oval":
        longer += 0.15
    outline = ellipse(width * longer**0.5, width / longer**0.5, points=AROUND)
    waves = wobble * drawn.uniform(0.3, 1, 4) / (1 + np.arange(4))
    outline = wavy(outline, waves, drawn.uniform(0, 2 * np.pi, 4))
    if kind == "tear":
        x = outline[:, 0] / width
        ahead = np.clip(2 * x, 0, 1)
        outline = outline * np.stack([1 + 0.4 * ahead**2, 1 - 0.5 * ahead**1.5], axis=1)
    if kind == "spiky":
        spikes = int(drawn.integers(9, 14))
        angles = np.arctan2(outline[:, 1], outline[:, 0])
        outline = outline * (1 + 0.075 * np.abs(np.cos(spikes * angles / 2)) ** 3)[:, None]
    return outline


def _round(share: float) -> float:
    """Height of a half circle over its radius."""
    return math.sqrt(max(1 - share**2, 0.0))


def _planar(mesh: Mesh, material: Material) -> Mesh:
    """The material seen from above, its tile spanning the part's bounds."""
    low, high = mesh.bounds[0, :2], mesh.bounds[1, :2]
    uv = np.asarray(0.01 + 0.98 * (mesh.corners[..., :2] - low) / (high - low), dtype=np.float32)
    return replace(mesh, materials=(material,), face_materials=None, uv=uv)


def _discs(size: int = 96) -> Field:
    """Distance from the middle of a tile, 1 at its edge."""
    at = (np.arange(size) + 0.5) / size * 2 - 1
    return np.asarray(np.hypot(at[:, None], at[None, :]))


def _dyed(values: Values, colour: tuple[float, float, float] | Floats) -> Floats:
    """The colour at this stain: −1 a third lighter, 1 a quarter darker."""
    stain, tone = number(values, "stain"), np.asarray(colour)
    return np.asarray(tone * (1 - 0.22 * stain) if stain > 0 else tone + (1 - tone) * 0.4 * -stain)


def _red(kind: str, outline: Floats, width: float, values: Values, look: Stream) -> Mesh:
    thick = 0.5 * width * number(values, "thickness")

    def profile(share: float) -> float:
        rim = _round(share)
        if kind in ("disc", "target"):  # Evans and Fung's half thickness over the diameter
            hump = 0.10 * max(0.0, 1 - (share / 0.3) ** 2) if kind == "target" else 0.0
            return float(rim * (0.0518 + 2.0026 * share**2 / 4 - 4.491 * share**4 / 16) + hump * 0.5)
        return float(rim * {"flat": 0.10, "cup": 0.17, "sphere": 0.42}[kind])

    def lower(share: float) -> float:
        return -thick * profile(share)

    def upper(share: float) -> float:
        if kind == "cup":
            return thick * (profile(share) - 0.24 * max(1 - (share / 0.75) ** 2, 0.0))
        return thick * profile(share)

    return _planar(
        lens(outline, upper, lower, rings=RINGS),
        Material((1.0, 1.0, 1.0), 0.8, 0.0, _red_dye(kind, values, look), opacity=RED_OPACITY),
    )


def _red_dye(kind: str, values: Values, look: Stream) -> Pixels:
    """Paler in the middle as the cell is thinner there; a target has a dark spot in it."""
    radius, pallor = _discs(), number(values, "pallor")
    if kind in ("flat", "sphere"):
        pallor *= 0.15
    centre = pallor / (1 + np.exp((radius - 0.38) / 0.09))
    if kind == "target":
        centre = np.clip(0.4 + pallor, 0, 1) * np.exp(-(((radius - 0.42) / 0.14) ** 2))
    if kind == "cup":
        centre = centre * 1.2
    rim = 0.5 / (1 + np.exp((0.86 - radius) / 0.05))
    red, pale, dark = _dyed(values, RED), _dyed(values, PALE), _dyed(values, RED_RIM)
    noise = 1 + 0.025 * fractal(len(radius), smoothness=1.0, rng=look.child("red"))
    mixed = red + np.clip(centre, 0, 1)[..., None] * (pale - red) + rim[..., None] * (dark - red)
    return shaded(mixed * noise[..., None])


def _tuple(colour: Floats) -> tuple[float, float, float]:
    red, green, blue = (float(part) for part in colour)
    return red, green, blue


def _white(kind: str, outline: Floats, width: float, values: Values, rng: Stream, look: Stream) -> list[Mesh]:
    """A flat dome of plasma with the nucleus bulging out of it."""
    high = 0.13 * width * number(values, "thickness")
    tone = _dyed(values, GRANULAR if kind == "eosinophil" else PLASMA)
    plasma = speckle(_tuple(tone), rng=look.child("plasma"), size=96, contrast=0.09, smoothness=0.7)
    dome = lens(
        outline,
        lambda share: high * _round(share),
        lambda share: -0.3 * high * _round(share),
        rings=RINGS,
    )
    dye = speckle(_tuple(_dyed(values, NUCLEUS)), rng=look.child("nucleus"), size=96, contrast=0.12, smoothness=0.9)
    nucleus = Material((1.0, 1.0, 1.0), 0.8, 0.0, dye)
    lobes = _nucleus(kind, width, high, rng)
    return [
        _planar(dome, Material((1.0, 1.0, 1.0), 0.8, 0.0, plasma, PLASMA_OPACITY)),
        *(_planar(lobe, nucleus) for lobe in lobes),
    ]


def _nucleus(kind: str, width: float, high: float, rng: Stream) -> list[Mesh]:
    count, form = LOBES[kind]
    drawn = rng.child("nucleus").numpy()
    if form == "round":
        shift = drawn.uniform(-0.03, 0.03, 2) * width
        return [ellipsoid((0.43 * width, 0.41 * width, 0.8 * high), (*shift, 0.5 * high), points=28)]
    if form == "kidney":
        return [_kidney(width, high, drawn)]
    if form == "lobes":
        return _lobes(count, width, high, drawn)
    angles = drawn.uniform(0, 2 * np.pi) + np.linspace(-1.35, 1.35, 17)
    path = 0.25 * width * np.stack([np.cos(angles), np.sin(angles), np.zeros(17)], axis=1)
    path[:, :2] -= path[:, :2].mean(0)
    fat = 0.115 * width
    taper = np.sqrt(np.maximum(1 - np.linspace(-1, 1, 17) ** 4, 0.03))
    bent = tube(path, fat * taper, up=(0, 0, 1), points=14)
    return [moved(bent.transformed(np.diag([1, 1, 0.6 * high / fat, 1])), (0, 0, 0.8 * high))]


def _kidney(width: float, high: float, drawn: np.random.Generator) -> Mesh:
    """A bean whose notch looks anywhere."""
    angles = np.linspace(-np.pi, np.pi, 40, endpoint=False)
    reach = 0.36 * width * (1 - 0.48 * np.exp(-((angles / 0.55) ** 2)))
    shift = drawn.uniform(0, 2 * np.pi)
    bean = np.stack([reach * np.cos(angles + shift), reach * 0.85 * np.sin(angles + shift)], axis=1)

    def bulge(share: float) -> float:
        return 0.45 * high * _round(share)

    return moved(lens(bean, bulge, lambda share: -bulge(share), rings=8), (0, 0, 0.75 * high))


def _lobes(count: int, width: float, high: float, drawn: np.random.Generator) -> list[Mesh]:
    """Balls along an arc, joined by a thread."""
    start, radius = drawn.uniform(0, 2 * np.pi), (0.21 if count > 2 else 0.2) * width
    spread = 1.3 * np.pi * (count - 1) / count if count > 2 else np.pi
    angles = start + np.linspace(0, spread, count)
    middles = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    sizes = width * drawn.uniform(0.15, 0.20, (count, 2)) * (1.15 if count == 2 else 1.0)
    lobes = [
        ellipsoid((*size, 0.5 * high), (*middle, 0.85 * high), points=20)
        for size, middle in zip(sizes, middles, strict=True)
    ]
    thread = np.concatenate([middles, np.full((count, 1), 0.95 * high)], axis=1)
    return [*lobes, tube(curve(list(thread)), 0.045 * width, points=8)]


def _platelet(kind: str, outline: Floats, width: float, values: Values, rng: Stream, look: Stream) -> list[Mesh]:
    high = 0.16 * width * number(values, "thickness")
    tone = _tuple(_dyed(values, PLATELET))
    dye = speckle(tone, rng=look.child("platelet"), size=64, contrast=0.2, smoothness=0.8)
    material = Material((1.0, 1.0, 1.0), 0.8, 0.0, dye, PLASMA_OPACITY)

    def bulge(share: float) -> float:
        return high * _round(share)

    body = _planar(lens(outline, bulge, lambda share: -bulge(share), rings=8), material)
    if kind != "platelet-clump":
        return [body]
    drawn = rng.child("clump").numpy()
    count = int(drawn.integers(3, 6))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + drawn.uniform(0, 1, count)
    return [
        moved(body, (0.42 * width * np.cos(angle), 0.42 * width * np.sin(angle), 0.1 * high * step))
        for step, angle in enumerate(angles)
    ]
