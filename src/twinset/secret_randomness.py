"""Random numbers from a secret, for noise that is to protect images.

Whoever knows the noise can take it off again, and everything else in a run follows from its recipe. So noise does not:
it is expanded by SHAKE-256 from a key that was drawn once, by the operating system, and that is destroyed when nothing
is left to be protected by it. The same key and purpose give the same numbers: what was killed is repeated exactly, and
spends nothing twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.store import sync_folder, temporary_beside

KEY_BYTES = 32


def fresh_key() -> bytes:
    """A key that nobody can guess."""
    return secrets.token_bytes(KEY_BYTES)


def kept_key(path: Path) -> bytes:
    """The key in this file: of an earlier sitting, or fresh and committed before it is used.

    Nobody else may read it, at no moment.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(path)
        temporary.touch(mode=0o600, exist_ok=False)
        with temporary.open("wb") as handle:
            handle.write(fresh_key())
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    return path.read_bytes()


def destroy_key(path: Path) -> None:
    """Nobody can take the noise off again."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        sync_folder(path.parent)


def uniforms(count: int, *, key: bytes, purpose: str) -> NDArray[np.float64]:
    """float64 (count,): the middles of 2⁵² equal cells of (0, 1), so that none is 0 or 1."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"expected a key of {KEY_BYTES} bytes; got {len(key)}; take one from fresh_key()")
    stream = hashlib.shake_256(key + purpose.encode()).digest(8 * count)
    cells = np.frombuffer(stream, dtype="<u8") >> np.uint64(12)
    return (cells.astype(np.float64) + 0.5) * 2.0**-52


def standard_normals(count: int, *, key: bytes, purpose: str) -> NDArray[np.float64]:
    """float64 (count,) from N(0, 1), by inversion of :func:`uniforms`."""
    from scipy.special import ndtri

    found: NDArray[np.float64] = np.asarray(ndtri(uniforms(count, key=key, purpose=purpose)), dtype=np.float64)
    return found


def seed_from(key: bytes, purpose: str) -> int:
    """A 63-bit seed for numbers that need not be secret but must not follow from the images."""
    return int.from_bytes(hashlib.shake_256(key + purpose.encode()).digest(8), "big") >> 1
