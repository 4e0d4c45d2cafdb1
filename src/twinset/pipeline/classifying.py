"""A classifier of whole pictures, trained on a dataset and kept: what can be released in place of the dataset."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinset import documents
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError, RunFolderError, UsageError
from twinset.evaluation.predictions.classification import Classified, accuracy, class_scores
from twinset.families import DIGEST_BYTES, families, fingerprint
from twinset.images import ImageSpec
from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
from twinset.paths import expanded
from twinset.pipeline.folders import refuse_inside, refuse_missing_parent
from twinset.pipeline.image_sizes import choose_spec
from twinset.pipeline.model_cards import card_place, classifier_card, named_parent, write_card
from twinset.pipeline.parts import scores_part
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import check_way, load, source_of
from twinset.randomness import Stream
from twinset.recipe import ImagePart
from twinset.scores import Score
from twinset.threads import torch_threads

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Told:
    """What the owner says of the images, for the model card."""

    licence: str | None = None
    consent: str | None = None


def fit_and_keep_classifier(
    source: str,
    *,
    out: Path,
    seed: int,
    test: str | None = None,
    told: Told = Told(),
    on_bad_input: str = "refuse",
    listener: Listener,
) -> documents.FitClassifierDocument:
    """Trains a classifier on a labelled dataset and keeps it in a new file, a model card beside it; never over files
    that are there.

    ``test``: other labelled images, on which it is measured. :class:`DataError` for images without a class, fewer than
    two classes, and test images of other classes or that it was trained on.
    """
    began = time.monotonic()
    check_way(on_bad_input)
    place = _new_file(out)
    card = card_place(place)
    refuse_inside(place, source_of(source))
    dataset = load(source, on_bad_input=on_bad_input)
    _check_labelled(dataset, source)
    held = None if test is None else _held_out(test, dataset, on_bad_input=on_bad_input)
    spec, text = choose_spec(ImagePart(), dataset)
    settings = ClassifierSettings()
    with torch_threads(1):
        fitted = fit_classifier(
            dataset.prepared(spec),
            dataset.class_ids,
            n_classes=len(dataset.classes),
            settings=settings,
            rng=Stream(seed).child("classifier"),
            progress=listener.stage("fit the classifier"),
        )
    kept = replace(fitted, classes=tuple(dataset.classes))
    kept.save(place)
    scores = () if held is None else _scores(kept, held, seed)
    parent = named_parent(dataset, told.licence, told.consent)
    name = "" if held is None else held.name
    write_card(
        card, classifier_card(kept, settings, place, source=source, parent=parent, seed=seed, scores=scores, test=name)
    )
    return documents.FitClassifierDocument(
        source=source,
        classifier_file=str(out),
        card=str(out.with_suffix(card.suffix)),
        scores=scores_part(scores),
        n_images=len(dataset),
        classes=list(dataset.classes),
        image=text,
        steps=settings.steps,
        seed=seed,
        seconds=round(time.monotonic() - began, 3),
    )


def _held_out(test: str, training: Dataset, *, on_bad_input: str) -> Dataset:
    """The test images with their classes in the training images' order."""
    held = load(test, on_bad_input=on_bad_input)
    unknown = sorted(name for name, count in held.class_counts().items() if count and name not in training.classes)
    unlabelled = int((held.class_ids < 0).sum())
    if unknown or unlabelled or not len(held):
        got = f"{len(held)} images, {unlabelled} without a class, {len(unknown)} other classes"
        raise DataError(
            f"{test}: expected test images of the classes {', '.join(training.classes)}; got {got}",
            hint="give other labelled images of the same classes",
        )
    known = set(map(_digest, training))
    same = sum(_digest(sample) in known for sample in held)
    if same:
        raise DataError(
            f"{test}: expected test images that it is not trained on; got {same} of {len(held)} that are",
            hint="figures on training images say nothing of others",
        )
    return held


def _digest(sample: Sample) -> bytes:
    return fingerprint(sample.pixels())[:DIGEST_BYTES].tobytes()


def _scores(classifier: Classifier, held: Dataset, seed: int) -> tuple[Score, ...]:
    """Accuracy and balanced accuracy with their intervals; equal pictures count once."""
    number = {name: at for at, name in enumerate(classifier.classes)}
    labels = np.array([number[held.classes[each]] for each in held.class_ids], dtype=np.int64)
    probabilities = classifier.probabilities(held.prepared(ImageSpec(*classifier.shape)))
    classified = Classified(probabilities, labels, classifier.classes, families(held))
    found = [accuracy(classified), *class_scores(classified, rng=Stream(seed).child("test"))]
    return tuple(
        score for score in found if score.name in ("accuracy", "balanced_accuracy") and score.value is not None
    )


def load_classifier(path: Path) -> Classifier:
    """A kept classifier; :class:`DataError` for what is none, :class:`RunFolderError` for a damaged file."""
    place = expanded(path)
    hint = "`twinset fit-classifier DATASET --out FILE` makes one"
    if not place.is_file():
        what = "a folder" if place.is_dir() else "no such file"
        raise DataError(f"{path}: expected a classifier; got {what}", hint=hint)
    try:
        return Classifier.load(place)
    except (ValueError, KeyError, RuntimeError) as error:
        text = str(error).splitlines()[0]
        raise DataError(f"{path}: expected a classifier of twinset; got {text}", hint=hint) from error


def _new_file(out: Path) -> Path:
    place = expanded(out)
    if place.exists():
        what = "a folder" if place.is_dir() else "one"
        raise RunFolderError(f"{place}: expected no file there; got {what}", hint="choose another --out")
    if place.suffix != SUFFIX:
        raise UsageError(f"expected --out NAME{SUFFIX}; got {place.name}", hint=f"--out {out.with_suffix(SUFFIX)}")
    refuse_missing_parent(place)
    return place


def _check_labelled(dataset: Dataset, source: str) -> None:
    without = int((dataset.class_ids < 0).sum())
    if not len(dataset) or without or len(dataset.classes) < 2:
        got = f"{without} of {len(dataset)} images without one, {len(dataset.classes)} classes"
        raise DataError(
            f"{source}: expected images of two classes or more, each with its class; got {got}",
            hint="put them into one folder for each class",
        )
