"""Commands that judge images: of a run, of any two sets, of unknown origin. Heavy imports happen inside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from twinset.cli.options import Device, Json, Quiet, RunFolder, Workers, answer, device_named, progress
from twinset.errors import UsageError


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

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.evaluate(run, workers=workers, device=device_named(device), listener=listener)
    answer(document, lambda: words.run(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document))


def compare(
    real: Annotated[str, typer.Argument(metavar="REAL", help="Real images (held out from the generator, if you can).")],
    synthetic: Annotated[str, typer.Argument(metavar="SYNTHETIC", help="Synthetic images, whoever made them.")],
    train: Annotated[str | None, typer.Option(help="The real images that the generator was trained on.")] = None,
    utility: Annotated[bool, typer.Option("--utility", help="Train with and without; test on REAL.")] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time that the trainings of --utility should take; default: 5.")
    ] = None,
    extractor: Annotated[
        str,
        typer.Option(
            help="What turns images into features: random (a fixed network that needs no weights), self (trained on "
            "the images of --train, which it needs), or NAME:PATH of weights on this machine, NAME being dinov2, "
            "clip, resnet18, resnet50 or inception."
        ),
    ] = "random",
    metrics: Annotated[str, typer.Option(help="default, all, or names between commas.")] = "default",
    by: Annotated[str | None, typer.Option(help="class: every class by itself, too.")] = None,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files and objects.")] = "refuse",
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report here.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    workers: Workers = None,
    device: Annotated[str, typer.Option(help="Where pretrained extractors run: auto, cpu or cuda.")] = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge any synthetic images against real ones: fidelity, diversity, detectability, copies, utility.

    REAL, SYNTHETIC and --train are datasets, or features (N, D) of one extractor in .npy files. Metrics: frechet,
    frechet-infinity, kid, cmmd, prdc, vendi, authenticity, detectability, nearest, pictures, structure, edits,
    perceptual, inception, spatial, objects, cler, text. A metric whose weights are not on this machine is left out,
    and its line says which file is wanted, and where; if none can be measured the exit code is 3. Features are kept for
    the next time, the oldest leaving beyond TWINSET_FEATURES_GB (4) gigabytes.

    \b
    Examples:
      twinset compare real_test/ synthetic/
      twinset compare real_test/ synthetic/ --train real_train/ --utility
      twinset compare real_test/ synthetic/ --metrics all --by class --extractor dinov2:weights/
    """
    from twinset import pipeline
    from twinset.pipeline.comparing import Question

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.compare(
            real,
            synthetic,
            train=train,
            question=Question(
                extractor, metrics, by, utility, seed, on_bad_input, minutes=minutes, device=device_named(device)
            ),
            report=report,
            workers=workers,
            listener=listener,
        )
    from twinset.pipeline import words

    answer(document, lambda: words.comparison(document), as_json=json)
    raise typer.Exit(0 if words.says_something(document) else 4)


