"""One picture with its labels and where it comes from, and the row of a table that holds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twinset.annotations import Annotation, Camera, DepthMap, NormalMap, SemanticMap
from twinset.errors import ChangedFileError
from twinset.images import FULL_RANGE, Pixels, Window, check_pixels, decode, encode_png, shape_of
from twinset.instances import INSTANCES, canonical, from_value, pose_of, to_value

CAMERA = pa.struct(
    [
        *(pa.field(name, pa.int32(), nullable=False) for name in ("height", "width")),
        *(pa.field(name, pa.float64(), nullable=False) for name in ("fx", "fy", "cx", "cy")),
        pa.field("pose", pa.list_(pa.float64()), nullable=False),
    ]
)
"""A camera in a table; ``pose`` is the upper three rows of camera → world, in metres."""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("image", pa.binary()),
        pa.field("path", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("class_id", pa.int32()),
        pa.field("class_probabilities", pa.list_(pa.float32())),
        pa.field("caption", pa.string()),
        pa.field("attributes", pa.string()),
        pa.field("split", pa.string()),
        pa.field("method", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("recipe_digest", pa.string()),
        pa.field("parents", pa.list_(pa.string())),
        pa.field("licence", pa.string()),
        pa.field("instances", INSTANCES),
        pa.field("semantic", pa.binary()),
        pa.field("depth", pa.binary()),
        pa.field("normals", pa.binary()),
        pa.field("camera", CAMERA),
    ]
)
"""One row a sample. ``image`` holds encoded bytes, or ``path`` and ``sha256`` name a file; ``attributes`` is JSON."""

GEOMETRY = ("depth", "normals", "camera")
"""Columns of what the camera saw; shards of earlier versions lack them (:func:`in_schema`)."""

LABELS = ("class_id", "class_probabilities", "caption", "attributes", "instances", "semantic", *GEOMETRY)

PLACED = ("instances", "semantic", *GEOMETRY)
"""Columns of labels that lie somewhere in the picture; they count in digests only where they say something."""


@dataclass(frozen=True)
class Origin:
    """Where a sample comes from. A real one has no method; a synthetic one has its seed and recipe digest."""

    method: str | None = None
    seed: int | None = None
    recipe_digest: str | None = None
    parents: tuple[str, ...] = ()
    licence: str | None = None

    def __post_init__(self) -> None:
        if self.method is not None and (self.seed is None or self.recipe_digest is None):
            raise ValueError(f"expected a seed and a recipe digest of a synthetic sample; got {self}")

    @property
    def synthetic(self) -> bool:
        """Whether a method made this sample."""
        return self.method is not None


REAL = Origin()


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture with its labels. The picture is held as pixels, as encoded bytes, or as a file with its digest."""

    id: str
    annotation: Annotation | None = None
    origin: Origin = REAL
    image: Pixels | bytes | None = None
    path: Path | None = None
    sha256: str | None = None
    window: Window = FULL_RANGE

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("expected a non-empty sample id; got ''")
        if (self.image is None) == (self.path is None):
            raise ValueError(f"expected either an image or a path; got {'neither' if self.path is None else 'both'}")
        if isinstance(self.image, np.ndarray):
            check_pixels(self.image)

    def __repr__(self) -> str:
        held = "pixels" if isinstance(self.image, np.ndarray) else self.path or f"{len(self.image or b'')} bytes"
        made = f", made by {self.origin.method}" if self.origin.method else ""
        return f"Sample({self.id!r}, {self.annotation}, {held}{made})"

    def pixels(self) -> Pixels:
        """uint8 (H, W, 1) or (H, W, 3), decoded now; a file whose digest changed is an error."""
        if isinstance(self.image, np.ndarray):
            return self.image
        if self.image is not None:
            return decode(self.image, name=self.id, window=self.window)
        assert self.path is not None
        return decode(read_checked(self.path, self.sha256), name=str(self.path), window=self.window)

    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of :meth:`pixels`; of a file or bytes from their header alone."""
        if isinstance(self.image, np.ndarray):
            return self.image.shape
        if self.image is not None:
            return shape_of(self.image, name=self.id)
        assert self.path is not None
        return shape_of(read_checked(self.path, None), name=str(self.path))

    def encoded(self) -> bytes:
        """The picture as PNG, or the bytes it came as."""
        if isinstance(self.image, np.ndarray):
            return encode_png(self.image)
        if self.image is not None:
            return self.image
        assert self.path is not None
        return read_checked(self.path, self.sha256)


def read_checked(path: Path, sha256: str | None) -> bytes:
    """The bytes of a file; :class:`ChangedFileError` if it is gone or not the recorded one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ChangedFileError(
            f"{path}: expected the file that was read before; got {error.strerror}", hint="put it back"
        ) from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ChangedFileError(
            f"{path}: expected sha256 {sha256[:12]}…; got another content",
            hint="restore the file, or start a new run on the changed dataset",
        )
    return data


def sample_digest(sample: Sample) -> bytes:
    """sha256 of one sample: id, labels, origin and decoded pixels."""
    pixels = sample.pixels()
    row = sample_row(replace(sample, image=b"", path=None, sha256=None))
    left_out = {"image", "path", "sha256", *PLACED}
    row = {key: value for key, value in row.items() if key not in left_out} | canonical_labels(row)
    header = json.dumps([row, pixels.shape], sort_keys=True, default=str).encode()
    return hashlib.sha256(header + b"\0" + pixels.tobytes()).digest()


