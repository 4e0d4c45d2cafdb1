"""Invisible marks in pixels, which stay where metadata is stripped: put in by a secret key, found again by it alone.

:class:`Watermark` is the interface; :class:`SpreadSpectrum` is the one that is built in (docs/watermark.md says why).
"""

from twinset.release.watermark.keys import PAYLOAD_BITS, SecretKey
from twinset.release.watermark.protocol import Look, Reading, Watermark
from twinset.release.watermark.spread_spectrum import SpreadSpectrum

__all__ = ["PAYLOAD_BITS", "Look", "Reading", "SecretKey", "SpreadSpectrum", "Watermark"]
