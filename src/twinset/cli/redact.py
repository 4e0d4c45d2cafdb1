"""The command that takes images out of a finished run. Heavy imports happen inside."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from twinset.cli.options import Device, Json, Quiet, RunFolder, Workers, answer, device_named, progress


def redact(
    run: RunFolder,
    ids: Annotated[
        list[str] | None, typer.Option(metavar="ID[,ID…]", help="Released images to take out; may be repeated.")
    ] = None,
    parents: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Takes out all that were made from this real image; may be repeated."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; stands in the dataset card.")] = "on request",
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take images out of a finished run; what is left is measured, audited and released anew.

    Nothing is deleted: the shards of the run keep the images, and what was exported moves to `withdrawn` in it. So
    share the export, never the run folder. Exit codes as `twinset run`: 6 where the audit or the copy gate blocks.

    \b
    Examples:
      twinset redact runs/photos-1a2b3c4d --ids 000012-0,000031-1 --reason "near copies, by the audit"
      twinset redact runs/photos-1a2b3c4d --parents train/cat/0007.png --reason "consent withdrawn"
    """
    from twinset import pipeline
    from twinset.pipeline import redaction_words

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.redact(
            run,
            ids=[part for text in ids or () for part in text.split(",") if part],
            parents=parents or [],
            reason=reason,
            workers=workers,
            device=device_named(device),
            listener=listener,
        )
    answer(document, lambda: redaction_words.redact(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document.after))
