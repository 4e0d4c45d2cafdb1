"""The privacy audit as a part of a run file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.recipe.parts import Part

Doing = Literal["withhold", "warn"]


class PrivacyPart(Part):
    """An audit of the dataset before it is released (docs/privacy.md)."""

    audit: bool = Field(True, description="Whether the dataset is audited before it is released.")
    on_leak: Doing = Field("withhold", description="Where a leak is found: withhold the export, or only warn.")
    on_inconclusive: Doing = Field(
        "withhold", description="Where the audit cannot tell, or missed what was planted for it."
    )
    reference: str | None = Field(
        None,
        description="Further real images, neither trained on nor held out, for the attacks that weigh densities; "
        "relative as `data`; default: what `split.shots` leaves unused.",
    )
    alpha: float = Field(0.01, gt=0, lt=0.5, description="False alarm rate of the audit.")
