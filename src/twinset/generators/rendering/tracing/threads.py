"""How many threads a path tracer takes."""

from __future__ import annotations

import os


def threads() -> int:
    """As many as ``OMP_NUM_THREADS`` says, which workers of a run set to 1, else one for each core."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) > 0 else os.cpu_count() or 1
