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


def load_model(path: Path, *, format: str) -> tuple[dict[str, torch.Tensor], Record]:
    """Tensors and record of a model whose record says this ``format``; ``ValueError`` for a model of another kind.

    A damaged file is a :class:`RunFolderError`.
    """
    tensors, record = load_tensors(path)
    if record.get("format") != format:
        raise ValueError(f"{path}: expected a {format} file; got {record.get('format', 'another kind')!r}")
    return tensors, record


def whole_numbers(record: Record, *names: str) -> tuple[int, ...]:
    """The integers under these names; ``ValueError`` where a record has something else."""
    values = tuple(record.get(name) for name in names)
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise ValueError(f"expected whole numbers {', '.join(names)}; got {values}")
    return values  # type: ignore[return-value]


def load_tensors(path: Path, *, device: str = "cpu") -> tuple[dict[str, torch.Tensor], Record]:
    """Tensors and record of a file that :func:`save_tensors` wrote; a damaged file is a :class:`RunFolderError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads((file.metadata() or {}).get("record", ""))
    except (SafetensorError, OSError, ValueError) as error:
        raise RunFolderError(
            f"{path}: expected a checkpoint of twinset; got {error}",
            hint="damaged, or no checkpoint: give another, or train again without it",
        ) from error
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise RunFolderError(
            f"{path}: expected finite weights; got NaN or infinity in {bad[0]}", hint="remove this file and train again"
        )
    return tensors, record
