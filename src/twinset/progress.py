"""How long work tells how far it is; by itself, so that a display needs nothing of what works."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, what)`` now and then during long work."""


def silent(done: int, total: int, what: str) -> None:
    """A progress callback that says nothing."""
