"""Pictures that say where they come from: an XMP packet inside the file, pixels untouched.

The packet holds IPTC's ``DigitalSourceType`` (the field that viewers and platforms read to mark synthetic media),
IPTC's ``AISystemUsed``, the licence as ``dc:rights``, and our own properties: sample id, method, seed, recipe
digest, parents and, of pictures drawn in pairs, the pair. In PNG it is the ``iTXt`` chunk ``XML:com.adobe.xmp`` (XMP
specification part 3, 1.1.5); it is read from JPEG too, should somebody have converted a picture.

Source types are terms of https://cv.iptc.org/newscodes/digitalsourcetype/ as of 2024-10-23.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import escape

from twinset.annotations import PAIR
from twinset.dataset import Origin, Sample
from twinset.errors import ImageError
from twinset.images import FULL_RANGE, MAX_FILE_BYTES, Pixels, encode_png

if TYPE_CHECKING:
    from PIL import Image

SourceType = Literal[
    "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced", "composite"
]

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
NAMESPACES: Mapping[str, str] = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "twinset": "urn:twinset:provenance:1#",
}
WITHOUT_LEARNED_CONTENT: Mapping[str, SourceType] = {
    "classical": "algorithmicallyEnhanced",
    "cutout": "algorithmicallyEnhanced",
    "patchshuffle": "algorithmicallyEnhanced",
    "trivialaugment": "algorithmicallyEnhanced",
    "mixup": "composite",
    "cutmix": "composite",
    "geometric": "algorithmicallyEnhanced",
    "photometric": "algorithmicallyEnhanced",
    "erase": "algorithmicallyEnhanced",
    "mosaic": "composite",
    "scene-mixup": "composite",
    "copypaste": "composite",
}
"""Methods that only rearrange pixels of their parents. Every other method counts as generative."""

BY_WEIGHT: tuple[SourceType, ...] = ("compositeWithTrainedAlgorithmicMedia", "composite", "algorithmicallyEnhanced")
"""Of several edits the first of these is told."""

_XMP_KEYWORD = "XML:com.adobe.xmp"
_PROPERTIES = ("sampleId", "method", "seed", "recipeDigest")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Provenance:
    """What a picture says about itself."""

    source_type: str
    generator: str
    sample_id: str
    method: str
    seed: int
    recipe_digest: str
    parents: tuple[str, ...] = ()
    licence: str | None = None
    pair: str | None = None

    @staticmethod
    def of(sample: Sample) -> Provenance:
        """The provenance of a synthetic sample; ``ValueError`` for a real one."""
        from twinset import __version__

        origin = sample.origin
        if origin.method is None or origin.seed is None or origin.recipe_digest is None:
            raise ValueError(f"expected a synthetic sample; got {sample.id}, which no method made")
        return Provenance(
            VOCABULARY + source_type(origin),
            f"twinset {__version__}",
            sample.id,
            origin.method,
            origin.seed,
            origin.recipe_digest,
            origin.parents,
            origin.licence,
            _pair(sample),
        )


def _pair(sample: Sample) -> str | None:
    found = None if sample.annotation is None else sample.annotation.attributes.get(PAIR)
    return None if found is None else str(found)


def source_type(origin: Origin) -> SourceType:
    """The IPTC term for a synthetic origin. When in doubt it says that a trained model was at work.

    A chain of methods (``diffusion+classical``) counts as generative if any of them does.

    >>> source_type(Origin("diffusion", 1, "d")), source_type(Origin("sdedit", 1, "d", ("real/1",)))
    ('trainedAlgorithmicMedia', 'compositeWithTrainedAlgorithmicMedia')
    """
    if not origin.parents:
        return "trainedAlgorithmicMedia"
    names = [part.partition(".")[0] for part in (origin.method or "").split("+")]
    found = {WITHOUT_LEARNED_CONTENT.get(name, "compositeWithTrainedAlgorithmicMedia") for name in names}
    return next(term for term in BY_WEIGHT if term in found)


def encode_with_provenance(sample: Sample) -> bytes:
    """A synthetic sample as PNG with exactly its pixels and its provenance; a real one as the bytes it came as.

    Equal samples give equal bytes.
    """
    if not sample.origin.synthetic:
        return sample.encoded() if sample.window == FULL_RANGE else encode_png(sample.pixels())
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(_XMP_KEYWORD, xmp_packet(Provenance.of(sample)))
    buffer = io.BytesIO()
    _picture(sample.pixels()).save(buffer, format="PNG", compress_level=6, pnginfo=info)
    return buffer.getvalue()


def _picture(pixels: Pixels) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def xmp_packet(provenance: Provenance) -> str:
    """The XMP packet as text. Characters that XML cannot hold become U+FFFD."""
    ours = {
        "sampleId": provenance.sample_id,
        "method": provenance.method,
        "seed": str(provenance.seed),
        "recipeDigest": provenance.recipe_digest,
    }
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix != "rdf")
    lines = [
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>',
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
        f'<rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">',
        f'<rdf:Description rdf:about="" {spaces}>',
        _element("Iptc4xmpExt:DigitalSourceType", provenance.source_type),
        _element("Iptc4xmpExt:AISystemUsed", f"{provenance.generator}, {provenance.method}"),
        _element("xmp:CreatorTool", provenance.generator),
        *(_element(f"twinset:{name}", text) for name, text in ours.items()),
        *([] if provenance.pair is None else [_element("twinset:pair", provenance.pair)]),
        *_parents(provenance.parents),
        *_rights(provenance.licence),
        "</rdf:Description></rdf:RDF></x:xmpmeta>",
        '<?xpacket end="r"?>',
    ]
    return "\n".join(lines)


def _element(name: str, text: str) -> str:
    return f"<{name}>{_escaped(text)}</{name}>"


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _parents(parents: tuple[str, ...]) -> list[str]:
    if not parents:
        return []
    items = "".join(_element("rdf:li", parent) for parent in parents)
    return [f"<twinset:parents><rdf:Seq>{items}</rdf:Seq></twinset:parents>"]


def _rights(licence: str | None) -> list[str]:
    if licence is None:
        return []
    item = f'<rdf:li xml:lang="x-default">{_escaped(licence)}</rdf:li>'
    return [f"<dc:rights><rdf:Alt>{item}</rdf:Alt></dc:rights>"]


def read_provenance(data: bytes) -> Provenance | None:
    """The provenance inside a PNG or JPEG, or None where there is none of ours.

    Raises :class:`ImageError` for a packet that is not plain XML; document types and entities are refused
    unread, so nothing outside the file is ever opened.
    """
    root = _xmp_of(data)
    if root is None:
        return None
    texts = {name: root.findtext(f".//twinset:{name}", namespaces=dict(NAMESPACES)) for name in _PROPERTIES}
    if any(text is None for text in texts.values()):
        return None
    return _from_xml(root, {name: text or "" for name, text in texts.items()})


def stated_source_type(data: bytes) -> str | None:
    """The ``DigitalSourceType`` that the XMP of a PNG or JPEG states, whoever wrote it; None where there is none.

    XMP has it as an element or as an attribute of ``rdf:Description``; errors as :func:`read_provenance`.
    """
    root = _xmp_of(data)
    if root is None:
        return None
    name = f"{{{NAMESPACES['Iptc4xmpExt']}}}DigitalSourceType"
    for node in root.iter():
        found = node.get(name) or (node.text if node.tag == name else None)
        if found and found.strip():
            return found.strip()
    return None


def _xmp_of(data: bytes) -> ET.Element | None:
    packet = _packet_of(data)
    if packet is None:
        return None
    if "<!DOCTYPE" in packet or "<!ENTITY" in packet:
        raise ImageError("expected an XMP packet without a document type; got one", hint="do not trust this file")
    try:
        return ET.fromstring(re.sub(r"^<\?xpacket[^>]*\?>|<\?xpacket[^>]*\?>\s*$", "", packet.strip("\ufeff \n\0")))
    except ET.ParseError as error:
        raise ImageError(f"expected an XMP packet that is XML; got {error}") from error


def _from_xml(root: ET.Element, texts: Mapping[str, str]) -> Provenance:
    spaces = dict(NAMESPACES)
    if not re.fullmatch(r"-?\d{1,20}", texts["seed"]):
        raise ImageError(f"expected a whole number as seed; got {texts['seed'][:40]!r}")
    return Provenance(
        root.findtext(".//Iptc4xmpExt:DigitalSourceType", "", spaces),
        root.findtext(".//xmp:CreatorTool", "", spaces),
        texts["sampleId"],
        texts["method"],
        int(texts["seed"]),
        texts["recipeDigest"],
        tuple(item.text or "" for item in root.findall(".//twinset:parents/rdf:Seq/rdf:li", spaces)),
        root.findtext(".//dc:rights/rdf:Alt/rdf:li", None, spaces),
        root.findtext(".//twinset:pair", None, spaces),
    )


def _packet_of(data: bytes) -> str | None:
    from PIL import Image

    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"expected at most {MAX_FILE_BYTES} bytes; got {len(data)}")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            found = picture.info.get(_XMP_KEYWORD) or picture.info.get("xmp")
    except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
        raise ImageError(f"expected a PNG or JPEG; got {type(error).__name__}") from error
    if isinstance(found, bytes):
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ImageError("expected an XMP packet in UTF-8; got other bytes") from error
    return found if isinstance(found, str) else None
