"""The command that audits a release. Heavy imports happen inside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from twinset.cli.options import Json, Quiet, answer, progress

EXIT_CODES = {"no_leakage_detected": 0, "inconclusive": 5, "leak_found": 6}


def audit(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run folder.")] = None,
    synthetic: Annotated[str | None, typer.Option(help="The released images, where there is no run.")] = None,
    train: Annotated[str | None, typer.Option(help="The real images that they were made from.")] = None,
    holdout: Annotated[str | None, typer.Option(help="Real images of that kind that nothing was made from.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Further real images, neither trained on nor held out: lets density attacks run.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="False alarms of the joint test.")] = 0.01,
    controls: Annotated[
        bool, typer.Option("--controls/--no-controls", help="Test the audit itself; without, it can clear nothing.")
    ] = True,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files and objects.")] = "refuse",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Does a dataset betray the real images it was made from? Attacks, and proof that they find what was planted.

    The answer is "leak found", "no leakage detected" (with the least that the audit did find when it was hidden), or
    "inconclusive". Exit codes: 0 none detected, 5 inconclusive, 6 leak found.

    \b
    Examples:
      twinset audit runs/photos-1a2b3c4d
      twinset audit --synthetic made/ --train photos/train --holdout photos/test --reference photos/other
    """
    from twinset import pipeline
    from twinset.pipeline import audit_words
    from twinset.pipeline.auditing import AuditQuestion

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.audit(
            run,
            synthetic=synthetic,
            train=train,
            holdout=holdout,
            reference=reference,
            question=AuditQuestion(alpha, seed, controls, on_bad_input),
            listener=listener,
        )
    answer(document, lambda: audit_words.audit(document), as_json=json)
    raise typer.Exit(EXIT_CODES[document.dataset.answer])
