"""Report content as plain JSON types."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping

import numpy as np

from twinset.report.model import Picture
from twinset.scores import Score

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def plain(value: object) -> Json:
    """Dataclasses to objects, arrays and tuples to lists, pictures to id, size and sha256, non-finite numbers to null.

    >>> plain((1, float("nan"), {"a": np.float32(2)}))
    [1, None, {'a': 2.0}]
    """
    if isinstance(value, Picture):
        return _picture(value)
    if isinstance(value, Score):
        return {"name": value.name, **{key: plain(part) for key, part in value.to_json().items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return _scalar(value)


def _scalar(value: object) -> Json:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"expected a plain type, dataclass, mapping or array; got {type(value).__name__}")


def _picture(picture: Picture) -> Json:
    height, width, channels = picture.pixels.shape
    return {
        "id": picture.id,
        "height": height,
        "width": width,
        "channels": channels,
        "sha256": hashlib.sha256(np.ascontiguousarray(picture.pixels).tobytes()).hexdigest(),
    }
