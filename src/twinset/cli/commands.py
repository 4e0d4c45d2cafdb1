"""The ``twinset`` command as Typer sees it: its help, its options, and every command in the order of the help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from twinset.cli import audit, frontier, infer, judge, make, move, operate, redact

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "The synthetic twin of a small real image dataset: made, aligned, measured on held-out real images, "
        "audited, released.\n\n\b\nExamples:\n  twinset run builtin:digits\n  twinset inspect photos/\n"
        "  twinset init photos/ && twinset run photos.yaml\n\n"
        "Exit codes: 0 ok, 2 recipe or usage, 3 missing extra or model file, 4 data, 5 partial, 6 release gate."
    ),
)


def _version(value: bool) -> None:
    if value:
        from twinset import __version__

        print(f"twinset {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    del version


SUMMARIES: Mapping[Callable[..., None], str] = {
    make.run: "Make, measure, audit and release a synthetic twin.",
    make.preview: "Draw what a recipe makes on one sheet, in seconds.",
    make.scene: "Write the 3D scene of a rendered picture as glTF.",
    make.resume: "Continue a run that was stopped.",
    judge.evaluate: "Measure a finished run again.",
    operate.status: "How far a run is.",
    operate.verify: "Re-hash the files of a run, make some images again.",
    move.inspect: "What is in a dataset, and what is wrong with it.",
    make.init: "Write a commented recipe for a dataset.",
    judge.compare: "Judge any synthetic images against real ones.",
    audit.audit: "Whether a release betrays the images behind it.",
    frontier.frontier: "Weigh several settings and their releases.",
    audit.fit_classifier: "Train a classifier, to release or to audit.",
    redact.redact: "Take images out of a finished run.",
    judge.detect: "Find generated images in a folder.",
    judge.fit_detector: "Fit what `detect` uses, on a real and a synthetic set.",
    judge.leaderboard: "Rank synthetic sets of the same real images.",
    infer.infer_metadata: "Infer depth, occlusion or light of real images.",
    infer.check_metadata: "Rate what was inferred, in the browser.",
    move.convert: "Write a dataset in another format.",
    operate.plugins: "All generators, editors, aligners and embedders.",
    operate.doctor: "What is installed here, and what this machine can do.",
    operate.schema: "JSON Schemas of the recipe and of --json.",
}
"""Every command in the order of the help, and its line there; its docstring is its own help."""

VERBS: tuple[Callable[..., None], ...] = tuple(SUMMARIES)
for _verb, _summary in SUMMARIES.items():
    app.command(short_help=_summary)(_verb)
