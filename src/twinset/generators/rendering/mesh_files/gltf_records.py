"""The records of a glTF 2.0 file, for msgspec; only what we read is listed."""

from __future__ import annotations

from typing import Annotated

import msgspec

Index = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Component = Annotated[float, msgspec.Meta(ge=0, le=1)]
Vector3 = tuple[float, float, float]


class Buffer(msgspec.Struct):
    """Raw bytes: of a file, of a data address, or (first one without uri) packed in the GLB."""

    byteLength: Index
    uri: str | None = None


class BufferView(msgspec.Struct):
    """A stretch of a buffer."""

    buffer: Index
    byteLength: Index
    byteOffset: Index = 0
    byteStride: Index | None = None
    extensions: dict[str, msgspec.Raw] = {}


class SparseIndices(msgspec.Struct):
    """Which rows of an accessor are replaced."""

    bufferView: Index
    componentType: int
    byteOffset: Index = 0


class SparseValues(msgspec.Struct):
    """What they are replaced with."""

    bufferView: Index
    byteOffset: Index = 0


class Sparse(msgspec.Struct):
    """Rows of an accessor that differ from the rest."""

    count: Index
    indices: SparseIndices
    values: SparseValues


class Accessor(msgspec.Struct):
    """A table of numbers in a view."""

    componentType: int
    count: Index
    type: str
    bufferView: Index | None = None
    byteOffset: Index = 0
    normalized: bool = False
    sparse: Sparse | None = None


class Image(msgspec.Struct):
    """A picture: a file, a data address or a view."""

    uri: str | None = None
    bufferView: Index | None = None


class ImageExtension(msgspec.Struct):
    """A picture in a format that plain glTF lacks."""

    source: Index


class TextureExtensions(msgspec.Struct):
    """Extensions of a texture that we read."""

    EXT_texture_webp: ImageExtension | None = None


class Texture(msgspec.Struct):
    """A picture with its sampler, which we leave out."""

    source: Index | None = None
    extensions: TextureExtensions = msgspec.field(default_factory=TextureExtensions)


class TextureTransform(msgspec.Struct):
    """How coordinates are moved before the lookup."""

    offset: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    texCoord: Index | None = None


class UseExtensions(msgspec.Struct):
    """Extensions of a texture's use that we read."""

    KHR_texture_transform: TextureTransform | None = None


class TextureUse(msgspec.Struct):
    """A texture and the set of coordinates it is laid by."""

    index: Index
    texCoord: Index = 0
    extensions: UseExtensions = msgspec.field(default_factory=UseExtensions)


class Roughness(msgspec.Struct):
    """The metallic-roughness model."""

    baseColorFactor: tuple[Component, Component, Component, Component] = (1.0, 1.0, 1.0, 1.0)
    baseColorTexture: TextureUse | None = None
    metallicFactor: Component = 1.0
    roughnessFactor: Component = 1.0
    metallicRoughnessTexture: TextureUse | None = None


class Glossiness(msgspec.Struct):
    """The older specular-glossiness model."""

    diffuseFactor: tuple[Component, Component, Component, Component] = (1.0, 1.0, 1.0, 1.0)
    diffuseTexture: TextureUse | None = None
    glossinessFactor: Component = 1.0


class MaterialExtensions(msgspec.Struct):
    """Extensions of a material that we read."""

    KHR_materials_pbrSpecularGlossiness: Glossiness | None = None


class Material(msgspec.Struct):
    """How a surface looks."""

    pbrMetallicRoughness: Roughness = msgspec.field(default_factory=Roughness)
    alphaMode: str = "OPAQUE"
    extensions: MaterialExtensions = msgspec.field(default_factory=MaterialExtensions)


class Primitive(msgspec.Struct):
    """Triangles of one material."""

    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: int = 4
    targets: list[msgspec.Raw] = []
    extensions: dict[str, msgspec.Raw] = {}


class Mesh(msgspec.Struct):
    """Primitives that are placed together."""

    primitives: list[Primitive]


class Node(msgspec.Struct):
    """A place in the scene, under one other at most."""

    children: list[Index] = []
    mesh: Index | None = None
    skin: Index | None = None
    matrix: tuple[float, ...] | None = None
    translation: Vector3 | None = None
    rotation: tuple[float, float, float, float] | None = None
    scale: Vector3 | None = None


class Scene(msgspec.Struct):
    """The nodes at the top."""

    nodes: list[Index] = []


class Asset(msgspec.Struct):
    """The version."""

    version: str


class Document(msgspec.Struct):
    """The whole file."""

    asset: Asset
    scene: Index | None = None
    scenes: list[Scene] = []
    nodes: list[Node] = []
    meshes: list[Mesh] = []
    materials: list[Material] = []
    textures: list[Texture] = []
    images: list[Image] = []
    buffers: list[Buffer] = []
    bufferViews: list[BufferView] = []
    accessors: list[Accessor] = []
    animations: list[msgspec.Raw] = []
    extensionsRequired: list[str] = []
