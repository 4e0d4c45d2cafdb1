"""Who draws the scenes: the embedded rasteriser, or a path tracer; all of them give the same labels.

Others register a class under the entry point ``twinset.renderers``: made without arguments it is a :class:`Backend`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, cast

from twinset import plugged
from twinset.errors import RecipeError, UnknownNameError
from twinset.generators.rendering.scene import Renderer

EMBEDDED = "embedded"

BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        EMBEDDED: "twinset.generators.rendering.backends:Embedded",
        "mitsuba": "twinset.generators.rendering.tracing.mitsuba:Mitsuba",
        "blender": "twinset.generators.rendering.tracing.blender:Blender",
    }
)
"""Our own, by name."""

MOST_SAMPLES = 65536


@dataclass(frozen=True)
class Quality:
    """How well a scene is to be drawn.

    ``samples`` per pixel and axis (1 or 2) are the rasteriser's; ``samples_per_pixel`` random paths and ``denoise`` a
    path tracer's (None: as it sees fit).
    """

    samples: int = 2
    samples_per_pixel: int | None = None
    denoise: bool | None = None

    def __post_init__(self) -> None:
        if self.samples not in (1, 2):
            raise ValueError(f"expected 1 or 2 samples; got {self.samples}")
        if self.samples_per_pixel is not None and not 1 <= self.samples_per_pixel <= MOST_SAMPLES:
            raise ValueError(f"expected samples_per_pixel in 1…{MOST_SAMPLES}; got {self.samples_per_pixel}")


class Backend(Protocol):
    """A way to draw scenes."""

    def check(self, quality: Quality) -> None:
        """Raises :class:`~twinset.errors.MissingExtraError`, in a second at most, where it cannot work here."""
        ...

    def remark(self) -> str:
        """A line for the report about how it works here; "" where there is nothing to say."""
        ...

    def open(self, quality: Quality) -> AbstractContextManager[Renderer]:
        """A renderer; leaving the context ends whatever it keeps running."""
        ...


class Embedded:
    """The rasteriser of :mod:`twinset.generators.rendering.raster`."""

    def check(self, quality: Quality) -> None:  # noqa: ARG002  (it has every quality)
        """Raises :class:`~twinset.errors.MissingExtraError` without numba."""
        from twinset.generators.rendering.extra import check_extra

        check_extra()

    def remark(self) -> str:
        """Nothing."""
        return ""

    @contextmanager
    def open(self, quality: Quality) -> Iterator[Renderer]:
        """The rasteriser; its buffers go with it."""
        from twinset.generators.rendering.raster import Rasterizer

        yield Rasterizer(samples=quality.samples)


def refuse_backend(name: str, quality: Quality) -> None:
    """A :class:`ValueError` for a backend that nobody knows, and for the rasteriser with what path tracers have."""
    if name not in BACKENDS and name not in backend_names():
        raise ValueError(str(UnknownNameError("backend", name, backend_names())))
    if name == EMBEDDED and (quality.samples_per_pixel is not None or quality.denoise is not None):
        raise ValueError(
            f"expected samples_per_pixel and denoise with a path tracer; got backend {EMBEDDED}; "
            "choose another backend, or leave them out"
        )


def backend_entries() -> dict[str, plugged.Entry]:
    """All backends by name, ours and those of installed plug-ins (entry points ``twinset.renderers``)."""
    return plugged.entries("renderers", BACKENDS)


def backend_names() -> tuple[str, ...]:
    """The names of all backends, ours first."""
    return tuple(backend_entries())


def backend_of(name: str) -> Backend:
    """The backend of this name; ours cannot be replaced.

    Raises :class:`UnknownNameError`, and :class:`RecipeError` for a plug-in that does not load.
    """
    found = plugged.loaded(name, backend_entries(), what="backend")
    if not isinstance(found, type):
        raise RecipeError(f"expected backend {name!r} to be a class; got {type(found).__name__}")
    made = found()
    if missing := [part for part in ("check", "remark", "open") if not callable(getattr(made, part, None))]:
        raise RecipeError(f"expected check, remark and open of backend {name!r}; got none of {', '.join(missing)}")
    return cast(Backend, made)
