"""Energy of the stages of a run, by codecarbon (``twinset[energy]``): offline, and it writes and sends nothing."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twinset.errors import MissingExtraError
from twinset.recipe import CostPart

Reading = Callable[[], float | None]
"""Ends a measurement: kWh since it began, or None where nothing could be measured."""


class Meter(Protocol):
    """Measures the energy of what lies between two calls."""

    def begin(self) -> Reading:
        """Begins a measurement."""
        ...


@dataclass(frozen=True)
class CodeCarbon:
    """The energy of the whole machine: processor, memory and NVIDIA cards, by their counters where these can be read,
    else estimated from the processor's model and its load. Other work on the machine counts too."""

    def begin(self) -> Reading:
        """Begins a measurement; the first in a process looks at the hardware for some seconds."""
        check_energy()
        from codecarbon import OfflineEmissionsTracker

        # The package logs to stderr before its own setting takes hold.
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        # Its configuration files and environment variables must not turn on what writes or sends anything. An intensity
        # that is given needs neither a country nor an API; the emissions that come of it are not used.
        tracker = OfflineEmissionsTracker(
            output_methods=[],
            output_handlers=[],
            emissions_endpoint=None,
            electricitymaps_api_token=None,
            cloud_provider=None,
            cloud_region=None,
            country_iso_code=None,
            force_carbon_intensity_g_co2e_kwh=1.0,
            tracking_mode="machine",
            allow_multiple_runs=True,
            log_level="critical",
        )
        tracker.start()

        def end() -> float | None:
            tracker.stop()
            found = getattr(tracker, "final_emissions_data", None)
            return None if found is None else float(found.energy_consumed)

        return end


def check_energy() -> None:
    """:class:`MissingExtraError` if codecarbon is not installed."""
    if importlib.util.find_spec("codecarbon") is None:
        raise MissingExtraError(
            "expected the codecarbon package for evaluate.cost.energy: codecarbon; got none",
            hint="install twinset[energy], or leave the key out",
        )


def meter_of(part: CostPart | None) -> Meter | None:
    """What measures the energy of a run; None where its recipe does not ask for it."""
    return CodeCarbon() if part is not None and part.energy == "codecarbon" else None
