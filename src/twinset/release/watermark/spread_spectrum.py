"""A spread-spectrum watermark, and how likely it is that a picture without one looks as if it had it.

Cox, Kilian, Leighton and Shamoon, *Secure spread spectrum watermarking for multimedia* (IEEE Trans. Image Processing
6(12), 1997): the mark is a vector of Gaussian numbers that the key draws, and is found by correlation. A byte of the
payload chooses one carrier of 128 and its sign: a biorthogonal code (Proakis, *Digital Communications*, section 3.2),
decoded by the largest correlation, as M-ary modulation in Kutter, *Performance improvement of spread spectrum based
image watermarking schemes through M-ary modulation* (Information Hiding, 1999).

**The false-positive rate is exact**, whatever the pictures are: a carrier w of n independent Gaussian numbers has a
uniformly distributed direction, so for any features v that do not depend on the key, the correlation ρ of v and w has
``t = ρ √(n−1) / √(1−ρ²)`` with Student's law of n − 1 degrees of freedom. The sum of carriers that stands for a payload
is such a w too. Many payloads and shifts are looked at; their p-values are bounded by the union of events, with half
the weight on "no payload", half on the payloads; half on "not shifted", half on the shifts. Features of several
pictures are added before the test, so pooling is exact too, however alike the pictures are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from twinset.errors import ImageError, UsageError
from twinset.images import Pixels, check_pixels
from twinset.release.watermark.keys import PAYLOAD_BITS, SYMBOLS, SecretKey
from twinset.release.watermark.protocol import Look, Reading
from twinset.release.watermark.tiles import (
    BANDS,
    LEAST_SIDE,
    TILE,
    Array,
    Band,
    band_of,
    bands_of,
    blurred,
    correlations,
    features,
    luma,
    pattern,
)

CLEAR = 1e-9
"""Below this p-value without a shift no shift is looked for: none could make the answer another one."""

CONTRAST_RADIUS = 2.0
CONTRAST_FLOOR = 3.0
CONTRAST_MOST = 40.0
_PASSES = 4
_MOST_GAIN = 4.0
_BYTES = PAYLOAD_BITS // 8


@dataclass(frozen=True)
class SpreadSpectrum:
    """The built-in watermark. ``psnr`` (dB) is how near a marked picture stays to the unmarked one."""

    key: SecretKey
    psnr: float = 40.0

    def __post_init__(self) -> None:
        if not 30.0 <= self.psnr <= 60.0:
            raise UsageError(f"expected a psnr of 30 to 60 dB; got {self.psnr:g}", hint="40 is hard to see")

    def mark(self, pixels: Pixels, payload: int | None = None) -> Pixels:
        """The picture with the mark in its brightness, at :attr:`psnr` unless black and white leave no room for it.

        Raises :class:`ImageError` for a picture smaller than 8 pixels, ``ValueError`` for a payload beyond 16 bits.
        """
        check_pixels(pixels)
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_SIDE:
            raise ImageError(
                f"expected pictures of at least {LEAST_SIDE} × {LEAST_SIDE} pixels to mark; got {width} × {height}",
                hint="leave the watermark out",
            )
        band = band_of(pixels)
        change = pattern(self._word(band, payload), band, height, width) * _visibility(pixels, band)
        return _added(pixels, change, self.psnr)

    def look(self, pixels: Pixels) -> tuple[Look, ...]:
        """The picture's features in every band that it may have been marked in; none if it is too small, or flat."""
        check_pixels(pixels)
        if min(pixels.shape[:2]) < LEAST_SIDE:
            return ()
        if (pixels == pixels[0, 0]).all():
            return ()
        looks = [(band.name, features(pixels, band)) for band in bands_of(pixels)]
        return tuple((name, found) for name, found in looks if found.any())

    def judge(self, looks: Sequence[Look], payload: int | None = None) -> Reading:
        """What these say together; bands are judged apart, and the clearer one counts, at twice its p-value."""
        readings = []
        names = sorted({name for name, _ in looks})
        for name in names:
            pooled = np.sum([found for other, found in looks if other == name], axis=0)
            if pooled.any():
                readings.append(self._judge_one(pooled, BANDS[name], payload))
        if not readings:
            return Reading(1.0)
        best = min(readings, key=lambda reading: reading.p_value)
        return Reading(min(1.0, best.p_value * len(names)), best.payload, best.shift)

    def read(self, pixels: Pixels, payload: int | None = None) -> Reading:
        """:meth:`judge` of one picture."""
        return self.judge(self.look(pixels), payload)

    def _judge_one(self, seen: Array, band: Band, payload: int | None) -> Reading:
        here = [self._presence(seen, band), self._payload(seen, band, payload)]
        best = min(here, key=lambda reading: reading.p_value)
        if best.p_value < CLEAR:
            return best
        moved = [self._shifted_presence(seen, band), self._shifted_payload(seen, band, payload)]
        return min([best, *moved], key=lambda reading: reading.p_value)

    def _presence(self, seen: Array, band: Band) -> Reading:
        return Reading(_bounded(seen, _presence_carrier(self.key, band), 2 * 2))

    def _payload(self, seen: Array, band: Band, payload: int | None) -> Reading:
        carriers = _byte_carriers(self.key, band)
        value = _decoded((carriers @ seen).reshape(_BYTES, SYMBOLS)) if payload is None else payload
        return Reading(_bounded(seen, self._word(band, value), 2 * 2 * _words(payload)), value)

    def _shifted_presence(self, seen: Array, band: Band) -> Reading:
        carrier = _presence_carrier(self.key, band)
        at = int(correlations(seen, carrier[None], band)[0].argmax())
        return self._at(seen, carrier, band, at, 2 * 2 * TILE * TILE, None)

    def _shifted_payload(self, seen: Array, band: Band, payload: int | None) -> Reading:
        if payload is not None:
            at = int(correlations(seen, self._word(band, payload)[None], band)[0].argmax())
            return self._at(seen, self._word(band, payload), band, at, 2 * 2 * TILE * TILE, payload)
        found = correlations(seen, _byte_carriers(self.key, band), band).reshape(_BYTES, SYMBOLS, -1)
        at = int(np.abs(found).max(axis=1).sum(axis=0).argmax())
        value = _decoded(found[..., at])
        return self._at(seen, self._word(band, value), band, at, 2 * 2 * TILE * TILE * _words(None), value)

    def _at(self, seen: Array, carrier: Array, band: Band, at: int, looked_at: int, payload: int | None) -> Reading:
        correlation = float(correlations(seen, carrier[None], band)[0].flat[at])
        row, column = divmod(at, TILE)
        return Reading(_chance(correlation, seen, carrier, looked_at), payload, (row, column))

    def _word(self, band: Band, payload: int | None) -> Array:
        """The sum of carriers, (n,), that stands for a payload, or for none."""
        if payload is None:
            return _presence_carrier(self.key, band)
        if not 0 <= payload < 2**PAYLOAD_BITS:
            raise ValueError(f"expected a payload of {PAYLOAD_BITS} bits, 0 to {2**PAYLOAD_BITS - 1}; got {payload}")
        carriers = _byte_carriers(self.key, band)
        bytes_ = [(payload >> (8 * place)) & 255 for place in range(_BYTES)]
        chosen = [
            carriers[place * SYMBOLS + (byte & 127)] * (1.0 if byte >> 7 else -1.0) for place, byte in enumerate(bytes_)
        ]
        return np.asarray(np.sum(chosen, axis=0))


