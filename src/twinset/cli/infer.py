"""Commands about metadata of real images: inferred, and rated by people. Heavy imports happen inside."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from twinset.cli.options import Json, Quiet, answer, progress


def infer_metadata(
    synthetic: Annotated[
        str, typer.Argument(metavar="SYNTHETIC", help="Rendered images with what is known of them (Parquet, …).")
    ],
    real: Annotated[str, typer.Argument(metavar="REAL", help="Real images, with boxes where objects are asked about.")],
    out: Annotated[Path, typer.Option(help="The new file that it is written to.")] = Path("inference.json"),
    extractor: Annotated[
        list[str] | None,
        typer.Option(
            help="random, pixels, self (trained on the synthetic objects), NAME or NAME:PATH of pretrained weights, "
            "detector:PATH; may be repeated. Default: random, pixels and self."
        ),
    ] = None,
    selection: Annotated[str, typer.Option(help="none, or forest: a random forest picks features.")] = "none",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    on_bad_input: Annotated[str, typer.Option(help="refuse, or skip: leave out bad files and objects.")] = "refuse",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Infer depth, occlusion, shape or light of real images by what synthetic ones say of themselves.

    Every measure goes by the extractor that foretells it best on held-out synthetic images; below R² .5 it is
    declared not inferable. Where real features lie off the synthetic ones, the measures affected are named.

    \b
    Examples:
      twinset infer-metadata rendered/ photos/ --out inference.json
      twinset infer-metadata rendered/ photos/ --extractor random --extractor dinov2:weights/
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.infer_to_file(
            synthetic,
            real,
            out=out,
            extractors=extractor or ("random", "pixels", "self"),
            selection=selection,
            seed=seed,
            on_bad_input=on_bad_input,
            listener=listener,
        )
    answer(document, lambda: words.inference(document, str(out)), as_json=json)


def check_metadata(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="What infer-metadata wrote, or its folder.")],
    images: Annotated[Path, typer.Option(help="The folder that the real images were read from.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free one.")] = 0,
    ratings: Annotated[Path | None, typer.Option(help="Where ratings are kept; default: beside the file.")] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Serve nothing: say what was rated so far.")] = False,
    json: Json = False,
) -> None:
    """Rate inferred values from 0 to 5 in the browser; Ctrl-C ends, and a later call goes on.

    The page is for this machine only (127.0.0.1) and loads nothing from elsewhere. Every answer is kept at once.

    \b
    Examples:
      twinset check-metadata inference.json --images photos/
      twinset check-metadata inference.json --images photos/ --port 8100
      twinset check-metadata inference.json --images photos/ --summary
    """
    from twinset import pipeline
    from twinset.pipeline import words

    document = pipeline.check_metadata(
        source,
        images=images,
        port=port,
        ratings=ratings,
        serve=not summary,
        opened=lambda address: print(f"rate at {address} (Ctrl-C ends)", file=sys.stderr, flush=True),
    )
    answer(document, lambda: words.checked_metadata(document), as_json=json)
