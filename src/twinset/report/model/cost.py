"""What a run took, and what 1,000 accepted images take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CostOfThousand:
    """What 1,000 accepted images take: hours of the machine, price and kWh; None where it is not known."""

    name: str
    hours: float
    price: float | None = None
    kwh: float | None = None


@dataclass(frozen=True)
class Cost:
    """What it took: ``stages`` as (name, seconds), ``generated`` images out of ``generation_seconds``.

    ``thousand`` is what 1,000 accepted images take, ``labelling`` the price of labelling as many by hand.
    """

    stages: tuple[tuple[str, float], ...]
    hardware: str = ""
    generated: int | None = None
    generation_seconds: float | None = None
    peak_memory_bytes: int | None = None
    thousand: tuple[CostOfThousand, ...] = ()
    labelling: float | None = None

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(seconds for _, seconds in self.stages)

    @property
    def images_per_second(self) -> float | None:
        """Images a second while generating; None where it was not measured."""
        if self.generated is None or not self.generation_seconds:
            return None
        return self.generated / self.generation_seconds
