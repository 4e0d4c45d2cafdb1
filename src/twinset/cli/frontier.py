"""The command that weighs several ways to make and release a twin. Heavy imports happen inside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from twinset.cli.options import Device, Json, Quiet, Workers, answer, device_named, progress


def frontier(
    source: Annotated[str, typer.Argument(metavar="RECIPE|DIR|builtin:NAME", help="What to make a twin of.")],
    out: Annotated[Path | None, typer.Option(help="The folder of the study; default: runs/NAME-KEY-frontier.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time for all settings together; default: the recipe's, for each.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a recipe key.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Which release of which setting is safe and useful.

    Runs, audits and weighs several; the same command again continues.

    Settings stand under privacy.frontier of the recipe; without, usual ones are taken: the recipe as it is, with other
    filters, and generators with differential privacy. Usefulness is measured on validation images; the recommended
    release is told on test images, once. Exit codes: 0 a release is recommended, 6 release nothing.

    \b
    Examples:
      twinset frontier recipe.yaml --dry-run
      twinset frontier recipe.yaml --minutes 60 --out studies/photos
      twinset frontier builtin:digits
    """
    from twinset import pipeline
    from twinset.pipeline.frontier import words
    from twinset.pipeline.frontier.study import exit_code
    from twinset.recipe import recipe_for

    written = recipe_for(source, overrides=set_ or [])
    with closing(progress(quiet=quiet)) as listener:
        if dry_run:
            plan = pipeline.frontier_plan(
                written, out=out, minutes=minutes, workers=workers, device=device_named(device), listener=listener
            )
        else:
            document = pipeline.frontier_study(
                written, out=out, minutes=minutes, workers=workers, device=device_named(device), listener=listener
            )
    if dry_run:
        answer(plan, lambda: words.plan(plan), as_json=json)
        return
    answer(document, lambda: words.frontier(document), as_json=json)
    raise typer.Exit(exit_code(document))
