"""Objects of several annotations laid into one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.instances import VISIBLE, Column, Instances


def joined(parts: Sequence[Instances]) -> Instances:
    """All objects of several annotations of one picture, in order.

    What only some of them know is unknown of the others: NaN, None, keypoints of visibility 0; the amodal box of an
    object without one is its visible box. Keypoints that have names everywhere are laid out by name.
    """
    if not parts or len({part.size for part in parts}) != 1:
        raise ValueError(f"expected annotations of one size; got {[part.size for part in parts]}")
    masks = [part.masks or (None,) * len(part) for part in parts]
    amodal = [part.amodal_masks or (None,) * len(part) for part in parts]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    points = _names_of_keypoints(parts)
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
        keypoints=_joined_keypoints(parts, points),
        columns={
            name: tuple(value for part in parts for value in part.columns.get(name, (None,) * len(part)))
            for name in names
        },
        poses=_joined_poses(parts),
        keypoint_names=points,
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


def _names_of_keypoints(parts: Sequence[Instances]) -> tuple[str, ...] | None:
    """All names, in order of appearance; None unless all keypoints have some."""
    named = [part.keypoint_names for part in parts if part.keypoints is not None]
    if not named or None in named:
        return None
    return tuple(dict.fromkeys(name for names in named for name in names or ()))


def _joined_keypoints(parts: Sequence[Instances], names: tuple[str, ...] | None) -> NDArray[np.float32] | None:
    """(K, P, 3), by place where there are no names."""
    most = max((part.keypoints.shape[1] for part in parts if part.keypoints is not None), default=None)
    if most is None:
        return None
    out = np.zeros((sum(len(part) for part in parts), most if names is None else len(names), 3), dtype=np.float32)
    start = 0
    for part in parts:
        if part.keypoints is not None:
            places = list(range(part.keypoints.shape[1]))
            if names is not None:
                places = [names.index(name) for name in part.keypoint_names or ()]
            out[start : start + len(part), places] = part.keypoints
        start += len(part)
    return out


def _joined_poses(parts: Sequence[Instances]) -> NDArray[np.float64] | None:
    if all(part.poses is None for part in parts):
        return None
    return np.concatenate([np.full((len(p), 4, 4), np.nan) if p.poses is None else p.poses for p in parts])


def less_visible(instances: Instances, shares: NDArray[np.floating]) -> Instances:
    """The same objects of which only these shares (K,) of what was seen are still seen.

    A stated visible fraction falls by the same factor; one that is not stated stays so.
    """
    stated = instances.columns.get(VISIBLE)
    if stated is None:
        return instances
    factors = np.minimum(shares, 1).tolist()
    fell = (None if was is None else float(was) * factor for was, factor in zip(stated, factors, strict=True))
    return with_column(instances, VISIBLE, tuple(fell))


def with_column(instances: Instances, name: str, values: Column) -> Instances:
    """The same objects with one more column, or another in its place."""
    columns: Mapping[str, Column] = {**instances.columns, name: values}
    return replace(instances, columns=columns)