def canonical_labels(row: Mapping[str, object]) -> dict[str, object]:
    """What a row says of places in its picture, for digests: by what it means, not by how it is packed."""
    found: dict[str, object] = {name: row[name] for name in PLACED if row[name] is not None}
    if "instances" in found:
        found["instances"] = canonical(found["instances"])  # type: ignore[arg-type]
    if "depth" in found:
        metres = DepthMap(found["depth"]).dense()  # type: ignore[arg-type]
        found["depth"] = [metres.shape, hashlib.sha256(metres.tobytes()).hexdigest()]
    if "normals" in found:
        whole = NormalMap(found["normals"]).whole()  # type: ignore[arg-type]
        found["normals"] = [whole.shape, hashlib.sha256(whole.tobytes()).hexdigest()]
    return found


def in_schema(table: pa.Table) -> pa.Table:
    """A table that was written before some columns or fields of labels were there, with them, saying nothing."""
    if table.schema.equals(SCHEMA):
        return table
    columns = []
    for item in SCHEMA:
        if item.name not in table.column_names and item.name in GEOMETRY:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, item.type)]))
        else:
            column = table.column(item.name)
            columns.append(column if column.type.equals(item.type) else column.cast(item.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def camera_value(camera: Camera) -> dict[str, object]:
    """One value of :data:`CAMERA`, in plain types."""
    (height, width), (fx, fy), (cx, cy) = camera.size, camera.focal, camera.centre
    pose = camera.pose[:3].ravel().tolist()
    return {"height": height, "width": width, "fx": fx, "fy": fy, "cx": cx, "cy": cy, "pose": pose}


def camera_from(value: Mapping[str, object]) -> Camera:
    """The camera that one value of :data:`CAMERA` describes; ``ValueError`` or ``TypeError`` if it describes none."""
    height, width = (int(value[name]) for name in ("height", "width"))  # type: ignore[call-overload]
    fx, fy, cx, cy = (float(value[name]) for name in ("fx", "fy", "cx", "cy"))  # type: ignore[arg-type]
    return Camera((height, width), (fx, fy), (cx, cy), pose_of(value["pose"]))


def sample_row(sample: Sample) -> dict[str, object]:
    """One row of :data:`SCHEMA`."""
    annotation, origin = sample.annotation, sample.origin
    image = encode_png(sample.image) if isinstance(sample.image, np.ndarray) else sample.image
    row: dict[str, object] = dict.fromkeys(SCHEMA.names)
    row.update(
        id=sample.id,
        image=image,
        path=str(sample.path) if sample.path is not None else None,
        sha256=sample.sha256,
        method=origin.method,
        seed=origin.seed,
        recipe_digest=origin.recipe_digest,
        parents=list(origin.parents),
        licence=origin.licence,
    )
    if annotation is not None:
        probabilities = annotation.class_probabilities
        row.update(
            class_id=annotation.class_id,
            class_probabilities=None if probabilities is None else [float(np.float32(p)) for p in probabilities],
            caption=annotation.caption,
            attributes=json.dumps(dict(annotation.attributes), sort_keys=True) if annotation.attributes else None,
            instances=None if annotation.instances is None else to_value(annotation.instances),
            semantic=None if annotation.semantic is None else annotation.semantic.png,
            depth=None if annotation.depth_metres is None else annotation.depth_metres.packed,
            normals=None if annotation.normals is None else annotation.normals.packed,
            camera=None if annotation.camera is None else camera_value(annotation.camera),
        )
    return row


def sample_from_row(row: Mapping[str, object], *, root: Path | None = None, window: Window = FULL_RANGE) -> Sample:
    """The sample that one row of :data:`SCHEMA` describes."""
    values = dict(row)
    soft, attributes, instances, semantic, depth, normals, camera = (
        values[name] for name in ("class_probabilities", "attributes", *PLACED)
    )
    annotation = None
    if any(values[name] is not None for name in LABELS):
        annotation = Annotation(
            class_id=values["class_id"],  # type: ignore[arg-type]
            class_probabilities=None if soft is None else tuple(soft),  # type: ignore[arg-type]
            caption=values["caption"],  # type: ignore[arg-type]
            attributes=json.loads(str(attributes)) if attributes is not None else {},
            instances=None if instances is None else from_value(instances),  # type: ignore[arg-type]
            semantic=None if semantic is None else SemanticMap(semantic),  # type: ignore[arg-type]
            depth_metres=None if depth is None else DepthMap(depth),  # type: ignore[arg-type]
            normals=None if normals is None else NormalMap(normals),  # type: ignore[arg-type]
            camera=None if camera is None else camera_from(camera),  # type: ignore[arg-type]
        )
    origin = Origin(
        method=values["method"],  # type: ignore[arg-type]
        seed=values["seed"],  # type: ignore[arg-type]
        recipe_digest=values["recipe_digest"],  # type: ignore[arg-type]
        parents=tuple(values["parents"] or ()),  # type: ignore[arg-type]
        licence=values["licence"],  # type: ignore[arg-type]
    )
    path = None
    if values["image"] is None and values["path"] is not None:
        path = (root or Path()) / str(values["path"])
    return Sample(
        id=str(values["id"]),
        annotation=annotation,
        origin=origin,
        image=values["image"],  # type: ignore[arg-type]
        path=path,
        sha256=values["sha256"],  # type: ignore[arg-type]
        window=window,
    )
