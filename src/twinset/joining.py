"""Objects of several annotations laid into one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.instances import Column, Instances


def joined(parts: Sequence[Instances]) -> Instances:
    """All objects of several annotations of one picture, in order.

    What only some of them know is unknown of the others: NaN, None, keypoints of visibility 0; the amodal box of an
    object without one is its visible box.
    """
    if not parts or len({part.size for part in parts}) != 1:
        raise ValueError(f"expected annotations of one size; got {[part.size for part in parts]}")
    masks = [part.masks or (None,) * len(part) for part in parts]
    amodal = [part.amodal_masks or (None,) * len(part) for part in parts]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    return Instances(
        parts[0].size,
        np.concatenate([part.class_ids for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        tuple(mask for some in masks for mask in some) if any(part.masks for part in parts) else None,
        areas=_numbers(parts, [part.areas for part in parts]),
        crowd=np.concatenate([part.is_crowd for part in parts]),
        difficult=np.concatenate([part.is_difficult for part in parts]),
        truncated=np.concatenate([part.is_truncated for part in parts]),
        confidences=_numbers(parts, [part.confidences for part in parts]),
        amodal_boxes=_joined_amodal_boxes(parts),
        amodal_masks=tuple(mask for some in amodal for mask in some) if any(p.amodal_masks for p in parts) else None,
        keypoints=_joined_keypoints(parts),
        columns={
            name: tuple(value for part in parts for value in part.columns.get(name, (None,) * len(part)))
            for name in names
        },
    )


def _numbers(parts: Sequence[Instances], values: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    if all(value is None for value in values):
        return None
    unknown = [np.full(len(part), np.nan, dtype=np.float32) for part in parts]
    return np.concatenate([u if v is None else v for u, v in zip(unknown, values, strict=True)])


def _joined_amodal_boxes(parts: Sequence[Instances]) -> NDArray[np.float32] | None:
    if all(part.amodal_boxes is None for part in parts):
        return None
    return np.concatenate([part.boxes if part.amodal_boxes is None else part.amodal_boxes for part in parts])


def _joined_keypoints(parts: Sequence[Instances]) -> NDArray[np.float32] | None:
    most = max((part.keypoints.shape[1] for part in parts if part.keypoints is not None), default=None)
    if most is None:
        return None
    out = np.zeros((sum(len(part) for part in parts), most, 3), dtype=np.float32)
    start = 0
    for part in parts:
        if part.keypoints is not None:
            out[start : start + len(part), : part.keypoints.shape[1]] = part.keypoints
        start += len(part)
    return out


def with_column(instances: Instances, name: str, values: Column) -> Instances:
    """The same objects with one more column, or another in its place."""
    columns: Mapping[str, Column] = {**instances.columns, name: values}
    return replace(instances, columns=columns)
