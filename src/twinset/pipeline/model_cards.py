"""What model cards tell: of the generator of a run, of a classifier and of a detector that commands fit and keep."""

from __future__ import annotations

import time
from pathlib import Path

from twinset import __version__
from twinset import release as out
from twinset.dataset import Dataset
from twinset.errors import RunFolderError
from twinset.evaluation.detectability.generated_detector import GeneratedDetector
from twinset.models.classifier import Classifier, ClassifierSettings
from twinset.models.diffusion import DiffusionModel
from twinset.pipeline.detector_facts import limits_of
from twinset.pipeline.manifest import sha256_of
from twinset.pipeline.measuring import Measured
from twinset.pipeline.opening import Run
from twinset.pipeline.planning import sources
from twinset.pipeline.tools import source_of
from twinset.scores import Score
from twinset.store import write_bytes

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


def parent_of(run: Run) -> out.Parent:
    """The real dataset of a run as a card names it, with what its owner wrote of licence and consent."""
    facts = run.real.facts
    return out.Parent(facts.name, facts.digest, len(run.real.training), facts.licence, run.recipe.data.consent)


def access_of(run: Run) -> str | None:
    """What the recipe says of who may have the release."""
    return run.recipe.release.access if run.recipe.release is not None else None


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


LOAD_GENERATOR = """\
from pathlib import Path

import twinset

generator = twinset.Diffusion().load(Path("{folder}"))  # the folder that this card lies in
pictures = generator.sample([0, 0, 1], rng=0)  # a dataset: one picture for each class id of the table above
"""


def generator_card(run: Run, measured: Measured, weights: Path, audit: out.AuditResult | None) -> out.ModelRelease:
    """All that the model card of the run's diffusion model tells."""
    real, model = run.real, DiffusionModel.load(weights.parent)
    settings, spec = model.settings, model.spec
    network = settings.network
    return out.ModelRelease(
        name=f"{real.facts.name}-twin generator",
        kind="generator",
        version=__version__,
        created=time.strftime("%Y-%m-%d"),
        file=weights.name,
        sha256=sha256_of(weights),
        about=f"class-conditional diffusion, {network.family} of width {network.width}",
        takes=f"{spec.height} × {spec.width} × {spec.channels}",
        training=f"{settings.training.steps} steps of {settings.training.batch} images; resolved recipe "
        f"{run.recipe.digest()}, seed {run.recipe.seed}",
        load=LOAD_GENERATOR.format(folder=weights.parent.name),
        parents=(parent_of(run),),
        classes=real.dataset.classes,
        figures=_figures(run, measured),
        no_figures="Not measured: the run measured no likeness (`evaluate.fidelity`).",
        audit=audit,
        account=model.account.sentence() if model.account is not None else "",
        limits=_model_limits(run, model),
        access=access_of(run),
    )


def _figures(run: Run, measured: Measured) -> tuple[out.ModelFigure, ...]:
    """Likeness of what it made before filters, where it alone made images; else that of the dataset."""
    alone = len(sources(run.recipe)) == 1
    scores, of = measured.scores, "the accepted images of the run"
    if alone and measured.before:
        scores, of = measured.before, "all images that it made in the run, before filters"
    return tuple(
        out.ModelFigure(
            score.name,
            score.value,
            (score.interval.low, score.interval.high) if score.interval else None,
            f"{of} ({score.counts.get('synthetic', 0)}), against {score.counts.get('real', 0)} held-out real images",
        )
        for score in scores
        if score.value is not None and not score.name.endswith("]")
    )


def _model_limits(run: Run, model: DiffusionModel) -> tuple[str, ...]:
    limits = [
        "Its images were not filtered: near copies, odd ones and wrong labels that a twin leaves out may be among them."
    ]
    if len(sources(run.recipe)) > 1:
        limits.append("The twin has images of other sources too, so its figures are not this model's alone.")
    if model.account is None:
        limits += list(model.remarks)
    return tuple(limits)


LOAD_CLASSIFIER = """\
from pathlib import Path

from twinset.models.classifier import Classifier

classifier = Classifier.load(Path("{file}"))
logits = classifier.logits(pictures)  # uint8 (N, {height}, {width}, {channels}) to float (N, {classes})
"""

AUDIT_CLASSIFIER = "twinset audit --classifier {file} --train REAL --holdout OTHER_REAL --report audit.html"


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
        no_figures="Not measured: no test images were given (`twinset fit-classifier --test`).",
        audit_command=AUDIT_CLASSIFIER.format(file=place.name),
    )


def _figure(score: Score, on: str) -> out.ModelFigure:
    assert score.value is not None
    interval = (score.interval.low, score.interval.high) if score.interval else None
    return out.ModelFigure(score.name, score.value, interval, on)


LOAD_DETECTOR = """\
import twinset

found = twinset.detect("FOLDER", detector="{file}")  # scores and false-alarm rates, picture by picture
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
        about="linear model on residual, spectral and pixel statistics",
        takes="any size of at least 8 × 8",
        training=f"{facts.real} real and {facts.synthetic} synthetic images, seed {facts.seed}",
        load=LOAD_DETECTOR.format(file=place.name),
        parents=(named_parent(real), named_parent(synthetic)),
        figures=(out.ModelFigure("AUC", facts.auc, facts.auc_interval, held),),
        limits=(f"{told} real images held out", limits_of(detector), *facts.warnings, *warnings),
    )
