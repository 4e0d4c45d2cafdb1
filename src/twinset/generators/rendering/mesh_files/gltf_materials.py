"""glTF's materials as ours: linear colours become sRGB, textures are decoded within the mesh's limits."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.mesh_files import gltf_records as records
from twinset.generators.rendering.mesh_files.gltf_buffers import Numbers
from twinset.generators.rendering.meshes import PLAIN, Material
from twinset.images import Pixels

LEAST_OPACITY = 0.02
"""Of a blended material that a file makes invisible: what nobody sees would still have a label."""


@dataclass(frozen=True, eq=False)
class Paint:
    """A material, which set of texture coordinates it is laid by, and how they are moved before."""

    material: Material
    coordinates: int = 0
    transform: records.TextureTransform | None = None

    def placed(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """glTF's coordinates (N, 2), v downwards from the upper edge, as ours, v upwards (KHR_texture_transform)."""
        if self.transform is not None:
            turn, (across, down) = self.transform.rotation, self.transform.scale
            sine, cosine = np.sin(turn), np.cos(turn)
            linear = np.array([[cosine * across, sine * down], [-sine * across, cosine * down]])
            uv = uv @ linear.T + self.transform.offset
        return np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1)


def paints_of(document: records.Document, numbers: Numbers) -> list[Paint]:
    """Ours for faces without material, then the file's in order."""
    return [Paint(PLAIN[0]), *(_paint(material, document, numbers) for material in document.materials)]


def _paint(material: records.Material, document: records.Document, numbers: Numbers) -> Paint:
    own, other = material.pbrMetallicRoughness, material.extensions.KHR_materials_pbrSpecularGlossiness
    use = own.baseColorTexture if other is None else other.diffuseTexture
    factor = own.baseColorFactor if other is None else other.diffuseFactor
    roughness, metallic = own.roughnessFactor, own.metallicFactor
    if other is not None:
        roughness, metallic = 1.0 - other.glossinessFactor, 0.0
    elif own.metallicRoughnessTexture is not None:
        both = _texture(own.metallicRoughnessTexture.index, document, numbers)
        if both is not None:
            roughness *= float(both[..., 1].mean()) / 255.0
            metallic *= float(both[..., 2].mean()) / 255.0
    red, green, blue = (_srgb(part) for part in factor[:3])
    transform = None if use is None else use.extensions.KHR_texture_transform
    coordinates = 0 if use is None else use.texCoord
    if transform is not None and transform.texCoord is not None:
        coordinates = transform.texCoord
    texture = None if use is None else _texture(use.index, document, numbers)
    opacity = max(factor[3], LEAST_OPACITY) if material.alphaMode == "BLEND" else 1.0
    return Paint(Material((red, green, blue), roughness, metallic, texture, opacity), coordinates, transform)


def _srgb(linear: float) -> float:
    return min(1.0, 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


def _texture(index: int, document: records.Document, numbers: Numbers) -> Pixels | None:
    source = numbers.source
    if index >= len(document.textures):
        raise source.fault(f"expected one of {len(document.textures)} textures; got number {index}")
    texture = document.textures[index]
    extended = texture.extensions.EXT_texture_webp
    number = texture.source if extended is None else extended.source
    if number is None or number >= len(document.images):
        raise source.fault(
            f"expected texture {index} to name one of {len(document.images)} PNG, JPEG or WebP images; got {number}",
            hint="export it with PNG or JPEG textures",
        )
    image = document.images[number]
    if image.uri is not None:
        return source.texture(image.uri if image.uri.startswith("data:") else unquote(image.uri))
    if image.bufferView is None:
        raise source.fault(f"expected image {number} to name a file or a buffer; got neither")
    return source.picture(bytes(numbers.view(image.bufferView)), f"image {number}")
