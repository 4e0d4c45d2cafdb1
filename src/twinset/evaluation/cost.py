"""What a twin costs: hours, price and energy for 1,000 accepted images, beside what labelling as many would cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0
MAKING = ("read", "calibrate", "target", "fit", "match", "generate", "align", "export")
"""Stages, by the first word of their names, without which there is no twin. All others measure it."""

AGAIN = ("generate", "align")
"""Those that take longer the more images are made; the others are paid once."""


@dataclass(frozen=True)
class Prices:
    """What an hour of the machine costs and what a person takes for labelling one image, in one currency; None: not
    known."""

    per_hour: float | None = None
    per_label: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("per_hour", self.per_hour), ("per_label", self.per_label)):
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"expected a price {name} of 0 or more; got {value}; leave it out if there is none")


@dataclass(frozen=True)
class Share:
    """One part of the work: ``hours`` in this run and, for 1,000 accepted images, hours, price and kWh.

    None: no image was accepted, no price was given, or the energy of some stage was not measured.
    """

    hours: float
    hours_per_thousand: float | None
    price_per_thousand: float | None = None
    kwh_per_thousand: float | None = None


@dataclass(frozen=True)
class Cost:
    """What a run took. ``making`` holds all from the real images to the export, ``again`` what 1,000 more images take
    from the generators as they are, ``whole`` the measuring too.

    ``labelling_per_thousand`` is the price of labelling 1,000 images by hand: for reference, since real images must
    also be found. ``undefined_because`` says why there is nothing per 1,000 images.
    """

    accepted: int
    making: Share
    again: Share
    whole: Share
    labelling_per_thousand: float | None = None
    undefined_because: str = ""


def cost(
    seconds: Mapping[str, float],
    *,
    accepted: int,
    prices: Prices | None = None,
    kwh: Mapping[str, float] | None = None,
) -> Cost:
    """The cost of ``accepted`` images made in these ``seconds`` by stage, all sittings together.

    Hours are those of the machine by the clock, however many workers shared it: price them by the hour of the machine.
    Tries that were rejected are paid for: only accepted images count. ``kwh`` is energy by stage.

    Half an hour of fitting and ten minutes of generating for 500 images, at 3 an hour:

    >>> found = cost({"fit diffusion": 1800, "generate": 600}, accepted=500, prices=Prices(per_hour=3, per_label=0.05))
    >>> round(found.making.hours_per_thousand, 4), round(found.making.price_per_thousand, 4)
    (1.3333, 4.0)
    >>> round(found.again.price_per_thousand, 4), found.labelling_per_thousand
    (1.0, 50.0)
    """
    if accepted < 0 or any(not 0 <= value < math.inf for value in (*seconds.values(), *(kwh or {}).values())):
        raise ValueError(f"expected counts, seconds and kWh of 0 or more; got {accepted}, {dict(seconds)} and {kwh}")
    paid = prices or Prices()

    def share(names: list[str]) -> Share:
        return _share(names, seconds, kwh or {}, accepted, paid.per_hour)

    return Cost(
        accepted,
        making=share([name for name in seconds if _kind(name) in MAKING]),
        again=share([name for name in seconds if _kind(name) in AGAIN]),
        whole=share(list(seconds)),
        labelling_per_thousand=None if paid.per_label is None else 1000 * paid.per_label,
        undefined_because="" if accepted else "no image was accepted",
    )


def _kind(stage: str) -> str:
    """``fit`` for ``fit diffusion``."""
    return stage.partition(" ")[0]


def _share(
    names: list[str], seconds: Mapping[str, float], kwh: Mapping[str, float], accepted: int, per_hour: float | None
) -> Share:
    hours = sum(seconds[name] for name in names) / SECONDS_PER_HOUR
    if not accepted:
        return Share(hours, None)
    thousands = accepted / 1000
    measured = bool(names) and all(name in kwh for name in names)
    return Share(
        hours,
        hours / thousands,
        None if per_hour is None else per_hour * hours / thousands,
        sum(kwh[name] for name in names) / thousands if measured else None,
    )
