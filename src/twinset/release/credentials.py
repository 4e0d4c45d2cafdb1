"""Content Credentials: a signed statement of origin inside a picture, by the C2PA specification (2.x), and its check.

What is signed: that the picture was created by an algorithm (``c2pa.created`` with IPTC's source type), by which method
and seed, from which parents (as ingredients of the kind ``inputTo``, by id and without their pixels: no thumbnails),
that it was watermarked, and, if asked for, whether it may be trained on (``cawg.training-mining``). The signature
holds for exactly these bytes; whoever writes the picture anew loses it.

Signing and checking is done by c2pa-python (extra ``c2pa``). No network is used: no time stamp authority, no remote
manifests, no OCSP. Identifiers and the signature differ each time a picture is signed; its pixels do not.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import numpy as np

from twinset.dataset import Origin, Sample
from twinset.errors import MissingExtraError, UsageError
from twinset.images import encode_png
from twinset.provenance import Provenance

Algorithm = Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"]
TrainingUse = Literal["allowed", "notAllowed"]
CredentialState = Literal["valid", "invalid", "absent", "unchecked"]

TRAINING_ENTRIES = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining")
UNTRUSTED = "signingCredential.untrusted"
MOST_PEM_BYTES = 1 << 20

_TYPES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


@dataclass(frozen=True)
class CredentialReading:
    """What a picture's Content Credentials are: ``unchecked`` where there are some and the extra is missing, or where
    the file is of a kind that we do not look into.

    ``trusted`` says whether the signer is on the list that was given; None without a list. ``valid`` without that means
    no more than that somebody signed these bytes.
    """

    state: CredentialState
    trusted: bool | None = None
    signer: str | None = None
    source_type: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class CredentialSigner:
    """Signs PNG and JPEG with a certificate chain (leaf first) and its private key, both PEM."""

    certificates: bytes = field(repr=False)
    private_key: bytes = field(repr=False)
    algorithm: Algorithm = "es256"
    training: TrainingUse | None = None
    watermarked: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @staticmethod
    def read(
        certificates: Path,
        private_key: Path,
        *,
        algorithm: str = "es256",
        training: TrainingUse | None = None,
        watermarked: bool = False,
    ) -> CredentialSigner:
        """From two PEM files; :class:`UsageError` if they do not fit together, before anything is signed."""
        if algorithm not in get_args(Algorithm):
            raise UsageError(
                f"expected algorithm {', '.join(get_args(Algorithm))}; got {algorithm!r}", hint="es256 for P-256 keys"
            )
        chain, key = _pem(certificates, "CERTIFICATE"), _pem(private_key, "PRIVATE KEY")
        found = CredentialSigner(chain, key, algorithm, training, watermarked)  # type: ignore[arg-type]
        found.check()
        return found

    def check(self) -> None:
        """Signs one pixel: errors of certificate and key come at once, not after an hour."""
        origin = Origin("check", 0, "0")
        sample = Sample("check", image=np.zeros((8, 8, 1), dtype=np.uint8), origin=origin)
        self.sign(encode_png(sample.pixels()), sample)

    def sign(self, data: bytes, sample: Sample) -> bytes:
        """The picture with a manifest about this sample; ``ValueError`` for a real one."""
        c2pa = _library()
        kind = media_type(data)
        if kind is None:
            raise ValueError("expected a PNG or JPEG to sign; got something else")
        manifest = manifest_of(sample, kind, training=self.training, watermarked=self.watermarked)
        out = io.BytesIO()
        try:
            with self._lock, self._signer(c2pa) as signer, c2pa.Builder(manifest, _context(c2pa)) as builder:
                builder.sign(signer, kind, io.BytesIO(data), out)
        except c2pa.C2paError as error:
            raise UsageError(
                f"expected a certificate chain and a key that C2PA accepts; got {_first_line(error)}",
                hint="leaf first, with digitalSignature and emailProtection; key as PKCS#8, and of that algorithm",
            ) from error
        return out.getvalue()

    def _signer(self, c2pa: ModuleType) -> AbstractContextManager[object]:
        algorithm = getattr(c2pa.C2paSigningAlg, self.algorithm.upper())
        info = c2pa.C2paSignerInfo(algorithm, self.certificates, self.private_key, None)
        found: AbstractContextManager[object] = c2pa.Signer.from_info(info)
        return found


def manifest_of(sample: Sample, kind: str, *, training: TrainingUse | None, watermarked: bool) -> dict[str, object]:
    """The manifest as c2pa-python takes it."""
    said = Provenance.of(sample)
    name, _, version = said.generator.partition(" ")
    parents = [f"parent{number}" for number in range(len(said.parents))]
    created: dict[str, object] = {"action": "c2pa.created", "digitalSourceType": said.source_type}
    if parents:
        created["parameters"] = {"ingredientIds": parents}
    actions = [created, *([{"action": "c2pa.watermarked.unbound"}] if watermarked else [])]
    origin = {"sampleId": said.sample_id, "method": said.method, "seed": str(said.seed), "recipe": said.recipe_digest}
    assertions: list[dict[str, object]] = [
        {"label": "c2pa.actions", "data": {"actions": actions}},
        {"label": "org.twinset.origin", "data": {**origin, **({"licence": said.licence} if said.licence else {})}},
    ]
    if training is not None:
        entries = {entry: {"use": training} for entry in TRAINING_ENTRIES}
        assertions.append({"label": "cawg.training-mining", "data": {"entries": entries}})
    return {
        "claim_generator_info": [{"name": name, "version": version}],
        "title": said.sample_id,
        "format": kind,
        "ingredients": [
            {"title": parent, "relationship": "inputTo", "instance_id": parent, "label": label}
            for parent, label in zip(said.parents, parents, strict=True)
        ],
        "assertions": assertions,
    }


def read_credentials(data: bytes, *, trusted: bytes | None = None) -> CredentialReading:
    """What the Content Credentials of a PNG or JPEG say; ``trusted``: certificates (PEM) of those whom you believe.

    Whether there are any is seen without the extra. Bytes of other kinds are ``unchecked``.
    """
    kind = media_type(data)
    if kind is None:
        return CredentialReading("unchecked", problems=("not looked for: neither PNG nor JPEG",))
    if not holds_manifest(data):
        return CredentialReading("absent")
    try:
        c2pa = _library()
    except MissingExtraError:
        return CredentialReading("unchecked", problems=("there are some; to check them, install twinset[c2pa]",))
    try:
        with c2pa.Reader(kind, io.BytesIO(data), context=_context(c2pa, trusted)) as reader:
            state, active = reader.get_validation_state(), reader.get_active_manifest() or {}
            results = reader.get_validation_results() or {}
    except c2pa.C2paError as error:
        return CredentialReading("invalid", problems=(_first_line(error),))
    failures = [str(each.get("code")) for each in results.get("activeManifest", {}).get("failure", [])]
    problems = tuple(code for code in failures if code != UNTRUSTED)
    signature = active.get("signature_info", {})
    names = (signature.get("common_name"), signature.get("issuer"))
    return CredentialReading(
        "valid" if state in ("Valid", "Trusted") else "invalid",
        None if trusted is None else state == "Trusted",
        ", ".join(str(name) for name in names if name) or None,
        _source_type(active),
        problems,
    )


def media_type(data: bytes) -> str | None:
    """``image/png`` or ``image/jpeg``, by the first bytes; None for others."""
    return next((kind for magic, kind in _TYPES if data.startswith(magic)), None)


def holds_manifest(data: bytes) -> bool:
    """Whether a PNG has a chunk ``caBX``, or a JPEG a JUMBF segment (APP11): where C2PA keeps its manifests."""
    if data.startswith(b"\x89PNG"):
        return any(name == b"caBX" for name in _png_chunks(data))
    return any(marker == 0xEB and body.startswith(b"JP") for marker, body in _jpeg_segments(data))


def _png_chunks(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at + 8 <= len(data):
        found.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return found


def _jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # padding before a marker
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 4 + min(length, 16)]))
        at += 2 + max(length, 2)
    return found


def _source_type(active: Mapping[str, object]) -> str | None:
    """The source type that the manifest's actions state, if any."""
    assertions = active.get("assertions")
    for assertion in assertions if isinstance(assertions, list) else []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in assertion.get("data", {}).get("actions", []):
                if found := action.get("digitalSourceType"):
                    return str(found)
    return None


def check_extra() -> None:
    """Raises :class:`MissingExtraError` without c2pa-python."""
    _library()


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise MissingExtraError(
            "expected the c2pa-python package for Content Credentials; got none", hint="install twinset[c2pa]"
        ) from error
    found: ModuleType = c2pa
    return found


def _context(c2pa: ModuleType, trusted: bytes | None = None) -> object:
    settings: dict[str, object] = {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    }
    if trusted is not None:
        settings["trust"] = {"trust_anchors": trusted.decode("ascii", "replace")}
    return c2pa.Context(c2pa.Settings.from_dict(settings))


def _pem(path: Path, kind: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_PEM_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path}: expected a PEM file; got {error.strerror or error}", hint="see docs/watermark.md"
        ) from error
    if f"{kind}-----".encode() not in content:
        raise UsageError(f"{path}: expected a PEM file with a {kind}; got none in it", hint="see docs/watermark.md")
    return content


def read_certificates(path: Path) -> bytes:
    """The certificates in a PEM file; :class:`UsageError` where there are none."""
    return _pem(path, "CERTIFICATE")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__
