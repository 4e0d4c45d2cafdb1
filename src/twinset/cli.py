"""The command line: parses, calls the pipeline, prints. Heavy imports happen inside the verbs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, get_args

import typer

from twinset.errors import TwinsetError, UsageError, printable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from twinset.pipeline.reporting import Listener

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

INTERRUPTED = 130
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes; default: one per core.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def _formats() -> list[str]:
    from twinset.formats.writing import WritableFormat

    return list(get_args(WritableFormat))


def _schemas() -> list[str]:
    from twinset.documents import DOCUMENTS

    return [*DOCUMENTS, "recipe"]


def _listener(quiet: bool) -> Listener:
    from twinset.pipeline.reporting import Console
    from twinset.pipeline.reporting import Quiet as Silence

    return Silence() if quiet else Console()


def _print(document: BaseModel, text: Callable[[], str], *, as_json: bool) -> None:
    from twinset.documents import to_json

    print(to_json(document) if as_json else text(), flush=True)


def _device(name: str) -> str:
    if name not in ("auto", "cpu") and not name.startswith("cuda"):
        raise UsageError(f"expected --device auto, cpu or cuda; got {name!r}")
    return name


@app.command()
def run(
    source: Annotated[str, typer.Argument(metavar="RECIPE|DIR|builtin:NAME", help="What to make a twin of.")],
    out: Annotated[Path | None, typer.Option(help="The run folder; default: runs/NAME-KEY.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Time that the whole run should take.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a recipe key.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make, align, measure, audit and release a synthetic twin. The same command again continues.

    \b
    Examples:
      twinset run builtin:digits
      twinset run photos/ --minutes 5
      twinset run recipe.yaml --set count=500 --set gate.copies=report --out runs/mine
      twinset run recipe.yaml --dry-run
    """
    from twinset import pipeline
    from twinset.pipeline import words
    from twinset.recipe import recipe_for

    written = recipe_for(source, overrides=set_ or [], minutes=minutes)
    if dry_run:
        plan = pipeline.dry_run(written, workers=workers, device=_device(device))
        _print(plan, lambda: words.plan(plan), as_json=json)
        return
    with closing(_listener(quiet)) as listener:
        document = pipeline.run(written, out=out, workers=workers, device=_device(device), listener=listener)
    _print(document, lambda: words.run(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document))


