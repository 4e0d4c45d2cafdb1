"""``infer-metadata``: two datasets in, a file of inferred metadata out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast, get_args

import numpy as np

from twinset import documents
from twinset.alignment.inference import Inference, InferenceSettings
from twinset.alignment.metadata import MEASURES
from twinset.crops import crop_batches, crop_owners, objects_of
from twinset.dataset import Dataset
from twinset.embedding.pixels import SmallPixels
from twinset.embedding.weights import Name
from twinset.errors import DataError, UsageError
from twinset.formats import read
from twinset.images import ImageSpec
from twinset.pipeline.inferring import CROP_SIDE, WHOLE_SIDE, InferredMetadata, infer_metadata
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import check_way, source_of
from twinset.randomness import Stream
from twinset.stages import Embedder
from twinset.store import write_bytes

EXTRACTORS = ("random", "pixels", "self")


def infer_to_file(
    synthetic: str,
    real: str,
    *,
    out: Path,
    extractors: Sequence[str] = EXTRACTORS,
    selection: str = "none",
    seed: int = 0,
    on_bad_input: str = "refuse",
    listener: Listener,
) -> documents.InferenceDocument:
    """Infers metadata of the dataset ``real`` by what ``synthetic`` says of itself, and writes it to the new file."""
    check_way(on_bad_input)
    if out.exists():
        raise DataError(f"{out}: expected a new file; got one that exists", hint="choose another --out")
    if selection not in ("none", "forest"):
        raise UsageError(f"expected --selection none or forest; got {selection!r}")
    sets = []
    for what, source in (("synthetic", synthetic), ("real", real)):
        listener.stage(f"read the {what} images")
        sets.append(read(source_of(source), on_bad_input="skip" if on_bad_input == "skip" else "refuse")[0])
    rng = Stream(seed)
    listener.stage("features")
    embedders = embedders_named(extractors, sets[0], rng=rng.child("embedders"))
    found = infer_metadata(
        sets[0],
        sets[1],
        embedders=embedders,
        rng=rng.child("infer"),
        settings=InferenceSettings(selection="forest" if selection == "forest" else "none"),
    )
    document = document_of(found, synthetic=synthetic, real=real)
    write_bytes(out, documents.to_json(document).encode())
    return document


def embedders_named(names: Sequence[str], synthetic: Dataset, *, rng: Stream) -> list[Embedder]:
    """Extractors by name, in their order.

    ``random``, ``pixels``, ``self`` (trained on the synthetic objects, else pictures, whose measures it is not told),
    ``NAME`` or ``NAME:PATH`` of pretrained weights, ``detector:PATH`` of a dense detector.
    """
    from twinset.embedding.random_convolution import RandomConvolution

    found: list[Embedder] = []
    for name in dict.fromkeys(names):
        kind, _, path = name.partition(":")
        if name == "random":
            found.append(RandomConvolution(256, 48))
        elif name == "pixels":
            found.append(SmallPixels(12))
        elif name == "self":
            found.append(_self_trained(synthetic, rng))
        elif kind == "detector" and path:
            found.append(_backbone(source_of(path)))
        elif kind in get_args(Name):
            from twinset.embedding.pretrained import Pretrained

            found.append(Pretrained(cast(Name, kind), path or None).load())
        else:
            raise UsageError(
                f"expected extractors out of {', '.join(EXTRACTORS)}, {', '.join(get_args(Name))} and detector:PATH; "
                f"got {name!r}"
            )
    if not found:
        raise UsageError("expected at least one extractor; got none")
    return found


def _self_trained(synthetic: Dataset, rng: Stream) -> Embedder:
    from twinset.embedding.self_trained import SelfTrained

    rows, _ = crop_owners(synthetic)
    pixels = (
        np.concatenate(list(crop_batches(synthetic, side=CROP_SIDE, margin=0.1)))
        if len(rows)
        else synthetic.prepared(ImageSpec(WHOLE_SIDE, WHOLE_SIDE, 3))
    )
    owners = rows if len(rows) else np.arange(len(synthetic))
    ids = [synthetic.ids[row] for row in owners.tolist()]
    unknown = np.full(len(pixels), -1, dtype=np.int64)
    return SelfTrained(size=CROP_SIDE, rotation=0.0, shift=0.05, zoom=0.05).fit_pixels(
        pixels, unknown, ids=ids, rng=rng.child("self")
    )


def _backbone(path: str | Path) -> Embedder:
    from twinset.embedding.detector_backbone import DetectorBackbone
    from twinset.models.detection.detector import Detector

    try:
        return DetectorBackbone.of(Detector.load(Path(path)), fitted_on=())
    except ValueError as error:
        raise DataError(str(error), hint="name a detector of twinset") from error


def document_of(found: InferredMetadata, *, synthetic: str, real: str) -> documents.InferenceDocument:
    """All that was found, image by image; numbers in the measures' own units."""
    of_pictures, of_objects = _by_row(found.pictures), _by_row(found.objects)
    owners, _ = crop_owners(found.real)
    first = np.searchsorted(owners, np.arange(len(found.real) + 1))
    images = []
    for row, sample in enumerate(found.real):
        instances = objects_of(sample)
        instances = instances.take(~instances.is_crowd)
        objects = [
            documents.InferredObject(
                box=cast("tuple[float, float, float, float]", tuple(box)),
                class_name=found.real.classes[class_id],
                values={name: column[first[row] + at] for name, column in of_objects.items()},
            )
            for at, (box, class_id) in enumerate(
                zip(instances.boxes.tolist(), instances.class_ids.tolist(), strict=True)
            )
        ]
        height, width, _ = sample.shape()
        values = {name: column[row] for name, column in of_pictures.items()}
        images.append(documents.InferredImage(id=sample.id, size=(height, width), values=values, objects=objects))
    return documents.InferenceDocument(
        synthetic=synthetic,
        real=real,
        measures=[name for one in found.found for name in one.inferable],
        affected=[name for one in found.found for name in one.affected],
        sentences=list(_sentences(found)),
        pictures=None if found.pictures is None else found.pictures.to_record(),
        objects=None if found.objects is None else found.objects.to_record(),
        images=images,
    )


def _sentences(found: InferredMetadata) -> Iterator[str]:
    for one in found.found:
        yield from one.sentences()
    names = [name for one in found.found for name in one.inferable]
    if logarithms := [name for name in names if name in MEASURES and MEASURES[name].scale == "log"]:
        yield f"Errors of {', '.join(logarithms)} are of natural logarithms: 0.1 is about 10 %."
    for check in found.checks:
        yield check.sentence


def _by_row(found: Inference | None) -> dict[str, list[float | str]]:
    columns: dict[str, list[float | str]] = {}
    for one in found.measures if found is not None else ():
        values = one.values()
        if values is None:
            continue
        if one.kind == "number" and one.measure in MEASURES:
            unit = MEASURES[one.measure]
            values = [unit.original(value) if isinstance(value, float) else value for value in values]
        columns[one.measure] = values
    return columns
