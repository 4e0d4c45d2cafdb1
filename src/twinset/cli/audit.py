"""The command that audits releases, and the one that trains a classifier to release. Heavy imports happen inside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from twinset.cli.options import Json, Quiet, answer, progress


def audit(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run folder.")] = None,
    synthetic: Annotated[str | None, typer.Option(help="The released images, where there is no run.")] = None,
    train: Annotated[str | None, typer.Option(help="The real images that they were made from.")] = None,
    holdout: Annotated[str | None, typer.Option(help="Real images of that kind that nothing was made from.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Further real images, neither trained on nor held out: lets density attacks run.")
    ] = None,
    generator: Annotated[
        Path | None,
        typer.Option(
            help="A released diffusion model, GAN or mean embedding: file, or the folder that a run keeps it in."
        ),
    ] = None,
    classifier: Annotated[Path | None, typer.Option(help="A released classifier, of `twinset fit-classifier`.")] = None,
    release: Annotated[
        str | None,
        typer.Option(help="What is audited, between commas: dataset, generator, classifier; default: what is given."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="False alarms of the joint test.")] = 0.01,
    controls: Annotated[
        bool, typer.Option("--controls/--no-controls", help="Test the audit itself; without, it can clear nothing.")
    ] = True,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files and objects.")] = "refuse",
    report: Annotated[Path | None, typer.Option(help="Also write an HTML page here.")] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Also write the section on the audit into this card.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Does a dataset, generator or classifier betray the real images behind it? Attacks, and proof of what they find.

    The answer for each release is "leak found", "no leakage detected" (with the least that the audit did find when it
    was hidden), or "inconclusive". Exit codes, of the worst: 0 none detected, 5 inconclusive, 6 leak found.

    \b
    Examples:
      twinset audit runs/photos-1a2b3c4d
      twinset audit --synthetic made/ --train photos/train --holdout photos/test --reference photos/other
      twinset audit --classifier c.safetensors --train photos/train --holdout photos/test --card c.md
      twinset audit runs/photos-1a2b3c4d --release dataset,generator --report audit.html
    """
    from twinset import pipeline
    from twinset.pipeline import audit_words
    from twinset.pipeline.auditing import AuditQuestion
    from twinset.pipeline.releases import Released, exit_code

    with closing(progress(quiet=quiet)) as listener:
        named = None if release is None else [name.strip() for name in release.split(",")]
        document = pipeline.audit(
            Released(run, synthetic, train, holdout, reference, generator, classifier, named),
            question=AuditQuestion(alpha, seed, controls, on_bad_input),
            report=report,
            card=card,
            listener=listener,
        )
    answer(document, lambda: audit_words.audit(document), as_json=json)
    raise typer.Exit(exit_code(document))


def fit_classifier(
    source: Annotated[str, typer.Argument(metavar="DATASET", help="Images in class folders, or any labelled dataset.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new file, NAME.safetensors; NAME.md is its card.")],
    test: Annotated[
        str | None, typer.Option(help="Other labelled images, to measure it on; figures go on the card.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the images; stands on the card.")] = None,
    consent: Annotated[str | None, typer.Option(help="What those who are shown agreed to; stands on the card.")] = None,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files and objects.")] = "refuse",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier of whole pictures on a dataset and keep it with a model card, to release or to audit.

    Never overwrites a file.

    \b
    Examples:
      twinset fit-classifier twin/ --out classifier.safetensors
      twinset fit-classifier twin/ --out classifier.safetensors --test photos/test --licence CC-BY-4.0
    """
    from twinset import pipeline
    from twinset.pipeline import audit_words
    from twinset.pipeline.classifying import Told

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.fit_and_keep_classifier(
            source,
            out=out,
            seed=seed,
            test=test,
            told=Told(licence, consent),
            on_bad_input=on_bad_input,
            listener=listener,
        )
    answer(document, lambda: audit_words.fitted_classifier(document), as_json=json)
