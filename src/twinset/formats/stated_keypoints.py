"""Keypoints as sources state them: on some objects of a picture only, which is made even."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def even(claims: Sequence[pa.RecordBatch]) -> Sequence[pa.RecordBatch]:
    """As many keypoints on every object of a picture that has any: those that are not stated are 0, 0, 0."""
    if not claims:
        return claims
    pictures, row = np.unique(
        np.concatenate([part.column("picture").to_numpy() for part in claims]), return_inverse=True
    )
    rows = np.split(row, np.cumsum([len(part) for part in claims])[:-1])
    longest = np.zeros(len(pictures), dtype=np.int64)
    for part, at in zip(claims, rows, strict=True):
        np.maximum.at(longest, at, _keypoints(part)[1])
    return [_padded(part, longest[at]) for part, at in zip(claims, rows, strict=True)]


def _keypoints(claims: pa.RecordBatch) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All numbers of the keypoints, laid end to end, and how many of them (n,) each object has."""
    if "keypoints" not in claims.schema.names:
        return np.empty(0, dtype=np.float32), np.zeros(len(claims), dtype=np.int64)
    column = claims.column("keypoints")
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(), dtype=np.int64)
    return np.asarray(pc.list_flatten(column).to_numpy(), dtype=np.float32), lengths


def _padded(claims: pa.RecordBatch, wanted: NDArray[np.int64]) -> pa.RecordBatch:
    """Claims with ``wanted`` (n,) numbers of keypoints each, zeros where none are stated."""
    stated, lengths = _keypoints(claims)
    if (wanted == lengths).all():
        return claims
    values = np.zeros(int(wanted.sum()), dtype=np.float32)
    begins, ends = np.cumsum(wanted) - wanted, np.cumsum(lengths)
    values[np.arange(len(stated)) + np.repeat(begins - (ends - lengths), lengths)] = stated
    offsets = np.concatenate([[0], np.cumsum(wanted)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=pa.array(wanted == 0))
    columns = {name: claims.column(name) for name in claims.schema.names}
    return pa.record_batch(columns | {"keypoints": lists.cast(pa.list_(pa.float32()))})
