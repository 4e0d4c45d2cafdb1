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
    from twinset.alignment.curation import Curated, Curation
    from twinset.dataset import Dataset
    from twinset.randomness import RandomSource
    from twinset.recipe import WrittenRecipe
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
    with closing(_listener(quiet)) as listener:
        return pipeline.run(
            _written(recipe), out=None if out is None else Path(out), workers=workers, device=device, listener=listener
        )


def preview(
    recipe: str | Path | Mapping[str, object],
    *,
    out: str | Path = "preview.png",
    count: int = 12,
    force: bool = False,
    quiet: bool = False,
) -> documents.PreviewDocument:
    """A contact sheet of ``count`` pictures that the recipe's generators and editors make, as PNG, in seconds.

    Pictures stand beside the same with their labels. What trains a network first is named and left out. ``recipe`` as
    :func:`run` takes it; a file that is there is overwritten with ``force`` only.
    """
    with closing(_listener(quiet)) as listener:
        return pipeline.preview(_written(recipe), out=Path(out), count=count, force=force, listener=listener)


def scene(
    recipe: str | Path | Mapping[str, object],
    *,
    index: int = 0,
    out: str | Path = "scene.glb",
    force: bool = False,
    quiet: bool = False,
) -> documents.SceneDocument:
    """The 3D scene of picture ``index`` of :func:`preview`'s sheet as binary glTF, for recipes with ``use: render``."""
    with closing(_listener(quiet)) as listener:
        return pipeline.scene(_written(recipe), index=index, out=Path(out), force=force, listener=listener)


def resume(
    run: str | Path, *, workers: int | None = None, device: str = "auto", quiet: bool = False
) -> documents.RunDocument:
    """Continues the run in this folder from what it has committed."""
    with closing(_listener(quiet)) as listener:
        return pipeline.resume(Path(run), workers=workers, device=device, listener=listener)


def status(run: str | Path) -> documents.StatusDocument:
    """How far the run in this folder is; works while it is going."""
    return pipeline.status(Path(run))


def redact(
    run: str | Path,
    *,
    ids: Sequence[str] = (),
    parents: Sequence[str] = (),
    reason: str = "on request",
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> documents.RedactDocument:
    """Takes images out of a finished run, those of ``ids`` and all made from the real images ``parents``.

    What is left is measured, audited and released anew; ``reason`` stands in the dataset card. The shards keep the
    images, the old export moves to ``withdrawn``. :class:`~twinset.errors.UsageError` for unknown ids.
    """
    with closing(_listener(quiet)) as listener:
        return pipeline.redact(
            Path(run), ids=ids, parents=parents, reason=reason, workers=workers, device=device, listener=listener
        )


def verify(run: str | Path, *, samples: int = 8, device: str = "auto", quiet: bool = False) -> documents.VerifyDocument:
    """Re-hashes every file of a finished run, and makes ``samples`` samples again to compare them."""
    if samples < 0:
        raise ValueError(f"expected samples ≥ 0; got {samples}")
    with closing(_listener(quiet)) as listener:
        return pipeline.verify(Path(run), samples=samples, device=device, listener=listener)


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


def _written(recipe: str | Path | Mapping[str, object]) -> WrittenRecipe:
    from twinset.recipe import recipe_for, recipe_from_values

    return recipe_from_values(recipe) if isinstance(recipe, Mapping) else recipe_for(recipe)


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


def detect_watermark(
    source: str | Path,
    *,
    key_file: str | Path,
    payload: int | None = None,
    rate: float | None = None,
    on_bad_input: str = "refuse",
) -> documents.WatermarkDocument:
    """Looks for the invisible mark of a key in every picture of a dataset or one file, and in all together.

    ``payload``: only look for this number, or a mark without one. ``rate``: the false-positive rate, default .001; it
    holds for any pictures that were made without knowledge of the key.
    """
    return pipeline.detect_watermark(
        str(source), key_file=Path(key_file), payload=payload, rate=rate, on_bad_input=on_bad_input, listener=Quiet()
    )


def detect_provenance(
    source: str | Path, *, trust: str | Path | None = None, on_bad_input: str = "refuse"
) -> documents.ProvenanceDocument:
    """What every file of a dataset, or one file, says of its origin: XMP, and Content Credentials with their check.

    ``trust`` is a PEM file with the certificates of those whose signatures you believe. What is not there is absent.
    """
    return pipeline.detect_provenance(
        str(source), trust=None if trust is None else Path(trust), on_bad_input=on_bad_input, listener=Quiet()
    )


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


def audit(
    run: str | Path | None = None,
    *,
    synthetic: str | Path | None = None,
    train: str | Path | None = None,
    holdout: str | Path | None = None,
    reference: str | Path | None = None,
    generator: str | Path | None = None,
    classifier: str | Path | None = None,
    release: Sequence[str] | None = None,
    alpha: float = 0.01,
    seed: int = 0,
    controls: bool = True,
    on_bad_input: str = "refuse",
) -> documents.AuditDocument:
    """Whether a release shows which real images stand behind it: of a run, or of any sets and models.

    ``holdout`` are real images that nothing was made from, ``reference`` others beside them, for the attacks that need
    a population. ``generator`` is a diffusion model (file or folder), ``classifier`` a file of :func:`fit_classifier`;
    ``release`` names what is audited out of dataset, generator and classifier, None: what is given. Without
    ``controls`` only a leak can be found. :class:`~twinset.errors.UsageError` for too few sets.
    """
    from twinset.pipeline.auditing import AuditQuestion
    from twinset.pipeline.releases import Released

    def path(value: str | Path | None) -> Path | None:
        return None if value is None else Path(value)

    def text(value: str | Path | None) -> str | None:
        return None if value is None else str(value)

    return pipeline.audit(
        Released(
            path(run),
            text(synthetic),
            text(train),
            text(holdout),
            text(reference),
            path(generator),
            path(classifier),
            release,
        ),
        question=AuditQuestion(alpha, seed, controls, on_bad_input),
        listener=Quiet(),
    )


def fit_classifier(
    dataset: str | Path, *, out: str | Path, seed: int = 0, on_bad_input: str = "refuse"
) -> documents.FitClassifierDocument:
    """Trains a classifier of whole pictures on a labelled dataset and keeps it in the new file ``out``.

    It can be released in place of the dataset, and :func:`audit` says what it gives away.
    """
    return pipeline.fit_and_keep_classifier(
        str(dataset), out=Path(out), seed=seed, on_bad_input=on_bad_input, listener=Quiet()
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
    from twinset.pipeline.real import choose_spec
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
