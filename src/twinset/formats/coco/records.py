"""The records of a COCO file, for msgspec; loaded only where one is read or written."""

from __future__ import annotations

import msgspec

Id = int | str
Box = tuple[float, float, float, float]

OURS = "twinset"
"""The key of what COCO has no field for."""
SCHEMA = "twinset/coco/1"


class Runs(msgspec.Struct, gc=False):
    """A mask as run lengths: packed text, or plain numbers."""

    counts: str | list[int]
    size: tuple[int, int]


class Notes(msgspec.Struct, gc=False, omit_defaults=True):
    """What we add to an annotation. ``derived_area``: the area was not stated but measured on writing."""

    difficult: bool = False
    truncated: bool = False
    derived_area: bool = False
    amodal_bbox: Box | None = None
    amodal_segmentation: str | None = None


class Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An annotation with no more than what nearly all have: everything may be absent or null."""

    id: Id | None = None
    image_id: Id | None = None
    category_id: Id | None = None
    bbox: Box | None = None
    segmentation: list[list[float]] | Runs | None = None
    area: float | None = None
    iscrowd: int | float | bool | None = 0


class Annotation(Plain, gc=False, forbid_unknown_fields=False):
    """One annotation as anybody writes it."""

    score: float | None = None
    keypoints: list[float] | None = None
    attributes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    caption: str | None = None
    segments_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    twinset: Notes | None = None


class Bare(msgspec.Struct, gc=False):
    """The fields of an annotation that have one of several types, to be looked at one by one."""

    id: msgspec.Raw = msgspec.Raw()
    bbox: msgspec.Raw = msgspec.Raw()
    segmentation: msgspec.Raw = msgspec.Raw()


class Image(msgspec.Struct, gc=False, omit_defaults=True):
    """One picture. ``twinset`` holds what :func:`twinset.formats.sidecars.provenance` says, and ``label`` and
    ``unlabelled`` (nothing is said of objects).
    """

    id: Id | None = None
    file_name: str | None = None
    width: float | str | None = None
    height: float | str | None = None
    license: Id | float | None = None
    attributes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    twinset: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Category(msgspec.Struct, gc=False):
    """One class; what is of no use to us is kept as text, whatever its type."""

    id: Id | None = None
    name: Id | None = None
    supercategory: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    keypoints: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    skeleton: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Licence(msgspec.Struct, gc=False):
    """What a picture may be used for."""

    id: Id | None = None
    name: str | None = None
    url: str | None = None


class Written(msgspec.Struct, gc=False, omit_defaults=True):
    """One annotation as we write it."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int
    segmentation: list[list[float]] | Runs | list[float]
    score: float | None = None
    keypoints: list[float] | None = None
    num_keypoints: int | None = None
    attributes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    twinset: Notes | None = None
