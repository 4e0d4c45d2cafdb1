"""Commands that look into a dataset or write it anew. Heavy imports happen inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from twinset.cli.options import Json, answer
from twinset.errors import printable


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
    answer(document, lambda: "\n".join(map(printable, lines)), as_json=json)


def _formats() -> list[str]:
    from twinset.formats.writing import WritableFormat

    return list(get_args(WritableFormat))


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A dataset.")],
    destination: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="imagefolder, webdataset, parquet, csv, coco, yolo, voc, masks, labelme, cvat, kitti, via, bop or "
            "hdf5.",
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
    answer(document, lambda: "\n".join(map(printable, lines)), as_json=json)
