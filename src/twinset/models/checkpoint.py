"""Named tensors and a small JSON record in one safetensors file, replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from twinset.errors import RunFolderError
from twinset.store import write_bytes

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
    write_bytes(path, save(held, metadata={"record": json.dumps(record, sort_keys=True)}))


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
