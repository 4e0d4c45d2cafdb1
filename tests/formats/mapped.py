"""How much of files counts as memory of this process."""

from __future__ import annotations

from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")

wants_proc = pytest.mark.skipif(not STATUS.exists(), reason="no /proc here")


def mapped_kib() -> int:
    """Pages of files that are in memory and mapped, also of such as lie in memory altogether."""
    lines = [one.split() for one in STATUS.read_text().splitlines()]
    return sum(int(line[1]) for line in lines if line[0] in ("RssFile:", "RssShmem:"))
