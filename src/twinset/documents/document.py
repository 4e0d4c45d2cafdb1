"""What all of our JSON objects share: no unknown keys, never changed once made, keys by their alias or name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A JSON object, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
