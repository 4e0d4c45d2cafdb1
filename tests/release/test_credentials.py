"""Content Credentials are valid for the bytes that were signed, for no others, and what is missing is absent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinset.dataset import Origin, Sample
from twinset.errors import UsageError
from twinset.provenance import Provenance, encode_with_provenance, read_provenance
from twinset.release.credentials import CredentialSigner, holds_manifest, manifest_of, read_credentials
from twinset.release.encoding import ReleaseEncoder
from twinset.release.watermark import SecretKey, SpreadSpectrum

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def sample(parents: tuple[str, ...] = ()) -> Sample:
    return Sample("made/1", origin=Origin("diffusion", 7, "ab" * 32, parents, "CC-BY-4.0"), image=PIXELS)


def test_a_signed_picture_is_valid_and_says_what_it_is(paper: Any) -> None:
    signer = CredentialSigner(paper.chain, paper.key, training="notAllowed", watermarked=True)
    data = signer.sign(encode_with_provenance(sample(("real/1", "real/2"))), sample(("real/1", "real/2")))
    found = read_credentials(data)
    assert (found.state, found.trusted, found.problems) == ("valid", None, ())
    assert found.signer == "signer, tests of twinset"
    assert found.source_type is not None
    assert found.source_type.endswith("compositeWithTrainedAlgorithmicMedia")
    assert (np.asarray(Image.open(io.BytesIO(data))) == PIXELS).all()


def test_what_is_trusted_is_for_the_list_to_say(paper: Any, other_paper: Any) -> None:
    data = CredentialSigner(paper.chain, paper.key).sign(encode_with_provenance(sample()), sample())
    assert read_credentials(data, trusted=paper.root).trusted is True
    assert read_credentials(data, trusted=other_paper.root).trusted is False
    assert read_credentials(data, trusted=other_paper.root).state == "valid"


def test_a_changed_pixel_makes_it_invalid(paper: Any) -> None:
    data = bytearray(CredentialSigner(paper.chain, paper.key).sign(encode_with_provenance(sample()), sample()))
    at = data.rindex(b"IDAT") + 40
    data[at] ^= 1
    found = read_credentials(bytes(data))
    assert found.state == "invalid"
    assert "assertion.dataHash.mismatch" in found.problems


def test_a_jpeg_can_be_signed_and_read(paper: Any) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG")
    data = CredentialSigner(paper.chain, paper.key).sign(buffer.getvalue(), sample())
    assert read_credentials(data).state == "valid"


def test_mark_metadata_and_signature_stand_in_one_file(paper: Any) -> None:
    mark = SpreadSpectrum(SecretKey(b"a key of the tests, not a secret"))
    encode = ReleaseEncoder(mark, 5, CredentialSigner(paper.chain, paper.key, watermarked=True))
    first, second = encode(sample()), encode(sample())
    assert read_credentials(first).state == "valid"
    assert read_provenance(first) == Provenance.of(sample())
    assert b"c2pa.watermarked.unbound" in first
    shown = np.asarray(Image.open(io.BytesIO(first)))
    assert (shown == mark.mark(PIXELS, 5)).all()
    assert first != second
    assert (shown == np.asarray(Image.open(io.BytesIO(second)))).all()


def test_stripped_credentials_are_absent_not_guessed(paper: Any) -> None:
    data = CredentialSigner(paper.chain, paper.key).sign(encode_with_provenance(sample()), sample())
    stripped = io.BytesIO()
    Image.open(io.BytesIO(data)).save(stripped, format="PNG")
    found = read_credentials(stripped.getvalue())
    assert (found.state, found.signer, found.source_type, found.problems) == ("absent", None, None, ())


def test_a_damaged_manifest_is_invalid(paper: Any) -> None:
    data = CredentialSigner(paper.chain, paper.key).sign(encode_with_provenance(sample()), sample())
    at = data.index(b"caBX") + 4
    assert read_credentials(data[:at] + b"\0" * 400 + data[at + 400 :]).state == "invalid"


def test_certificate_and_key_that_do_not_fit_are_refused_before_anything_is_signed(paper: Any, tmp_path: Path) -> None:
    chain, key, other = (tmp_path / name for name in ("chain.pem", "key.pem", "other.pem"))
    chain.write_bytes(paper.chain)
    key.write_bytes(paper.key)
    other.write_bytes(paper.other_key)
    assert CredentialSigner.read(chain, key).algorithm == "es256"
    with pytest.raises(UsageError, match="expected a certificate chain and a key that C2PA accepts; got"):
        CredentialSigner.read(chain, other)
    with pytest.raises(UsageError, match="expected a certificate chain and a key that C2PA accepts; got"):
        CredentialSigner.read(chain, key, algorithm="ed25519")


def test_files_that_hold_no_pem_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no PEM")
    with pytest.raises(UsageError, match="expected a PEM file with a CERTIFICATE; got none in it"):
        CredentialSigner.read(tmp_path / "a", tmp_path / "a")
    with pytest.raises(UsageError, match="expected a PEM file; got No such file"):
        CredentialSigner.read(tmp_path / "none", tmp_path / "a")
    with pytest.raises(UsageError, match="expected algorithm es256"):
        CredentialSigner.read(tmp_path / "a", tmp_path / "a", algorithm="rot13")


def test_pictures_without_a_manifest_hold_none() -> None:
    png = encode_with_provenance(sample())
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG")
    for data in (png, buffer.getvalue(), png[:20], b"\xff\xd8\xff"):
        assert not holds_manifest(data)
        assert read_credentials(data).state == "absent"
    other = read_credentials(b"GIF89a")
    assert (other.state, other.problems) == ("unchecked", ("not looked for: neither PNG nor JPEG",))


def test_a_manifest_is_seen_without_the_library_and_behind_padding() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG")
    segment = b"\xff\xeb\x00\x0cJP" + bytes(8)
    for padding in (b"", b"\xff\xff"):
        assert holds_manifest(b"\xff\xd8" + padding + segment + buffer.getvalue()[2:])
    png = encode_with_provenance(sample())
    assert holds_manifest(png[:33] + b"\x00\x00\x00\x00caBX\x00\x00\x00\x00" + png[33:])


def test_the_manifest_names_parents_and_no_thumbnail() -> None:
    told = manifest_of(sample(("real/1",)), "image/png", training="allowed", watermarked=False)
    assert told["ingredients"] == [
        {"title": "real/1", "relationship": "inputTo", "instance_id": "real/1", "label": "parent0"}
    ]
    assert "thumbnail" not in str(told)
    assert "'use': 'allowed'" in str(told)
