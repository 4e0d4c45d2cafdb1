"""What ``detect --watermark`` and ``detect --provenance`` answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document


class WatermarkedImage(Document):
    """One picture. ``p_value``: how often a picture that was never marked with this key says as much."""

    id: str
    file: str | None = Field(None, description="Path below the folder; null for pictures inside tables and tars.")
    p_value: float = Field(description="Paid for all payloads and shifts that were looked at; 1 for flat pictures.")
    marked: bool = Field(description="Whether the p-value is at most the rate.")
    payload: int | None = Field(description="The number in the mark; null without one, and where nothing was found.")
    shift: tuple[int, int] | None = Field(
        description="Rows and columns by which the mark has moved, modulo its tile; null where nothing was found."
    )


class WatermarkDocument(Document):
    """What ``detect --watermark`` answers: every picture, and all of them together."""

    schema_name: Literal["twinset/watermark/1"] = Field("twinset/watermark/1", alias="schema")
    source: str
    n_images: int
    n_unfit: int = Field(description="Pictures that can hold no mark: flat, or smaller than 8 pixels.")
    rate: float = Field(description="False-positive rate, of a picture and of the folder.")
    marked: int
    expected_if_none: float = Field(description="Pictures that would be called marked, on average at most, if none is.")
    p_value: float = Field(description="Of the folder: that no picture in it holds a mark of this key.")
    folder_marked: bool
    payload: int | None = Field(
        description="Of the folder, pictures pooled; null without one, or where nothing is foun"
    )
    sentence: str
    limits: str
    images: list[WatermarkedImage]
    warnings: list[str] = Field([])
    seconds: float


class ImageProvenance(Document):
    """What one file says of its origin. What is not there is told as absent, and nothing is guessed from it."""

    id: str
    file: str | None = Field(None, description="Path below the folder; null for pictures inside tables and tars.")
    xmp: Literal["present", "absent", "unreadable"] = Field(description="present: with a digital source type.")
    source_type: str | None = Field(None, description="IPTC's term, as the XMP states it.")
    method: str | None = Field(None, description="Of twinset's own properties; null where those are absent.")
    parents: list[str] = Field([])
    c2pa: Literal["valid", "invalid", "absent", "unchecked"] = Field(
        description="valid: signed, unchanged since; unchecked: no twinset[c2pa], or neither PNG nor JPEG."
    )
    c2pa_trusted: bool | None = Field(None, description="Whether the signer is on the list given; null without one.")
    c2pa_signer: str | None = None
    c2pa_source_type: str | None = None
    problems: list[str] = Field([])


class ProvenanceDocument(Document):
    """What ``detect --provenance`` answers."""

    schema_name: Literal["twinset/provenance/1"] = Field("twinset/provenance/1", alias="schema")
    source: str
    n_images: int
    xmp: dict[str, int] = Field(description="Pictures by state.")
    c2pa: dict[str, int]
    sentence: str
    limits: str
    images: list[ImageProvenance]
    warnings: list[str] = Field([])
    seconds: float
