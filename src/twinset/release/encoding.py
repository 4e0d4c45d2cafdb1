"""How a released picture becomes a file: watermarked, with its provenance inside, and signed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twinset.dataset import Sample
from twinset.images import FULL_RANGE
from twinset.provenance import encode_with_provenance
from twinset.release.credentials import CredentialSigner
from twinset.release.watermark import Watermark


@dataclass(frozen=True)
class ReleaseEncoder:
    """The file content of a sample, for the writers of datasets; real samples stay as they came.

    Equal samples give equal bytes, unless they are signed: a signature is another each time, pixels are the same.
    """

    watermark: Watermark | None = None
    payload: int | None = None
    signer: CredentialSigner | None = None

    def __call__(self, sample: Sample) -> bytes:
        """PNG with watermark, XMP and Content Credentials, as far as asked for."""
        if not sample.origin.synthetic:
            return encode_with_provenance(sample)
        if self.watermark is not None:
            marked = self.watermark.mark(sample.pixels(), self.payload)
            sample = replace(sample, image=marked, path=None, sha256=None, window=FULL_RANGE)
        data = encode_with_provenance(sample)
        return data if self.signer is None else self.signer.sign(data, sample)
