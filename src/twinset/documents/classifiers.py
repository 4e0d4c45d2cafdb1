"""What ``fit-classifier`` answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document
from twinset.documents.judgement import ScorePart


class FitClassifierDocument(Document):
    """``twinset fit-classifier``."""

    schema_name: Literal["twinset/fit-classifier/1"] = Field("twinset/fit-classifier/1", alias="schema")
    source: str
    classifier_file: str
    card: str = Field(description="The model card beside it.")
    scores: dict[str, ScorePart] = Field({}, description="Of the test images, where any were given.")
    n_images: int
    classes: list[str]
    image: str = Field(description="Size and channels of the pictures that it takes, and how they got it.")
    steps: int
    seed: int
    seconds: float
