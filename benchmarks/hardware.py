"""What the machine is, for the line that every benchmark ends with."""

from __future__ import annotations

import os
from importlib import metadata

from twinset.pipeline.folders import hardware


def machine(*packages: str) -> dict[str, str | int]:
    """Processor, cores, and the versions of these packages."""
    versions = {name: metadata.version(name) for name in ("numpy", "torch", *packages)}
    return {
        "cpu": hardware(),
        "cores": os.cpu_count() or 0,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        **versions,
    }
