"""STL, binary and text: triangles, and nothing else."""

from __future__ import annotations

import re

import numpy as np

from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.mesh_files.surfaces import Floats, Surface
from twinset.generators.rendering.mesh_files.welding import welded

HEADER = 84
RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
VERTEX = re.compile(rb"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)", re.IGNORECASE)


def read_stl(data: bytes, source: Source) -> Surface:
    """The surface of an STL file; points of equal coordinates become one.

    A file whose length belies its header is refused, as it is truncated.
    """
    count = int.from_bytes(data[80:HEADER], "little") if len(data) >= HEADER else -1
    if count >= 0 and len(data) == HEADER + count * RECORD.itemsize:
        points = np.frombuffer(data, RECORD, count=count, offset=HEADER)["corners"].reshape(-1, 3).astype(np.float64)
    elif data[:512].lstrip()[:5].lower() == b"solid" and (b"facet" in data or b"FACET" in data):
        points = _text(data, source)
    else:
        raise source.fault(
            f"expected an STL of {HEADER} + 50 bytes a triangle, or its text; got {len(data)} bytes"
            + (f" that announce {count} triangles" if count >= 0 else ""),
            hint="export the mesh anew",
        )
    if len(points) > 3 * source.settings.most_faces:
        raise source.fault(
            f"expected at most {source.settings.most_faces} triangles; got {len(points) // 3}", hint="simplify the mesh"
        )
    if not len(points):
        return Surface(points, np.zeros(0, np.int64), np.zeros(0, np.int64))
    positions, corners = welded(points)
    return Surface(positions, np.full(len(points) // 3, 3), corners)


def _text(data: bytes, source: Source) -> Floats:
    if b"endsolid" not in data[-4096:].lower():
        raise source.fault("expected a text that ends with endsolid; got a truncated one", hint="export the mesh anew")
    found = VERTEX.findall(data)
    facets = len(re.findall(rb"\bfacet\s+normal", data, re.IGNORECASE))
    if len(found) != 3 * facets:
        raise source.fault(f"expected 3 vertices in each of {facets} facets; got {len(found)}", hint="export it anew")
    try:
        numbers = (float(number) for vertex in found for number in vertex)
        return np.fromiter(numbers, np.float64, 3 * len(found)).reshape(-1, 3)
    except ValueError as error:
        raise source.fault("expected numbers after every vertex; got other text") from error
