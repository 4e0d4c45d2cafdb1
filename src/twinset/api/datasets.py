"""Datasets: read, looked into, and the stages of a run as functions of them.

What is large loads in the functions, so that what can be refused at once is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from twinset import pipeline
from twinset.pipeline.comparing import fidelity_of, metrics_named
from twinset.pipeline.reporting import Quiet

if TYPE_CHECKING:
    from twinset import documents
    from twinset.alignment.curation import Curated, Curation
    from twinset.dataset import Dataset
    from twinset.randomness import RandomSource
    from twinset.scores import Score
    from twinset.stages import Aligner, Alignment, SetFilter

DEFAULT_ALIGNERS = ("copies", "agreement", "density", "duplicates")


def load(source: str | Path, *, on_bad_input: str = "refuse", window: tuple[float, float] | None = None) -> Dataset:
    """A dataset from a folder, a table (CSV, TSV, JSONL), Parquet, WebDataset, or ``"builtin:digits"``.

    ``on_bad_input``: ``"refuse"`` (an error that names the first bad file) or ``"skip"``. ``window``: the grey values
    of 16-bit pictures that become black and white; None takes their full range.
    """
    from twinset.images import FULL_RANGE, Window

    return pipeline.load(source, on_bad_input=on_bad_input, window=Window(*window) if window else FULL_RANGE)


def inspect(source: str | Path) -> documents.InspectDocument:
    """What is in a dataset and what is wrong with it."""
    return pipeline.inspect(str(source))[0]


def align(
    synthetic: Dataset,
    *,
    training: Dataset,
    holdout: Dataset,
    rng: RandomSource,
    aligners: Sequence[str | Aligner | SetFilter] = DEFAULT_ALIGNERS,
) -> Alignment:
    """Filters a synthetic set: by name with default settings, or by aligner objects, in this order."""
    from twinset import methods
    from twinset.alignment import align as align_with
    from twinset.pipeline.image_sizes import choose_spec
    from twinset.randomness import Stream
    from twinset.recipe import ImagePart

    built = [
        cast("Aligner | SetFilter", methods.build("aligners", item, {}, where="aligners"))
        if isinstance(item, str)
        else item
        for item in aligners
    ]
    spec, _ = choose_spec(ImagePart(), training)
    return align_with(synthetic, training=training, holdout=holdout, spec=spec, aligners=built, rng=Stream.of(rng))


def curate(
    synthetic: Dataset,
    *,
    training: Dataset,
    holdout: Dataset,
    rng: RandomSource,
    settings: Curation | None = None,
) -> Curated:
    """Which shapes of rendered objects are unlike the real ones: ``.dropped`` by class, and a table of all.

    ``generator.without(curated.dropped)`` draws them no more. :class:`ValueError` for objects that name no shape.
    """
    from twinset.alignment.shape_scores import curate_dataset
    from twinset.pipeline.image_sizes import choose_spec
    from twinset.recipe import ImagePart

    spec, _ = choose_spec(ImagePart(), training)
    return curate_dataset(synthetic, training=training, holdout=holdout, spec=spec, rng=rng, settings=settings)


def evaluate(
    synthetic: Dataset,
    *,
    real: Dataset,
    rng: RandomSource,
    training: Dataset | None = None,
    extractor: str = "random",
    metrics: str | Sequence[str] = "default",
) -> list[Score]:
    """Fidelity, diversity, detectability and, with ``training``, nearest records against ``real``.

    ``extractor`` and ``metrics`` as :func:`compare` takes them.
    """
    from twinset.randomness import Stream

    return fidelity_of(
        real, synthetic, training=training, extractor=extractor, rng=Stream.of(rng), metrics=metrics_named(metrics)
    )


def infer_metadata(
    synthetic: str | Path,
    real: str | Path,
    *,
    out: str | Path,
    extractors: Sequence[str] = ("random", "pixels", "self"),
    selection: str = "none",
    seed: int = 0,
) -> documents.InferenceDocument:
    """Depth, occlusion, shape, light, … of real images by what synthetic ones say of themselves; kept in a new file.

    ``extractors``: ``random``, ``pixels``, ``self``, ``NAME`` or ``NAME:PATH`` of pretrained weights,
    ``detector:PATH``; ``selection``: ``none`` or ``forest``.
    :func:`twinset.alignment.inference.infer` does it on arrays.
    """
    return pipeline.infer_to_file(
        str(synthetic),
        str(real),
        out=Path(out),
        extractors=extractors,
        selection=selection,
        seed=seed,
        listener=Quiet(),
    )


def check_metadata(
    source: str | Path, *, images: str | Path, port: int = 0, ratings: str | Path | None = None, serve: bool = True
) -> documents.CheckMetadataDocument:
    """A page on this machine on which people rate inferred values 0–5; returns the summary when Ctrl-C ends it.

    ``source``: a file of :func:`infer_metadata`, or its folder; ``images``: the folder of the real images. With
    ``serve`` False only the summary.
    """
    return pipeline.check_metadata(
        Path(source), images=Path(images), port=port, ratings=None if ratings is None else Path(ratings), serve=serve
    )
