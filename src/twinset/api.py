"""Everything the command line does, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

from twinset import documents, methods, pipeline
from twinset.alignment import align as align_with
from twinset.dataset import Dataset
from twinset.images import ImageSpec
from twinset.pipeline.comparing import compare_datasets
from twinset.pipeline.reporting import Console, Listener, Quiet
from twinset.randomness import RandomSource, Stream
from twinset.recipe import load_recipe, recipe_from_values
from twinset.scores import Score
from twinset.stages import Aligner, Alignment, SetFilter

DEFAULT_ALIGNERS = ("copies", "agreement", "density", "duplicates")


def load(source: str | Path, *, on_bad_input: str = "refuse") -> Dataset:
    """A dataset from a folder, a table (CSV, TSV, JSONL), Parquet, WebDataset, or ``"builtin:digits"``.

    ``on_bad_input``: ``"refuse"`` (an error that names the first bad file) or ``"skip"``.
    """
    return pipeline.load(source, on_bad_input=on_bad_input)


def inspect(source: str | Path) -> documents.InspectDocument:
    """What is in a dataset and what is wrong with it."""
    return pipeline.inspect(str(source))[0]


def run(
    recipe: str | Path | Mapping[str, object],
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> documents.RunDocument:
    """Runs a recipe (a file, or its values) to its report; continues a run that was stopped."""
    written = recipe_from_values(recipe) if isinstance(recipe, Mapping) else load_recipe(Path(recipe))
    told: Listener = Quiet() if quiet else Console()
    with closing(told) as listener:
        return pipeline.run(
            written, out=None if out is None else Path(out), workers=workers, device=device, listener=listener
        )


def compare(
    real: str | Path,
    synthetic: str | Path,
    *,
    train: str | Path | None = None,
    utility: bool = False,
    embedder: str = "random",
    report: str | Path | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> documents.CompareDocument:
    """Judges synthetic images against real ones, whoever made them."""
    return pipeline.compare(
        str(real),
        str(synthetic),
        train=None if train is None else str(train),
        utility=utility,
        embedder=embedder,
        report=None if report is None else Path(report),
        seed=seed,
        workers=workers,
        listener=Quiet(),
    )


def align(
    synthetic: Dataset,
    *,
    training: Dataset,
    holdout: Dataset,
    rng: RandomSource,
    aligners: Sequence[str | Aligner | SetFilter] = DEFAULT_ALIGNERS,
) -> Alignment:
    """Filters a synthetic set: by name with default settings, or by aligner objects, in this order."""
    built = [
        cast("Aligner | SetFilter", methods.build("aligners", item, {}, where="aligners"))
        if isinstance(item, str)
        else item
        for item in aligners
    ]
    spec = ImageSpec(*training[0].pixels().shape)
    return align_with(synthetic, training=training, holdout=holdout, spec=spec, aligners=built, rng=Stream.of(rng))


def evaluate(
    synthetic: Dataset,
    *,
    real: Dataset,
    rng: RandomSource,
    training: Dataset | None = None,
    embedder: str = "random",
) -> list[Score]:
    """Fidelity, diversity, detectability and, with ``training``, nearest records against ``real``."""
    return compare_datasets(real, synthetic, training=training, embedder=embedder, rng=Stream.of(rng)).scores
