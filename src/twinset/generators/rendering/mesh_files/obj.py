"""Wavefront OBJ with its material library (MTL): text, a statement a line, indices from 1 or counted backwards."""

from __future__ import annotations

import io
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from twinset.generators.rendering.mesh_files.mtl import read_mtl
from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.mesh_files.surfaces import Floats, Ints, Surface
from twinset.generators.rendering.meshes import PLAIN, Material

NONE = -1
MOST_LINE = 1 << 20
IGNORED = {"l": "lines", "p": "points", "curv": "curves", "curv2": "curves", "surf": "free-form surfaces"}


@dataclass
class _Reading:
    """What was met so far; corners of all faces one after the other."""

    source: Source
    positions: array[float] = field(default_factory=lambda: array("d"))
    colours: array[float] = field(default_factory=lambda: array("d"))
    uv: array[float] = field(default_factory=lambda: array("d"))
    normals: array[float] = field(default_factory=lambda: array("d"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    corners: array[int] = field(default_factory=lambda: array("q"))
    corner_uv: array[int] = field(default_factory=lambda: array("q"))
    corner_normals: array[int] = field(default_factory=lambda: array("q"))
    used: array[int] = field(default_factory=lambda: array("q"))
    library: dict[str, Material] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    material: int = 0
    ignored: Counter[str] = field(default_factory=Counter)


def read_obj(data: bytes, source: Source) -> Surface:
    """The surface of an OBJ file; :class:`DatasetFormatError` names the line that cannot be read."""
    found = _Reading(source)
    for line, words in _statements(data, source):
        try:
            _take(found, words, line)
        except (ValueError, IndexError, OverflowError) as error:
            raise source.fault(
                f"expected {_grammar(words[0])}; got {' '.join(words)[:80]!r}", line=line, hint="export the mesh anew"
            ) from error
        if (
            len(found.positions) > 3 * source.settings.most_vertices
            or len(found.corners) > 6 * source.settings.most_faces
        ):
            raise source.fault(
                f"expected at most {source.settings.most_vertices} vertices and {source.settings.most_faces} "
                "triangles; got more",
                line=line,
                hint="simplify the mesh",
            )
    return _surface(found)


def _statements(data: bytes, source: Source) -> Iterator[tuple[int, list[str]]]:
    """Lines that say something, with their number from 1; a backslash joins a line to the next."""
    joined, first = "", 0
    with io.BytesIO(data) as file:
        for number, raw in enumerate(iter(lambda: file.readline(MOST_LINE), b""), start=1):
            text = raw.decode("utf-8", "replace").removeprefix("\ufeff" if number == 1 else "").rstrip("\r\n")
            first = first or number
            if len(raw) + len(joined) >= MOST_LINE:
                raise source.fault(f"expected lines under {MOST_LINE} bytes; got a longer one", line=number)
            if text.endswith("\\"):
                joined += text[:-1] + " "
                continue
            words = (joined + text).partition("#")[0].split()
            if words:
                yield first, words
            joined, first = "", 0
    if joined.split():
        yield first, joined.split()


def _take(found: _Reading, words: list[str], line: int) -> None:
    kind, rest = words[0], words[1:]
    if kind == "v":
        found.positions.extend((float(rest[0]), float(rest[1]), float(rest[2])))
        _take_colour(found, rest)
    elif kind == "vt":
        found.uv.extend((float(rest[0]), float(rest[1]) if len(rest) > 1 else 0.0))
    elif kind == "vn":
        found.normals.extend((float(rest[0]), float(rest[1]), float(rest[2])))
    elif kind in ("f", "fo"):
        for word in rest:
            _take_corner(found, word)
        found.sizes.append(len(rest))
        found.used.append(found.material)
    elif kind == "usemtl":
        found.material = found.names.setdefault(" ".join(rest), len(found.names) + 1)
    elif kind == "mtllib":
        _take_library(found, rest, line)
    elif kind in IGNORED:
        found.ignored[IGNORED[kind]] += 1


def _take_colour(found: _Reading, rest: list[str]) -> None:
    """Colours stand after the coordinates where a mesh has them, on all vertices or (then white) on some."""
    count = len(found.positions) // 3
    if len(rest) >= 6:
        found.colours.extend((1.0,) * (3 * (count - 1) - len(found.colours)))
        found.colours.extend((float(rest[3]), float(rest[4]), float(rest[5])))


def _take_corner(found: _Reading, word: str) -> None:
    at, _, more = word.partition("/")
    uv, _, normal = more.partition("/")
    found.corners.append(_index(at, len(found.positions) // 3))
    found.corner_uv.append(_index(uv, len(found.uv) // 2) if uv else NONE)
    found.corner_normals.append(_index(normal, len(found.normals) // 3) if normal else NONE)


def _index(text: str, count: int) -> int:
    """From 1 forwards, or from −1 backwards from the last one met; may still lie behind what is yet to come."""
    number = int(text)
    if number == 0 or number < -count:
        raise ValueError(text)
    return number - 1 if number > 0 else count + number


def _take_library(found: _Reading, rest: list[str], line: int) -> None:
    """One file whose name may hold blanks, or several."""
    whole = " ".join(rest)
    names = [whole] if whole.lower().count(".mtl") <= 1 else rest
    for name in names:
        data = found.source.materials(name, line=line)
        found.library.update({} if data is None else read_mtl(data, name, found.source))


def _grammar(kind: str) -> str:
    return {
        "v": "v with three numbers",
        "vt": "vt with two numbers",
        "vn": "vn with three numbers",
        "f": "f with indices of vertices already known, from 1",
    }.get(kind, f"a sound {kind}")


def _surface(found: _Reading) -> Surface:
    positions = _table(found.positions, 3)
    corners = _whole(found.corners)
    materials = [PLAIN[0]]
    for name in found.names:
        if name not in found.library and found.library:
            found.ignored["materials that no library holds"] += 1
        materials.append(found.library.get(name, PLAIN[0]))
    colours = None
    if found.colours and len(corners) and corners.max() < len(positions):
        filled = np.ones((len(positions), 3))
        given = _table(found.colours, 3)
        filled[: len(given)] = given
        colours = filled[corners] / (255.0 if given.max() > 1.0 else 1.0)
    return Surface(
        positions=positions,
        sizes=_whole(found.sizes),
        corners=corners,
        materials=tuple(materials),
        polygon_materials=_whole(found.used),
        uv=_looked_up(_table(found.uv, 2), _whole(found.corner_uv), "vt", found.source),
        normals=_looked_up(_table(found.normals, 3), _whole(found.corner_normals), "vn", found.source),
        colours=colours,
        ignored=found.ignored,
    )


def _table(values: array[float], width: int) -> Floats:
    return np.array(values, dtype=np.float64).reshape(-1, width)


def _whole(values: array[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _looked_up(table: Floats, indices: Ints, kind: str, source: Source) -> Floats | None:
    """Rows by index, NaN for :data:`NONE`; None where there is none at all."""
    if not len(indices) or indices.max() == NONE:
        return None
    if indices.max() >= len(table):
        raise source.fault(f"expected faces of the {len(table)} {kind} lines; got number {int(indices.max()) + 1}")
    extended = np.concatenate([table, np.full((1, table.shape[1]), np.nan)])
    return np.asarray(extended[indices])
