"""Named tensors and a small JSON record in one safetensors file, replaced atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from twinset.errors import RunFolderError

Value = str | int | float | bool | None
Record = dict[str, Value]


def save_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, str | int | float | bool | None]
) -> None:
    """Writes a file that is either the old one or the new one, whenever the process dies.

    The record travels in the header of the same file, so that tensors and record can never be of two different moments.
    """
    from safetensors.torch import save

    held = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    data = save(held, metadata={"record": json.dumps(record, sort_keys=True)})
    replace_bytes(path, data)


def load_tensors(path: Path, *, device: str = "cpu") -> tuple[dict[str, torch.Tensor], Record]:
    """Tensors and record of a file that :func:`save_tensors` wrote; a damaged file is a :class:`RunFolderError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads((file.metadata() or {}).get("record", ""))
    except (SafetensorError, OSError, ValueError) as error:
        raise RunFolderError(
            f"{path}: expected a checkpoint of twinset; got {error}", hint="remove this file; training starts over"
        ) from error
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise RunFolderError(
            f"{path}: expected finite weights; got NaN or infinity in {bad[0]}", hint="remove this file and train again"
        )
    return tensors, record


def save_record(path: Path, record: Mapping[str, object]) -> None:
    """Writes JSON atomically."""
    replace_bytes(path, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())


def replace_bytes(path: Path, data: bytes) -> None:
    """The file's new content, under a temporary name first, fsynced, renamed, and the folder fsynced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
