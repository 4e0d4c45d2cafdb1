"""Names of ours and of installed packages (entry points ``twinset.KIND``): ours first, and never replaced.

The one place that knows of entry points: :mod:`twinset.methods` asks it for what recipes name, rendering for families.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

from twinset.errors import RecipeError, UnknownNameError

OURS = "twinset"


@dataclass(frozen=True)
class Entry:
    """One name: where it comes from, ``module:attribute``, and the traceback if a plug-in does not load."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str = ""


def entries(kind: str, ours: Mapping[str, str]) -> dict[str, Entry]:
    """All names of a kind, ``ours`` with their targets first, then those of packages. Loads nothing."""
    from twinset import __version__

    found = {name: Entry(kind, name, target, OURS, __version__) for name, target in ours.items()}
    for point in _points(f"{OURS}.{kind}", metadata.entry_points, tuple(sys.path)):
        if point.name not in found:
            where = point.dist
            name, version = (where.name, where.version) if where else ("?", "?")
            found[point.name] = Entry(kind, point.name, point.value, name, version)
    return found


@lru_cache(maxsize=64)
def _points(
    group: str, entry_points: Callable[..., Iterable[metadata.EntryPoint]], _path: tuple[str, ...]
) -> tuple[metadata.EntryPoint, ...]:
    """Those of a group by name, read once for a ``_path`` of modules: all files of all packages are opened for it.

    A run asks two hundred times, at 20 ms each. What is installed while a process runs is known to the next one.
    """
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def target(entry: Entry) -> object:
    """What an entry names: a class, or any other object. Raises whatever its module raises."""
    module, _, attribute = entry.target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def loaded(name: str, known: Mapping[str, Entry], *, what: str) -> object:
    """What the entry of this name is; :class:`UnknownNameError` lists those of this kind, ``what`` in the singular.

    :class:`RecipeError` for a plug-in that does not load.
    """
    if name not in known:
        raise UnknownNameError(what, name, known)
    entry = known[name]
    if entry.distribution == OURS:
        return target(entry)
    try:
        return target(entry)
    except Exception as error:  # code of others may raise anything
        raise RecipeError(
            f"expected plug-in {name!r} of {entry.distribution} to load; got {type(error).__name__}: {error}",
            hint="`twinset plugins` shows the traceback",
        ) from error
