"""The secret: numbers that only who has the key can compute, the same on every machine and under every version.

Streams come from SHAKE-256 (NIST FIPS 202) over key and purpose, not from a library's generator, whose streams may
change between versions: a mark must be found years later.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.errors import UsageError

PAYLOAD_BITS = 16
SYMBOLS = 128
"""Carriers of one byte of payload: seven bits say which of them, the eighth its sign."""

FEWEST_BYTES = 16
MOST_BYTES = 4096
_MANTISSA = 53


@dataclass(frozen=True)
class SecretKey:
    """The bytes that carriers are drawn by; they are in no text that this object is shown as."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not FEWEST_BYTES <= len(self.secret) <= MOST_BYTES:
            raise UsageError(
                f"expected a key of {FEWEST_BYTES} to {MOST_BYTES} bytes; got {len(self.secret)}",
                hint="openssl rand -hex 32 > watermark.key",
            )

    @staticmethod
    def read(path: Path) -> SecretKey:
        """The content of a file without white space around it; :class:`UsageError` where that is no key."""
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 64)
        except OSError as error:
            raise UsageError(
                f"{path}: expected a file with the watermark's key; got {error.strerror or error}",
                hint="openssl rand -hex 32 > watermark.key",
            ) from error
        try:
            return SecretKey(content.strip())
        except UsageError as error:
            raise UsageError(f"{path}: {error.message}", hint=error.hint) from error

    @staticmethod
    def new() -> SecretKey:
        """A fresh key of 256 random bits."""
        return SecretKey(secrets.token_hex(32).encode())

    def normals(self, purpose: str, count: int) -> NDArray[np.float64]:
        """``count`` standard normal numbers for a purpose, (count,) float64; whoever lacks the key sees noise."""
        from scipy.special import ndtri

        head = b"twinset/watermark/1\0" + len(self.secret).to_bytes(4, "big") + self.secret + purpose.encode()
        raw = np.frombuffer(hashlib.shake_256(head).digest(8 * count), dtype="<u8")
        uniform = ((raw >> np.uint64(64 - _MANTISSA)).astype(np.float64) + 0.5) / 2.0**_MANTISSA
        return np.asarray(ndtri(uniform), dtype=np.float64)
