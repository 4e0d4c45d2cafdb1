"""What the cards of a classifier and of a detector tell, which commands fit and keep; and where a card lies."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from twinset import __version__
from twinset import release as out
from twinset.dataset import Dataset
from twinset.errors import RunFolderError
from twinset.evaluation.detectability.generated_detector import GeneratedDetector
from twinset.pipeline.detector_facts import limits_of
from twinset.pipeline.manifest import sha256_of
from twinset.pipeline.tools import source_of
from twinset.scores import Score
from twinset.store import write_bytes

if TYPE_CHECKING:
    from twinset.models.classifier import Classifier, ClassifierSettings

SUFFIX = ".md"
CROISSANT = "croissant.json"


def card_place(weights: Path) -> Path:
    """Where the card of a kept model goes, beside it; :class:`RunFolderError` where something is there already."""
    place = weights.with_suffix(SUFFIX)
    if place.exists():
        raise RunFolderError(
            f"{place}: expected no file there, for the model card; got one", hint="choose another --out"
        )
    return place


def write_card(place: Path, model: out.ModelRelease) -> None:
    """Writes the card."""
    write_bytes(place, out.model_card(model).encode())


def named_parent(dataset: Dataset, licence: str | None = None, consent: str | None = None) -> out.Parent:
    """A dataset that a model was trained on; licences that its pictures state count where none is given."""
    stated = sorted({text for text in dataset.table.column("licence").to_pylist() if text})
    return out.Parent(
        dataset.name, dataset.source_digest(), len(dataset), licence or ", ".join(stated) or None, consent
    )


def real_behind(source: str) -> tuple[out.Parent, ...]:
    """The real datasets that a twin was made from, by the Croissant file of its export; () where there is none."""
    where = source_of(source)
    if isinstance(where, str):
        return ()
    for folder in (where, where.parent):
        path = folder / CROISSANT
        if path.is_file():
            return out.parents_in(path.read_text(encoding="utf-8", errors="replace"))
    return ()


LOAD_CLASSIFIER = """\
from pathlib import Path

from twinset.images import ImageSpec
from twinset.models.classifier import Classifier

classifier = Classifier.load(Path({file!r}))
logits = classifier.logits(pictures)  # uint8 (N, {height}, {width}, {channels}) to float (N, {classes})
"""

AUDIT_CLASSIFIER = "twinset audit --classifier {file} --train REAL --holdout OTHER_REAL --card {card}"


def classifier_card(
    classifier: Classifier,
    settings: ClassifierSettings,
    place: Path,
    *,
    source: str,
    parent: out.Parent,
    seed: int,
    scores: tuple[Score, ...],
    test: str,
) -> out.ModelRelease:
    """All that the model card of a classifier tells that was trained on ``source`` and kept at ``place``."""
    height, width, channels = classifier.shape
    return out.ModelRelease(
        name=f"{parent.name} classifier",
        kind="classifier",
        version=__version__,
        created=time.strftime("%Y-%m-%d"),
        file=place.name,
        sha256=sha256_of(place),
        about=f"residual network of width {classifier.width}, {classifier.norm} norm",
        takes=f"{height} × {width} × {channels}",
        training=f"{settings.steps} steps of {settings.batch} images, seed {seed}",
        load=LOAD_CLASSIFIER.format(
            file=place.name, height=height, width=width, channels=channels, classes=classifier.n_classes
        ),
        parents=(parent,),
        behind=real_behind(source),
        classes=classifier.classes,
        figures=tuple(_figure(score, f"{score.counts.get('real', 0)} images of {test}") for score in scores),
        no_figures="Not measured: no test images were given (twinset fit-classifier --test).",
        audit_command=AUDIT_CLASSIFIER.format(
            file=shlex.quote(place.name), card=shlex.quote(place.with_suffix(SUFFIX).name)
        ),
    )


def _figure(score: Score, on: str) -> out.ModelFigure:
    assert score.value is not None
    interval = (score.interval.low, score.interval.high) if score.interval else None
    return out.ModelFigure(score.name, score.value, interval, on)


LOAD_DETECTOR = """\
import twinset

found = twinset.detect("FOLDER", detector={file!r})  # scores and false-alarm rates, picture by picture
"""


def detector_card(
    detector: GeneratedDetector, place: Path, real: Dataset, synthetic: Dataset, warnings: tuple[str, ...]
) -> out.ModelRelease:
    """All that the model card of a detector of generated images tells."""
    facts = detector.facts
    held = f"{facts.held_out_real} real and {facts.held_out_synthetic} synthetic images held out of these sets"
    rates = [f"{100 * float(rate):g} %" for rate, threshold in facts.thresholds.items() if threshold is not None]
    told = f"Calibrated for false-alarm rates of {' and '.join(rates)}" if rates else "Calibrated for no rate: too few"
    return out.ModelRelease(
        name=f"detector of {facts.synthetic_name}",
        kind="detector",
        version=__version__,
        created=time.strftime("%Y-%m-%d"),
        file=place.name,
        sha256=sha256_of(place),
        about="least squares on statistics of pixels, spectrum and residuals, and on Fourier features of these",
        takes="any size of at least 8 × 8",
        training=f"{facts.real} real and {facts.synthetic} synthetic images, seed {facts.seed}",
        load=LOAD_DETECTOR.format(file=place.name),
        parents=(named_parent(real), named_parent(synthetic)),
        figures=(out.ModelFigure("AUC", facts.auc, facts.auc_interval, held),),
        limits=(f"{told} real images held out", limits_of(detector), *facts.warnings, *warnings),
    )
