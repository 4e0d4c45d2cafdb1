"""What the commands about a dataset answer: what is in it, and where it went."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from twinset.documents.document import Document


class BadFile(Document):
    """A file that cannot be used."""

    path: str
    problem: str


class InspectDocument(Document):
    """What is in a dataset, and what is wrong with it."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)
    schema_name: Literal["twinset/inspect/1"] = Field("twinset/inspect/1", alias="schema")
    format: str
    task: str
    classes: dict[str, int]
    images: int
    bad_files: list[BadFile]
    duplicates: list[dict[str, object]]
    groups: dict[str, dict[str, int]] = Field({}, description="Images by value of the attributes that have few values.")


class ConvertDocument(Document):
    """A dataset in another format."""

    schema_name: Literal["twinset/convert/1"] = Field("twinset/convert/1", alias="schema")
    source: str
    destination: str
    format: str
    images: int
    notes: list[str]
    losses: dict[str, int] = Field({}, description="What the format has no place for, and how often it was said.")
