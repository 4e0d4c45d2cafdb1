"""Content Credentials checked without the library that signs: JUMBF, CBOR, COSE and hashes by hand.

Sources: C2PA 2.1, sections 8.4 (hashed URIs), 13 (signatures) and 18.5 (``c2pa.hash.data``); ISO 19566-5 (JUMBF);
RFC 8949 (CBOR); RFC 9052, section 4.4 (what COSE signs).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from twinset.dataset import Origin, Sample
from twinset.provenance import encode_with_provenance
from twinset.release.credentials import CredentialSigner


def cbor(data: bytes, at: int = 0) -> tuple[Any, int]:
    """One value and where the next begins."""
    kind, short = data[at] >> 5, data[at] & 31
    at += 1
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(short, 0)
    if kind == 7:
        return {20: False, 21: True}.get(short), at + width
    count = int.from_bytes(data[at : at + width], "big") if width else short
    at += width
    if kind < 2:
        return (count if kind == 0 else -1 - count), at
    if kind < 4:
        raw = data[at : at + count]
        return (raw if kind == 2 else raw.decode()), at + count
    if kind == 6:
        return cbor(data, at)
    values: list[Any] = []
    for _ in range(count * (kind - 3)):
        value, at = cbor(data, at)
        values.append(value)
    return (values if kind == 4 else dict(zip(values[::2], values[1::2], strict=True))), at


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the JUMBF boxes in ``data``."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def named(superbox: bytes) -> dict[str, bytes]:
    """The superboxes inside one, by label."""
    found = {}
    for kind, content in boxes(superbox):
        if kind == b"jumb":
            _, described = next(boxes(content))
            found[described[17:].split(b"\0")[0].decode()] = content
    return found


def content(superbox: bytes) -> bytes:
    """What a superbox holds after its description."""
    return list(boxes(superbox))[1][1]


def store_of(png: bytes) -> bytes:
    at = 8
    while png[at + 4 : at + 8] != b"caBX":
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return png[at + 8 : at + 8 + int.from_bytes(png[at : at + 4], "big")]


def byte_string(raw: bytes) -> bytes:
    return b"\x59" + struct.pack(">H", len(raw)) + raw if len(raw) > 255 else b"\x58" + bytes([len(raw)]) + raw


@pytest.fixture
def signed(paper: Any) -> tuple[bytes, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    sample = Sample("made/1", origin=Origin("sdedit", 7, "ab" * 32, ("real/1",)), image=pixels)
    signer = CredentialSigner(paper.chain, paper.key, training="notAllowed")
    return signer.sign(encode_with_provenance(sample), sample), paper.public


def test_signature_hashes_and_statements_hold(signed: tuple[bytes, Any]) -> None:
    png, public = signed
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    (_, store), *_ = boxes(store_of(png))
    manifest = list(named(store).values())[-1]
    parts = named(manifest)
    claim_bytes = content(parts["c2pa.claim.v2"])
    claim, _ = cbor(claim_bytes)
    (protected, _, payload, signature), _ = cbor(content(parts["c2pa.signature"]))
    assert payload is None
    told = b"\x84\x6aSignature1" + byte_string(protected) + b"\x40" + byte_string(claim_bytes)
    half = len(signature) // 2
    numbers = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    public.verify(utils.encode_dss_signature(*numbers), told, ec.ECDSA(hashes.SHA256()))

    assertions = named(parts["c2pa.assertions"])
    referred = {str(each["url"]).rpartition("/")[2]: each["hash"] for each in claim["created_assertions"]}
    referred |= {str(each["url"]).rpartition("/")[2]: each["hash"] for each in claim.get("gathered_assertions", [])}
    assert set(referred) == set(assertions)
    for label, expected in referred.items():
        assert hashlib.sha256(assertions[label]).digest() == expected, label

    bound, _ = cbor(content(assertions["c2pa.hash.data"]))
    ((start, length),) = [(each["start"], each["length"]) for each in bound["exclusions"]]
    assert hashlib.sha256(png[:start] + png[start + length :]).digest() == bound["hash"]

    actions, _ = cbor(content(assertions["c2pa.actions.v2"]))
    assert actions["actions"][0]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert not any("thumbnail" in label for label in assertions)
    assert b"cawg.ai_generative_training" in content(assertions["cawg.training-mining"])
