"""What several commands share: their options, whom they tell of progress, and how they print the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinset.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from twinset.pipeline.reporting import Listener

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes; default: one per core.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def progress(*, quiet: bool) -> Listener:
    """Who is told of progress: the console, or nobody."""
    from twinset.pipeline.reporting import Console
    from twinset.pipeline.reporting import Quiet as Silence

    return Silence() if quiet else Console()


def answer(document: BaseModel, text: Callable[[], str], *, as_json: bool) -> None:
    """Print the document: as one JSON object, or in words."""
    from twinset.documents import to_json

    print(to_json(document) if as_json else text(), flush=True)


def device_named(name: str) -> str:
    """The name, if it is one of a device; :class:`UsageError` for others."""
    if name not in ("auto", "cpu") and not name.startswith("cuda"):
        raise UsageError(f"expected --device auto, cpu or cuda; got {name!r}")
    return name
