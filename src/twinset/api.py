"""The Python face: runs as the command line has them, and the stages as functions of datasets.

What is large loads in the functions, so that what can be refused at once is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

from twinset import pipeline
from twinset.pipeline.comparing import Question, fidelity_of, metrics_named
from twinset.pipeline.reporting import Console, Listener, Quiet

if TYPE_CHECKING:
    from twinset import documents
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


def run(
    recipe: str | Path | Mapping[str, object],
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> documents.RunDocument:
    """Runs a recipe to its report; continues a run that was stopped.

    ``recipe``: a YAML file, the values of one, or a dataset (folder, table file or ``"builtin:digits"``) for defaults.
    """
    from twinset.recipe import recipe_for, recipe_from_values

    written = recipe_from_values(recipe) if isinstance(recipe, Mapping) else recipe_for(recipe)
    with closing(_listener(quiet)) as listener:
        return pipeline.run(
            written, out=None if out is None else Path(out), workers=workers, device=device, listener=listener
        )


def resume(
    run: str | Path, *, workers: int | None = None, device: str = "auto", quiet: bool = False
) -> documents.RunDocument:
    """Continues the run in this folder from what it has committed."""
    with closing(_listener(quiet)) as listener:
        return pipeline.resume(Path(run), workers=workers, device=device, listener=listener)


def status(run: str | Path) -> documents.StatusDocument:
    """How far the run in this folder is; works while it is going."""
    return pipeline.status(Path(run))


def verify(run: str | Path, *, samples: int = 8, device: str = "auto", quiet: bool = False) -> documents.VerifyDocument:
    """Re-hashes every file of a finished run, and makes ``samples`` samples again to compare them."""
    if samples < 0:
        raise ValueError(f"expected samples ≥ 0; got {samples}")
    with closing(_listener(quiet)) as listener:
        return pipeline.verify(Path(run), samples=samples, device=device, listener=listener)


def _listener(quiet: bool) -> Listener:
    return Quiet() if quiet else Console()


def compare(
    real: str | Path,
    synthetic: str | Path,
    *,
    train: str | Path | None = None,
    utility: bool = False,
    extractor: str = "random",
    metrics: str | Sequence[str] = "default",
    by: str | None = None,
    report: str | Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    minutes: float | None = None,
    device: str = "auto",
) -> documents.CompareDocument:
    """Judges synthetic images against real ones, whoever made them.

    All sides are datasets, or all are features (N, D) in ``.npy`` files. ``extractor``: ``random``, ``self`` (trained
    on ``train``) or ``NAME:PATH``; ``metrics``: names in a list or between commas, ``default`` or ``all``; ``by``:
    ``class``, for every class by itself, too; ``minutes``: time for the trainings of ``utility``, five if None;
    ``device``: of pretrained extractors, ``auto``, ``cpu`` or ``cuda``.
    """
    return pipeline.compare(
        str(real),
        str(synthetic),
        train=None if train is None else str(train),
        question=Question(extractor, metrics_named(metrics), by, utility, seed, device=device, minutes=minutes),
        report=None if report is None else Path(report),
        workers=workers,
        listener=Quiet(),
    )


def detect(
    source: str | Path, *, detector: str | Path, rate: float | None = None, on_bad_input: str = "refuse"
) -> documents.DetectDocument:
    """Judges every image of a dataset by a detector that :func:`fit_detector` kept.

    ``rate``: the false-alarm rate at which images are called generated, .01 or .05; None takes the smallest that the
    detector was calibrated for. It knows the generators that it was fitted on and no others.
    """
    return pipeline.detect(str(source), detector=Path(detector), rate=rate, on_bad_input=on_bad_input, listener=Quiet())


def fit_detector(
    real: str | Path,
    synthetic: str | Path,
    *,
    out: str | Path,
    seed: int = 0,
    size: int | None = None,
    jpeg_quality: int | None = None,
    keep_anyway: bool = False,
) -> documents.FitDetectorDocument:
    """Fits a detector of images like ``synthetic`` among images like ``real``, and keeps it in the new file ``out``.

    ``size`` (pixels a side) and ``jpeg_quality`` take all images, those judged later too, through one resize and one
    JPEG coder: so that the files themselves do not give the sets away. A detector that may do no better than chance is
    a :class:`~twinset.errors.DataError`, and nothing is written, unless ``keep_anyway``.
    """
    return pipeline.fit_and_keep(
        str(real),
        str(synthetic),
        out=Path(out),
        seed=seed,
        size=size,
        jpeg_quality=jpeg_quality,
        keep_anyway=keep_anyway,
        listener=Quiet(),
    )


def leaderboard(
    *sets: str | Path,
    real: str | Path | None = None,
    extractor: str = "random",
    by: str = "kernel_distance",
    seed: int = 0,
    report: str | Path | None = None,
) -> documents.LeaderboardDocument:
    """Ranks synthetic sets (datasets or run folders) against the same real images, by every score at equal N.

    JSON files of comparisons and runs are ranked by what they say; :class:`~twinset.errors.DataError` names what they
    differ in where their figures do not compare.

    ``real`` defaults to the held-out images of the runs. Sets that the images cannot tell apart share ranks.
    """
    return pipeline.leaderboard(
        [str(each) for each in sets],
        real=None if real is None else str(real),
        extractor=extractor,
        by=by,
        seed=seed,
        report=None if report is None else Path(report),
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
    from twinset import methods
    from twinset.alignment import align as align_with
    from twinset.pipeline.real import choose_spec
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
