"""Arrays and a JSON record in one safetensors file that is checked against its own digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.errors import ChangedFileError, DataError
from twinset.store import write_bytes

Array = NDArray[np.float64]
SCHEMA = "twinset/generated-detector/1"
MADE_BY = "`twinset fit-detector REAL SYNTHETIC --out FILE` makes one, as does twinset.fit_detector in Python"


def digest_of(arrays: Mapping[str, Array], record: bytes) -> str:
    """sha256 over the record and, by name, shape and values of each array."""
    total = hashlib.sha256(record)
    for name in sorted(arrays):
        total.update(f"\n{name} {arrays[name].shape}\n".encode())
        total.update(np.ascontiguousarray(arrays[name], dtype="<f8").tobytes())
    return total.hexdigest()


def write_arrays(path: Path, arrays: Mapping[str, Array], record: bytes) -> None:
    """Writes the file, whole or not at all. Equal content gives equal bytes."""
    from safetensors.numpy import save

    held = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
    # One entry only: safetensors writes several in an order of its own.
    header = {"schema": SCHEMA, "sha256": digest_of(arrays, record), "record": record.decode()}
    write_bytes(path, save(held, metadata={"detector": json.dumps(header)}))


def read_arrays(path: Path) -> tuple[dict[str, Array], bytes]:
    """Arrays and record; nothing in the file is executed.

    Raises :class:`DataError` for a file of another kind and :class:`ChangedFileError` where it is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {}).get("detector", "{}"))
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise DataError(
            f"{path}: expected a detector of twinset; got a file that is damaged, or of another kind", hint=MADE_BY
        ) from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a detector of twinset; got {error.strerror or error}", hint=MADE_BY
        ) from error
    known = isinstance(header, dict) and header.get("schema") == SCHEMA
    if not known or any(array.dtype != np.float64 for array in arrays.values()):
        raise DataError(
            f"{path}: expected a detector ({SCHEMA}); got tensors of another kind",
            hint=MADE_BY,
        )
    record = str(header.get("record", "")).encode()
    if digest_of(arrays, record) != header.get("sha256"):
        raise ChangedFileError(
            f"{path}: expected the detector that was written; got other content", hint="copy it again"
        )
    return arrays, record
