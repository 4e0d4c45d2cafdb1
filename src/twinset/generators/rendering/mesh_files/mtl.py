"""MTL, the materials of an OBJ: colour, base texture, roughness and metallic; the rest has no place in ours."""

from __future__ import annotations

from dataclasses import replace

from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.meshes import Colour, Material

OPTION_VALUES = {
    "-blendu": 1, "-blendv": 1, "-boost": 1, "-bm": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1, "-mm": 2,
    "-texres": 1, "-type": 1,
}  # fmt: skip
"""How many words follow an option before a texture's name; ``-o``, ``-s`` and ``-t`` have one to three numbers."""


def read_mtl(data: bytes, name: str, source: Source) -> dict[str, Material]:
    """The materials by name. A line that cannot be read is an error of the mesh file."""
    found: dict[str, Material] = {}
    current = None
    for line in data.decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        key = words[0].lower()
        if key == "newmtl":
            current = " ".join(words[1:])
            found[current] = Material()
        elif current is not None and len(words) > 1:
            try:
                found[current] = _with(found[current], key, words[1:], line.strip(), source)
            except (ValueError, IndexError) as error:
                raise source.fault(f"{name}: expected a sound {words[0]}; got {line.strip()[:80]!r}") from error
    return {label: _lit(material) for label, material in found.items()}


def _with(material: Material, key: str, rest: list[str], line: str, source: Source) -> Material:
    if key == "kd" and rest[0] not in ("spectral", "xyz"):
        return replace(material, colour=_colour(rest))
    if key == "map_kd":
        return replace(material, texture=source.texture(_texture_name(line)))
    if key == "ns":  # a Blinn exponent: the width of the highlight as a roughness (Karis 2013)
        return replace(material, roughness=min(1.0, (2.0 / (max(float(rest[0]), 0.0) + 2.0)) ** 0.25))
    if key == "pr":
        return replace(material, roughness=_unit(rest[0]))
    if key == "pm":
        return replace(material, metallic=_unit(rest[0]))
    return material


def _lit(material: Material) -> Material:
    """Exporters often write a black Kd beside a texture, and mean the texture."""
    if material.texture is not None and max(material.colour) == 0:
        return replace(material, colour=(1.0, 1.0, 1.0))
    return material


def _colour(rest: list[str]) -> Colour:
    red = _unit(rest[0])
    return (red, _unit(rest[1]), _unit(rest[2])) if len(rest) > 1 else (red, red, red)


def _unit(text: str) -> float:
    number = float(text)
    if number != number:
        raise ValueError(text)
    return min(1.0, max(0.0, number))


def _texture_name(line: str) -> str:
    """What follows ``map_Kd`` and its options, which may hold blanks."""
    rest = line.split(None, 1)[1].strip()
    while rest.startswith("-"):
        option, _, after = rest.partition(" ")
        words = after.split()
        if option in ("-o", "-s", "-t"):
            count = next((n for n, word in enumerate(words[:3]) if not _is_number(word)), 3)
        else:
            count = OPTION_VALUES.get(option, 1)
        for _ in range(count):
            after = after.strip().partition(" ")[2]
        rest = after.strip()
    if not rest:
        raise ValueError(line)
    return rest


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
