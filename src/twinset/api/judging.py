"""Judges of images, sets and releases, whoever made them: as the command line has them.

What is large loads in the functions, so that what can be refused at once is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinset import pipeline
from twinset.pipeline.comparing import Question, metrics_named
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.standing import RankingQuestion

if TYPE_CHECKING:
    from twinset import documents


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


def leaderboard(
    *sets: str | Path,
    real: str | Path | None = None,
    extractor: str = "random",
    by: str = "kernel_distance",
    seed: int = 0,
    report: str | Path | None = None,
    device: str = "auto",
) -> documents.LeaderboardDocument:
    """Ranks synthetic sets (datasets or run folders) against the same real images, by every score at equal N.

    JSON files of comparisons and runs are ranked by what they say; :class:`~twinset.errors.DataError` names what they
    differ in where their figures do not compare.

    ``real`` defaults to the held-out images of the runs. Sets that the images cannot tell apart share ranks.
    ``device``: of pretrained extractors, ``auto``, ``cpu`` or ``cuda``.
    """
    return pipeline.leaderboard(
        [str(each) for each in sets],
        question=RankingQuestion(None if real is None else str(real), extractor, by, seed, device),
        report=None if report is None else Path(report),
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
    report: str | Path | None = None,
    card: str | Path | None = None,
) -> documents.AuditDocument:
    """Whether a release shows which real images stand behind it: of a run, or of any sets and models.

    ``holdout`` are real images that nothing was made from, ``reference`` others beside them, for the attacks that need
    a population. ``generator`` is a diffusion model (file or folder), ``classifier`` a file of :func:`fit_classifier`;
    ``release`` names what is audited out of dataset, generator and classifier, None: what is given. Without
    ``controls`` only a leak can be found. ``report`` is where an HTML page of it goes, ``card`` the
    Markdown file whose section on the audit is written. :class:`~twinset.errors.UsageError` for too few sets.
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
        report=path(report),
        card=path(card),
        listener=Quiet(),
    )


def fit_classifier(
    dataset: str | Path,
    *,
    out: str | Path,
    test: str | Path | None = None,
    licence: str | None = None,
    consent: str | None = None,
    seed: int = 0,
    on_bad_input: str = "refuse",
) -> documents.FitClassifierDocument:
    """Trains a classifier of whole pictures on a labelled dataset and keeps it in the new file ``out``.

    Its model card goes beside it, with figures where ``test`` images are given, and with what ``licence`` and
    ``consent`` say of the images. It can be released in place of the dataset; :func:`audit` says what it gives away.
    """
    from twinset.pipeline.classifying import Told

    return pipeline.fit_and_keep_classifier(
        str(dataset),
        out=Path(out),
        seed=seed,
        test=None if test is None else str(test),
        told=Told(licence, consent),
        on_bad_input=on_bad_input,
        listener=Quiet(),
    )
