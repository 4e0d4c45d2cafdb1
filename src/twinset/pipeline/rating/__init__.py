"""People rate what was inferred of real images: a page on this machine, ratings in a file, a summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twinset import documents
from twinset.errors import UsageError
from twinset.pipeline.inference_reading import inference_file, read_inference
from twinset.pipeline.rating.pictures import picture_files
from twinset.pipeline.rating.records import Ratings
from twinset.pipeline.rating.server import ADDRESS, Site, port_of, server_of


def check_metadata(
    source: Path,
    *,
    images: Path,
    port: int = 0,
    ratings: Path | None = None,
    serve: bool = True,
    opened: Callable[[str], None] = print,
) -> documents.CheckMetadataDocument:
    """Serves the page until Ctrl-C, then says what was rated; ``serve`` False only says.

    ``source`` is a file of ``infer-metadata`` or the folder of its ``inference.json``; ``opened`` is told the address.
    Ratings go to ``ratings``, beside the inference by default, and a later call goes on with them.
    """
    inference, sha256 = read_inference(source)
    file = inference_file(source)
    place = ratings if ratings is not None else file.with_suffix(".ratings.json")
    if place.resolve() == file.resolve():
        raise UsageError(f"{place}: expected another file for ratings; got the inference itself")
    kept = Ratings.opened(place, sha256)
    if serve:
        _serve(Site(inference, picture_files(images, inference.images), kept), port, opened)
    return documents.CheckMetadataDocument(
        inference_file=str(file),
        ratings_file=str(place),
        images=len(inference.images),
        rated=len(kept),
        measures=kept.summary(inference.measures),
    )


def _serve(site: Site, port: int, opened: Callable[[str], None]) -> None:
    try:
        server = server_of(site, port)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"expected a free port; got {port}: {getattr(error, 'strerror', None) or error}",
            hint="choose another --port, or none",
        ) from error
    with server:
        try:
            opened(f"http://{ADDRESS}:{port_of(server)}/")
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return