def detect(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="Images of unknown origin, or any dataset.")],
    detector: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Generated images, by what `twinset fit-detector` kept.")
    ] = None,
    watermark: Annotated[bool, typer.Option("--watermark", help="The invisible mark of --key-file.")] = False,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The secret of the watermark.")] = None,
    payload: Annotated[int | None, typer.Option(help="Only look for this number, which finds weaker marks.")] = None,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="What the files say: XMP, and Content Credentials (C2PA) with check.")
    ] = False,
    trust: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificates of the signers that you believe.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="False-alarm rate; of a detector 0.01 or 0.05, default: the smallest that it was calibrated for; of a "
            "watermark any, default: 0.001."
        ),
    ] = None,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files, and count them.")] = "refuse",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find generated images in a folder: by a detector, by an invisible mark, or by what the files say.

    A detector knows the generators it was fitted on, and no others; each image has a score and a calibrated false-alarm
    rate: how often a real image scores as high. --json lists all. FOLDER may be one picture for the other two.

    \b
    Examples:
      twinset detect inbox/ --detector detector.safetensors
      twinset detect inbox/ --detector detector.safetensors --rate 0.05 --json
      twinset detect inbox/ --watermark --key-file watermark.key
      twinset detect inbox/photo.png --provenance
    """
    from twinset import pipeline
    from twinset.pipeline import words

    _one_way(detector, watermark=watermark, key_file=key_file, payload=payload, provenance=provenance, trust=trust)
    if watermark or provenance:
        _detect_marks(source, key_file, payload, trust, rate, on_bad_input, json=json, quiet=quiet)
        return
    assert detector is not None
    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.detect(source, detector=detector, rate=rate, on_bad_input=on_bad_input, listener=listener)
    answer(document, lambda: words.detection(document), as_json=json)


def _one_way(
    detector: Path | None,
    *,
    watermark: bool,
    key_file: Path | None,
    payload: int | None,
    provenance: bool,
    trust: Path | None,
) -> None:
    """Refuses none or several ways at once, and options of another way."""
    asked = sum((detector is not None, watermark, provenance))
    if asked != 1:
        raise UsageError(
            f"expected one of --detector FILE, --watermark --key-file FILE, --provenance; got {asked or 'none'}",
            hint="`twinset fit-detector REAL SYNTHETIC --out FILE` makes a detector",
        )
    if watermark != (key_file is not None):
        got = "only --key-file" if key_file is not None else "no --key-file"
        raise UsageError(f"expected --watermark and --key-file together; got {got}", hint="see docs/watermark.md")
    if payload is not None and not watermark:
        raise UsageError("expected --payload with --watermark; got it without", hint="leave it out")
    if trust is not None and not provenance:
        raise UsageError("expected --trust with --provenance; got it without", hint="leave it out")


def _detect_marks(
    source: str,
    key_file: Path | None,
    payload: int | None,
    trust: Path | None,
    rate: float | None,
    on_bad_input: str,
    *,
    json: bool,
    quiet: bool,
) -> None:
    from twinset import pipeline
    from twinset.pipeline import mark_words

    if key_file is not None:
        with closing(progress(quiet=quiet)) as listener:
            marks = pipeline.detect_watermark(
                source, key_file=key_file, payload=payload, rate=rate, on_bad_input=on_bad_input, listener=listener
            )
        answer(marks, lambda: mark_words.watermark(marks), as_json=json)
        return
    if rate is not None:
        raise UsageError("expected no --rate with --provenance; got one", hint="leave it out")
    with closing(progress(quiet=quiet)) as listener:
        said = pipeline.detect_provenance(source, trust=trust, on_bad_input=on_bad_input, listener=listener)
    answer(said, lambda: mark_words.provenance(said), as_json=json)


def fit_detector(
    real: Annotated[str, typer.Argument(metavar="REAL", help="Real images.")],
    synthetic: Annotated[str, typer.Argument(metavar="SYNTHETIC", help="Images of the generators to be known.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new file, NAME.safetensors.")],
    size: Annotated[int | None, typer.Option(min=8, help="Take all images to this side in pixels first.")] = None,
    jpeg_quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="Take all images through JPEG of this quality first.")
    ] = None,
    keep_anyway: Annotated[
        bool, typer.Option("--keep-anyway", help="Also keep a detector that may do no better than chance.")
    ] = False,
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

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.fit_and_keep(
            real,
            synthetic,
            out=out,
            seed=seed,
            size=size,
            jpeg_quality=jpeg_quality,
            keep_anyway=keep_anyway,
            listener=listener,
        )
    answer(document, lambda: words.fitted_detector(document), as_json=json)


def leaderboard(
    sets: Annotated[
        list[str],
        typer.Argument(metavar="RUN|DATASET|JSON…", help="Synthetic sets, runs, or what `compare --json` wrote."),
    ],
    real: Annotated[str | None, typer.Option(help="Real images; default: the held-out ones of the runs.")] = None,
    extractor: Annotated[
        str,
        typer.Option(
            help="What turns images into features: random (a fixed network that needs no weights), or NAME:PATH of "
            "weights on this machine, NAME being dinov2, clip, resnet18, resnet50 or inception."
        ),
    ] = "random",
    by: Annotated[str, typer.Option(help="The score that orders the sets.")] = "kernel_distance",
    report: Annotated[Path | None, typer.Option(help="Also write an HTML page here.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="Where pretrained extractors run: auto, cpu or cuda.")] = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank synthetic sets of the same real images, no finer than the images can tell: sets may share a rank.

    JSON files of `compare` are ranked by what they say; figures of another extractor, size or version are refused.

    \b
    Examples:
      twinset leaderboard runs/a runs/b
      twinset leaderboard gan/ diffusion/ --real real_test/ --by frechet_distance
    """
    from twinset import pipeline
    from twinset.pipeline.standing import RankingQuestion

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.leaderboard(
            sets,
            question=RankingQuestion(real, extractor, by, seed, device_named(device)),
            report=report,
            listener=listener,
        )
    from twinset.pipeline import words

    answer(document, lambda: words.leaderboard(document), as_json=json)
