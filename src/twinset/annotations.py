"""What is said about a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from twinset.camera import Camera
from twinset.geometry import DepthMap, NormalMap
from twinset.instances import AttributeValue, Instances
from twinset.semantic import SemanticMap

__all__ = ["Annotation", "AttributeValue", "Camera", "DepthMap", "Instances", "NormalMap", "SemanticMap"]

TOLERANCE = 1e-4

PAIR = "pair"
"""The attribute of synthetic pictures that names the pair they belong to: the id of its first picture."""


@dataclass(frozen=True)
class Annotation:
    """Labels of one picture; at least one field is present.

    ``class_id`` indexes the dataset's classes. ``class_probabilities`` (C,) sums to one and is there when a
    label is soft (mixing, teachers); ``class_id`` is then its mode, and among equals the given one. ``instances`` are
    the objects in it (an empty one says that there are none), ``semantic`` the class of every pixel. ``attributes`` are
    free columns such as patient or site. ``depth_metres`` and ``normals`` are those of every pixel in the coordinates
    of ``camera``, which also places the picture in the world; all that have a size have that of the picture.
    """

    class_id: int | None = None
    class_probabilities: tuple[float, ...] | None = None
    caption: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    instances: Instances | None = None
    semantic: SemanticMap | None = None
    depth_metres: DepthMap | None = None
    normals: NormalMap | None = None
    camera: Camera | None = None

    def __post_init__(self) -> None:
        if self.class_id is not None and self.class_id < 0:
            raise ValueError(f"expected class_id ≥ 0; got {self.class_id}")
        if self.class_probabilities is not None:
            object.__setattr__(self, "class_id", _mode(self.class_probabilities, self.class_id))
        placed = (self.instances, self.depth_metres, self.normals, self.camera)
        said = (self.class_id, self.caption, self.semantic, *placed)
        if all(part is None for part in said) and not self.attributes:
            raise ValueError("expected at least one label; got an empty Annotation (use None for unlabelled)")
        sizes = {part.size for part in placed if part is not None}
        if len(sizes) > 1:
            raise ValueError(f"expected objects, depth, normals and camera of one size; got {sorted(sizes)}")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def __reduce__(self) -> tuple[object, ...]:
        plain = (self.class_id, self.class_probabilities, self.caption, dict(self.attributes))
        return (Annotation, (*plain, self.instances, self.semantic, self.depth_metres, self.normals, self.camera))


def _mode(probabilities: tuple[float, ...], given: int | None) -> int:
    """The most probable class; ``given`` where that is one of several, up to the rounding of stored numbers."""
    total = sum(probabilities)
    if not (min(probabilities, default=-1.0) >= 0 and abs(total - 1) <= TOLERANCE):
        raise ValueError(f"expected class_probabilities ≥ 0 that sum to 1; got a sum of {total:g}")
    mode = probabilities.index(max(probabilities))
    if given is None:
        return mode
    if given >= len(probabilities):
        raise ValueError(f"expected class_id below the {len(probabilities)} class_probabilities; got {given}")
    if probabilities[given] < probabilities[mode] - TOLERANCE:
        raise ValueError(f"expected class_id {mode}, the highest of class_probabilities; got {given}")
    return given
