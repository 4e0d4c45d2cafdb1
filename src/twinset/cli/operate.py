"""Commands about what is there: runs, the installation, the formats of files. Heavy imports happen inside."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from twinset.cli.options import Device, Json, Quiet, RunFolder, answer, device_named, progress


def status(run: RunFolder, json: Json = False) -> None:
    """How far a run is.

    \b
    Examples:
      twinset status runs/photos-1a2b3c4d
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.status(run)
    answer(document, lambda: words.status(document), as_json=json)


def verify(
    run: RunFolder,
    samples: Annotated[int, typer.Option(min=0, help="Samples to generate again and compare.")] = 8,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Re-hash every file of a run, and make some samples again to see that they come out the same.

    \b
    Examples:
      twinset verify runs/photos-1a2b3c4d
      twinset verify runs/photos-1a2b3c4d --samples 100
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.verify(run, samples=samples, device=device_named(device), listener=listener)
    answer(document, lambda: words.verify(document), as_json=json)
    raise typer.Exit(0 if document.ok else 4)


def plugins(json: Json = False) -> None:
    """All generators, editors, aligners and embedders by name, and why a plug-in does not load.

    \b
    Examples:
      twinset plugins
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.plugins()
    answer(document, lambda: words.plugins(document), as_json=json)


def doctor(json: Json = False) -> None:
    """What is installed here and what this machine can do.

    \b
    Examples:
      twinset doctor
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.doctor()
    answer(document, lambda: words.doctor(document), as_json=json)
    raise typer.Exit(0 if document.ok else 3)


def _schemas() -> list[str]:
    from twinset.documents import DOCUMENTS

    return [*DOCUMENTS, "recipe"]


def schema(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="run, plan, inspect, compare, …, or recipe.", autocompletion=_schemas)
    ],
    json: Json = False,
) -> None:
    """The JSON Schema of the recipe, or of what a verb prints with --json.

    \b
    Examples:
      twinset schema recipe
      twinset schema run
    """
    import json as json_

    from twinset.documents import schema as schema_of

    print(json_.dumps(schema_of(name), indent=None if json else 2))
