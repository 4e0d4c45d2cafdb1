"""What ``infer-metadata`` finds on real images, and how people rate it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinset.documents.document import Document

Value = float | str
Pixel = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=4096)]


class InferredObject(Document):
    """An object of a real image: where it is, what it is called, and what was inferred."""

    box: tuple[Pixel, Pixel, Pixel, Pixel] = Field(description="xyxy in pixels of the image.")
    class_name: str
    values: dict[str, Value]


class InferredImage(Document):
    """A real image with what was inferred of it and its objects."""

    id: Name
    size: tuple[int, int] = Field(description="Height and width in pixels.")
    values: dict[str, Value]
    objects: list[InferredObject] = Field([])


class InferenceDocument(Document):
    """Metadata of real images, inferred from what is known of synthetic ones."""

    schema_name: Literal["twinset/inference/1"] = Field("twinset/inference/1", alias="schema")
    synthetic: str
    real: str
    measures: list[str] = Field(description="Those that are inferable, in the order in which they are shown.")
    affected: list[str] = Field(description="Measures whose cross-validated score may mislead on these images.")
    sentences: list[str]
    pictures: dict[str, object] | None = Field(
        description="Everything found of whole pictures; numbers on the measures' scales."
    )
    objects: dict[str, object] | None = Field(
        description="Everything found of objects; numbers on the measures' scales."
    )
    images: list[InferredImage]


class RatingsDocument(Document):
    """Ratings of inferred values by people: image → measure → 0 (wrong) … 5 (right)."""

    schema_name: Literal["twinset/ratings/1"] = Field("twinset/ratings/1", alias="schema")
    inference_sha256: str = Field(description="Of the file that was rated.")
    ratings: dict[str, dict[str, Annotated[int, Field(ge=0, le=5, strict=True)]]]


class RatedMeasure(Document):
    """The mean rating of a measure with its 95 % interval over images; null where there are too few."""

    measure: str
    images: int
    mean: float | None
    low: float | None
    high: float | None


class CheckMetadataDocument(Document):
    """What ``check-metadata`` answers when it ends."""

    schema_name: Literal["twinset/check-metadata/1"] = Field("twinset/check-metadata/1", alias="schema")
    inference_file: str
    ratings_file: str
    images: int
    rated: int
    measures: list[RatedMeasure]
