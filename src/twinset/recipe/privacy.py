"""The privacy audit as a part of a run file, and the study that weighs several ways to release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from twinset import methods
from twinset.recipe.parts import Part, UsePart

Doing = Literal["withhold", "warn"]
Release = Literal["dataset", "generator", "classifier"]
WEIGHTED = ("diffusion", "gan", "mean-embedding")
"""Generators that are a file of weights, which can be released."""

Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FrontierSetting(Part):
    """One way to make the twin. What is left out is the recipe's own."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$",
        description="Of its folder: at most 40 small letters, digits, dots and dashes.",
    )
    generate: Literal["auto"] | tuple[UsePart, ...] | None = Field(None, description="As `generate` of the recipe.")
    edit: tuple[UsePart, ...] | None = Field(None, description="As `edit` of the recipe.")
    align: tuple[UsePart, ...] | Literal["auto", "off"] | None = Field(None, description="As `align` of the recipe.")

    @pydantic.model_validator(mode="after")
    def _something(self) -> FrontierSetting:
        if self.generate == () and not self.edit:
            raise ValueError("expected at least one entry under generate or edit; got none; leave generate out")
        return self


class FrontierPart(Part):
    """Several settings, each run, audited and weighed: `twinset frontier` (docs/frontier.md)."""

    settings: tuple[FrontierSetting, ...] = Field(
        (), description="Each with a `name` and any of `generate`, `edit`, `align`; none: those of docs/frontier.md."
    )
    epsilons: tuple[Epsilon, ...] = Field(
        (1.0, 5.0, 10.0), min_length=1, description="ε of the settings that are private where `settings` is empty."
    )
    releases: tuple[Release, ...] | None = Field(
        None, min_length=1, description="What is weighed of every setting; default: all that can be audited of it."
    )
    seeds: int = Field(3, ge=3, le=20, description="Classifiers that a dataset or generator is judged by.")
    minutes: float | None = Field(
        None, gt=0, le=10_000, description="Time for all settings together; default: `minutes` of the recipe for each."
    )

    @pydantic.model_validator(mode="after")
    def _once(self) -> FrontierPart:
        for what, given in (
            ("setting", [one.name for one in self.settings]),
            ("release", list(self.releases or ())),
            ("ε", [f"{one:g}" for one in self.epsilons]),
        ):
            if len(set(given)) < len(given):
                raise ValueError(f"expected every {what} once; got {', '.join(given)}")
        return self

    def with_methods(self, change: Callable[[methods.Kind, Sequence[UsePart]], tuple[UsePart, ...]]) -> FrontierPart:
        """The same with the methods of every setting changed."""

        def one(kind: methods.Kind, parts: tuple[UsePart, ...] | str | None) -> tuple[UsePart, ...] | str | None:
            return parts if parts is None or isinstance(parts, str) else change(kind, parts)

        kinds: tuple[tuple[str, methods.Kind], ...] = (
            ("generate", "generators"),
            ("edit", "editors"),
            ("align", "aligners"),
        )
        changed = [
            setting.model_copy(update={key: one(kind, getattr(setting, key)) for key, kind in kinds})
            for setting in self.settings
        ]
        return self.model_copy(update={"settings": tuple(changed)})


class PrivacyPart(Part):
    """An audit of the dataset, and of a generator that goes with it, before they are released (docs/release.md)."""

    audit: bool = Field(True, description="Whether what is released is audited before.")
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
    releases: tuple[Literal["dataset", "generator"], ...] = Field(
        ("dataset",),
        min_length=1,
        description="What goes out: `[dataset]`, or `[dataset, generator]`: the weights too, with a model card.",
    )
    frontier: FrontierPart | None = Field(
        None, description="Settings and releases that `twinset frontier` weighs; a run leaves it alone."
    )

    @pydantic.model_validator(mode="after")
    def _with_dataset(self) -> PrivacyPart:
        if "dataset" not in self.releases or len(set(self.releases)) < len(self.releases):
            raise ValueError(f"expected releases: [dataset] or [dataset, generator]; got [{', '.join(self.releases)}]")
        if self.with_generator and not self.audit:
            raise ValueError("expected audit: true where the generator is released; got audit: false")
        return self

    @property
    def with_generator(self) -> bool:
        """Whether the generator is released beside the dataset."""
        return "generator" in self.releases
