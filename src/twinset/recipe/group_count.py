"""Under ``count``: how many images of every value of an attribute, within every class (docs/fairness.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from twinset.recipe.parts import Part
from twinset.refusals import refusal


class GroupCountPart(Part):
    """Images by class and by an attribute of the real images, which every generator learns with the same `by`."""

    by: str = Field(min_length=1, description="The attribute: a column of the table that lists the real images.")
    each: Literal["auto", "balance"] | Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Of every value in every class; balance: so many that all are equally many with the real ones; "
        "default auto: as many in all as `count: auto`.",
    )
    of: dict[str, dict[str, Annotated[int, Field(ge=0)]]] | None = Field(
        None, description="In place of `each`: numbers by class and value; a run fills them in."
    )
    pairs: bool = Field(False, description="Of one class an image of every value from the same noise, as a pair.")

    @pydantic.model_validator(mode="after")
    def _sound(self) -> GroupCountPart:
        if self.each is not None and self.of is not None:
            raise ValueError("expected each or of; got both")
        if self.of is not None and not sum(sum(values.values()) for values in self.of.values()):
            raise ValueError("expected at least one image to make; got 0 of every class and value")
        if self.pairs and self.each == "balance":
            raise ValueError("expected pairs of equal numbers; got each: balance; give a number")
        for name, values in (self.of or {}).items():
            if self.pairs and len({n for n in values.values() if n}) > 1:
                raise ValueError(f"expected pairs of equal numbers; got {values} of class {name!r}")
        return self

    def cells(self, classes: tuple[str, ...] | list[str]) -> list[tuple[int, str, int]]:
        """Class id, value and number of every cell of which there is something to make, by class, in the order given;
        of a resolved part."""
        found = self.of or {}
        return [(c, value, n) for c, name in enumerate(classes) for value, n in found.get(name, {}).items() if n]

    @property
    def total(self) -> int:
        """Images in all, of a resolved part."""
        return sum(sum(values.values()) for values in (self.of or {}).values())


def group_count(value: object) -> object:
    """``count`` as it came, or the part that it is where it names an attribute; ``ValueError`` with our words."""
    if not (isinstance(value, dict) and isinstance(value.get("by"), str)):
        return value
    try:
        return GroupCountPart.model_validate(value)
    except pydantic.ValidationError as error:
        found = refusal(error)
        place = ".".join(map(str, found.place))
        raise ValueError(f"{place}: {found.message}" if place else found.message) from error
