"""glTF 2.0, as text (.gltf with its files) or packed (.glb): y up, metres; nodes place meshes, materials are PBR.

Base colour, its texture, roughness and metallic come along (the texture of the latter two as its mean); skins are read
in their bind pose. Sources: Khronos, glTF 2.0 specification, sections 3.6, 3.7, 3.9 and 4.4.
"""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from twinset.formats.folder import first_line
from twinset.generators.rendering.mesh_files.gltf_buffers import Numbers
from twinset.generators.rendering.mesh_files.gltf_materials import Paint, paints_of
from twinset.generators.rendering.mesh_files.gltf_records import Document, Node, Primitive
from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.mesh_files.surfaces import Floats, Ints, Surface

MAGIC = b"glTF"
MOST_RECORDS = 1_000_000
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
HARMLESS = (
    "KHR_materials_",
    "KHR_texture_transform",
    "KHR_mesh_quantization",
    "KHR_lights_punctual",
    "EXT_texture_webp",
)
MODES = {0: "points", 1: "lines", 2: "lines", 3: "lines"}


def read_gltf(data: bytes, source: Source) -> Surface:
    """The surface of all meshes that the scene's nodes place."""
    text, packed = _chunks(data, source) if data[:4] == MAGIC else (data, None)
    if text.count(b"{") > MOST_RECORDS or text.count(b",") > 10 * MOST_RECORDS:
        raise source.fault(f"expected at most {MOST_RECORDS} records; got more", hint="simplify the scene")
    try:
        document = msgspec.json.decode(text, type=Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise source.fault(f"expected glTF 2.0; got {first_line(error)}", hint="export the mesh anew") from error
    if not document.asset.version.startswith("2"):
        raise source.fault(f"expected glTF 2.0; got version {document.asset.version[:20]!r}", hint="export it as 2.0")
    unknown = [name for name in document.extensionsRequired if not name.startswith(HARMLESS)]
    if unknown:
        raise source.fault(
            f"expected plain glTF; got one that requires {', '.join(unknown)[:200]}", hint="export it without"
        )
    numbers = Numbers(document, source, packed)
    ignored: Counter[str] = Counter(animations=len(document.animations))
    paints = paints_of(document, numbers)
    parts = []
    faces = 0
    for node, matrix in _placed(document, source):
        for primitive in _primitives(document, node, source):
            part = _part(primitive, numbers, paints, ignored)
            if part is None:
                continue
            faces += len(part.sizes)
            if faces > source.settings.most_faces:
                raise source.fault(
                    f"expected at most {source.settings.most_faces} triangles; got more", hint="simplify the mesh"
                )
            parts.append(_moved(part, matrix))
        ignored["skins (read in their bind pose)"] += node.skin is not None
    return _joined(parts, paints, +ignored)


def _chunks(data: bytes, source: Source) -> tuple[bytes, bytes | None]:
    """The text and the packed buffer of a GLB."""
    version, length = (int.from_bytes(data[n : n + 4], "little") for n in (4, 8))
    if version != 2 or length > len(data) or len(data) < 20:
        raise source.fault(
            f"expected a GLB of version 2 and {length} bytes; got version {version} and {len(data)} bytes",
            hint="the file is truncated: export it anew",
        )
    found: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = (int.from_bytes(data[n : n + 4], "little") for n in (at, at + 4))
        if at + 8 + size > length:
            raise source.fault(f"expected a chunk of {size} bytes; got {length - at - 8}", hint="export the mesh anew")
        found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if JSON_CHUNK not in found:
        raise source.fault("expected a JSON chunk in the GLB; got none", hint="export the mesh anew")
    return found[JSON_CHUNK].rstrip(b"\0 "), found.get(BINARY_CHUNK)


def _placed(document: Document, source: Source) -> list[tuple[Node, Floats]]:
    """Nodes in the scene with what maps them to its axes. No node may come twice: glTF's nodes form trees."""
    if document.scenes:
        if (document.scene or 0) >= len(document.scenes):
            raise source.fault(f"expected one of {len(document.scenes)} scenes; got number {document.scene}")
        roots = document.scenes[document.scene or 0].nodes
    else:
        children = {child for node in document.nodes for child in node.children}
        roots = [index for index in range(len(document.nodes)) if index not in children]
    pending = [(index, np.eye(4)) for index in reversed(roots)]
    seen: set[int] = set()
    found = []
    while pending:
        index, above = pending.pop()
        if index >= len(document.nodes):
            raise source.fault(f"expected one of {len(document.nodes)} nodes; got number {index}")
        if index in seen:
            raise source.fault(f"expected each node under one other; got node {index} twice, or in a circle")
        seen.add(index)
        node = document.nodes[index]
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = above @ _matrix(node, index, source)
        found.append((node, matrix))
        pending.extend((child, matrix) for child in reversed(node.children))
    return found


def _matrix(node: Node, index: int, source: Source) -> Floats:
    """(4, 4) of one node: given whole, column by column, or as shift · turn · scale."""
    if node.matrix is not None:
        if len(node.matrix) != 16:
            raise source.fault(f"expected 16 numbers in the matrix of node {index}; got {len(node.matrix)}")
        return np.array(node.matrix, dtype=np.float64).reshape(4, 4).T
    full = np.eye(4)
    if node.rotation is not None:
        x, y, z, w = node.rotation
        length = (x * x + y * y + z * z + w * w) ** 0.5
        if not 0 < length < np.inf:
            raise source.fault(f"expected a rotation of length 1 at node {index}; got {node.rotation}")
        x, y, z, w = x / length, y / length, z / length, w / length
        full[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    if node.scale is not None:
        full[:3, :3] *= node.scale
    if node.translation is not None:
        full[:3, 3] = node.translation
    return full


def _primitives(document: Document, node: Node, source: Source) -> list[Primitive]:
    if node.mesh is None:
        return []
    if node.mesh >= len(document.meshes):
        raise source.fault(f"expected one of {len(document.meshes)} meshes; got number {node.mesh}")
    return document.meshes[node.mesh].primitives


def _part(primitive: Primitive, numbers: Numbers, paints: list[Paint], ignored: Counter[str]) -> Surface | None:
    """One primitive in its own axes; None for points and lines."""
    source = numbers.source
    if "KHR_draco_mesh_compression" in primitive.extensions:
        raise source.fault("expected a plain mesh; got Draco compression", hint="export it without compression")
    if primitive.mode in MODES:
        ignored[MODES[primitive.mode]] += 1
        return None
    if primitive.mode not in (4, 5, 6) or "POSITION" not in primitive.attributes:
        raise source.fault(f"expected triangles with a POSITION; got mode {primitive.mode}", hint="export it anew")
    ignored["morph targets"] += len(primitive.targets)
    number = 0 if primitive.material is None else primitive.material + 1
    if number >= len(paints):
        raise source.fault(f"expected one of {len(paints) - 1} materials; got number {primitive.material}")
    positions = numbers.table(primitive.attributes["POSITION"], 3)
    corners = _triangles(primitive, numbers, len(positions))
    if len(corners) and corners.max() >= len(positions):
        raise source.fault(f"expected indices under {len(positions)}; got {corners.max()}")
    rows = {}
    for name, width in (("NORMAL", 3), (f"TEXCOORD_{paints[number].coordinates}", 2)):
        if name in primitive.attributes:
            table = numbers.table(primitive.attributes[name], width)
            if len(table) != len(positions):
                raise source.fault(f"expected {len(positions)} rows of {name}; got {len(table)}")
            rows[width] = table[corners]
    return Surface(
        positions=positions,
        sizes=np.full(len(corners) // 3, 3),
        corners=corners,
        polygon_materials=np.full(len(corners) // 3, number),
        uv=paints[number].placed(rows[2]) if 2 in rows else None,
        normals=rows.get(3),
        colours=_colours(primitive, numbers, corners, len(positions)),
    )


def _colours(primitive: Primitive, numbers: Numbers, corners: Ints, count: int) -> Floats | None:
    """Linear in the file, sRGB here."""
    index = primitive.attributes.get("COLOR_0")
    if index is None:
        return None
    accessors = numbers.document.accessors
    width = 4 if index < len(accessors) and accessors[index].type == "VEC4" else 3
    table = numbers.table(index, width)
    if len(table) != count:
        raise numbers.source.fault(f"expected {count} rows of COLOR_0; got {len(table)}")
    linear = np.clip(table[corners][:, :3], 0.0, 1.0)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def _triangles(primitive: Primitive, numbers: Numbers, count: int) -> Ints:
    """Corners (3 T,) of a list, strip or fan of triangles."""
    if primitive.indices is None:
        flat = np.arange(count)
    else:
        flat = numbers.table(primitive.indices, 1)[:, 0].astype(np.int64)
    if primitive.mode == 4:
        if len(flat) % 3:
            raise numbers.source.fault(f"expected indices by threes; got {len(flat)}")
        return flat
    if len(flat) < 3:
        return np.zeros(0, np.int64)
    if primitive.mode == 6:
        return np.stack([np.full(len(flat) - 2, flat[0]), flat[1:-1], flat[2:]], axis=1).reshape(-1)
    strip = np.stack([flat[:-2], flat[1:-1], flat[2:]], axis=1)
    strip[1::2, [0, 1]] = strip[1::2, [1, 0]]
    return strip.reshape(-1)


def _moved(part: Surface, matrix: Floats) -> Surface:
    """The part in the scene's axes; a mirror image keeps its outside outside."""
    linear = matrix[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        positions = part.positions @ linear.T + matrix[:3, 3]
        determinant = np.linalg.det(linear)
        normals = part.normals
        if normals is not None:  # cofactors turn normals under any linear map, and need no inverse
            cofactors = np.stack(
                [np.cross(linear[1], linear[2]), np.cross(linear[2], linear[0]), np.cross(linear[0], linear[1])]
            )
            normals = normals @ cofactors.T * (-1.0 if determinant < 0 else 1.0)
    order = np.arange(len(part.corners))
    if determinant < 0:
        order = order.reshape(-1, 3)[:, ::-1].reshape(-1)
    return Surface(
        positions=positions,
        sizes=part.sizes,
        corners=part.corners[order],
        polygon_materials=part.polygon_materials,
        uv=None if part.uv is None else part.uv[order],
        normals=None if normals is None else normals[order],
        colours=None if part.colours is None else part.colours[order],
    )


def _joined(parts: list[Surface], paints: list[Paint], ignored: Counter[str]) -> Surface:
    """All parts as one; what only some have is NaN in the others."""

    def filled(arrays: list[Floats | None], width: int) -> Floats | None:
        if all(array is None for array in arrays):
            return None
        missing = [np.full((len(part.corners), width), np.nan) for part in parts]
        return np.concatenate([missing[n] if array is None else array for n, array in enumerate(arrays)])

    if not parts:
        return Surface(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.int64), ignored=ignored)
    starts = np.cumsum([0, *(len(part.positions) for part in parts[:-1])])
    return Surface(
        positions=np.concatenate([part.positions for part in parts]),
        sizes=np.concatenate([part.sizes for part in parts]).astype(np.int64),
        corners=np.concatenate([part.corners + start for part, start in zip(parts, starts, strict=True)]),
        materials=tuple(paint.material for paint in paints),
        polygon_materials=np.concatenate(
            [part.polygon_materials for part in parts if part.polygon_materials is not None]
        ),
        uv=filled([part.uv for part in parts], 2),
        normals=filled([part.normals for part in parts], 3),
        colours=filled([part.colours for part in parts], 3),
        ignored=ignored,
    )
