from __future__ import annotations

import datetime
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.release import ArmResult, Export, Parent, Release
from twinset.scores import Interval, Score

CLASSES = ("cat", "<b>dog</b> | *x*")


@pytest.fixture
def mlcroissant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The reference reader, with a cache of its own: it would take an unpacked tar of any other release for ours."""
    reader = pytest.importorskip("mlcroissant")
    unpacking = importlib.import_module("mlcroissant._src.operation_graph.operations.extract")
    monkeypatch.setattr(unpacking, "EXTRACT_PATH", type(unpacking.EXTRACT_PATH)(tmp_path / "unpacked"))
    return reader


@pytest.fixture
def twin() -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset.of(
        (
            Sample(
                f"{k:06d}-0",
                Annotation(class_id=k % 2),
                Origin("diffusion", 1000 + k, "ab" * 32, licence="CC BY 4.0"),
                rng.integers(0, 256, (8, 8, 3), dtype=np.uint8),
            )
            for k in range(10)
        ),
        classes=CLASSES,
    )


@pytest.fixture
def make_release() -> Callable[..., Release]:
    def make(**changes: object) -> Release:
        settings: dict[str, object] = {
            "name": "digits twin",
            "version": "0.1.0",
            "counts": {"cat": 5, CLASSES[1]: 5},
            "height": 8,
            "width": 8,
            "channels": 3,
            "digest": "cd" * 32,
            "recipe": "seed: 0\nname: ```tricky\n",
            "recipe_digest": "ab" * 32,
            "seed": 0,
            "command": "twinset run resolved.yaml",
            "methods": {"diffusion": 10},
            "parents": (Parent("real pets", "ef" * 32, 120, "CC BY 4.0"),),
            "created": "2025-01-31",
            "decision": "use",
            "sentence": "It helps.",
            "difference": (0.018, 0.004, 0.031),
            "scores": (
                Score("frechet_distance", 9.7, False, {"real": 120, "synthetic": 10}, Interval(9.0, 10.0),
                      extractor="random", floor=3.2, warnings=("N is small",)),
            ),
            "arms": (ArmResult("real", 0.95, 0.94, 0.96, 3), ArmResult("real+synthetic", 0.968, 0.96, 0.975, 3)),
            "gate_passed": True,
            "gate_sentence": "No copies found.",
            "limits": ("Only 40 real test images.",),
        }  # fmt: skip
        counts = {**settings, **changes}["counts"]
        settings["images"] = sum(counts.values())  # type: ignore[attr-defined]
        return Release(**{**settings, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def exported(twin: Dataset, tmp_path: Path) -> Callable[[str], Export]:
    from twinset import formats
    from twinset.provenance import encode_with_provenance

    def export(kind: str) -> Export:
        folder = tmp_path / "export" / kind
        formats.write(twin, folder, kind, encode=encode_with_provenance)  # type: ignore[arg-type]
        return Export.scan(folder, kind, below=tmp_path)  # type: ignore[arg-type]

    return export


class Paper:
    """A root, and a certificate for signing under it, as PEM."""

    def __init__(self) -> None:
        x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography")
        pytest.importorskip("c2pa", reason="Content Credentials need twinset[c2pa]")
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        def name(text: str) -> Any:
            told = ((NameOID.COMMON_NAME, text), (NameOID.ORGANIZATION_NAME, "tests of twinset"))
            return x509.Name([x509.NameAttribute(kind, value) for kind, value in told])

        def builder(subject: str, public: object, number: int) -> Any:
            return (
                x509.CertificateBuilder()
                .subject_name(name(subject))
                .issuer_name(name("root"))
                .public_key(public)
                .serial_number(number)
                .not_valid_before(datetime.datetime(2024, 1, 1))
                .not_valid_after(datetime.datetime(2049, 1, 1))
            )

        def usage(*, signs: bool) -> Any:
            others = (False,) * 4
            return x509.KeyUsage(signs, *others, not signs, not signs, False, False)

        root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        first = (
            builder("root", root.public_key(), 1)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(usage(signs=False), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), False)
            .sign(root, hashes.SHA256())
        )
        second = (
            builder("signer", leaf.public_key(), 2)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(usage(signs=True), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()), False)
            .sign(root, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        plain = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.root: bytes = first.public_bytes(pem)
        self.chain: bytes = second.public_bytes(pem) + self.root
        self.key: bytes = leaf.private_bytes(*plain)
        self.other_key: bytes = root.private_bytes(*plain)
        self.public = leaf.public_key()


@pytest.fixture(scope="session")
def paper() -> Paper:
    return Paper()


@pytest.fixture(scope="session")
def other_paper() -> Paper:
    return Paper()
