"""What ``plugins`` and ``doctor`` answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document


class PluginPart(Document):
    """One method by name."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str


class PluginsDocument(Document):
    """All methods, ours and plug-ins'."""

    schema_name: Literal["twinset/plugins/1"] = Field("twinset/plugins/1", alias="schema")
    plugins: list[PluginPart]


class DoctorDocument(Document):
    """What is installed and what this machine can do."""

    schema_name: Literal["twinset/doctor/1"] = Field("twinset/doctor/1", alias="schema")
    ok: bool
    environment: dict[str, str]
    extras: dict[str, str]
    problems: list[str]
