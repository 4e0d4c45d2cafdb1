"""Whether what rendering needs beyond the core is installed."""

from __future__ import annotations

from importlib.util import find_spec

from twinset.errors import MissingExtraError


def check_extra() -> None:
    """Raises :class:`MissingExtraError` without numba."""
    if find_spec("numba") is None:
        raise MissingExtraError("expected the numba package for rendering; got none", hint="install twinset[render]")