@app.command()
def resume(
    run: RunFolder,
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a run that was stopped, from what is committed.

    \b
    Examples:
      twinset resume runs/photos-1a2b3c4d
      twinset resume runs/photos-1a2b3c4d --workers 2
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(_listener(quiet)) as listener:
        document = pipeline.resume(run, workers=workers, device=_device(device), listener=listener)
    _print(document, lambda: words.run(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document))


@app.command()
def evaluate(
    run: RunFolder,
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a finished run again and write its report anew; the dataset stays as it is.

    \b
    Examples:
      twinset evaluate runs/photos-1a2b3c4d
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(_listener(quiet)) as listener:
        document = pipeline.evaluate(run, workers=workers, device=_device(device), listener=listener)
    _print(document, lambda: words.run(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document))


@app.command()
def status(run: RunFolder, json: Json = False) -> None:
    """How far a run is.

    \b
    Examples:
      twinset status runs/photos-1a2b3c4d
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.status(run)
    _print(document, lambda: words.status(document), as_json=json)


@app.command()
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

    with closing(_listener(quiet)) as listener:
        document = pipeline.verify(run, samples=samples, device=_device(device), listener=listener)
    _print(document, lambda: words.verify(document), as_json=json)
    raise typer.Exit(0 if document.ok else 4)


@app.command()
def inspect(
    source: Annotated[str, typer.Argument(metavar="DIR|FILE|builtin:NAME", help="A dataset.")],
    json: Json = False,
) -> None:
    """What is in a dataset and what is wrong with it; changes nothing.

    \b
    Examples:
      twinset inspect photos/
      twinset inspect labels.csv --json
    """
    from twinset import pipeline

    document, lines = pipeline.inspect(source)
    _print(document, lambda: "\n".join(map(printable, lines)), as_json=json)


@app.command()
def init(
    source: Annotated[str, typer.Argument(metavar="DIR|FILE|builtin:NAME", help="A dataset.")],
    out: Annotated[Path | None, typer.Option(help="Where the recipe goes; default: NAME.yaml here.")] = None,
    json: Json = False,
) -> None:
    """Write a commented recipe for a dataset; never overwrites a file.

    \b
    Examples:
      twinset init photos/
      twinset init photos/ --out recipes/photos.yaml
    """
    from twinset import pipeline

    document = pipeline.init(source, out=out)
    _print(document, lambda: "wrote {0}\nnext: twinset run {0}".format(printable(document.recipe)), as_json=json)


@app.command()
def compare(
    real: Annotated[str, typer.Argument(metavar="REAL", help="Real images (held out from the generator, if you can).")],
    synthetic: Annotated[str, typer.Argument(metavar="SYNTHETIC", help="Synthetic images, whoever made them.")],
    train: Annotated[str | None, typer.Option(help="The real images that the generator was trained on.")] = None,
    utility: Annotated[bool, typer.Option("--utility", help="Train with and without; test on REAL.")] = False,
    extractor: Annotated[str, typer.Option(help="Of the features: random, self, or NAME:PATH of weights.")] = "random",
    metrics: Annotated[str, typer.Option(help="default, all, or names between commas.")] = "default",
    by: Annotated[str | None, typer.Option(help="class: every class by itself, too.")] = None,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files and objects.")] = "refuse",
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report here.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge any synthetic images against real ones: fidelity, diversity, detectability, copies, utility.

    REAL, SYNTHETIC and --train are datasets, or features (N, D) of one extractor in .npy files. Metrics: frechet,
    frechet-infinity, kid, cmmd, prdc, vendi, authenticity, detectability, nearest, pictures, structure, edits,
    perceptual, inception, spatial, objects, cler, text. Those whose weights are not on this machine name the file.

    \b
    Examples:
      twinset compare real_test/ synthetic/
      twinset compare real_test/ synthetic/ --train real_train/ --utility
      twinset compare real_test/ synthetic/ --metrics all --by class --extractor dinov2:weights/
    """
    from twinset import pipeline
    from twinset.pipeline import words
    from twinset.pipeline.comparing import Question

    with closing(_listener(quiet)) as listener:
        document = pipeline.compare(
            real,
            synthetic,
            train=train,
            question=Question(extractor, metrics, by, utility, seed, on_bad_input),
            report=report,
            workers=workers,
            listener=listener,
        )
    _print(document, lambda: words.comparison(document), as_json=json)


@app.command()
def detect(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="Images of unknown origin, or any dataset.")],
    detector: Annotated[Path, typer.Option(metavar="FILE", help="What `twinset fit-detector` kept.")],
    rate: Annotated[
        float | None,
        typer.Option(help="False-alarm rate, 0.01 or 0.05; default: the smallest that it was calibrated for."),
    ] = None,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files, and count them.")] = "refuse",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find generated images in a folder, by a detector that knows the generators it was fitted on, and no others.

    Each image has a score and a calibrated false-alarm rate: how often a real image scores as high. --json lists all.

    \b
    Examples:
      twinset detect inbox/ --detector detector.safetensors
      twinset detect inbox/ --detector detector.safetensors --rate 0.05 --json
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(_listener(quiet)) as listener:
        document = pipeline.detect(source, detector=detector, rate=rate, on_bad_input=on_bad_input, listener=listener)
    _print(document, lambda: words.detection(document), as_json=json)


@app.command()
def fit_detector(
    real: Annotated[str, typer.Argument(metavar="REAL", help="Real images.")],
    synthetic: Annotated[str, typer.Argument(metavar="SYNTHETIC", help="Images of the generators to be known.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new file, NAME.safetensors.")],
    size: Annotated[int | None, typer.Option(min=8, help="Take all images to this side in pixels first.")] = None,
    jpeg_quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="Take all images through JPEG of this quality first.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a detector of generated images on a real and a synthetic set, and keep it; never overwrites a file.

    Part of both sets is held out, to measure and to calibrate it. Where the files alone give the sets away (JPEG here,
    PNG there, other sizes) it says so; --size and --jpeg-quality take both through the same road.

    \b
    Examples:
      twinset fit-detector photos/ generated/ --out detector.safetensors
      twinset fit-detector photos/ generated/ --out detector.safetensors --size 64 --jpeg-quality 70
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(_listener(quiet)) as listener:
        document = pipeline.fit_and_keep(
            real, synthetic, out=out, seed=seed, size=size, jpeg_quality=jpeg_quality, listener=listener
        )
    _print(document, lambda: words.fitted_detector(document), as_json=json)


@app.command()
def leaderboard(
    sets: Annotated[list[str], typer.Argument(metavar="RUN|DATASET…", help="Synthetic sets, or runs.")],
    real: Annotated[str | None, typer.Option(help="Real images; default: the held-out ones of the runs.")] = None,
    extractor: Annotated[str, typer.Option(help="Of the features: random, or NAME:PATH of weights.")] = "random",
    by: Annotated[str, typer.Option(help="The score that orders the sets.")] = "kernel_distance",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank synthetic sets of the same real images, no finer than the images can tell: sets may share a rank.

    \b
    Examples:
      twinset leaderboard runs/a runs/b
      twinset leaderboard gan/ diffusion/ --real real_test/ --by frechet_distance
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(_listener(quiet)) as listener:
        document = pipeline.leaderboard(sets, real=real, extractor=extractor, by=by, seed=seed, listener=listener)
    _print(document, lambda: words.leaderboard(document), as_json=json)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A dataset.")],
    destination: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="imagefolder, webdataset, parquet, csv, coco, yolo, voc, masks, labelme, cvat, kitti or via.",
            autocompletion=_formats,
        ),
    ],
    category_base: Annotated[
        int | None, typer.Option(min=0, max=1, help="First id of a class in COCO: 1 or 0.")
    ] = None,
    on_bad_input: Annotated[
        str, typer.Option(help="refuse, or skip: leave out bad files and objects, and count them.")
    ] = "refuse",
    json: Json = False,
) -> None:
    """Write a dataset in another format; never overwrites.

    \b
    Examples:
      twinset convert photos/ photos-parquet/ --to parquet
      twinset convert labels.csv photos/ --to imagefolder
      twinset convert VOC2012/ coco/ --to coco --category-base 0
      twinset convert boxes/ coco/ --to coco --on-bad-input skip
    """
    from twinset import pipeline

    document = pipeline.convert(source, destination, to, category_base=category_base, on_bad_input=on_bad_input)
    lines = [f"wrote {document.images} images to {document.destination}", *(f"note: {one}" for one in document.notes)]
    _print(document, lambda: "\n".join(map(printable, lines)), as_json=json)


