"""What only the maker of a picture knows: how far its objects are, how hidden, from where it was seen and lit.

Renderers write it beside the picture; on photographs it is inferred (``alignment.inference``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twinset.instances import AttributeValue, Instances

OF_OBJECTS = ("distance_metres", "occlusion")
OF_SCENES = ("camera_elevation_degrees", "sun_elevation_degrees", "sun_strength", "ambient")
"""Attributes of a picture, by the names that the renderer gives them."""


def scene_values(attributes: Mapping[str, AttributeValue], instances: Instances) -> dict[str, NDArray[np.float64]]:
    """(1,) each of :data:`OF_SCENES` and (K,) each of :data:`OF_OBJECTS`, NaN where nothing is said.

    distance_metres is that of an object's origin from the camera; occlusion the visible area, in pixels, times the
    distance squared, as the 2023 thesis has it: low where much is hidden (or the object is small, which
    ``visible_fraction`` does not confuse).
    """
    found = {name: np.array([_number(attributes.get(name))]) for name in OF_SCENES}
    stated = instances.columns.get("distance_metres", (None,) * len(instances))
    distance = np.array([_number(value) for value in stated], dtype=np.float64).reshape(len(instances))
    masks = instances.masks or (None,) * len(instances)
    area = np.array([np.nan if mask is None else float(mask.area) for mask in masks]).reshape(len(instances))
    return {**found, "distance_metres": distance, "occlusion": area * distance**2}


def _number(value: AttributeValue | None) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
