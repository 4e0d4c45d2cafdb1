"""What is done to the pictures of a release, and said of who may have it, as a part of a run file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from twinset.recipe.parts import Part


class WatermarkPart(Part):
    """An invisible mark in every exported synthetic picture (docs/watermark.md)."""

    key_file: str = Field(description="File with a secret of 16 bytes or more; relative as `data`. It is never copied.")
    payload: Annotated[int, Field(ge=0, lt=2**16)] | None = Field(
        None, description="A number of 16 bits that comes back from the mark; default: a mark without one."
    )
    psnr: float = Field(40.0, ge=30, le=60, description="How near (dB) marked pictures stay to unmarked ones.")


class CredentialsPart(Part):
    """Content Credentials (C2PA), signed, in every exported synthetic picture (`twinset[c2pa]`)."""

    certificate: str = Field(description="PEM file with the certificate chain, leaf first; relative as `data`.")
    key: str = Field(description="PEM file with its private key; never copied.")
    algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = "es256"
    training: Literal["allowed", "notAllowed"] | None = Field(
        None, description="Whether models may be trained on the pictures; default: not stated."
    )


class ReleasePart(Part):
    """Marks in the exported pictures, and what the card says of access."""

    watermark: WatermarkPart | None = None
    c2pa: CredentialsPart | None = None
    access: str | None = Field(None, max_length=2000, description="Who may have the release, and how; for the card.")

    def without_marks(self) -> ReleasePart | None:
        """What is left without watermark and signature; None if that is nothing."""
        return None if self.access is None else ReleasePart(access=self.access)

    def with_paths(self, change: Callable[[str], str]) -> ReleasePart:
        """The part with its paths changed."""
        update: dict[str, object] = {}
        if self.watermark is not None:
            update["watermark"] = self.watermark.model_copy(update={"key_file": change(self.watermark.key_file)})
        if self.c2pa is not None:
            paths = {"certificate": change(self.c2pa.certificate), "key": change(self.c2pa.key)}
            update["c2pa"] = self.c2pa.model_copy(update=paths)
        return self.model_copy(update=update)
