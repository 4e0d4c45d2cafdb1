from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from twinset.annotations import Annotation
from twinset.dataset import Origin, Sample
from twinset.editing.classical import Classical, TrivialAugment
from twinset.errors import ImageError
from twinset.images import decode, encode_png
from twinset.provenance import VOCABULARY, Provenance, encode_with_provenance, read_provenance, xmp_packet
from twinset.randomness import Stream

PIXELS = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)


def sample(
    method: str = "diffusion", *, parents: tuple[str, ...] = (), licence: str | None = "CC0-1.0", grey: bool = False
) -> Sample:
    pixels = PIXELS[..., :1] if grey else PIXELS
    return Sample("000007-1", Annotation(class_id=0), Origin(method, 2**62, "ab" * 32, parents, licence), pixels)


@pytest.mark.parametrize("grey", [False, True])
def test_pixels_stay_and_everything_comes_back(grey: bool) -> None:
    made = sample(grey=grey, parents=("train/<1>&.png", "b"))
    data = encode_with_provenance(made)
    np.testing.assert_array_equal(decode(data), made.pixels())
    found = read_provenance(data)
    assert found == Provenance.of(made)
    assert (found.seed, found.sample_id, found.parents) == (2**62, "000007-1", ("train/<1>&.png", "b"))
    assert data == encode_with_provenance(made)


def test_packet_lies_where_viewers_look_for_it() -> None:
    with Image.open(io.BytesIO(encode_with_provenance(sample()))) as picture:
        packet = picture.info["XML:com.adobe.xmp"]
    term = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert f"<Iptc4xmpExt:DigitalSourceType>{term}</Iptc4xmpExt:DigitalSourceType>" in packet
    assert 'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"' in packet


@pytest.mark.parametrize(
    ("method", "parents", "term"),
    [
        ("diffusion", (), "trainedAlgorithmicMedia"),
        ("folder", (), "trainedAlgorithmicMedia"),
        ("sdedit", ("a",), "compositeWithTrainedAlgorithmicMedia"),
        ("somebody's plug-in", ("a",), "compositeWithTrainedAlgorithmicMedia"),
        ("classical", ("a",), "algorithmicallyEnhanced"),
        ("cutmix", ("a", "b"), "composite"),
        ("trivialaugment.brightness", ("a",), "algorithmicallyEnhanced"),
        ("classical+cutmix+cutout", ("a", "b"), "composite"),
        ("diffusion+classical", ("a",), "compositeWithTrainedAlgorithmicMedia"),
        ("classical+somebody's plug-in", ("a",), "compositeWithTrainedAlgorithmicMedia"),
        ("classical", (), "trainedAlgorithmicMedia"),
    ],
)
def test_source_type_follows_the_method(method: str, parents: tuple[str, ...], term: str) -> None:
    found = read_provenance(encode_with_provenance(sample(method, parents=parents)))
    assert found is not None
    assert found.source_type == VOCABULARY + term


@pytest.mark.parametrize("editor", [Classical(), TrivialAugment()])
def test_a_generated_picture_stays_generated_however_it_is_edited(editor: Classical | TrivialAugment) -> None:
    generated, photo = sample(), Sample("photo", Annotation(class_id=0), image=PIXELS)
    for seed in range(20):
        once = editor.edit(generated, rng=Stream(seed))
        assert "rainedAlgorithmicMedia" in Provenance.of(editor.edit(once, rng=Stream(seed))).source_type
        assert Provenance.of(editor.edit(photo, rng=Stream(seed))).source_type.endswith("algorithmicallyEnhanced")


def test_the_words_are_read_from_a_jpeg_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG", xmp=xmp_packet(Provenance.of(sample())).encode())
    assert read_provenance(buffer.getvalue()) == Provenance.of(sample())


def test_real_samples_pass_unmarked() -> None:
    data = encode_png(PIXELS)
    assert encode_with_provenance(Sample("real", image=data)) == data
    assert read_provenance(data) is None
    with pytest.raises(ValueError, match="expected a synthetic sample"):
        Provenance.of(Sample("real", image=data))


@settings(deadline=None, max_examples=50)
@given(st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_any_text_gives_a_packet_that_parses_and_holds_no_element_of_it(
    licence: str, method: str, parents: list[str]
) -> None:
    origin = Origin(method or "m", 1, "ab", tuple(parents), licence)
    found = read_provenance(encode_with_provenance(Sample("x", Annotation(class_id=0), origin, PIXELS)))
    assert found is not None
    assert len(found.parents) == len(parents)
    if all(" " <= c < "\ud800" for c in licence):
        assert (found.licence or "") == licence


def with_packet(packet: str) -> bytes:
    """A one-pixel PNG with this packet, however wrong."""
    body = b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    plain = encode_png(np.zeros((1, 1, 1), np.uint8))
    return plain[:33] + chunk + plain[33:]


def test_entities_and_document_types_are_refused() -> None:
    good = xmp_packet(Provenance.of(sample()))
    assert read_provenance(with_packet(good)) == Provenance.of(sample())
    bomb = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + good
    with pytest.raises(ImageError, match="without a document type"):
        read_provenance(with_packet(bomb))


@pytest.mark.parametrize("packet", ["<x", "plain words", "<a></b>"])
def test_broken_packets_are_one_clear_error(packet: str) -> None:
    with pytest.raises(ImageError, match="expected an XMP packet that is XML"):
        read_provenance(with_packet(packet))


def test_other_peoples_packets_and_seeds() -> None:
    assert read_provenance(with_packet("<a/>")) is None
    strange = xmp_packet(Provenance.of(sample())).replace(str(2**62), "9" * 5000)
    with pytest.raises(ImageError, match="whole number as seed"):
        read_provenance(with_packet(strange))
    with pytest.raises(ImageError, match="expected a PNG or JPEG"):
        read_provenance(b"GIF89a")