@lru_cache(maxsize=8)
def _presence_carrier(key: SecretKey, band: Band) -> Array:
    """The carrier (n,) of marks without a payload."""
    return key.normals(f"{band.name}:presence", band.dimensions)


@lru_cache(maxsize=8)
def _byte_carriers(key: SecretKey, band: Band) -> Array:
    """The carriers of all bytes, (2 · 128, n)."""
    names = [f"{band.name}:{place}:{symbol}" for place in range(_BYTES) for symbol in range(SYMBOLS)]
    return np.stack([key.normals(name, band.dimensions) for name in names])


def _words(payload: int | None) -> int:
    return 2**PAYLOAD_BITS if payload is None else 1


def _decoded(found: NDArray[np.floating]) -> int:
    """The payload whose carriers correlate most, of correlations (bytes, 128)."""
    value = 0
    for place, row in enumerate(found):
        symbol = int(np.abs(row).argmax())
        value |= (symbol | (128 if row[symbol] > 0 else 0)) << (8 * place)
    return value


def _bounded(seen: Array, carrier: Array, looked_at: int) -> float:
    return _chance(float(seen @ carrier), seen, carrier, looked_at)


def _chance(product: float, seen: Array, carrier: Array, looked_at: int) -> float:
    """The chance of so large a correlation for a random carrier, times how many were looked at; at most 1."""
    from scipy.special import stdtr

    cosine = product / float(np.linalg.norm(seen) * np.linalg.norm(carrier))
    cosine = max(-1.0 + 1e-15, min(1.0 - 1e-15, cosine))
    freedom = len(seen) - 1
    t = cosine * math.sqrt(freedom) / math.sqrt(1.0 - cosine * cosine)
    return min(1.0, looked_at * float(stdtr(freedom, -t)))


def _visibility(pixels: Pixels, band: Band) -> Array:
    """How strong the mark may be in each place, (H, W): more where the picture is busy."""
    if band.follows_texture == 0.0:
        return np.ones(pixels.shape[:2])
    grey = luma(pixels)
    mean = blurred(grey, CONTRAST_RADIUS)
    contrast = np.sqrt(np.maximum(blurred(grey * grey, CONTRAST_RADIUS) - mean * mean, 0.0))
    return np.asarray((np.minimum(contrast, CONTRAST_MOST) + CONTRAST_FLOOR) ** band.follows_texture)


def _added(pixels: Pixels, change: Array, psnr: float) -> Pixels:
    """The picture with the change, scaled until what rounding and clipping leave of it has the error that was asked."""
    wanted = 255.0**2 * 10.0 ** (-psnr / 10.0)
    change = change * math.sqrt(wanted / float((change * change).mean()))
    gain, marked = 1.0, pixels
    for _ in range(_PASSES):
        marked = np.clip(np.rint(pixels + gain * change[..., None]), 0, 255).astype(np.uint8)
        error = float(((marked.astype(np.float64) - pixels) ** 2).mean())
        gain = min(_MOST_GAIN, gain * math.sqrt(wanted / max(error, 1e-9)))
    return marked