@app.command()
def plugins(json: Json = False) -> None:
    """All generators, editors, aligners and embedders by name, and why a plug-in does not load.

    \b
    Examples:
      twinset plugins
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.plugins()
    _print(document, lambda: words.plugins(document), as_json=json)


@app.command()
def doctor(json: Json = False) -> None:
    """What is installed here and what this machine can do.

    \b
    Examples:
      twinset doctor
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.doctor()
    _print(document, lambda: words.doctor(document), as_json=json)
    raise typer.Exit(0 if document.ok else 3)


@app.command()
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


def main() -> NoReturn:
    """The ``twinset`` command: every failure is one line on stderr, or one JSON object with ``--json``."""
    as_json = "--json" in sys.argv[1:]
    sys.exit(_guarded(as_json))


_ClickUsageError: type[Exception] = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "UsageError")


def _guarded(as_json: bool) -> int:
    try:
        result = app(standalone_mode=False)
    except TwinsetError as error:
        return _fail(as_json, error.code, error.message, error.hint, error.exit_code)
    except _ClickUsageError as error:
        message = str(error.format_message()) if hasattr(error, "format_message") else str(error)
        if not message:
            return 2
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message, file=sys.stderr)
            return 2
        return _fail(as_json, "usage", message, "see `twinset --help`", 2)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except MemoryError:
        return _fail(as_json, "memory", "expected enough memory; got none left", "use fewer --workers", 1)
    except Exception as error:  # our own mistake: the traceback helps to report it
        import traceback

        traceback.print_exc()
        return _fail(
            as_json, "internal", f"{type(error).__name__}: {error}", "this is a fault of twinset: please report it", 1
        )
    if result == INTERRUPTED:  # Click turns Ctrl-C into this exit code
        return _fail(as_json, "interrupted", "stopped", "run the same command again to continue", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _fail(as_json: bool, code: str, message: str, hint: str, exit_code: int) -> int:
    message, hint = printable(message), printable(hint)
    if as_json:
        from twinset.documents import ErrorDocument, ErrorPart, to_json

        print(to_json(ErrorDocument(error=ErrorPart(code=code, message=message, hint=hint))), flush=True)
    print(f"error: {message}" + (f"\n  hint: {hint}" if hint else ""), file=sys.stderr, flush=True)
    return exit_code


if __name__ == "__main__":
    main()
