"""The marks that a recipe asks for in released pictures: how they are put in, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twinset.formats.writing import Encode
from twinset.provenance import encode_with_provenance
from twinset.recipe import ReleasePart
from twinset.release.credentials import CredentialSigner
from twinset.release.encoding import ReleaseEncoder
from twinset.release.watermark import PAYLOAD_BITS, SecretKey, SpreadSpectrum


def encoder_of(part: ReleasePart | None) -> Encode:
    """How released pictures become files; keys and certificates are read and tried now, so that errors come early."""
    if part is None or (part.watermark is None and part.c2pa is None):
        return encode_with_provenance
    mark, payload, signer = None, None, None
    if part.watermark is not None:
        payload = part.watermark.payload
        mark = SpreadSpectrum(SecretKey.read(Path(part.watermark.key_file)), part.watermark.psnr)
    if part.c2pa is not None:
        signer = CredentialSigner.read(
            Path(part.c2pa.certificate),
            Path(part.c2pa.key),
            algorithm=part.c2pa.algorithm,
            training=part.c2pa.training,
            watermarked=mark is not None,
        )
    return ReleaseEncoder(mark, payload, signer)


def told(part: ReleasePart | None) -> Iterator[str]:
    """What the card says of marks beyond XMP, a sentence each; no key is in them, and no payload."""
    if part is not None and part.watermark is not None:
        payload = (
            f"with a payload of {PAYLOAD_BITS} bits" if part.watermark.payload is not None else "without a payload"
        )
        yield (
            f"Every synthetic picture holds an invisible watermark {payload} ({part.watermark.psnr:g} dB), which who "
            "has the key finds with `twinset detect --watermark`. All figures and the digest in this card are of the "
            "pictures before it was put in."
        )
    if part is not None and part.c2pa is not None:
        training = {
            "allowed": " They say that models may be trained on the pictures.",
            "notAllowed": " They say that no models may be trained on the pictures.",
        }.get(part.c2pa.training or "", "")
        yield f"Pictures in PNG are signed: Content Credentials (C2PA) name method, seed and parents.{training}"
